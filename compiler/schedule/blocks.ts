/** How long sums are cut into blocks of steps. */
import { type Composite, sizeOf } from './pack.ts'

/** Steps of a block, at most: a panel of four rows takes 12 kB. */
const maxSteps = 768
const roundUp = (n: number, by: number): number => Math.ceil(n / by) * by

/** Splits the reduction: outer variables, one variable in chunks, and inner variables whole, of at most `maxSteps` steps together. */
export const blocked = (vars: Composite): { outer: Composite; inner: Composite; chunk: number } => {
  const total = sizeOf(vars)
  if (total <= maxSteps * 1.5) return { outer: [], inner: vars, chunk: vars[0]?.size ?? 1 }
  let i = vars.length - 1
  while (i > 0 && sizeOf(vars.slice(i)) < maxSteps / 2) i -= 1
  const below = sizeOf(vars.slice(i + 1))
  const size = vars[i]!.size
  const parts = Math.max(1, Math.round((size * below) / maxSteps))
  const chunk = Math.min(size, Math.ceil(size / parts))
  return { outer: vars.slice(0, i), inner: vars.slice(i), chunk: below === 1 ? Math.min(size, roundUp(chunk, 4)) : chunk }
}
