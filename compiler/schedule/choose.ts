/**
 * Which schedule a kernel gets: the first that fits.
 *
 * - stencil/: every output sums a few taps of one image (blurs, depthwise convolutions, pooling), and the gradient of such taps.
 * - grid/: a product one of whose sides is read in overlapping windows, so that many pairs of a column and a step read one
 *   position. A convolution is a product of its weights (the rows) by windows of its image (columns: places of the result;
 *   steps of the sum: channels and taps): gridded.ts finds its positions, cuts.ts its parts, convolve.ts packs the weights,
 *   fills a block's grid of positions and multiplies; correlate.ts does weight gradients, where places are what is summed over.
 * - product/: any other product, both of whose sides are packed into panels first.
 * - elementwise.ts: all the rest, sums and extremes included.
 *
 * What strides backwards and is none of the first two becomes several kernels, one for each residue (phases.ts).
 */
import { elementwise } from './elementwise/elementwise.ts'
import type { Dialect } from './nest/expression.ts'
import type { Kernel, Var } from './kernel/kernel.ts'
import type { Scheduled } from './nest/nest.ts'
import { phases } from './kernel/phases.ts'
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
