// @ts-check
/**
 * What a worker thread does, in Node and in browsers alike (worker-node.mjs, worker-web.mjs): it keeps instances of the
 * programs that are loaded (pool.ts) and runs its part of one whenever it is called. Plain JavaScript, so that a worker
 * starts at once.
 *
 * Between two calls it waits on its words, asleep, and hears no messages. The pool counts up POSTED before it posts one,
 * and TURN to wake the worker, which then goes back to its message loop.
 */

/** The words that pool.ts and a worker share. */
const [TURN, PROGRAM, ENTRY, THREADS, FINISHED, POSTED, READ, FAILED] = [0, 1, 2, 3, 4, 5, 6, 7]

/** How often it looks for the next call before it sleeps: about 50 to 100 microseconds. */
const LOOKS = 20_000

/**
 * @typedef {(thread: number, threads: number, spins: number) => void} Entry
 * @typedef {{ readonly entries: readonly Entry[], readonly spins: number, readonly sync: Int32Array }} Program
 * @typedef {{ readonly kind: 'start', readonly thread: number, readonly words: Int32Array, readonly text: Uint8Array }} Start
 * @typedef {{ readonly kind: 'load', readonly program: number, readonly module: WebAssembly.Module, readonly memory: WebAssembly.Memory<SharedArrayBuffer>,
 *   readonly entries: readonly string[], readonly spins: number, readonly sync: number }} Load
 * @typedef {Start | Load | { readonly kind: 'drop', readonly program: number }} Message
 */

/** @param {unknown} error */
const messageOf = error => (error instanceof Error ? error.message : String(error))

/**
 * The handler of a worker's messages.
 * @param {(answer: { readonly problem: string | null }) => void} answer Answers a message; `problem`: why it could not be followed.
 * @param {() => void} collect Frees what is no longer used: a worker makes no garbage, so nothing else would see to it.
 * @returns {(message: Message) => void}
 */
export const worker = (answer, collect) => {
  /** @type {Map<number, Program>} */
  const programs = new Map()
  /** @type {Int32Array} */
  let words = new Int32Array(8)
  /** @type {Uint8Array} */
  let text = new Uint8Array(0)
  let [thread, seen, read] = [0, 0, 0]

  /** The first that fails says why, and makes the others, which wait for it, fail too. @param {unknown} error @param {Int32Array} sync */
  const fail = (error, sync) => {
    if (Atomics.exchange(sync, 0, -1) === -1) return
    const bytes = Array.from(messageOf(error).slice(0, text.length), c => Math.min(127, c.charCodeAt(0)))
    text.fill(0).set(bytes)
    Atomics.store(words, FAILED, 1)
    Atomics.notify(sync, 0)
  }

  const perform = () => {
    const program = programs.get(Atomics.load(words, PROGRAM))
    if (program === undefined) return
    try {
      program.entries[Atomics.load(words, ENTRY)]?.(thread, Atomics.load(words, THREADS), program.spins)
    } catch (error) {
      fail(error, program.sync)
    }
    Atomics.store(words, FINISHED, seen)
  }

  const serve = () => {
    for (;;) {
      for (let left = LOOKS; left > 0 && Atomics.load(words, TURN) === seen; left--);
      while (Atomics.load(words, POSTED) === read && Atomics.load(words, TURN) === seen) Atomics.wait(words, TURN, seen)
      if (Atomics.load(words, POSTED) !== read) return
      seen = Atomics.load(words, TURN)
      perform()
    }
  }

  /** @param {Message} message */
  const follow = message => {
    switch (message.kind) {
      case 'start': {
        ({ thread, words, text } = message)
        return
      }
      case 'load': {
        const { program, module, memory, entries, spins, sync } = message
        const { exports } = new WebAssembly.Instance(module, { env: { memory } })
        const functions = entries.map(name => /** @type {Entry} */ (exports[name])) // the pool takes them from the module itself
        programs.set(program, { entries: functions, spins, sync: new Int32Array(memory.buffer, sync, 1) })
        return
      }
      case 'drop': {
        programs.delete(message.program)
        collect()
      }
    }
  }

  return message => {
    /** @type {string | null} */
    let problem = null
    try {
      follow(message)
    } catch (error) {
      problem = messageOf(error)
    }
    read += 1
    // No call comes before READ says so: whatever has been counted until now was to wake it for messages.
    seen = Atomics.load(words, TURN)
    Atomics.store(words, READ, read)
    answer({ problem })
    serve()
  }
}
