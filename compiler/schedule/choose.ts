/** Which schedule a kernel gets: the first that fits. */
import { elementwise } from './elementwise.ts'
import type { Dialect } from './expression.ts'
import type { Kernel, Var } from './kernel.ts'
import type { Scheduled } from './nest.ts'
import { phases } from './phases.ts'
import { packed } from './product/product.ts'
import { stencil } from './stencil/stencil.ts'
import { tapSums } from './stencil/taps.ts'
import { windowed } from './grid/windowed.ts'

/** Fresh names: of variables, and of scratch spaces (which are numbered behind the buffers). */
export type Names = { readonly variable: () => number; readonly space: (count: number) => number }

/** Schedules a kernel; `counters` are those of the enclosing loops, from the outside in. One after the other, the results do what it does. */
export const schedule = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, names: Names): readonly Scheduled[] => {
  const whole =
    stencil(kernel, counters, dialect, names.space(1)) ??
    tapSums(kernel, counters, dialect, names.space(2), names.variable) ??
    windowed(kernel, counters, dialect, names.space(8), names.variable)
  if (whole !== null) return [whole]
  const parts = phases(kernel, names.variable, id => counters.find(c => c.id === id)?.size ?? 1)
  return parts.map(part => packed(part, counters, dialect, names.space(8), names.variable) ?? elementwise(part, counters, dialect, names.space(1)))
}
