/** Runs plans through a schedule for graphics processors and the interpreter of dispatches, against the meaning of plans. */
import { scheduleGpu } from '../../../compiler/schedule/gpu/choose.ts'
import { type Dispatched, mostBuffers } from '../../../compiler/schedule/gpu/dispatch.ts'
import type { Kernel, Plan, Step, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import type { Names } from '../../../compiler/schedule/choose.ts'
import type { Dialect } from '../../../compiler/schedule/nest/expression.ts'
import { spacesOf } from '../../../compiler/schedule/nest/spaces.ts'
import type { DType } from '../../../dsl/core/prim.ts'
import { interpret } from '../plan-interpreter.ts'
import { samples } from '../wasm/plans.ts'
import { type Memory, type Subgroups, mathsOf, runDispatch } from './interpret.ts'

const arrays = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Int32Array } as const
const numel = (shape: readonly number[]): number => shape.reduce((n, s) => n * s, 1)
const arrayOf = (dtype: DType, n: number): Float32Array | Int32Array | Uint32Array => new arrays[dtype](n)

export const dialect: Dialect = { unit: 1, maths: mathsOf }
export type Schedule = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, names: Names) => readonly Dispatched[]

/** Fresh names behind the buffers of a plan and its variables. */
export const namesFor = (buffers: number): Names => {
  let [variable, space] = [1_000_000, buffers]
  return { variable: () => ++variable, space: count => (space += count) - count }
}

/** Values for all buffers but the constants. */
export const filled = (plan: Plan): ReadonlyMap<number, readonly number[]> =>
  new Map(plan.buffers.filter(b => b.role.kind !== 'constant').map(b => [b.id, samples(numel(b.aval.shape), b.aval.dtype, b.id + 1)]))

/** The buffers of a plan after its dispatches have run; scratch starts as NaN. `alternative` picks one of a kernel's (the last where there are fewer). */
export const runPlan = (
  plan: Plan, given: ReadonlyMap<number, ArrayLike<number>>, schedule: Schedule = scheduleGpu, alternative = 0, subgroups?: Subgroups,
): Memory => {
  const memory: Memory = new Map(plan.buffers.map(({ id, aval, role }) => {
    const data = arrayOf(aval.dtype, numel(aval.shape))
    data.set(given.get(id) ?? (role.kind === 'constant' ? role.data : []))
    return [id, data]
  }))
  const names = namesFor(plan.buffers.length)
  const known = new Map<Kernel, Dispatched>()
  const go = (step: Step, counters: readonly Var[], at: readonly number[]): void => {
    switch (step.kind) {
      case 'copy':
        return memory.get(step.to)!.set(memory.get(step.from)!)
      case 'loop':
        for (let i = 0; i < step.counter.size; i += 1) step.steps.forEach(s => go(s, [...counters, step.counter], [...at, i]))
        return
      case 'kernel': {
        const all = known.has(step) ? [] : schedule(step, counters, dialect, names)
        const made = known.get(step) ?? all[Math.min(alternative, all.length - 1)]!
        known.set(step, made)
        const local = new Map(memory)
        for (const { space, bytes } of made.scratch) local.set(space, new Float32Array(bytes / 4).fill(NaN))
        for (const d of made.dispatches) {
          const { reads, writes } = spacesOf(d.nest)
          const shared = new Set(d.shared.map(s => s.space))
          const touched = [...new Set([...reads, ...writes])].filter(space => !shared.has(space))
          if (touched.length > mostBuffers) throw new RangeError(`${d.nest.name} touches ${touched.length} buffers`)
          runDispatch(d, local, at, subgroups)
        }
      }
    }
  }
  plan.steps.forEach(s => go(s, [], []))
  return memory
}

/** Where the buffers of two runs differ by more than |x - y| <= tolerance * (1 + |y|); '' where none do. */
export const differing = (plan: Plan, got: ReadonlyMap<number, ArrayLike<number>>, want: readonly ArrayLike<number>[], tolerance: number): string => {
  for (const { id, aval, name } of plan.buffers)
    for (let i = 0; i < want[id]!.length; i += 1) {
      const [x, y] = [got.get(id)![i]!, want[id]![i]!].map(n => (aval.dtype === 'f32' ? Math.fround(n) : n)) as [number, number]
      if (Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance * (1 + Math.abs(y))) continue
      return `${name} (${id}) element ${i}: ${x}, expected ${y}`
    }
  return ''
}

/** How the dispatches of a plan differ from its meaning, '' if they do not. */
export const disagreement = (
  plan: Plan, tolerance = 1e-5, given = filled(plan), schedule?: Schedule, alternative?: number, subgroups?: Subgroups,
): string =>
  differing(plan, runPlan(plan, given, schedule, alternative, subgroups), interpret(plan, given), tolerance)
