/**
 * Times of single kernels by the device's own clock. WebGPU is given to the runtime with a wrapper around its command encoders: while
 * `kernels` runs, every dispatch gets a compute pass of its own with a time stamp at its begin and its end; otherwise nothing is changed.
 */
/// <reference types="@webgpu/types" />
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { mapForReading, usage, type GpuSource } from '../../../runtime/device/webgpu/source.ts'

/** One dispatch: the kernel's name and its milliseconds. */
export type Stamp = { readonly name: string; readonly ms: number }

export type Stamps = {
  readonly source: GpuSource
  /** How many dispatches and copies `work` gives to the device. */
  readonly counted: (work: () => void) => { readonly dispatches: number; readonly copies: number }
  /** The kernels of `work`, in order; null where the device has no clock. */
  readonly kernels: (work: () => void) => Promise<readonly Stamp[] | null>
}

/** Time stamps of one set, as many as WebGPU allows. */
const most = 4096

type Binding = readonly [group: GPUBindGroup | null, offsets: readonly number[]]
type State = {
  mode: 'plain' | 'count' | 'stamp'
  device: GPUDevice | null
  names: string[]
  copies: number
  sets: GPUQuerySet[]
}

const setFor = (state: State, device: GPUDevice, at: number): GPUQuerySet => {
  const number = Math.floor(at / most)
  const known = state.sets[number]
  if (known !== undefined) return known
  const made = device.createQuerySet({ type: 'timestamp', count: most })
  state.sets.push(made)
  return made
}

/** A pass that notes its state and makes a stamped pass of the encoder for every dispatch. */
const splitPass = (state: State, device: GPUDevice, encoder: GPUCommandEncoder): Partial<GPUComputePassEncoder> => {
  const now: { pipeline: GPUComputePipeline | null; readonly groups: Map<number, Binding> } = { pipeline: null, groups: new Map() }
  const setBindGroup = (index: number, group: GPUBindGroup | null, offsets: Iterable<number> = []): undefined =>
    void now.groups.set(index, [group, [...offsets]])
  return {
    setPipeline: pipeline => void (now.pipeline = pipeline),
    setBindGroup,
    dispatchWorkgroups: (x, y = 1, z = 1) => {
      const at = 2 * state.names.length
      const stamped = state.mode === 'stamp'
        ? { timestampWrites: { querySet: setFor(state, device, at), beginningOfPassWriteIndex: at % most, endOfPassWriteIndex: (at + 1) % most } } : {}
      state.names.push(now.pipeline?.label ?? '')
      const pass = encoder.beginComputePass(stamped)
      if (now.pipeline !== null) pass.setPipeline(now.pipeline)
      now.groups.forEach(([group, offsets], index) => pass.setBindGroup(index, group, offsets))
      pass.dispatchWorkgroups(x, y, z)
      pass.end()
    },
    end: () => undefined,
  }
}

/** Border: what the runtime uses of an encoder, around a real one. */
const watched = (state: State, device: GPUDevice, encoder: GPUCommandEncoder): GPUCommandEncoder => {
  const own: Partial<GPUCommandEncoder> = {
    beginComputePass: () => splitPass(state, device, encoder) as GPUComputePassEncoder,
    copyBufferToBuffer: ((from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): undefined => {
      state.copies++
      encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, bytes)
    }) as GPUCommandEncoder['copyBufferToBuffer'], // the form with offsets, the one that is used
    finish: descriptor => (descriptor === undefined ? encoder.finish() : encoder.finish(descriptor)),
  }
  return own as GPUCommandEncoder
}

const put = <K extends string>(target: object, name: K, value: unknown): void => void Object.defineProperty(target, name, { value, configurable: true })

const hookDevice = (state: State, device: GPUDevice): void => {
  Object.assign(state, { device, sets: [] })
  const create = device.createCommandEncoder.bind(device)
  put(device, 'createCommandEncoder', (descriptor?: GPUObjectDescriptorBase) => {
    const encoder = create(descriptor ?? {})
    return state.mode === 'plain' ? encoder : watched(state, device, encoder)
  })
}

const hookGpu = (state: State, gpu: GPU): void => {
  const request = gpu.requestAdapter.bind(gpu)
  put(gpu, 'requestAdapter', async (options?: GPURequestAdapterOptions) => {
    const adapter = await request(options)
    if (adapter === null) return null
    const requestDevice = adapter.requestDevice.bind(adapter)
    put(adapter, 'requestDevice', async (descriptor?: GPUDeviceDescriptor) => {
      const device = await requestDevice(descriptor)
      hookDevice(state, device)
      return device
    })
    return adapter
  })
}

/** The stamps of `count` dispatches, in milliseconds. */
const readStamps = async (state: State, device: GPUDevice, names: readonly string[]): Promise<readonly Stamp[]> => {
  const all = 2 * names.length
  const size = Math.max(256, 8 * all)
  const [resolved, back] = [
    device.createBuffer({ size, usage: usage.queryResolve | usage.copySource }), device.createBuffer({ size, usage: usage.mapRead | usage.copyTarget }),
  ]
  const encoder = device.createCommandEncoder()
  state.sets.forEach((set, i) => {
    const count = Math.min(most, all - i * most)
    if (count > 0) encoder.resolveQuerySet(set, 0, count, resolved, 8 * i * most)
  })
  encoder.copyBufferToBuffer(resolved, 0, back, 0, size)
  device.queue.submit([encoder.finish()])
  await back.mapAsync(mapForReading)
  const times = new BigUint64Array(back.getMappedRange().slice(0))
  back.destroy()
  resolved.destroy()
  return names.map((name, i) => ({ name, ms: Number((times[2 * i + 1] ?? 0n) - (times[2 * i] ?? 0n)) / 1e6 }))
}

/** The same source, watched. */
export const stampsOn = (source: GpuSource): Stamps => {
  const state: State = { mode: 'plain', device: null, names: [], copies: 0, sets: [] }
  const during = (mode: 'count' | 'stamp', work: () => void): readonly string[] => {
    Object.assign(state, { mode, names: [], copies: 0 })
    try {
      work()
    } finally {
      state.mode = 'plain'
    }
    return state.names
  }
  return {
    source: {
      ...source,
      start: (software, experimental) => pipe(source.start(software, experimental), TE.map(started => {
        hookGpu(state, started.gpu)
        return started
      })),
    },
    counted: work => ({ dispatches: during('count', work).length, copies: state.copies }),
    kernels: async work => {
      const { device } = state
      if (device === null || !device.features.has('timestamp-query')) return null
      return readStamps(state, device, during('stamp', work))
    },
  }
}
