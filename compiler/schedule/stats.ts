/** What a plan costs at least: floating-point operations, and bytes moved if every kernel reads and writes each of its elements once. */
import type { Expr, Kernel, Plan, Step } from './kernel.ts'
import { bytesOf } from './memory.ts'
import { expressions, walk } from './walk.ts'

export type KernelStats = {
  readonly kernel: Kernel
  /** Top-level step of the plan. */
  readonly step: number
  /** Runs per call (more than 1 inside a loop). */
  readonly runs: number
  /** Per run. */
  readonly flops: number
  readonly bytes: number
}

const size = (vars: readonly { readonly size: number }[]): number => vars.reduce((n, v) => n * v.size, 1)

/** The share of a product's terms that are not zero by position: one in `by` for every guard that asks for divisibility. */
const occupied = (roots: readonly Expr[]): number => {
  let share = 1
  walk(roots, e => {
    if (e.kind === 'when') for (const g of e.guards) share /= g.by
  })
  return share
}

/** One operation with an f32 result - addition, product, selection, transcendental - counts one; a product under a sum counts two, and terms that are zero by position none. */
export const flopsOf = (kernel: Kernel): number => {
  const ops = (roots: Parameters<typeof walk>[0]): number => {
    let n = 0
    walk(roots, e => {
      if (e.kind === 'op' && e.dtype === 'f32') n += 1
    })
    return n
  }
  const points = size(kernel.vars)
  const { reduction } = kernel
  const stores = ops(kernel.stores.map(s => s.value))
  if (reduction === null) return points * stores
  const terms = points * size(reduction.vars)
  return points * stores + (reduction.kind === 'product' ? 2 * terms * occupied([reduction.a, reduction.b]) : terms * (1 + ops([reduction.value])))
}

/** Every distinct buffer read or written, once; a slice of a stacked buffer counts as the kernel's own extent. */
export const bytesMoved = (kernel: Kernel, plan: Plan): number => {
  const points = size(kernel.vars) * (kernel.reduction === null ? 1 : size(kernel.reduction.vars))
  const reads = new Set<number>()
  walk(expressions(kernel), e => {
    if (e.kind === 'load') reads.add(e.buffer)
  })
  const read = [...reads].reduce((n, id) => n + Math.min(bytesOf(plan.buffers[id]!), 4 * points), 0)
  return read + kernel.stores.length * 4 * size(kernel.vars)
}

export const statsOf = (plan: Plan): readonly KernelStats[] => {
  const visit = (step: Step, at: number, runs: number): readonly KernelStats[] => {
    switch (step.kind) {
      case 'copy':
        return []
      case 'loop':
        return step.steps.flatMap(s => visit(s, at, runs * step.counter.size))
      case 'kernel':
        return [{ kernel: step, step: at, runs, flops: flopsOf(step), bytes: bytesMoved(step, plan) }]
    }
  }
  return plan.steps.flatMap((s, at) => visit(s, at, 1))
}
