/**
 * Shaders made ready: modules, layouts and pipelines, all at once and each only once per device, whatever programs they belong to.
 * A shader that does not compile is named with its kernel, the model's lines, and the line of WGSL.
 */
/// <reference types="@webgpu/types" />
import { Refusal, type Failure } from '../../../dsl/errors.ts'
import type { DispatchInfo, GpuProgram, Shader } from '../../gpu-program.ts'
import { wordsOf, type Gpu } from './gpu.ts'
import { deviceFailure, visibleToCompute } from './source.ts'
import { matrixFeature, obstacleToMatrices } from './tensor-cores.ts'

/**
 * What products of a program multiply. `f32`: f32. `f16-tiles`: what has been rounded to half precision in the memory of workgroups, in f32.
 * `tensor-cores`: the same on tensor cores, where a kernel has shaders for them that are worthwhile; in all other kernels f32.
 */
export type Precision = 'f32' | 'f16-tiles' | 'tensor-cores'

/** A shader as it is used: what its storage buffers are used for, `rrw`, and within how many loops. */
export type Use = { readonly shader: Shader; readonly access: string; readonly depth: number }

/** A pipeline with what is needed to bind its buffers. */
export type Pipeline = { readonly pipeline: GPUComputePipeline; readonly storage: GPUBindGroupLayout }

type Cache = { readonly layouts: Map<string, GPUBindGroupLayout>; readonly pipelines: Map<string, Promise<Pipeline>> }

const caches = new WeakMap<Gpu, Cache>()

const cacheOf = (gpu: Gpu): Cache => {
  const cache = caches.get(gpu) ?? { layouts: new Map<string, GPUBindGroupLayout>(), pipelines: new Map<string, Promise<Pipeline>>() }
  caches.set(gpu, cache)
  return cache
}

/** What a dispatch does with its buffers, a letter each. */
export const accessOf = ({ bindings }: DispatchInfo): string => bindings.map(({ access }) => (access === 'write' ? 'w' : 'r')).join('')

const layoutOf = (gpu: Gpu, key: string, entry: (binding: number) => GPUBindGroupLayoutEntry, count: number): GPUBindGroupLayout => {
  const { layouts } = cacheOf(gpu)
  const layout = layouts.get(key) ?? gpu.device.createBindGroupLayout({ label: key, entries: Array.from({ length: count }, (_, i) => entry(i)) })
  layouts.set(key, layout)
  return layout
}

const storageLayout = (gpu: Gpu, access: string): GPUBindGroupLayout =>
  layoutOf(gpu, `buffers ${access}`, binding => ({
    binding, visibility: visibleToCompute, buffer: { type: access[binding] === 'w' ? 'storage' : 'read-only-storage' },
  }), access.length)

/** Bytes between the values of a loop's counter, in the buffer that holds all of them. */
export const counterStride = 256
export const counterBytes = 16

/** The counters of so many loops around a kernel. */
export const counterLayout = (gpu: Gpu, depth: number): GPUBindGroupLayout =>
  layoutOf(gpu, `counters ${depth}`, binding => ({
    binding, visibility: visibleToCompute, buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: counterBytes },
  }), depth)

const featureOf: Readonly<Record<string, string>> = {
  f16: 'shader-f16', subgroups: 'subgroups', chromium_experimental_subgroup_matrix: matrixFeature,
}

/** Why the adapter cannot run a dispatch; null where it can. */
export const obstacleTo = ({ about }: Gpu, file: GpuProgram, { shader, bindings, groups }: DispatchInfo): string | null => {
  const { limits, features } = about
  const found = file.shaders[shader]
  if (found === undefined) return `there is no shader ${shader}`
  const lacking = [...found.code.matchAll(/^\s*enable\s+([^;]+);/gm)].flatMap(([, names = '']) => names.split(',').map(name => name.trim()))
    .find(name => !features.includes(featureOf[name] ?? name))
  if (lacking !== undefined) return `it needs ${featureOf[lacking] ?? lacking}, which the adapter does not have`
  if (bindings.length > limits.maxStorageBuffersPerShaderStage) {
    return `it works on ${bindings.length} buffers at once; the adapter allows ${limits.maxStorageBuffersPerShaderStage} (maxStorageBuffersPerShaderStage)`
  }
  if (found.threads > limits.maxComputeInvocationsPerWorkgroup) {
    return `its workgroups have ${found.threads} threads; the adapter allows ${limits.maxComputeInvocationsPerWorkgroup} (maxComputeInvocationsPerWorkgroup)`
  }
  const matrices = found.matrices === undefined ? null : obstacleToMatrices(about, found.matrices)
  if (matrices !== null) return matrices
  return groups > limits.maxComputeWorkgroupsPerDimension ** 2 ? `it has ${groups} workgroups, more than the adapter numbers` : null
}

const tiles = /^alias tile_t = f32;$/m

/** The shader with the tiles of its workgroups in the wanted precision; one without tiles stays as it is. */
export const inPrecision = (shader: Shader, precision: Precision): Shader =>
  precision === 'f16-tiles' && tiles.test(shader.code) ? { ...shader, code: `enable f16;\n${shader.code.replace(tiles, 'alias tile_t = f16;')}` } : shader

const shaderFailure = (gpu: Gpu, { name, places, code }: Shader, messages: readonly GPUCompilationMessage[], error: unknown): Failure => {
  const first = messages.find(({ type }) => type === 'error')
  const lines = code.split('\n')
  const said = first === undefined ? wordsOf(error instanceof Error ? error.message : String(error))
    : `${first.message}\n  line ${first.lineNum} of its WGSL: ${lines[first.lineNum - 1]?.trim() ?? ''}`
  return deviceFailure('shader', `kernel ${name} (${places.join(', ')}) does not compile for ${gpu.about.name}: ${said}`,
    'This is a bug of vdsm or of the driver; the device wasm computes the same.')
}

const make = async (gpu: Gpu, { shader, access, depth }: Use): Promise<Pipeline> => {
  const { device } = gpu
  const storage = storageLayout(gpu, access)
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ label: shader.name, code: shader.code })
  const parsed = device.popErrorScope()
  const layout = device.createPipelineLayout({ label: shader.name, bindGroupLayouts: [storage, ...(depth > 0 ? [counterLayout(gpu, depth)] : [])] })
  try {
    const pipeline = await gpu.patiently(device.createComputePipelineAsync({ label: shader.name, layout, compute: { module, entryPoint: 'main' } }))
    return { pipeline, storage }
  } catch (error) {
    const failure = gpu.failure()
    throw new Refusal(failure ?? shaderFailure(gpu, shader, (await module.getCompilationInfo()).messages, error))
  } finally {
    await parsed.catch(() => null)
  }
}

/** The pipeline of a use. Rejects with a `Refusal` that names the kernel. */
export const pipelineOf = (gpu: Gpu, use: Use): Promise<Pipeline> => {
  const { pipelines } = cacheOf(gpu)
  const key = `${use.access} ${use.depth} ${use.shader.code}`
  const known = pipelines.get(key)
  if (known !== undefined) return known
  const made = make(gpu, use)
  pipelines.set(key, made)
  made.catch(() => pipelines.delete(key))
  return made
}
