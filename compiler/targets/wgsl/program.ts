/**
 * A plan as a program for WebGPU (runtime/gpu-program.ts): kernels of one kind over many arrays packed into one, no kernel with more buffers than
 * a device binds, every kernel scheduled and its dispatches printed, arrays in slots. Equal shaders are kept once.
 */
import type { DType } from '../../../dsl/core/prim.ts'
import { type GpuProgram, type GpuStep, type DispatchInfo, type Shader, gpuProgramVersion } from '../../../runtime/gpu-program.ts'
import { scheduleGpu } from '../../schedule/gpu/choose.ts'
import type { Alternatives, Dispatch } from '../../schedule/gpu/dispatch.ts'
import { pack } from '../../schedule/gpu/pack.ts'
import { type Place, type Slots, bytesFor, planSlots } from '../../schedule/gpu/slots.ts'
import { fewBuffers } from '../../schedule/gpu/split.ts'
import type { Names } from '../../schedule/choose.ts'
import type { Kernel, Plan, Step, Var } from '../../schedule/kernel/kernel.ts'
import { costOf } from '../../schedule/kernel/stats.ts'
import { type Stmt, type Type, type Value, scalarOf } from '../../schedule/nest/nest.ts'
import { wgsl } from './functions.ts'
import { type About, type Printed, printDispatch } from './print.ts'

/** The most that any device binds at once, and workgroups of a dispatch. */
const mostBytes = 2 ** 32 - 4
const mostGroups = 65535 ** 2

/** Operations of a kernel that takes long enough for a device to measure which of several schedules is its best: microseconds. */
const worthwhile = 1e8

export type Compiled = {
  readonly program: GpuProgram
  /** What is dispatched: the plan after packing. */
  readonly plan: Plan
  readonly slots: Slots
}

/** What a program needs that no device has, in words. */
export class TooLarge extends Error {}

/** The type of what a nest keeps in a space that is no buffer of the plan. */
const typeIn = (body: readonly Stmt[], space: number): DType | null => {
  let found: DType | null = null
  const see = (at: number, type: Type): void => {
    if (at === space) found ??= scalarOf(type)
  }
  const value = (v: Value): void => {
    switch (v.kind) {
      case 'const':
      case 'local':
        return
      case 'load':
        see(v.space, v.type)
        return value(v.at)
      case 'apply':
      case 'named':
        return v.args.forEach(value)
      case 'lane':
        return value(v.of)
      case 'shuffle':
        value(v.a)
        return value(v.b)
    }
  }
  const stmt = (s: Stmt): void => {
    switch (s.kind) {
      case 'barrier':
        return
      case 'set':
        return value(s.value)
      case 'store':
        see(s.space, s.value.type)
        value(s.at)
        return value(s.value)
      case 'for':
        value(s.from)
        value(s.to)
        return s.body.forEach(stmt)
      case 'if':
        value(s.condition)
        s.then.forEach(stmt)
        return s.otherwise.forEach(stmt)
    }
  }
  body.forEach(stmt)
  return found
}

/** The scratch that a kernel needs whichever of its alternatives is taken: the largest of each, the second largest, ... */
const scratchOf = (alternatives: Alternatives): readonly number[] => {
  const sizes = alternatives.map(a => a.scratch.map(s => s.bytes).sort((x, y) => y - x))
  const most = Math.max(0, ...sizes.map(s => s.length))
  return Array.from({ length: most }, (_, i) => Math.max(...sizes.map(s => s[i] ?? 0)))
}

type Scheduled = { readonly at: number; readonly counters: readonly Var[]; readonly alternatives: Alternatives }

/** Every kernel of a plan with its alternatives (where `tried`), and the top-level step that it belongs to. */
const scheduled = (plan: Plan, tried: boolean): ReadonlyMap<Kernel, Scheduled> => {
  let [lastVar, lastSpace] = [2 ** 30, plan.buffers.length]
  const names: Names = { variable: () => (lastVar += 1), space: count => (lastSpace += count) - count }
  const all = new Map<Kernel, Scheduled>()
  const visit = (step: Step, at: number, counters: readonly Var[]): void => {
    if (step.kind === 'kernel') {
      const [first, ...others] = scheduleGpu(step, counters, wgsl, names)
      all.set(step, { at, counters, alternatives: tried && costOf(step, plan, counters).flops >= worthwhile ? [first, ...others] : [first] })
    }
    if (step.kind === 'loop') step.steps.forEach(s => visit(s, at, [...counters, step.counter]))
  }
  plan.steps.forEach((step, at) => visit(step, at, []))
  return all
}

/** JSON has no words for these. */
const plain = (x: number): number | string => (Object.is(x, -0) ? '-0' : Number.isFinite(x) ? x : String(x))

/**
 * The program of a plan. Throws `TooLarge` where a device could not run it. A program that replaces its state runs often: a device may try
 * several schedules of its large kernels. `packed`: kernels that do the same to many arrays are one.
 */
