/** Adapters of WebGPU: finding one that may be taken, what is known of it, and asking it for a device with all that it offers. */
/// <reference types="@webgpu/types" />
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../../dsl/errors.ts'
import { deviceFailure, type GpuSource, type Started } from './source.ts'
import { matrixFeature, subgroupsOf, type Subgroups } from './tensor-cores.ts'

/** The limits that programs run into. */
const limitNames = [
  'maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage', 'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX', 'maxComputeWorkgroupSizeY', 'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension', 'minStorageBufferOffsetAlignment', 'maxDynamicUniformBuffersPerPipelineLayout',
] as const
export type Limits = Readonly<Record<(typeof limitNames)[number], number>>

/** The features of which use is made where they are there. */
const wantedFeatures = ['shader-f16', 'subgroups', 'timestamp-query', matrixFeature] as const

/** What is known of an adapter, or of the device that came from it. */
export type About = Subgroups & {
  /** For people: `nvidia-h100-80gb-hbm3 (NVIDIA: 550.90.07, vulkan)`. */
  readonly name: string
  readonly vendor: string
  readonly architecture: string
  readonly device: string
  readonly description: string
  readonly backend: string
  /** It computes on the processor, and slowly: good for trials only. */
  readonly software: boolean
  readonly limits: Limits
  readonly features: readonly string[]
}

export type Found = { readonly started: Started; readonly adapter: GPUAdapter; readonly about: About }

export const softwareNames = /swiftshader|llvmpipe|lavapipe|software|\bwarp\b|basic render/i

const aboutOf = ({ info, limits, features }: GPUAdapter, backend: string): About => {
  const { vendor, architecture, device, description } = info
  const words = [device, architecture, vendor, description].filter(word => word !== '')
  return {
    name: `${words[0]?.replace(/-+$/, '') ?? 'an adapter without a name'} (${[description, backend].filter(word => word !== '').join(', ')})`,
    vendor, architecture, device, description, backend,
    software: info.isFallbackAdapter === true || words.some(word => softwareNames.test(word)),
    limits: Object.fromEntries(limitNames.map(name => [name, limits[name]])) as unknown as Limits, // of exactly these names
    features: [...features].filter(feature => wantedFeatures.some(wanted => wanted === feature)),
    ...subgroupsOf(info),
  }
}

const orderOfAsking: readonly GPURequestAdapterOptions[] = [
  { powerPreference: 'high-performance' }, { powerPreference: 'low-power' }, { forceFallbackAdapter: true },
]

/** All different adapters that asking in several ways gives, the best first. */
const adaptersOf = async (started: Started, software: boolean): Promise<readonly Found[]> => {
  const found: Found[] = []
  for (const options of orderOfAsking) {
    const useless = options.forceFallbackAdapter === true ? !software : options.powerPreference === 'low-power' && found.length === 0
    const adapter = useless ? null : await started.gpu.requestAdapter(options)
    if (adapter === null) continue
    const about = aboutOf(adapter, started.backend)
    if (!found.some(other => other.about.name === about.name && other.about.vendor === about.vendor)) found.push({ started, adapter, about })
  }
  return found
}

/** What is here, software adapters and experimental features as well; a failure where there is nothing at all. */
export const listAdapters = (source: GpuSource): TE.TaskEither<Failure, readonly Found[]> =>
  pipe(
    source.start(true, true),
    TE.chain(started => pipe(
      TE.tryCatch(() => adaptersOf(started, true), error => deviceFailure('missing', `asking for adapters failed (${String(error)})`)),
      TE.filterOrElse(found => found.length > 0, (): Failure => {
        const { message, remedy } = started.lacking()
        return deviceFailure('missing', message, remedy)
      }),
    )),
  )

/**
 * The adapter to take: hardware; where `software` allows it and there is none, one that computes on the processor. `experimental`: with those of
 * its features, too, that are experiments.
 */
export const findAdapter = (source: GpuSource, software: boolean, experimental = false): TE.TaskEither<Failure, Found> =>
  pipe(
    source.start(software, experimental),
    TE.chain(started => pipe(
      TE.tryCatch(() => adaptersOf(started, software), error => deviceFailure('missing', `asking for an adapter failed (${String(error)})`)),
      TE.chain((all): TE.TaskEither<Failure, Found> => {
        const real = all.find(({ about }) => !about.software)
        const [first] = all
        if (real !== undefined) return TE.right(real)
        if (first !== undefined && software) return TE.right(first)
        const { message, remedy } = started.lacking()
        return TE.left(first === undefined ? deviceFailure('missing', message, remedy)
          : deviceFailure('missing', `only a software adapter is here: ${first.about.name}`,
            'It computes on the processor, slower than the device wasm. To try it all the same: --allow-software (allowSoftware: true).'))
      }),
    )),
  )

/** A device with the adapter's own limits and the features of which use is made. */
export const requestDevice = ({ adapter, about }: Found): TE.TaskEither<Failure, GPUDevice> =>
  TE.tryCatch(
    () => adapter.requestDevice({
      label: 'vdsm',
      requiredLimits: { ...about.limits },
      requiredFeatures: wantedFeatures.filter(feature => adapter.features.has(feature)) as readonly string[] as GPUFeatureName[],
    }),
    error => deviceFailure('missing', `${about.name} gives no device (${error instanceof Error ? error.message : String(error)})`,
      'Another program may hold it, or its driver be at fault: try again, update the driver, or use the device wasm.'),
  )
