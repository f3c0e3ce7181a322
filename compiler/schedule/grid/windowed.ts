/** The schedule of products with windows: which of the two there are fits. */
import { collapse } from '../kernel/collapse.ts'
import { convolved } from './convolve.ts'
import type { Dialect } from '../nest/expression.ts'
import { correlated } from './correlate.ts'
import { columnsOf } from './grid.ts'
import { gridded } from './gridded.ts'
import type { Kernel, Var } from '../kernel/kernel.ts'
import type { Scheduled } from '../nest/nest.ts'
import { unfolded } from './unfold.ts'

/** Schedules a product whose columns read overlapping windows, or null where it is none or does not fit. Scratch spaces are numbered from `space` on. */
export const windowed = (given: Kernel, counters: readonly Var[], dialect: Dialect, space: number, fresh: () => number): Scheduled | null => {
  const counter = (id: number): number => counters.find(c => c.id === id)?.size ?? 1
  const g = gridded(collapse(unfolded(collapse(given), fresh, counter)), fresh, counter)
  if (g === null) return null
  return (columnsOf(g.lane) >= (g.lane.step?.size ?? 1) ? convolved : correlated)(g, counters, dialect, space, fresh)
}
