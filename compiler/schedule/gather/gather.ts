/**
 * Kernels as gathers, for devices whose threads cannot say where they write: an element of a buffer computes itself. Every store of
 * a kernel becomes a nest that makes its whole buffer anew, and inverts the store's place; what the store does not reach is passed on.
 */
import type { Origin } from '../../ir/ir.ts'
import type { Buffer, Kernel, Plan, Step, Var } from '../kernel/kernel.ts'
import { costOf } from '../kernel/stats.ts'
import type { Dialect } from '../nest/expression.ts'
import type { Nest } from '../nest/nest.ts'
import { type Part, nestOf } from './body.ts'

/**
 * Makes the whole of `buffer` anew. The nest's params are [i, ...counters of the enclosing loops, from the outside in], its extent is
 * the number of elements; for each i every path through it stores once, last, to space `buffer` at position i. Spaces are
 * the plan's buffers; it may load from `buffer`, too: what was there before.
 */
export type Gather = { readonly name: string; readonly origins: readonly Origin[]; readonly nest: Nest; readonly buffer: number }

/** All gathers of a kernel step read the arrays as they were before the step. FLOPs and bytes are of one execution. */
export type GatherStep =
  | {
    readonly kind: 'kernel'; readonly name: string; readonly origins: readonly Origin[]; readonly flops: number; readonly bytes: number
    readonly gathers: readonly Gather[]
  }
  | { readonly kind: 'copy'; readonly from: number; readonly to: number }
  | { readonly kind: 'loop'; readonly counter: Var; readonly steps: readonly GatherStep[] }

/** Buffers, the plan's own and scratch behind them, and the steps over them. */
export type GatherPlan = { readonly buffers: readonly Buffer[]; readonly steps: readonly GatherStep[] }

/** The most buffers that a gather reads. */
export const mostInputs = 7

export const elementsOf = (buffer: Buffer): number => buffer.aval.shape.reduce((n, d) => n * d, 1)

const stepOf = (kernel: Kernel, plan: Plan, counters: readonly Var[], dialect: Dialect): GatherStep => {
  const { name, origins } = kernel
  const { flops, bytes } = costOf(kernel, plan, counters)
  const gathers = kernel.stores.map(({ buffer }, n): Gather => {
    const part: Part = { kernel: { ...kernel, stores: [kernel.stores[n]!] } }
    const label = kernel.stores.length === 1 ? name : `${name}_${n + 1}`
    return { name: label, origins, nest: nestOf(label, plan.buffers[buffer]!, [part], counters, dialect), buffer }
  })
  return { kind: 'kernel', name, origins, flops, bytes, gathers }
}

/** A plan as gathers. Refuses what cannot be one, with the kernel's name. */
export const gatherPlan = (plan: Plan, dialect: Dialect): GatherPlan => {
  const go = (steps: readonly Step[], counters: readonly Var[]): readonly GatherStep[] =>
    steps.map((step): GatherStep => {
      switch (step.kind) {
        case 'copy':
          return step
        case 'loop':
          return { kind: 'loop', counter: step.counter, steps: go(step.steps, [...counters, step.counter]) }
        case 'kernel':
          return stepOf(step, plan, counters, dialect)
      }
    })
  return { buffers: plan.buffers, steps: go(plan.steps, []) }
}
