/**
 * A program's steps as commands of the device: dispatches with their pipelines and bind groups made ready, copies, loops that are
 * unrolled while they are recorded. Consecutive dispatches share a compute pass; a long list goes to the queue in several parts.
 */
/// <reference types="@webgpu/types" />
import type { DispatchInfo, GpuProgram, GpuStep, KernelStep, Place } from '../../gpu-program.ts'
import type { Gpu } from './gpu.ts'
import { boundBytes, type Memory } from './memory.ts'
import { accessOf, counterBytes, counterLayout, counterStride, inPrecision, pipelineOf, type Pipeline, type Precision } from './pipelines.ts'
import { usage } from './source.ts'

/** Workgroups in a row; further ones begin a new row. */
const row = 65535

/** Commands in one submission. */
const mostInOne = 4096

type Dispatch = {
  readonly kind: 'dispatch'
  readonly info: DispatchInfo
  readonly name: string
  readonly pipeline: Pipeline
  /** Which of the bind groups. */
  readonly group: number
  readonly depth: number
}
type Copy = { readonly kind: 'copy'; readonly from: Place; readonly to: Place; readonly bytes: number }
type Loop = { readonly kind: 'loop'; readonly size: number; readonly body: readonly Command[] }
export type Command = Dispatch | Copy | Loop

/** All dispatches, those in loops once. */
export const dispatchesOf = (commands: readonly Command[]): readonly Dispatch[] =>
  commands.flatMap(command => (command.kind === 'dispatch' ? [command] : command.kind === 'loop' ? dispatchesOf(command.body) : []))

export type Commands = {
  /** One list per top-level step. */
  readonly steps: readonly (readonly Command[])[]
  /** Every different set of bindings, with a dispatch that has it. */
  readonly groups: readonly Dispatch[]
  readonly depth: number
  /** The most turns of any loop. */
  readonly turns: number
  /** Bytes of the largest copy. */
  readonly copied: number
}

/** Which of a kernel's alternatives is run. */
export type Choose = (kernel: KernelStep) => readonly DispatchInfo[]

/** Makes the pipelines of the chosen alternatives, all at once. Rejects with a `Refusal`. */
export const prepare = async (gpu: Gpu, file: GpuProgram, choose: Choose, precision: Precision): Promise<Commands> => {
  const groups: Dispatch[] = []
  const numbers = new Map<string, number>()
  const most = { depth: 0, turns: 1, copied: 0 }
  const dispatch = async (name: string, info: DispatchInfo, depth: number): Promise<readonly Dispatch[]> => {
    const shader = file.shaders[info.shader]
    if (info.groups === 0 || shader === undefined) return []
    const access = accessOf(info)
    const pipeline = await pipelineOf(gpu, { shader: inPrecision(shader, precision), access, depth })
    const key = `${access} ${info.bindings.map(({ slot, offset, bytes }) => `${slot}:${offset}:${bytes}`).join(' ')}`
    const group = numbers.get(key) ?? groups.length
    const made: Dispatch = { kind: 'dispatch', info, name, pipeline, group, depth }
    if (group === groups.length) groups.push(made)
    numbers.set(key, group)
    return [made]
  }
  const one = async (step: GpuStep, depth: number): Promise<readonly Command[]> => {
    switch (step.kind) {
      case 'kernel': return (await Promise.all(choose(step).map(info => dispatch(step.name, info, depth)))).flat()
      case 'copy': {
        most.copied = Math.max(most.copied, step.bytes)
        return step.bytes === 0 ? [] : [{ kind: 'copy', from: step.from, to: step.to, bytes: step.bytes }]
      }
      case 'loop': {
        most.depth = Math.max(most.depth, depth + 1)
        most.turns = Math.max(most.turns, step.size)
        return [{ kind: 'loop', size: step.size, body: (await Promise.all(step.steps.map(inner => one(inner, depth + 1)))).flat() }]
      }
    }
  }
  const steps = await Promise.all(file.steps.map(step => one(step, 0)))
  return { steps, groups, ...most }
}

/** Where the program's buffers are: a slot's memory, and the byte in it at which the slot begins (0, but where it is shared). */
export type Slots = readonly { readonly memory: Memory; readonly base: number }[]

/** The bind groups of all dispatches, for the buffers as they are now. */
export const bind = ({ device }: Gpu, { groups }: Commands, slots: Slots): readonly GPUBindGroup[] =>
  groups.map(({ name, pipeline, info }) => device.createBindGroup({
    label: name,
    layout: pipeline.storage,
    entries: info.bindings.flatMap(({ slot, offset, bytes }, binding) => {
      const at = slots[slot]
      return at === undefined ? [] : [{ binding, resource: { buffer: at.memory.buffer, offset: at.base + offset, size: boundBytes(bytes) } }]
    }),
  }))

