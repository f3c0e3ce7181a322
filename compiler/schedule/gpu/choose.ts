/**
 * Which schedule a kernel gets on a graphics processor: the first that fits.
 *
 * - product/: matrix products and convolutions, in tiles of workgroup memory and registers.
 * - reduce.ts: sums and extremes, and products that no tile fits, as sums.
 * - elementwise.ts: all without a reduction.
 *
 * What strides backwards becomes several kernels, one for each residue (phases.ts).
 */
import type { Names } from '../choose.ts'
import { asReduce } from '../elementwise/reduce.ts'
import type { Kernel, Var } from '../kernel/kernel.ts'
import { phases } from '../kernel/phases.ts'
import type { Dialect } from '../nest/expression.ts'
import type { Alternatives, Dispatched } from './dispatch.ts'
import { elementwise } from './elementwise.ts'
import { reduce } from './reduce.ts'

/** A kernel without a tiled schedule of its own. */
export const plainly = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, names: Names): Dispatched =>
  kernel.reduction === null ? elementwise(kernel, counters, dialect) : reduce({ ...kernel, reduction: asReduce(kernel.reduction) }, counters, dialect, names)

/** Schedules a kernel; `counters` are those of the enclosing loops, from the outside in. */
export const scheduleGpu = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, names: Names): Alternatives => {
  const parts = phases(kernel, names.variable, id => counters.find(c => c.id === id)?.size ?? 1)
  const made = parts.map(part => plainly(part, counters, dialect, names))
  return [{ dispatches: made.flatMap(m => m.dispatches), scratch: made.flatMap(m => m.scratch) }]
}
