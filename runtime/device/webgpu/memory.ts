/** Buffers of the device: what the adapter allows of them, their allocation, and copies that come back to the processor. */
/// <reference types="@webgpu/types" />
import { Refusal, type Failure } from '../../../dsl/errors.ts'
import type { Binding, GpuProgram, GpuStep, Place } from '../../gpu-program.ts'
import type { ProgramInfo } from '../../manifest.ts'
import { failureOf, wordsOf, type Gpu } from './gpu.ts'
import { deviceFailure, mapForReading, usage } from './source.ts'

/** A buffer that may have several owners; the last one that releases it frees it. */
export type Memory = { readonly buffer: GPUBuffer; readonly bytes: number; readonly retain: () => void; readonly release: () => void }

/** Arrays begin at multiples of this. */
const unit = 256

/** Bytes of a slot as it is allocated: no buffer is empty. */
export const slotBytes = (bytes: number): number => Math.max(unit, bytes)

/** Bytes that are bound: an array without elements has some, which no shader looks at. */
export const boundBytes = (bytes: number): number => Math.max(16, bytes)

/** All kernels of a program, those in loops too. */
export const kernelsOf = (steps: readonly GpuStep[]): readonly Extract<GpuStep, { readonly kind: 'kernel' }>[] =>
  steps.flatMap(step => (step.kind === 'kernel' ? [step] : step.kind === 'loop' ? kernelsOf(step.steps) : []))

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** Which arrays of the program lie in a slot, for people; where there are none, it holds what lies between two kernels. */
export const slotName = (program: ProgramInfo, file: GpuProgram, slot: number): string => {
  const paths = (places: readonly Place[], arrays: ProgramInfo['inputs']): readonly string[] =>
    places.flatMap((place, i) => (place.slot === slot ? [arrays[i]?.path === '' ? 'the result' : arrays[i]?.path ?? '?'] : []))
  const names = [...new Set([...paths(file.inputs, program.inputs), ...paths(file.outputs, program.outputs)])]
  if (names.length > 0) return `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`
  const user = kernelsOf(file.steps).find(({ choices }) => choices.some(choice => choice.some(({ bindings }) => bindings.some(b => b.slot === slot))))
  return user === undefined ? `buffer ${slot}` : `what kernel ${user.name} works on (${user.places.join(', ')})`
}

/** The arrays that the adapter has no buffers, or no bindings, for; null where all fit. */
export const tooLarge = (gpu: Gpu, program: ProgramInfo, file: GpuProgram): Failure | null => {
  const { limits, name } = gpu.about
  const no = (slot: number, bytes: number, limit: 'maxBufferSize' | 'maxStorageBufferBindingSize'): Failure => ({
    kind: 'limit', what: `WebGPU, ${program.id}`,
    message: `${slotName(program, file, slot)}: ${mib(bytes)} in one buffer; ${name} allows ${mib(limits[limit])} (${limit})`,
    remedy: 'Bind the program to smaller sizes (a smaller batch above all), use an adapter that allows more, or the device wasm.',
  })
  const slot = file.slots.findIndex(bytes => bytes > limits.maxBufferSize)
  if (slot >= 0) return no(slot, file.slots[slot] ?? 0, 'maxBufferSize')
  const wide = kernelsOf(file.steps).flatMap(({ choices }): readonly Binding[] => choices.flatMap(choice => choice.flatMap(({ bindings }) => bindings)))
    .find(({ bytes }) => bytes > limits.maxStorageBufferBindingSize)
  return wide === undefined ? null : no(wide.slot, wide.bytes, 'maxStorageBufferBindingSize')
}

/** Whether an array is alone in its slot and nothing writes there, so that another program's array can take the place of the slot. */
export const replaceable = (file: GpuProgram, place: Place, bytes: number): boolean => {
  const there = (other: Place): boolean => other.slot === place.slot
  const copied = (steps: GpuProgram['steps']): readonly Place[] =>
    steps.flatMap(step => (step.kind === 'copy' ? [step.to] : step.kind === 'loop' ? copied(step.steps) : []))
  const end = Math.ceil(Math.max(bytes, 1) / unit) * unit
  const bindings = kernelsOf(file.steps).flatMap(({ choices }) => choices.flat()).flatMap(info => info.bindings).filter(there)
  return place.offset === 0 && file.inputs.filter(there).length === 1 && !file.outputs.some(there) && !file.constants.some(there)
    && !copied(file.steps).some(there) && bindings.every(b => b.access === 'read' && b.offset + b.bytes <= end)
}

