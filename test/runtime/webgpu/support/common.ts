/** What cases on WebGPU have in common: opening and loading, what is refused, a small program. */
import * as E from 'fp-ts/lib/Either.js'
import { print, Refusal, type Failure } from '../../../../dsl/errors.ts'
import { dawn } from '../../../../runtime/device/webgpu/dawn.ts'
import { gpuOf, type Lease } from '../../../../runtime/device/webgpu/gpu.ts'
import { runnableOn, type WebGpuOptions } from '../../../../runtime/device/webgpu/load.ts'
import type { Executable } from '../../../../runtime/executor.ts'
import { kernel, place, reads, shader, write, writes, type Written } from './programs.ts'

export const lease = async (): Promise<Lease> => {
  const opened = await gpuOf(dawn, { allowSoftware: true })()
  if (E.isLeft(opened)) throw new Refusal(opened.left)
  return opened.right
}

export const load = async ({ info, file }: Written, options: WebGpuOptions = {}): Promise<Executable> =>
  runnableOn(await lease(), dawn, info, file, { tune: false, ...options })

export const refused = async (f: () => unknown): Promise<Failure> => {
  try {
    await f()
  } catch (error) {
    if (error instanceof Refusal) return error.failure
    throw error
  }
  throw new Error('nothing was refused')
}

export const refusal = async (f: () => unknown): Promise<string> => print(await refused(f))

export const n = 100
export const ramp = (from: number): Float32Array => Float32Array.from({ length: n }, (_, i) => from + i)

/** sum = x + y; state: total = total + x, in the place of the input; count and flags pass through a kernel of their own. */
export const sums = write({
  id: 'hand/sums',
  slots: [512, 512, 512, 512, 256, 256],
  inputs: {
    'state.total': { place: place(3), shape: [n] }, x: { place: place(0), shape: [n] }, y: { place: place(1), shape: [n] },
    count: { place: place(4), shape: [2], dtype: 'i32' }, flags: { place: place(5), shape: [3], dtype: 'bool' }, none: { place: place(4, 0), shape: [0] },
  },
  outputs: {
    sum: { place: place(2), shape: [n] }, 'state.total': { place: place(3), shape: [n] },
    flags: { place: place(5), shape: [3], dtype: 'bool' }, none: { place: place(4, 0), shape: [0] },
  },
  shaders: [
    shader('add', { a: 'r f32', b: 'r f32', to: 'w f32' }, `if (i < ${n}u) { to[i] = a[i] + b[i]; }`),
    shader('total', { a: 'r f32', to: 'w f32' }, `if (i < ${n}u) { to[i] += a[i]; }`),
  ],
  steps: [kernel('add', 0, 2, [reads(0, 400), reads(1, 400), writes(2, 400)]), kernel('total', 1, 2, [reads(0, 400), writes(3, 400)])],
})
