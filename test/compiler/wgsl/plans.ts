/** Runs plans as WGSL on a device, by any schedule for graphics processors, against the meaning of plans. */
import type { Kernel, Plan, Step, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { scheduleGpu } from '../../../compiler/schedule/gpu/choose.ts'
import type { Dispatched } from '../../../compiler/schedule/gpu/dispatch.ts'
import { printDispatch, wgsl } from '../../../compiler/targets/wgsl/print.ts'
import type { DType } from '../../../dsl/core/prim.ts'
import { type Schedule, differing, filled, namesFor } from '../gpu/run.ts'
import { interpret } from '../plan-interpreter.ts'
import { type Pass, type Passes, type Words, runPasses } from './device.ts'
import { valuesIn, wordsFor } from './values.ts'

export type Trial = {
  readonly label: string
  readonly plan: Plan
  readonly schedule?: Schedule
  readonly alternative?: number
  readonly tolerance?: number
  /** What the buffers hold before. */
  readonly given?: ReadonlyMap<number, readonly number[]>
}

const numel = (shape: readonly number[]): number => shape.reduce((n, s) => n * s, 1)

/** The dispatches of a plan without copies, with buffers of the plan first and its scratch, which starts as NaN, behind them. */
const passesOf = ({ plan, schedule = scheduleGpu, alternative = 0, given = filled(plan) }: Trial): Passes => {
  const buffers: Words[] = plan.buffers.map(({ id, aval, role }) => {
    const data = given.get(id) ?? (role.kind === 'constant' ? role.data : [])
    return wordsFor(aval.dtype, Array.from({ length: numel(aval.shape) }, (_, i) => data[i] ?? 0))
  })
  const passes: Pass[] = []
  const names = namesFor(plan.buffers.length)
  const places = new Map<number, number>()
  const known = new Map<Kernel, Dispatched>()
  const go = (step: Step, counters: readonly Var[], at: readonly number[]): void => {
    switch (step.kind) {
      case 'copy':
        throw new RangeError('copies are no dispatches')
      case 'loop':
        for (let i = 0; i < step.counter.size; i += 1) step.steps.forEach(s => go(s, [...counters, step.counter], [...at, i]))
        return
      case 'kernel': {
        const all = known.has(step) ? [] : schedule(step, counters, wgsl, names)
        const made = known.get(step) ?? all[Math.min(alternative, all.length - 1)]!
        if (!known.has(step))
          for (const { space, bytes } of made.scratch) places.set(space, buffers.push(new Float32Array(bytes / 4).fill(NaN)) - 1)
        known.set(step, made)
        const dtypeOf = (space: number): DType | null => plan.buffers[space]?.aval.dtype ?? (places.has(space) ? 'f32' : null)
        for (const d of made.dispatches) {
          const { code, bindings } = printDispatch(d, { name: '', places: [], notes: [] }, dtypeOf, counters.length)
          passes.push({ code, groups: d.nest.extent, bindings: bindings.map(b => places.get(b.space) ?? b.space), counters: at })
        }
      }
    }
  }
  plan.steps.forEach(s => go(s, [], []))
  return { buffers, passes }
}

/** How each trial's dispatches differ from the meaning of its plan; those that do not are left out. */
export const disagreements = (trials: readonly Trial[]): readonly string[] => {
  const results = runPasses(trials.map(passesOf))
  return trials.flatMap(({ label, plan, tolerance = 2e-5, given = filled(plan) }, i) => {
    const got = new Map(plan.buffers.map(({ id, aval }) => [id, valuesIn(aval.dtype, results[i]![id]!)]))
    const found = differing(plan, got, interpret(plan, given), tolerance)
    return found === '' ? [] : [`${label}: ${found}`]
  })
}
