/**
 * The worker threads that all programs of a process share. A program on n threads has an instance in each of n - 1 workers,
 * over its one shared memory; the calling thread is the first and does its share too. A call writes a few words and wakes
 * the workers; the module's barriers see to the rest, so that all is done when the caller's own share returns.
 *
 * Each worker has words of its own, shared with it alone (serve.mjs). POSTED and READ count messages: a worker that has not
 * read all that were posted to it may be anywhere, and a program that needs it runs on one thread just then, with the same
 * results. Nothing ever waits for a worker that is not listening.
 */
/// <reference path="./webassembly.d.ts" />
import * as E from 'fp-ts/lib/Either.js'
import { refuse } from '../../dsl/errors.ts'
import type { Threads } from './host.ts'

/** What a worker reads and writes of its words; the same list stands in serve.mjs. */
const [TURN, PROGRAM, ENTRY, THREADS, FINISHED, POSTED, READ, FAILED] = [0, 1, 2, 3, 4, 5, 6, 7] as const
const wordsBytes = 64
const textBytes = 448

/** How often a thread looks at a barrier before it sleeps: 50 to 100 microseconds, or hardly where threads share a core. */
const looks = 30_000
const looksInTurn = 300

export type Entry = (thread: number, threads: number, spins: number) => void

/** A program over shared memory, as the calling thread has it. */
export type Shareable = {
  readonly id: string
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory<SharedArrayBuffer>
  /** The first byte of the sync words; they and what has no value between two calls end at `end`. */
  readonly sync: number
  readonly end: number
  /** The module's functions, by name. */
  readonly entries: readonly (readonly [name: string, call: Entry])[]
  /** At least 2. */
  readonly threads: number
}

export type Pool = {
  /** Gives a program to the workers; the result calls one of its entries on all threads. Left: why a worker cannot be had. */
  readonly share: (program: Shareable) => Promise<E.Either<string, (entry: number) => void>>
}

type Member = {
  /** Null as long as it lives. */
  readonly lost: () => string | null
  /** Posts a message; resolves to null, or to why it was not followed. */
  readonly post: (message: object) => Promise<string | null>
  /** Whether it would hear a call at once. */
  readonly listening: () => boolean
  readonly call: (program: number, entry: number, threads: number) => void
  /** Whether its last call has come to an end. */
  readonly finished: () => boolean
  /** What made it fail, once. */
  readonly failure: () => string | null
}

const enlist = (threads: Threads, thread: number): Member => {
  const shared = new SharedArrayBuffer(wordsBytes + textBytes)
  const words = new Int32Array(shared, 0, wordsBytes / 4)
  const text = new Uint8Array(shared, wordsBytes)
  let lost: string | null = null
  let awaiting: readonly ((problem: string | null) => void)[] = []
  const worker = threads.start({
    onAnswer: ({ problem }) => {
      const [first, ...others] = awaiting
      awaiting = others
      worker.hold(others.length > 0)
      first?.(problem)
    },
    onEnd: reason => {
      lost ??= reason
      const all = awaiting
      awaiting = []
      all.forEach(done => done(reason))
    },
  })
  const wake = (): void => {
    Atomics.add(words, TURN, 1)
    Atomics.notify(words, TURN)
  }
  const post: Member['post'] = message => {
    if (lost !== null) return Promise.resolve(lost)
    Atomics.add(words, POSTED, 1)
    wake()
    worker.hold(true)
    worker.post(message)
    return new Promise(done => { awaiting = [...awaiting, done] })
  }
  void post({ kind: 'start', thread, words, text })
  return {
    lost: () => lost,
    post,
    listening: () => lost === null && Atomics.load(words, READ) === Atomics.load(words, POSTED),
    call: (program, entry, count) => {
      Atomics.store(words, PROGRAM, program)
      Atomics.store(words, ENTRY, entry)
      Atomics.store(words, THREADS, count)
      wake()
    },
    finished: () => Atomics.load(words, FINISHED) === Atomics.load(words, TURN),
    failure: () => (Atomics.exchange(words, FAILED, 0) === 0 ? null : String.fromCharCode(...text.filter(code => code !== 0))),
  }
}

