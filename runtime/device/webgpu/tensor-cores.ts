/**
 * Tensor cores, which WebGPU has as an experiment of Dawn and Chromium's only: subgroups multiply matrices (`subgroup matrices`), of the sizes and types
 * that an adapter lists. Programs bring shaders for one of those; they round what they multiply to half precision, so that they are run only
 * where precision `tensor-cores` is asked for.
 */
/// <reference types="@webgpu/types" />
import type { Failure } from '../../../dsl/errors.ts'
import type { DispatchInfo, GpuProgram, KernelStep, Matrices } from '../../gpu-program.ts'
import type { About } from './adapter.ts'

export const matrixFeature = 'chromium-experimental-subgroup-matrix'

/** Products of m x k by k x n that subgroups do, with the types of what is multiplied and of what it adds up to (`f16`, `f32`). */
export type MatrixProduct = Pick<Matrices, 'm' | 'n' | 'k'> & { readonly of: string; readonly to: string }

/** What subgroups of an adapter are like. */
export type Subgroups = {
  /** The least and the most threads of a subgroup; null where the adapter does not say. */
  readonly subgroup: readonly [least: number, most: number] | null
  /** Nothing, unless experiments were asked for when WebGPU was started. */
  readonly products: readonly MatrixProduct[]
}

const isProduct = (u: unknown): u is { readonly [name in 'componentType' | 'resultComponentType' | 'M' | 'N' | 'K']: unknown } =>
  typeof u === 'object' && u !== null && 'componentType' in u && 'resultComponentType' in u && 'M' in u && 'N' in u && 'K' in u

export const subgroupsOf = (info: GPUAdapterInfo): Subgroups => {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info
  // No part of the standard: whatever is there is looked at.
  const listed: unknown = 'subgroupMatrixConfigs' in info ? info.subgroupMatrixConfigs : []
  const all: readonly unknown[] = Array.isArray(listed) ? listed : []
  return {
    subgroup: least === undefined || most === undefined ? null : [least, most],
    products: all.filter(isProduct).map(({ componentType, resultComponentType, M, N, K }) =>
      ({ of: String(componentType), to: String(resultComponentType), m: Number(M), n: Number(N), k: Number(K) })),
  }
}

/** What every shader with matrices needs, whatever its tile. */
const least: Matrices = { m: 16, n: 16, k: 16, subgroup: 32, bytes: 0 }

/** `16x16x16 f16 to f32` */
export const worded = ({ m, n, k, of, to }: MatrixProduct): string => `${m}x${n}x${k} ${of} to ${to}`

/** Why an adapter cannot run shaders that multiply matrices; null where it can. */
export const obstacleToMatrices = ({ features, products, subgroup, limits }: About, { m, n, k, subgroup: threads, bytes }: Matrices = least): string | null => {
  const lacking = ['shader-f16', 'subgroups', matrixFeature].find(feature => !features.includes(feature))
  if (lacking !== undefined) return `it needs ${lacking}, which the adapter does not have`
  const wanted: MatrixProduct = { m, n, k, of: 'f16', to: 'f32' }
  if (!products.some(found => worded(found) === worded(wanted))) {
    return `it multiplies matrices ${worded(wanted)}; the adapter has ${products.length === 0 ? 'none' : products.map(worded).join(', ')}`
  }
  if (subgroup === null || subgroup[0] !== threads || subgroup[1] !== threads) {
    return `its subgroups have ${threads} threads; the adapter's have ${subgroup === null ? 'an unknown number of them' : `${subgroup[0]} to ${subgroup[1]}`}`
  }
  return bytes > limits.maxComputeWorkgroupStorageSize
    ? `its workgroups have ${bytes} bytes of memory; the adapter allows ${limits.maxComputeWorkgroupStorageSize} (maxComputeWorkgroupStorageSize)` : null
}

/** The refusal of precision `tensor-cores`; null where an adapter has it. */
export const withoutTensorCores = (about: About): Failure | null => {
  const obstacle = obstacleToMatrices(about)
  return obstacle === null ? null : {
    kind: 'limit', what: 'precision tensor-cores', message: `${about.name} cannot multiply as it takes: ${obstacle}`,
    remedy: `Use the precision ${about.features.includes('shader-f16') ? 'f16-tiles or f32' : 'f32'}.`,
  }
}

/** Whether a way to run a kernel has shaders that multiply on tensor cores. */
export const onTensorCores = ({ shaders }: GpuProgram, choice: readonly DispatchInfo[]): boolean =>
  choice.some(({ shader }) => shaders[shader]?.matrices !== undefined)

/** The alternatives of a kernel that may be taken: those on tensor cores first where they are asked for (`wanted`), and never elsewhere. */
export const permitted = (file: GpuProgram, choices: KernelStep['choices'], wanted: boolean): KernelStep['choices'] => {
  const others = choices.filter(choice => !onTensorCores(file, choice))
  return wanted ? [...choices.filter(choice => onTensorCores(file, choice)), ...others] : others
}
