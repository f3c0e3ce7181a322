/** Reductions. Axes are literal positions, one or a tuple of them; without axes everything is reduced. */
import { aval, op } from '../core/apply.ts'
import type { Any, Check, DTypeOf, Describe, KnownDims, Result, ShapeOf } from '../tensor.ts'
import type { Lone, Same, Shape } from '../shape.ts'
import type { Float } from './elementwise.ts'
import { axesOf, fill, respread, shapeOf, typed, untyped } from './border.ts'

/** One axis, several, or all. */
export type Axes = number | readonly number[] | undefined

/** null where A is a literal position of X. */
export type Axis<Op extends string, X, A> =
  [A] extends [number] ? (number extends A ? `${Op}: the axis is a plain number; write a literal` : false extends Lone<A> ? `${Op}: the axis is one of several; write a literal` : `${A}` extends keyof ShapeOf<X> ? null : `${Op}: axis ${A} is out of range of ${Describe<X>}`) : null
type Each<Op extends string, X, A extends readonly unknown[]> =
  A extends readonly [infer H, ...infer R] ? (Axis<Op, X, H> extends infer E ? ([E] extends [null] ? (H extends R[number] ? `${Op}: axis ${H & number} is given twice` : Each<Op, X, R>) : E) : never)
  : A extends readonly [] ? null : `${Op}: the axes are not a literal tuple`
export type AxesOf<Op extends string, X, A> = [A] extends [undefined] ? null : [A] extends [number] ? Axis<Op, X, A> : A extends readonly unknown[] ? Each<Op, X, A> : null

/** S without the axes A. */
export type Reduced<S extends Shape, A> = [A] extends [undefined] ? [] : Without<S, A extends readonly unknown[] ? A[number] : A>
export type Without<S extends Shape, A, I extends readonly 0[] = []> =
  S extends readonly [infer H, ...infer R] ? (I['length'] extends A ? Without<R, A, [...I, 0]> : [H, ...Without<R, A, [...I, 0]>]) : []

/** The element type that can be added and compared. */
type Number<Op extends string, X> = [DTypeOf<X>] extends ['bool'] ? `${Op}: input is ${Describe<X>}; cast it to a number type first` : KnownDims<Op, X>

const reduce = (prim: 'sum' | 'max' | 'min', x: Any, axes: readonly number[]): Any => (axes.length === 0 ? x : op(prim, [x], { axes }))
/** The number of elements that are reduced into one. */
const extent = (x: Any, axes: readonly number[]): number => axes.reduce((n, axis) => n * shapeOf(x)[axis]!, 1)

/** The sum over axes. */
export const sum = <X extends Any, const A extends Axes = undefined>(x: Check<Number<'sum', X>, X>, axes?: Check<AxesOf<'sum', X, A>, A>): Result<Reduced<ShapeOf<X>, A>, DTypeOf<X>> =>
  typed(reduce('sum', untyped(x), axesOf(untyped(x), axes)))
/** The mean over axes. */
export const mean = <X extends Any, const A extends Axes = undefined>(x: Check<Float<'mean', X>, X>, axes?: Check<AxesOf<'mean', X, A>, A>): Result<Reduced<ShapeOf<X>, A>> => {
  const over = axesOf(untyped(x), axes)
  const total = reduce('sum', untyped(x), over)
  return typed(op('div', [total, fill(shapeOf(total), 'f32', extent(untyped(x), over))], {}))
}
/** The largest element over axes; `maximum` compares two tensors. */
export const max = <X extends Any, const A extends Axes = undefined>(x: Check<Number<'max', X>, X>, axes?: Check<AxesOf<'max', X, A>, A>): Result<Reduced<ShapeOf<X>, A>, DTypeOf<X>> =>
  typed(reduce('max', untyped(x), axesOf(untyped(x), axes)))
/** The smallest element over axes; `minimum` compares two tensors. */
export const min = <X extends Any, const A extends Axes = undefined>(x: Check<Number<'min', X>, X>, axes?: Check<AxesOf<'min', X, A>, A>): Result<Reduced<ShapeOf<X>, A>, DTypeOf<X>> =>
  typed(reduce('min', untyped(x), axesOf(untyped(x), axes)))

/** exp(x - max), and the max, which is constant for the gradient */
const shifted = (x: Any, axes: readonly number[]): { readonly top: Any; readonly e: Any } => {
  const top: Any = op('stopGradient', [reduce('max', x, axes)], {})
  return { top, e: op('exp', [op('sub', [x, respread(top, shapeOf(x), axes)], {})], {}) }
}

/** log(sum(exp(x))) over axes, stable. */
export const logSumExp = <X extends Any, const A extends Axes = undefined>(x: Check<Float<'logSumExp', X>, X>, axes?: Check<AxesOf<'logSumExp', X, A>, A>): Result<Reduced<ShapeOf<X>, A>> => {
  const over = axesOf(untyped(x), axes)
  const { top, e } = shifted(untyped(x), over)
  return typed(op('add', [top, op('log', [reduce('sum', e, over)], {})], {}))
}

type Softmax<X> = Float<'softmax', X> extends infer E ? ([E] extends [null] ? (Same<ShapeOf<X>, []> extends true ? 'softmax: input is a scalar' : null) : E) : never
/** exp(x) / sum(exp(x)) along one axis, the last where none is given. Stable. */
export const softmax = <X extends Any, const A extends number | undefined = undefined>(x: Check<Softmax<X>, X>, axis?: Check<AxesOf<'softmax', X, A>, A>): X => {
  const axes = [axis === undefined ? shapeOf(untyped(x)).length - 1 : (axis as unknown as number)]
  const { e } = shifted(untyped(x), axes)
  return typed(op('div', [e, respread(reduce('sum', e, axes), shapeOf(untyped(x)), axes)], {}))
}

/** The position of the largest element along an axis, the first where several are equal. */
export const argMax = <X extends Any, const A extends number>(x: Check<Number<'argMax', X>, X>, axis: Check<Axis<'argMax', X, A>, A>): Result<Reduced<ShapeOf<X>, A>, 'i32'> => {
  const input = untyped(x)
  const { shape } = aval(input)
  const axes = [axis as unknown as number]
  const positions: Any = op('iota', [], { shape, dtype: 'i32', axis: axes[0]! })
  const top = op('eq', [input, respread(reduce('max', input, axes), shape, axes)], {})
  const last = fill(shape, 'i32', shape[axes[0]!]! - 1)
  return typed(reduce('min', op('select', [top, positions, last], {}), axes))
}
