/**
 * Programs with shaders for tensor cores, loaded on Dawn's backend that computes nothing, with an adapter that says of itself what one with tensor
 * cores says: which shaders become pipelines. Prints `as expected`.
 */
/// <reference types="@webgpu/types" />
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as assert from 'uvu/assert'
import { print, Refusal } from '../../../../dsl/errors.ts'
import { gpuOf } from '../../../../runtime/device/webgpu/gpu.ts'
import { runnableOn, type WebGpuOptions } from '../../../../runtime/device/webgpu/load.ts'
import type { GpuSource } from '../../../../runtime/device/webgpu/source.ts'
import { orThrow } from '../../../../runtime/train/task.ts'
import { choosing } from './marked.ts'

/** By a name that tsc does not look up: the package may be left out. */
const packageName: string = 'webgpu'
const { create } = await import(packageName) as { readonly create: (options: readonly string[]) => GPU } // as its documentation says

const listed = { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 }
type Said = { readonly subgroups: readonly [number, number]; readonly products: readonly unknown[] }

/** WebGPU that says this of its subgroups, and keeps the names of the pipelines that are made. */
const sourceOf = ({ subgroups: [least, most], products }: Said, names: string[]): GpuSource => ({
  measured: { read: async () => null, write: async () => undefined },
  start: (_, experimental = false) => {
    const gpu = create(['backend=null', ...(experimental ? ['enable-dawn-features=allow_unsafe_apis'] : [])])
    const requestAdapter = async (): Promise<GPUAdapter> => {
      const adapter = await gpu.requestAdapter()
      if (adapter === null) throw new Error('Dawn has no backend that only validates')
      const info = { vendor: 'none', architecture: '', device: 'made-up', description: '', subgroupMinSize: least, subgroupMaxSize: most, subgroupMatrixConfigs: products }
      const requestDevice = async (wanted: GPUDeviceDescriptor): Promise<GPUDevice> => {
        const device = await adapter.requestDevice(wanted)
        const make = device.createComputePipelineAsync.bind(device)
        device.createComputePipelineAsync = what => {
          names.push(what.label ?? '')
          return make(what)
        }
        return device
      }
      return { info, limits: adapter.limits, features: adapter.features, requestDevice } as unknown as GPUAdapter // what of it is used
    }
    const lacking = () => ({ message: '', remedy: '' })
    return TE.right({ gpu: { requestAdapter } as unknown as GPU, backend: 'null', lacking, patiently: work => work }) // likewise; `gpu` is held by the adapter
  },
})

const nvidia: Said = { subgroups: [32, 32], products: [{ ...listed, M: 8 }, listed] }

/** The names of the pipelines of the program, and what it says of itself; or why it is refused. */
const loaded = async (said: Said, options: WebGpuOptions): Promise<readonly [names: readonly string[], said: string]> => {
  const names: string[] = []
  const source = sourceOf(said, names)
  try {
    const lease = await orThrow(gpuOf(source, { experimental: options.precision === 'tensor-cores' }))
    const program = await runnableOn(lease, source, choosing.info, choosing.file, { tune: false, ...options })
    const { variant } = program
    program.dispose()
    return [names, variant]
  } catch (error) {
    return [names, error instanceof Refusal ? print(error.failure) : String(error)]
  }
}

assert.equal(await loaded(nvidia, {}), [['plain'], 'webgpu, made-up (null)'])
assert.equal(await loaded(nvidia, { precision: 'f16-tiles' }), [['plain'], 'webgpu, made-up (null), tiles in f16'])
assert.equal(await loaded(nvidia, { precision: 'tensor-cores' }), [['marked'], 'webgpu, made-up (null), tensor cores in 1 of 1 kernels'])
const refused = async (said: Said): Promise<string> => {
  const [names, words] = await loaded(said, { precision: 'tensor-cores' })
  assert.equal(names, [])
  return words
}
assert.is(await refused({ ...nvidia, products: [{ ...listed, M: 8, N: 8, K: 8 }] }),
  'precision tensor-cores: made-up (null) cannot multiply as it takes: it multiplies matrices 16x16x16 f16 to f32; the adapter has 8x8x8 f16 to f32\n'
  + '  Use the precision f16-tiles or f32.')
assert.match(await refused({ ...nvidia, products: [] }), /; the adapter has none\n/)
assert.match(await refused({ ...nvidia, subgroups: [32, 64] }), /its subgroups have 32 threads; the adapter's have 32 to 64\n/)
process.stdout.write('as expected\n', () => process.exit(0))