/** Buffers of these sizes, all zero. Throws a `Refusal` where the device has no room for them. */
export const allocate = async ({ device }: Gpu, sizes: readonly number[], labels: (i: number) => string): Promise<readonly Memory[]> => {
  device.pushErrorScope('validation')
  device.pushErrorScope('out-of-memory')
  const made = sizes.map((size, i): Memory => {
    const bytes = slotBytes(size)
    const buffer = device.createBuffer({ label: labels(i), size: bytes, usage: usage.storage | usage.copySource | usage.copyTarget })
    let owners = 1
    return { buffer, bytes, retain: () => void owners++, release: () => { if (--owners === 0) buffer.destroy() } }
  })
  const errors = await Promise.all([device.popErrorScope(), device.popErrorScope()])
  const error = errors.find(found => found !== null)
  if (error === undefined || error === null) return made
  made.forEach(({ release }) => release())
  throw new Refusal(failureOf(error, `making ${sizes.length} buffers of ${mib(sizes.reduce((a, b) => a + b, 0))} together`))
}

/** Some bytes of a buffer. */
export type Range = { readonly buffer: GPUBuffer; readonly offset: number; readonly bytes: number }

/** Up to so many bytes go back together, through a buffer that is kept for the next time. */
const mostTogether = 2 ** 24
const mostKept = 4

/** Ranges that go back together, in order: few of them, but none beyond `mostTogether` where it is not one range alone. */
const batches = (ranges: readonly Range[]): readonly (readonly Range[])[] => {
  const all: Range[][] = []
  let bytes = 0
  for (const range of ranges) {
    const last = all[all.length - 1]
    if (last !== undefined && bytes + range.bytes <= mostTogether) last.push(range)
    else all.push([range])
    bytes = (all[all.length - 1] === last ? bytes : 0) + range.bytes
  }
  return all
}

export type Readback = { readonly read: (ranges: readonly Range[]) => Promise<readonly ArrayBuffer[]>; readonly dispose: () => void }

/** Copies from the device to the processor, of what is there when `read` is called. Rejects with a `Refusal` where the device failed. */
export const readback = (gpu: Gpu): Readback => {
  const { device } = gpu
  const kept: GPUBuffer[] = []
  const state = { over: false }
  const take = (bytes: number): GPUBuffer => {
    const at = kept.findIndex(({ size }) => size >= bytes)
    const [found] = at < 0 ? [] : kept.splice(at, 1)
    const size = bytes > mostTogether ? bytes : Math.max(1024, 2 ** Math.ceil(Math.log2(bytes)))
    return found ?? device.createBuffer({ label: 'read back', size, usage: usage.mapRead | usage.copyTarget })
  }
  const give = (buffer: GPUBuffer): void => {
    if (state.over || buffer.size > mostTogether || kept.length >= mostKept) buffer.destroy()
    else kept.push(buffer)
  }
  const refused = async (error: unknown): Promise<never> => {
    // Of a device that was lost the copy hears first.
    await Promise.race([device.lost, new Promise(done => setTimeout(done, 100))])
    gpu.fail(deviceFailure('validation', `reading results was refused (${wordsOf(error instanceof Error ? error.message : String(error))})`))
    throw new Refusal(gpu.failure() ?? deviceFailure('lost', 'the device was closed while results were read'))
  }
  return {
    read: async ranges => {
      const encoder = device.createCommandEncoder({ label: 'read back' })
      const taken = batches(ranges.filter(({ bytes }) => bytes > 0)).map(batch => {
        const target = take(batch.reduce((sum, { bytes }) => sum + bytes, 0))
        let at = 0
        const parts = batch.map(({ buffer, offset, bytes }) => {
          encoder.copyBufferToBuffer(buffer, offset, target, at, bytes)
          at += bytes
          return [at - bytes, at] as const
        })
        return { target, parts, bytes: at }
      })
      device.queue.submit([encoder.finish()])
      const copies = await Promise.all(taken.map(async ({ target, parts, bytes }) => {
        await gpu.patiently(target.mapAsync(mapForReading, 0, bytes))
        const mapped = target.getMappedRange(0, bytes)
        const arrays = parts.map(([from, to]) => mapped.slice(from, to))
        target.unmap()
        give(target)
        return arrays
      })).catch(refused)
      const rest = copies.flat()
      let next = 0
      return ranges.map(({ bytes }) => (bytes === 0 ? new ArrayBuffer(0) : rest[next++] ?? new ArrayBuffer(0)))
    },
    dispose: () => {
      state.over = true
      kept.splice(0).forEach(buffer => buffer.destroy())
    },
  }
}
