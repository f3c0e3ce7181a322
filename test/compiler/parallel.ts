/**
 * Runs modules on several threads within a test: a few workers (parallel-worker.mjs) that live as long as the process,
 * one shared memory for all modules, one after the other. Everything is synchronous; the test itself is thread 0. What
 * hangs is ended and reported.
 */
import * as assert from 'uvu/assert'
import v8 from 'node:v8'
import { Worker } from 'node:worker_threads'
import { text } from '../../compiler/targets/wasm/encode.ts'
import type { Module } from '../../compiler/targets/wasm/module.ts'
import { syncZeros } from '../../compiler/targets/wasm/threads.ts'

v8.setFlagsFromString('--experimental-wasm-relaxed-simd')

/** Threads that a run may have. */
export const mostThreads = 5
/** Milliseconds after which a run is taken to hang. */
const limit = 20_000
const page = 65536

/** The words that the threads share (see parallel-worker.mjs). */
const [THREADS, SPINS, ENTRY, DONE, FAILED, BUSY, TURN] = [0, 1, 2, 3, 4, 5, 6] as const
const words = new Int32Array(new SharedArrayBuffer(4 * (TURN + mostThreads)))
const reason = new Uint8Array(new SharedArrayBuffer(256))

type Pool = { readonly workers: readonly Worker[]; readonly watch: Worker }
let pool: Pool | null = null
/** The threads beside the test's own, started when they are first needed. */
const started = (): Pool => {
  const start = (thread: number, watch: boolean): Worker => {
    const workerData = { words, text: reason, thread, watch, limit }
    const worker = new Worker(new URL('./parallel-worker.mjs', import.meta.url), { workerData, execArgv: [] })
    worker.unref()
    return worker
  }
  pool ??= { workers: Array.from({ length: mostThreads - 1 }, (_, i) => start(i + 1, false)), watch: start(mostThreads, true) }
  return pool
}

/** Gives threads 1 to `last` a turn: to call an entry, or with -1 only to hear what has been posted. */
const turn = (last: number, entry: number, threads = 0, spins = 0): void => {
  words.set([threads, spins, entry, 0], THREADS)
  for (let thread = 1; thread <= last; thread += 1) {
    Atomics.add(words, TURN + thread, 1)
    Atomics.notify(words, TURN + thread)
  }
}
/** Waits until so many threads are done with their turn. */
const finished = (workers: number): void => {
  for (let done = Atomics.load(words, DONE); done < workers; done = Atomics.load(words, DONE)) {
    if (Atomics.wait(words, DONE, done, 2 * limit) === 'timed-out') assert.unreachable(`${workers - done} threads do not answer`)
  }
}
/** Why a thread failed; '' where none did. Forgets it. */
const failure = (): string => {
  const failed = Atomics.exchange(words, FAILED, 0) !== 0
  const message = failed ? new TextDecoder().decode(reason.slice()).replace(/\0.*$/, '') : ''
  reason.fill(0)
  return message
}

let memory = new WebAssembly.Memory<SharedArrayBuffer>({ initial: 64, maximum: 64, shared: true })
const roomFor = (bytes: number): WebAssembly.Memory<SharedArrayBuffer> => {
  const pages = Math.ceil(bytes / page)
  if (memory.buffer.byteLength < bytes) memory = new WebAssembly.Memory<SharedArrayBuffer>({ initial: pages, maximum: pages, shared: true })
  return memory
}

/** The module over shared memory: the flags of its one import say so. */
const overShared = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
  const name = [...text('env'), ...text('memory'), 0x02]
  const flags = bytes.findIndex((_, i) => name.every((b, k) => bytes[i + k] === b)) + name.length
  assert.is(bytes[flags], 0x01, 'the module imports one plain memory with limits')
  return Uint8Array.from(bytes.with(flags, 0x03))
}

type Entry = (thread?: number, threads?: number, spins?: number) => void

/** What a module has to tell to be run. */
export type Threaded = Pick<Module, 'bytes' | 'memoryBytes' | 'threadBytes' | 'sync'>

