import type { Func } from '../ir/ir.ts'

/**
 * Parameters as `func`; results [...results of func, ...gradients of result 0 - an f32 scalar - by the parameters `wrt`].
 */
export const valueAndGrad = (func: Func, wrt: readonly number[]): Func => {
  throw new RangeError(`not written yet: ${func.insts.length} ${wrt.length}`)
}

/** Parameters [...parameters of func, ...a cotangent per result]; results [...results of func, ...cotangents of the parameters `wrt`]. */
export const vjp = (func: Func, wrt: readonly number[]): Func => {
  throw new RangeError(`not written yet: ${func.insts.length} ${wrt.length}`)
}
