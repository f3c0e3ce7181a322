// @ts-check
/**
 * A thread of parallel.ts. It waits, asleep, until its word changes, hears the modules that have been posted, and calls
 * its part of a run. Thread 0 is the test itself; the thread numbered `watch` runs nothing, but ends what hangs.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'

/**
 * @typedef {(thread: number, threads: number, spins: number) => void} Entry
 * @typedef {{ readonly module: WebAssembly.Module, readonly memory: WebAssembly.Memory, readonly sync: number, readonly entries: readonly string[] }} Load
 * @typedef {{ readonly words: Int32Array, readonly text: Uint8Array, readonly thread: number, readonly watch: boolean, readonly limit: number }} Start
 */

/** The words that parallel.ts and its threads share; from TURN on there is one for every thread. */
const [THREADS, SPINS, ENTRY, DONE, FAILED, BUSY, TURN] = [0, 1, 2, 3, 4, 5, 6]

const { words, text, thread, watch, limit } = /** @type {Start} */ (workerData)
/** @type {Entry[]} */
let entries = []
let sync = new Int32Array(2)

/** The first failure is told, and makes the threads that wait for this one fail too. @param {unknown} error */
const fail = error => {
  if (Atomics.compareExchange(words, FAILED, 0, 1) === 0) new TextEncoder().encodeInto(`thread ${thread}: ${String(error)}`, text)
  Atomics.store(sync, 0, -1)
  Atomics.notify(sync, 0)
}

const hear = () => {
  for (let heard = parentPort && receiveMessageOnPort(parentPort); heard; heard = parentPort && receiveMessageOnPort(parentPort)) {
    const load = /** @type {Load} */ (heard.message)
    sync = new Int32Array(load.memory.buffer, load.sync, 2)
    if (watch) continue
    const { exports } = new WebAssembly.Instance(load.module, { env: { memory: load.memory } })
    entries = load.entries.map(name => /** @type {Entry} */ (exports[name])) // every export is such a function
  }
}

const serve = () => {
  for (let seen = 0; ; ) {
    Atomics.wait(words, TURN + thread, seen)
    seen = Atomics.load(words, TURN + thread)
    try {
      hear()
      if (Atomics.load(words, ENTRY) >= 0) entries[Atomics.load(words, ENTRY)]?.(thread, Atomics.load(words, THREADS), Atomics.load(words, SPINS))
    } catch (error) {
      fail(error)
    }
    Atomics.add(words, DONE, 1)
    Atomics.notify(words, DONE)
  }
}

const look = () => {
  for (;;) {
    Atomics.wait(words, BUSY, 0)
    const run = Atomics.load(words, BUSY)
    hear()
    if (run !== 0 && Atomics.wait(words, BUSY, run, limit) === 'timed-out') fail(`the run hangs`)
  }
}

if (watch) look()
else serve()