/** Whether this thread may sleep; a page's own thread may not. */
const maySleep = (): boolean => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0)
    return true
  } catch {
    return false
  }
}

type Loaded = Shareable & {
  readonly number: number
  readonly members: readonly Member[]
  readonly spins: number
  /**
   * Never touched, hence no memory: engines take no account of shared memories when they judge whether it is time to
   * look for garbage, so each goes with an ordinary buffer of its size.
   */
  readonly weight: ArrayBuffer | null
}

const weightOf = (memory: WebAssembly.Memory<SharedArrayBuffer>): ArrayBuffer | null => {
  try {
    return new ArrayBuffer(memory.buffer.byteLength)
  } catch {
    return null
  }
}

/** One thread has failed: ends the others, makes the memory fit for the next call and throws what happened. */
const recover = (program: Loaded, error: unknown): never => {
  const phase = new Int32Array(program.memory.buffer, program.sync, 1)
  // Who sets it first is the one that failed; the others fail because of it.
  const ownFault = Atomics.exchange(phase, 0, -1) !== -1
  Atomics.notify(phase, 0)
  const idle = new Int32Array(new SharedArrayBuffer(4))
  while (!program.members.every(member => member.finished())) if (program.spins > 0) Atomics.wait(idle, 0, 0, 1)
  new Uint8Array(program.memory.buffer, program.sync, program.end - program.sync).fill(0)
  const failures = program.members.map(member => member.failure())
  const at = ownFault ? -1 : failures.findIndex(failure => failure !== null)
  const message = failures[at] ?? (error instanceof Error ? error.message : String(error))
  return refuse({ kind: 'bug', where: `${program.id}, thread ${at + 2} of ${program.threads}`, message })
}

const listening = (member: Member): boolean => member.listening()

const call = (program: Loaded, entry: number): void => {
  const { members, entries, number, threads, spins } = program
  const perform = entries[entry]?.[1]
  if (perform === undefined) return
  if (!members.every(listening)) return perform(0, 1, 0)
  for (const member of members) member.call(number, entry, threads)
  try {
    perform(0, threads, spins)
  } catch (error) {
    recover(program, error)
  }
}

const makePool = (threads: Threads): Pool => {
  const crew: Member[] = []
  let programs = 0
  const member = (i: number): Member => {
    const known = crew[i]
    if (known !== undefined && known.lost() === null) return known
    const made = enlist(threads, i + 1)
    crew[i] = made
    return made
  }
  const drop = (members: readonly Member[], program: number): void => members.forEach(each => void each.post({ kind: 'drop', program }))
  const dropped = new FinalizationRegistry<{ readonly members: readonly Member[]; readonly number: number }>(({ members, number }) => drop(members, number))
  return {
    share: async program => {
      const members = Array.from({ length: program.threads - 1 }, (_, i) => member(i))
      const number = programs += 1
      const turns = program.threads > threads.available() ? looksInTurn : looks
      const { module, memory, sync } = program
      const entries = program.entries.map(([name]) => name)
      const problems = await Promise.all(members.map(each => each.post({ kind: 'load', program: number, module, memory, entries, spins: turns, sync })))
      const problem = problems.find(text => text !== null)
      if (problem !== undefined && problem !== null) {
        drop(members, number)
        return E.left(problem)
      }
      const loaded: Loaded = { ...program, number, members, spins: maySleep() ? turns : 0, weight: weightOf(memory) }
      dropped.register(loaded, { members, number })
      return E.right(entry => call(loaded, entry))
    },
  }
}

const pools = new WeakMap<Threads, Pool>()

/** The pool of a kind of hosts. Its workers start when a program first needs them. */
export const poolOf = (threads: Threads): Pool => {
  const pool = pools.get(threads) ?? makePool(threads)
  pools.set(threads, pool)
  return pool
}
