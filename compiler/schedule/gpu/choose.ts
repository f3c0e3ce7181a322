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
import { type Alternatives, type Dispatched, needsSubgroups } from './dispatch.ts'
import { elementwise } from './elementwise.ts'
import { product } from './product/product.ts'
import { reduce } from './reduce.ts'

/** A kernel without a tiled schedule of its own, in so many ways at most. */
export const plainly = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, names: Names, most = Infinity): Alternatives =>
  kernel.reduction === null
    ? [elementwise(kernel, counters, dialect)]
    : reduce({ ...kernel, reduction: asReduce(kernel.reduction) }, counters, dialect, names, most)

const runsAnywhere = ({ dispatches }: Dispatched): boolean => !dispatches.some(needsSubgroups)

/**
 * The dispatches of several kernels, one after the other: each in its n-th way, or its best where it has fewer; last, where every one of these has
 * need of subgroups, all in ways that have none.
 */
const inTurn = (all: readonly Alternatives[]): Alternatives => {
  const way = (pick: (ways: Alternatives) => Dispatched): Dispatched => {
    const made = all.map(pick)
    return { dispatches: made.flatMap(m => m.dispatches), scratch: made.flatMap(m => m.scratch) }
  }
  const most = Math.max(1, ...all.map(a => a.length))
  const ways: Alternatives = [way(a => a[0]), ...Array.from({ length: most - 1 }, (_, n) => way(a => a[n + 1] ?? a[0]))]
  return ways.some(runsAnywhere) ? ways : [...ways, way(a => a.find(runsAnywhere) ?? a[0])]
}

/**
 * Schedules a kernel, in so many ways at most; `counters` are those of the enclosing loops, from the outside in. `matrices`: besides them ways
 * with matrices of half precision, for devices with tensor cores.
 */
export const scheduleGpu = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, names: Names, most = Infinity, matrices = false): Alternatives => {
  const whole = product(kernel, counters, dialect, names, most, matrices)
  if (whole !== null) return whole
  const parts = phases(kernel, names.variable, id => counters.find(c => c.id === id)?.size ?? 1)
  return inTurn(parts.map(part =>
    (parts.length === 1 ? null : product(part, counters, dialect, names, most, matrices)) ?? plainly(part, counters, dialect, names, most)))
}
