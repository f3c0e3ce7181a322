/** TensorFlow.js on its WebAssembly backend, which has no threads in Node and no gradients of convolutions. */
import { createRequire } from 'node:module'
import { dirname, sep } from 'node:path'
import { conv, sizeOf, values, versionOf } from './data.mjs'

const require = createRequire(import.meta.url)
const tf = require('@tensorflow/tfjs-core')
const wasm = require('@tensorflow/tfjs-backend-wasm')

const jobs = {
  matmul1024: () => {
    const [a, b] = [1, 2].map(seed => tf.tensor(values(1024 * 1024, seed), [1024, 1024]))
    return { call: () => tf.matMul(a, b), back: y => y }
  },
  // Its layout is its own: images and filters have their channels last.
  convForward: () => {
    const x = tf.transpose(tf.tensor(values(sizeOf(conv.x), 1), conv.x), [0, 2, 3, 1])
    const w = tf.transpose(tf.tensor(values(sizeOf(conv.w), 2), conv.w), [2, 3, 1, 0])
    return { call: () => tf.conv2d(x, w, 2, [[0, 0], [1, 1], [1, 1], [0, 0]]), back: y => tf.transpose(y, [0, 3, 1, 2]) }
  },
}

export const prepare = async (job, threads) => {
  wasm.setWasmPaths(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + sep)
  wasm.setThreadsCount(threads)
  await tf.setBackend('wasm')
  const { call, back } = jobs[job]()
  let last
  return {
    name: 'tfjs-backend-wasm', version: versionOf('@tensorflow/tfjs-backend-wasm'),
    threads: (await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT')) ? wasm.getThreadsCount() : 1,
    run: async () => {
      last?.dispose()
      last = call()
    },
    result: async () => back(last).dataSync(),
  }
}
