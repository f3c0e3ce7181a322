import type { Func } from '../ir/ir.ts'

/**
 * The batched version of a function: parameters with `mapped` get a new leading axis of `size`, and so do all results
 * (a result that does not depend on a mapped parameter repeats).
 */
export const batch = (func: Func, mapped: readonly boolean[], size: number): Func => {
  throw new RangeError(`not written yet: ${func.insts.length} ${mapped.length} ${size}`)
}