export const compileGpu = (id: string, given: Plan, options: { readonly packed: boolean } = { packed: true }): Compiled => {
  const { plan: packed, packs } = options.packed ? pack(given) : { plan: given, packs: [] }
  const plan = fewBuffers(packed)
  const large = plan.buffers.find(b => bytesFor(b) > mostBytes)
  if (large !== undefined) throw new TooLarge(`${large.name} takes ${bytesFor(large)} bytes; WebGPU binds ${mostBytes} at most`)
  const all = scheduled(plan, plan.buffers.some(b => b.role.kind === 'output' && b.role.over !== undefined))
  const kernels = [...all.keys()]
  const slots = planSlots(plan, packs, kernels.map(k => ({ at: all.get(k)!.at, bytes: scratchOf(all.get(k)!.alternatives) })))
  const needOf = new Map(kernels.map((k, i) => [k, slots.needs[i]!]))
  const wide = slots.slots.find(bytes => bytes > mostBytes)
  if (wide !== undefined) throw new TooLarge(`arrays that lie side by side take ${wide} bytes; WebGPU binds ${mostBytes} at most`)

  const shaders: Shader[] = []
  const byCode = new Map<string, number>()
  const shaderOf = (shader: Shader): number => {
    const known = byCode.get(shader.code)
    if (known !== undefined) return known
    byCode.set(shader.code, shaders.length)
    return shaders.push(shader) - 1
  }
  const placeOf = (buffer: number): Place => slots.places[buffer]!

  const kernelStep = (kernel: Kernel, counters: readonly Var[]): GpuStep => {
    const { alternatives } = all.get(kernel)!
    const places = [...new Set(kernel.origins.map(o => `${o.file}:${o.line}:${o.column}`))]
    const choices = alternatives.map(({ dispatches, scratch }) => {
      const bySize = [...scratch].sort((a, b) => b.bytes - a.bytes)
      const scratchAt = new Map(bySize.map((s, i) => [s.space, { place: { slot: needOf.get(kernel)![i]!, offset: 0 }, bytes: s.bytes }]))
      const rangeOf = (space: number): { readonly place: Place; readonly bytes: number } => {
        const buffer = plan.buffers[space]
        return buffer === undefined ? scratchAt.get(space)! : { place: placeOf(space), bytes: bytesFor(buffer) }
      }
      return dispatches.map((dispatch): DispatchInfo => {
        const { nest, threads } = dispatch
        if (nest.extent > mostGroups) throw new TooLarge(`kernel ${kernel.name} takes ${nest.extent} workgroups; WebGPU runs ${mostGroups} at most`)
        const dtypeOf = (space: number): DType | null => plan.buffers[space]?.aval.dtype ?? (scratchAt.has(space) ? typeIn(nest.body, space) : null)
        const about = { name: kernel.name, places, notes: [], names: labels(plan) }
        const printed = printedWhole(dispatch, about, dtypeOf, counters.length, space => rangeOf(space).place.slot)
        const bindings = printed.bindings.map(({ space, access }) => {
          const { place, bytes } = rangeOf(space)
          return { ...place, bytes, access }
        })
        return { shader: shaderOf({ name: nest.name, places, code: printed.code, threads }), groups: nest.extent, bindings }
      })
    })
    const { flops, bytes } = costOf(kernel, plan, counters)
    return { kind: 'kernel', name: kernel.name, places, flops, bytes, choices }
  }
  const gpuStep = (step: Step, counters: readonly Var[]): GpuStep => {
    switch (step.kind) {
      case 'kernel':
        return kernelStep(step, counters)
      case 'copy':
        return { kind: 'copy', from: placeOf(step.from), to: placeOf(step.to), bytes: bytesFor(plan.buffers[step.from]!) }
      case 'loop':
        return { kind: 'loop', size: step.counter.size, steps: step.steps.map(s => gpuStep(s, [...counters, step.counter])) }
    }
  }
  const steps = plan.steps.map(s => gpuStep(s, []))
  const ports = (kind: 'input' | 'output'): readonly Place[] =>
    plan.buffers.flatMap(b => (b.role.kind === kind ? [{ index: b.role.index, place: placeOf(b.id) }] : []))
      .sort((a, b) => a.index - b.index).map(p => p.place)
  const constants = plan.buffers.flatMap(b => {
    const place = slots.places[b.id] ?? null
    return b.role.kind === 'constant' && place !== null ? [{ ...place, dtype: b.aval.dtype, data: b.role.data.map(plain) }] : []
  })
  return {
    plan, slots,
    program: { version: gpuProgramVersion, id, slots: slots.slots, inputs: ports('input'), outputs: ports('output'), constants, shaders, steps },
  }
}

/** Prints a dispatch. Devices bind no slot for reading and for writing at once: where a dispatch writes to one, it has all of it for writing. */
const printedWhole = (
  dispatch: Dispatch, about: About, dtypeOf: (space: number) => DType | null, counters: number, slotOf: (space: number) => number,
): Printed => {
  const once = printDispatch(dispatch, about, dtypeOf, counters)
  const written = new Set(once.bindings.filter(b => b.access === 'write').map(b => slotOf(b.space)))
  const also = once.bindings.filter(b => b.access === 'read' && written.has(slotOf(b.space))).map(b => b.space)
  return also.length === 0 ? once : printDispatch(dispatch, about, dtypeOf, counters, new Set(also))
}

/** What buffers are called in a shader: as the model names them, results by the path that they take. */
const labels = (plan: Plan): ((space: number) => string) => space => plan.buffers[space]?.name ?? 'scratch'
