/** onnxruntime-web. Weights are constants of the model, which it packs beforehand. */
import * as ort from 'onnxruntime-web'
import { conv, sizeOf, values, versionOf } from './data.mjs'
import { onnx } from './onnx.mjs'

const square = [1024, 1024]
const models = {
  matmul1024: () => ({ x: square, model: onnx('MatMul', {}, square, square, values(1024 * 1024, 2), square) }),
  convForward: () => {
    const attributes = { strides: [2, 2], pads: [1, 1, 1, 1], kernel_shape: [4, 4] }
    return { x: conv.x, model: onnx('Conv', attributes, conv.x, conv.w, values(sizeOf(conv.w), 2), conv.y) }
  },
}

export const prepare = async (job, threads) => {
  ort.env.wasm.numThreads = threads
  ort.env.logLevel = 'error'
  const { x, model } = models[job]()
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' })
  const feeds = { x: new ort.Tensor('float32', values(sizeOf(x), 1), x) }
  let last
  return {
    name: 'onnxruntime-web', version: versionOf('onnxruntime-web'), threads: ort.env.wasm.numThreads,
    run: async () => { last = await session.run(feeds) },
    result: async () => last.y.data,
  }
}