export type Running = {
  /** All of the memory in front of the sync words, as it is now. */
  readonly words: Uint32Array
  readonly sync: Int32Array
  readonly buffer: SharedArrayBuffer
  /** Puts the memory back to what it was before the first run. */
  readonly reset: () => void
  /** Calls an entry on threads 0 .. threads-1; fails where one of them does. Without a number of threads it is called without arguments. */
  readonly run: (threads?: number, entry?: string, spins?: number) => void
  /** Calls `run` on all threads but the first; `then`, meanwhile, is done here. Returns why a thread failed. */
  readonly without0: (threads: number, spins: number, then: () => void) => string
}

/** Instantiates a module on all threads, in memory full of NaNs but for what `prepare` writes. One module at a time. */
export const load = (module: Threaded, prepare: (buffer: SharedArrayBuffer) => void = () => {}): Running => {
  const { workers, watch } = started()
  const bytes = module.memoryBytes + mostThreads * module.threadBytes
  const shared = roomFor(bytes)
  const { buffer } = shared
  new Uint32Array(buffer, 0, Math.ceil(bytes / 4)).fill(0x7fc00001)
  const compiled = new WebAssembly.Module(overShared(module.bytes))
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory: shared } })
  const entries = Object.keys(exports)
  for (const worker of [...workers, watch]) worker.postMessage({ module: compiled, memory: shared, sync: module.sync, entries })
  turn(workers.length, -1)
  finished(workers.length)
  assert.is(failure(), '')
  prepare(buffer)
  const all = new Uint8Array(buffer, 0, bytes)
  const initial = all.slice()
  const sync = new Int32Array(buffer, module.sync, syncZeros / 4)

  let runs = 0
  /** Marks a run, so that it is ended where it hangs. */
  const watched = (run: () => void): void => {
    Atomics.store(words, BUSY, (runs = (runs % 1e9) + 1))
    Atomics.notify(words, BUSY)
    try {
      run()
    } finally {
      Atomics.store(words, BUSY, 0)
      Atomics.notify(words, BUSY)
    }
  }
  const call = (entry: string): Entry => exports[entry] as Entry // every export is such a function
  return {
    words: new Uint32Array(buffer, 0, module.sync / 4),
    sync,
    buffer,
    reset: () => all.set(initial),
    run: (threads, entry = 'run', spins = 100) => {
      if (threads === undefined) return call(entry)()
      turn(threads - 1, entries.indexOf(entry), threads, spins)
      watched(() => {
        try {
          call(entry)(0, threads, spins)
        } catch (error) {
          // as the other threads do
          if (Atomics.compareExchange(words, FAILED, 0, 1) === 0) new TextEncoder().encodeInto(`thread 0: ${String(error)}`, reason)
          Atomics.store(sync, 0, -1)
          Atomics.notify(sync, 0)
        }
        finished(threads - 1)
      })
      const problem = failure()
      if (problem !== '') throw new Error(problem)
    },
    without0: (threads, spins, then) => {
      turn(threads - 1, entries.indexOf('run'), threads, spins)
      then()
      watched(() => finished(threads - 1))
      return failure()
    },
  }
}

/** Where memory differs from what it was after another run; '' where it does not. */
export const differing = (running: Running, before: Uint32Array): string => {
  const now = running.words
  if (Buffer.compare(Buffer.from(now.buffer, now.byteOffset, now.byteLength), Buffer.from(before.buffer, before.byteOffset, before.byteLength)) === 0) return ''
  const i = now.findIndex((word, k) => word !== before[k])
  return `byte ${4 * i} is 0x${now[i]!.toString(16)}, before 0x${before[i]!.toString(16)}`
}

/** The same bits on any number of threads, and again from what a run leaves. Returns the memory as it is afterwards. */
export const checkThreads = (name: string, running: Running, place: (byte: number) => string = () => ''): Uint32Array => {
  running.reset()
  running.run()
  const want = running.words.slice()
  const same = (how: string): void => {
    const found = differing(running, want)
    if (found !== '') assert.unreachable(`${name}: ${how}, ${found} ${place(Number(/^byte (\d+)/.exec(found)![1]))}`)
  }
  running.run(1)
  same('a second run')
  for (const threads of [2, 3, 5]) {
    running.reset()
    for (const turnOf of ['first', 'second']) {
      running.run(threads)
      same(`${threads} threads, ${turnOf} run`)
    }
  }
  return want
}