/** The values of all loops' counters, 0, 1, ..., and the groups that bind them, by how many loops there are. */
export type Counters = { readonly groups: readonly GPUBindGroup[]; readonly bytes: number; readonly dispose: () => void }

export const countersFor = (gpu: Gpu, { depth, turns }: Commands): Counters => {
  if (depth === 0) return { groups: [], bytes: 0, dispose: () => undefined }
  const bytes = turns * counterStride
  const buffer = gpu.device.createBuffer({ label: 'counters', size: bytes, usage: usage.uniform | usage.copyTarget, mappedAtCreation: true })
  const words = new Int32Array(buffer.getMappedRange())
  for (let i = 0; i < turns; i++) words[(i * counterStride) / 4] = i
  buffer.unmap()
  const groups = Array.from({ length: depth }, (_, d) => gpu.device.createBindGroup({
    label: 'counters', layout: counterLayout(gpu, d + 1),
    entries: Array.from({ length: d + 1 }, (__, binding) => ({ binding, resource: { buffer, size: counterBytes } })),
  }))
  return { groups, bytes, dispose: () => buffer.destroy() }
}

/** Bytes to be copied between buffers, which may be one and the same. */
export type Transfer = { readonly from: GPUBuffer; readonly fromOffset: number; readonly to: GPUBuffer; readonly toOffset: number; readonly bytes: number }

/** Collects commands and gives them to the queue. */
export type Recorder = {
  readonly dispatch: (command: Dispatch, group: GPUBindGroup, counters: GPUBindGroup | undefined, turns: readonly number[]) => void
  /**
   * Several copies that happen at once: no target changes what another one copies. `spare` gives a buffer for what must not go directly;
   * one that it gave before may be gone, once it was asked for more.
   */
  readonly copy: (transfers: readonly Transfer[], spare: (bytes: number) => GPUBuffer) => void
  readonly submit: () => void
}

const overlap = (a: number, b: number, length: number, other: number): boolean => a < b + other && b < a + length

/** Whether one of the copies has to be in order with a later one: the bytes that it writes are read there. */
const entangled = (all: readonly Transfer[]): boolean =>
  all.some((a, i) => all.slice(i + 1).some(b => a.to === b.from && overlap(a.toOffset, b.fromOffset, a.bytes, b.bytes)))

/** What is being recorded, and what was set last in its pass. */
type Now = {
  encoder: GPUCommandEncoder | null
  pass: GPUComputePassEncoder | null
  pipeline: GPUComputePipeline | null
  group: GPUBindGroup | null
  count: number
}

export const recorder = ({ device }: Gpu, label: string): Recorder => {
  const now: Now = { encoder: null, pass: null, pipeline: null, group: null, count: 0 }
  const endPass = (): void => {
    now.pass?.end()
    Object.assign(now, { pass: null, pipeline: null, group: null })
  }
  const submit = (): void => {
    endPass()
    if (now.encoder !== null) device.queue.submit([now.encoder.finish()])
    Object.assign(now, { encoder: null, count: 0 })
  }
  const encoder = (): GPUCommandEncoder => {
    if (now.count++ >= mostInOne) submit()
    return now.encoder ??= device.createCommandEncoder({ label })
  }
  const direct = ({ from, fromOffset, to, toOffset, bytes }: Transfer): void => encoder().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes)
  return {
    dispatch: ({ info: { groups }, pipeline: { pipeline } }, group, counters, turns) => {
      const on = encoder()
      const pass = now.pass ??= on.beginComputePass({ label })
      if (pipeline !== now.pipeline) pass.setPipeline(now.pipeline = pipeline)
      if (group !== now.group) pass.setBindGroup(0, now.group = group)
      if (counters !== undefined) pass.setBindGroup(1, counters, turns.map(turn => turn * counterStride))
      pass.dispatchWorkgroups(Math.min(groups, row), Math.ceil(groups / row))
    },
    copy: (transfers, spare) => {
      endPass()
      if (!entangled(transfers)) {
        // Within one buffer nothing is copied directly.
        const most = Math.max(0, ...transfers.filter(({ from, to }) => from === to).map(({ bytes }) => bytes))
        const through = most > 0 ? spare(most) : null
        return transfers.forEach(transfer => {
          if (through === null || transfer.from !== transfer.to) return direct(transfer)
          direct({ ...transfer, to: through, toOffset: 0 })
          direct({ ...transfer, from: through, fromOffset: 0 })
        })
      }
      const through = spare(transfers.reduce((sum, { bytes }) => sum + bytes, 0))
      const starts = transfers.map((_, i) => transfers.slice(0, i).reduce((sum, { bytes }) => sum + bytes, 0))
      transfers.forEach((transfer, i) => direct({ ...transfer, to: through, toOffset: starts[i] ?? 0 }))
      transfers.forEach((transfer, i) => direct({ ...transfer, from: through, fromOffset: starts[i] ?? 0 }))
    },
    submit,
  }
}
