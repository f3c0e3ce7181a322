/**
 * A plan as a program for WebGPU (runtime/gpu-program.ts): kernels of one kind over many arrays packed into one, no kernel with more buffers than
 * a device binds, every kernel scheduled and its dispatches printed, arrays in slots. Shaders that differ in names alone are kept once.
 */
import { type Binding, type GpuProgram, type GpuStep, type DispatchInfo, type Shader, gpuProgramVersion } from '../../../runtime/gpu-program.ts'
import { pack } from '../../schedule/gpu/pack.ts'
import { type Place, type Slots, bytesFor, planSlots } from '../../schedule/gpu/slots.ts'
import { fewBuffers } from '../../schedule/gpu/split.ts'
import type { Kernel, Plan, Step, Var } from '../../schedule/kernel/kernel.ts'
import { statsOf } from '../../schedule/kernel/stats.ts'
import { type Kernels, type Placed, type Ready, type Way, kernels as remembered } from './kernels.ts'
import { type About, fill } from './print.ts'

type Range = Omit<Binding, 'access'>

/** The most that any device binds at once, and workgroups of a dispatch. */
const mostBytes = 2 ** 32 - 4
const mostGroups = 65535 ** 2

export type Compiled = {
  readonly program: GpuProgram
  /** What is dispatched: the plan after packing. */
  readonly plan: Plan
  readonly slots: Slots
}

/** What a program needs that no device has, in words. */
export class TooLarge extends Error {}

/** The scratch that a kernel needs in whichever way it is dispatched: the largest of each, the second largest, ... */
const scratchOf = (ways: readonly Way[]): readonly number[] => {
  const most = Math.max(0, ...ways.map(w => w.scratch.length))
  return Array.from({ length: most }, (_, i) => Math.max(...ways.map(w => w.scratch[i] ?? 0)))
}

/** What makes it worth a device's while to measure which of a kernel's schedules is its best: operations that take microseconds, a share of the call. */
const [worthwhile, leastShare] = [1e8, 0.005]

/** The kernels for which a device may measure several schedules: large ones, of a program that replaces its state, which runs often. */
const triedOf = (plan: Plan): ReadonlySet<Kernel> => {
  if (!plan.buffers.some(b => b.role.kind === 'output' && b.role.over !== undefined)) return new Set()
  const stats = statsOf(plan)
  const all = stats.reduce((n, { flops, runs }) => n + flops * runs, 0)
  return new Set(stats.filter(({ flops, runs }) => flops >= worthwhile && flops * runs >= leastShare * all).map(s => s.kernel))
}

type Scheduled = { readonly at: number; readonly made: Placed; readonly tried: boolean }

/** Every kernel of a plan as it is dispatched, and the top-level step that it belongs to. */
const scheduled = (plan: Plan, make: Kernels): ReadonlyMap<Kernel, Scheduled> => {
  const all = new Map<Kernel, Scheduled>()
  const tried = triedOf(plan)
  const visit = (step: Step, at: number, counters: readonly Var[]): void => {
    if (step.kind === 'kernel') all.set(step, { at, made: make(step, plan, counters, tried.has(step)), tried: tried.has(step) })
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
 * `make`: makes the kernels; one that other programs have asked, too, is quicker.
 */
export const compileGpu = (id: string, given: Plan, options: { readonly packed: boolean } = { packed: true }, make: Kernels = remembered()): Compiled => {
  const { plan: packed, packs } = options.packed ? pack(given) : { plan: given, packs: [] }
  const plan = fewBuffers(packed)
  const large = plan.buffers.find(b => bytesFor(b) > mostBytes)
  if (large !== undefined) throw new TooLarge(`${large.name} takes ${bytesFor(large)} bytes; WebGPU binds ${mostBytes} at most`)
  const all = scheduled(plan, make)
  const kernels = [...all.keys()]
  const slots = planSlots(plan, packs, kernels.map(k => ({ at: all.get(k)!.at, bytes: scratchOf(all.get(k)!.made.ways) })))
  const needOf = new Map(kernels.map((k, i) => [k, slots.needs[i]!]))
  const wide = slots.slots.find(bytes => bytes > mostBytes)
  if (wide !== undefined) throw new TooLarge(`arrays that lie side by side take ${wide} bytes; WebGPU binds ${mostBytes} at most`)

  const shaders: Shader[] = []
  const byText = new Map<string, number>()
  /** The number of a shader: those that differ in names alone are one, with the names of the first. */
  const shaderOf = ({ template, label, threads, matrices }: Ready, writable: ReadonlySet<number>, about: About): number => {
    const { code } = fill(template, { name: '', places: [], notes: [] }, writable)
    const known = byText.get(code)
    if (known !== undefined) return known
    byText.set(code, shaders.length)
    const marked = matrices === null ? {} : { matrices }
    return shaders.push({ name: `${about.name}${label}`, places: about.places, code: fill(template, about, writable).code, threads, ...marked }) - 1
  }
  const placeOf = (buffer: number): Place => slots.places[buffer]!

  const kernelStep = (kernel: Kernel): GpuStep => {
    const { flops, bytes, ways, operands } = all.get(kernel)!.made
    const places = [...new Set(kernel.origins.map(o => `${o.file}:${o.line}:${o.column}`))]
    const choices = ways.map(({ dispatches, scratch }) => {
      const rangeOf = (space: number): Range => {
        const buffer = operands[space]
        if (buffer !== undefined) return { ...placeOf(buffer), bytes: bytesFor(plan.buffers[buffer]!) }
        return { slot: needOf.get(kernel)![space - operands.length]!, offset: 0, bytes: scratch[space - operands.length]! }
      }
      const about: About = { name: kernel.name, places, notes: [], names: space => plan.buffers[operands[space] ?? -1]?.name ?? 'scratch' }
      return dispatches.map((ready): DispatchInfo => {
        const { bound } = ready.template
        if (ready.groups > mostGroups) throw new TooLarge(`kernel ${kernel.name} takes ${ready.groups} workgroups; WebGPU runs ${mostGroups} at most`)
        // devices bind no slot for reading and for writing at once: where a dispatch writes to one, it has all of it for writing
        const written = new Set(bound.filter(b => b.access === 'write').map(b => rangeOf(b.space).slot))
        const writable = new Set(bound.map(b => b.space).filter(space => written.has(rangeOf(space).slot)))
        const bindings = bound.map(({ space }) => ({ ...rangeOf(space), access: writable.has(space) ? ('write' as const) : ('read' as const) }))
        return { shader: shaderOf(ready, writable, about), groups: ready.groups, bindings }
      })
    })
    const settled = choices.length > 1 && !all.get(kernel)!.tried
    return { kind: 'kernel', name: kernel.name, places, flops, bytes, choices, ...(settled ? { settled: true as const } : {}) }
  }
  const gpuStep = (step: Step): GpuStep => {
    switch (step.kind) {
      case 'kernel':
        return kernelStep(step)
      case 'copy':
        return { kind: 'copy', from: placeOf(step.from), to: placeOf(step.to), bytes: bytesFor(plan.buffers[step.from]!) }
      case 'loop':
        return { kind: 'loop', size: step.counter.size, steps: step.steps.map(gpuStep) }
    }
  }
  const steps = plan.steps.map(gpuStep)
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
