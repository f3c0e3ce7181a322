// @ts-check
/** A worker thread in Node: see serve.mjs. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort } from 'node:worker_threads'
import { worker } from './serve.mjs'

/** @type {(() => void) | undefined} */
let gc

/** Runs the engine's own collector, which only a new context can be given while Node runs. */
const collect = () => {
  if (gc === undefined) {
    setFlagsFromString('--expose-gc')
    gc = /** @type {() => void} */ (runInNewContext('gc')) // its type is unknown here
    setFlagsFromString('--no-expose-gc')
  }
  gc()
}

const handle = worker(answer => parentPort?.postMessage(answer), collect)
parentPort?.on('message', handle)
