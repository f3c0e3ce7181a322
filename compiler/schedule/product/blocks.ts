/** Sizes that all schedules of products keep to, and how long sums are cut into blocks of steps. */
import { type Composite, sizeOf } from '../nest/composite.ts'

/** Into how many parts a heavy product is cut, at least. */
export const leastParts = 16
/** Products (of two numbers) that are worth a part of their own. */
export const partWork = 256 * 1024
/** Elements of packed rows that stay in the cache while columns pass by. */
export const rowElements = 128 * 1024

/** The share of a kernel's time that packing one operand takes, of which every element meets `times` of the other: as long as a dozen of products. */
export const packingShare = (times: number): number => 12 / (12 + times)
/** The share that adding up `parts` partial sums of `steps` steps in all takes. */
export const addingShare = (parts: number, steps: number): number => (4 * parts) / (4 * parts + steps)

/** Steps of a block, at most: a panel of four rows takes 12 kB. */
const maxSteps = 768
export const roundUp = (n: number, by: number): number => Math.ceil(n / by) * by

/** Outer variables, one by one; the first of the inner ones in chunks, the others whole. */
export type Blocks = { readonly outer: Composite; readonly inner: Composite; readonly chunk: number }

/** Splits the reduction: outer variables, one variable in chunks, and inner variables whole, of at most `maxSteps` steps together. */
export const blocked = (vars: Composite): Blocks => {
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

/** Steps of a block, at least, unless there are no more. */
const leastSteps = 128

/** The same, cut shorter until there are `wanted` blocks, if they do not get too short. */
export const shorter = ({ outer, inner, chunk }: Blocks, wanted: number): Blocks => {
  const [first, ...rest] = inner
  if (first === undefined) return { outer, inner, chunk }
  const cuts = Math.ceil(wanted / sizeOf(outer))
  return { outer, inner, chunk: Math.min(chunk, Math.max(Math.ceil(first.size / cuts), Math.ceil(leastSteps / sizeOf(rest)))) }
}
