/** Parts of tensors, and tensors put together: concat, stack, slice, at, pad, flip, gather, oneHot. */
import { op, sizeOf } from '../core/apply.ts'
import type { Any, Check, DTypeOf, Describe, Known, Result, ShapeOf, Tensor } from '../tensor.ts'
import type { Add, AtMost, Clash, Dim, Div, Lone, Same, Shape, Sub, Tail, Text } from '../shape.ts'
import type { Box, LiteralDim } from './create.ts'
import type { Axes, AxesOf, Axis, Without } from './reduce.ts'
import { axesOf, range, respread, shapeOf, typed, untyped } from './border.ts'

/** S with D at axis A. */
type With<S extends Shape, A, D, I extends readonly 0[] = []> = S extends readonly [infer H, ...infer R] ? [I['length'] extends A ? D : H, ...With<R, A, D, [...I, 0]>] : []
/** The dim of X at axis A. */
type At<X, A> = ShapeOf<X>[A & keyof ShapeOf<X>]

// ---- putting together ---------------------------------------------------------------------------------------------
type Concat<A, B, Ax> =
  Same<DTypeOf<A>, DTypeOf<B>> extends true
    ? Same<ShapeOf<A>['length'], ShapeOf<B>['length']> extends true
      ? Same<Without<ShapeOf<A>, Ax>, Without<ShapeOf<B>, Ax>> extends true ? Known<'concat', B>
        : `concat: beyond axis ${Text<Ax>} left is ${Describe<A>}, right is ${Describe<B>}${Clash<Without<ShapeOf<A>, Ax>, Without<ShapeOf<B>, Ax>>}`
      : `concat: left is ${Describe<A>}, right is ${Describe<B>}; they differ in rank`
    : `concat: left is ${Describe<A>}, right is ${Describe<B>} [${DTypeOf<A>} != ${DTypeOf<B>}]`
type Axed<X> = Same<ShapeOf<X>, []> extends true ? 'concat: left is a scalar; reshape it to [1]' : Known<'concat', X>

/** a, then b along one axis (0 where none is given); equal in every other axis. */
export const concat = <A extends Any, B extends Any, const Ax extends number = 0>(
  a: Check<Axed<A>, A>, b: Check<Concat<A, B, Ax>, B>, axis?: Check<Axis<'concat', A, Ax>, Ax>,
): Result<With<ShapeOf<A>, Ax, Add<At<A, Ax>, At<B, Ax>>>, DTypeOf<A>> => typed(op('concat', [untyped(a), untyped(b)], { axis: (axis as number | undefined) ?? 0 }))

type Alike<Xs extends readonly unknown[], S, D, R extends readonly unknown[]> =
  R extends readonly [infer H, ...infer Q]
    ? Same<ShapeOf<H>, S> extends true ? (Same<DTypeOf<H>, D> extends true ? Alike<Xs, S, D, Q> : `stack: the tensors are ${Describe<Xs[0]>} and ${Describe<H>} [${DTypeOf<Xs[0]>} != ${DTypeOf<H>}]`)
      : `stack: the tensors are ${Describe<Xs[0]>} and ${Describe<H>}${Clash<ShapeOf<Xs[0]>, ShapeOf<H>>}`
    : null
type Stack<Xs extends readonly unknown[]> = Xs extends readonly [infer H, ...infer R] ? Known<'stack', H, Alike<Xs, ShapeOf<H>, DTypeOf<H>, R>> : 'stack: the argument is not a literal array of at least one tensor'
/** Tensors of one shape on a new leading axis. */
export const stack = <const Xs extends readonly Any[]>(xs: Check<Stack<Xs>, Xs>): Tensor<[Xs['length'], ...ShapeOf<Xs[0]>], DTypeOf<Xs[0]>> =>
  typed(stacked(xs as unknown as readonly Any[]))
const stacked = (xs: readonly Any[]): Any => op('concat', xs.map(x => op('reshape', [x], { shape: [1, ...shapeOf(x)] })), { axis: 0 })

// ---- parts --------------------------------------------------------------------------------------------------------
const cut = (x: Any, axis: number, start: number, limit: number, step: number): Any => {
  const shape = shapeOf(x)
  return op('slice', [x], { start: shape.map((_, i) => (i === axis ? start : 0)), limit: shape.map((d, i) => (i === axis ? limit : d)), step: shape.map((_, i) => (i === axis ? step : 1)) })
}
/** Entry i of the leading axis. */
const entry = (x: Any, i: number): Any => op('reshape', [cut(x, 0, i, i + 1, 1)], { shape: shapeOf(x).slice(1) })

type Range<X, N, From, To> =
  Same<To, N> extends true ? Ordered<X, From, To> : number extends To ? 'slice: the end is a plain number, not a literal' : false extends Lone<To> ? 'slice: the end is one of several; write a literal'
  : [To, N] extends [number, number] ? (AtMost<To, N> extends true ? Ordered<X, From, To> : `slice: end ${Text<To>} is beyond the ${Text<N>} of ${Describe<X>}`) : null
type Ordered<X, From, To> = number extends From ? 'slice: the start is a plain number, not a literal' : false extends Lone<From> ? 'slice: the start is one of several; write a literal' : [From, To] extends [number, number] ? (AtMost<From, To> extends true ? null : `slice: start ${Text<From>} is after end ${Text<To>}`) : null
type Sliced<From, To, Step> = [Step] extends [1] ? Sub<To, From> : Div<Add<Sub<To, From>, Sub<Step, 1>>, Step>

/** Entries start, start + step, ... before end of one axis. */
export const slice = <X extends Any, const A extends number, const From extends Dim, const To extends Dim, const Step extends number = 1>(
  x: Check<Known<'slice', X>, X>, axis: Check<Axis<'slice', X, A>, A>, start: From, end: Check<Range<X, At<X, A>, From, To>, To>, step?: Step,
): Result<With<ShapeOf<X>, A, Sliced<From, To, Step>>, DTypeOf<X>> => typed(cut(untyped(x), axis as number, sizeOf(start), sizeOf(end as Dim), step ?? 1))

type Led<Op extends string, X> = Same<ShapeOf<X>, []> extends true ? `${Op}: a scalar has no leading axis` : Known<Op, X>
type Index<X, I> = number extends I ? null : ShapeOf<X> extends readonly [infer N, ...unknown[]]
  ? [I, N] extends [number, number] ? (AtMost<N, I> extends true ? `at: index ${Text<I>} is out of range of ${Describe<X>}` : null) : null
  : 'at: a scalar has no leading axis'
/** Entry i of the leading axis; i is known before the program runs. */
export const at = <X extends Any, const I extends number>(x: Check<Led<'at', X>, X>, i: Check<Index<X, I>, I>): Tensor<Tail<ShapeOf<X>>, DTypeOf<X>> =>
  typed(entry(untyped(x), i as number))
/** Entry 0 of the leading axis. */
export const first = <X extends Any>(x: Check<Led<'first', X>, X>): Tensor<Tail<ShapeOf<X>>, DTypeOf<X>> => typed(entry(untyped(x), 0))
/** The last entry of the leading axis. */
export const last = <X extends Any>(x: Check<Led<'last', X>, X>): Tensor<Tail<ShapeOf<X>>, DTypeOf<X>> => typed(entry(untyped(x), shapeOf(untyped(x))[0]! - 1))
type Shorter<S extends Shape> = S extends readonly [infer N, ...infer R] ? [Sub<N, 1>, ...R] : never
/** Without entry 0 of the leading axis. */
export const dropFirst = <X extends Any>(x: Check<Led<'dropFirst', X>, X>): Result<Shorter<ShapeOf<X>>, DTypeOf<X>> =>
  typed(cut(untyped(x), 0, 1, shapeOf(untyped(x))[0]!, 1))
/** Without the last entry of the leading axis. */
export const dropLast = <X extends Any>(x: Check<Led<'dropLast', X>, X>): Result<Shorter<ShapeOf<X>>, DTypeOf<X>> =>
  typed(cut(untyped(x), 0, 0, shapeOf(untyped(x))[0]! - 1, 1))

/** The entries of the leading axis as an array; its length must be a number by the time the program runs. */
export const unstack = <X extends Any>(x: Check<Led<'unstack', X>, X>): readonly Tensor<Tail<ShapeOf<X>>, DTypeOf<X>>[] =>
  range(shapeOf(untyped(x))[0]!).map(i => typed(entry(untyped(x), i)))

// ---- around and over ----------------------------------------------------------------------------------------------
type Pair = readonly [Dim, Dim]
type Padding<X, P extends readonly unknown[]> = P['length'] extends ShapeOf<X>['length'] ? null : `pad: ${Text<P['length']>} pairs of widths for the ${Text<ShapeOf<X>['length']>} axes of ${Describe<X>}`
type Padded<S extends Shape, P extends readonly unknown[]> =
  S extends readonly [infer H, ...infer R] ? (P extends readonly [readonly [infer L, infer U], ...infer Q] ? [Add<Add<H, L>, U>, ...Padded<R, Q>] : never) : []
/** `widths[i]` = [before, after] elements of `value` around axis i. */
export const pad = <X extends Any, const P extends readonly Pair[]>(x: Check<Known<'pad', X>, X>, widths: Check<Padding<X, P>, P>, value = 0): Result<Padded<ShapeOf<X>, P>, DTypeOf<X>> => {
  const pairs = widths as unknown as readonly Pair[]
  return typed(op('pad', [untyped(x)], { low: pairs.map(([lo]) => sizeOf(lo)), high: pairs.map(([, hi]) => sizeOf(hi)), interior: pairs.map(() => 0), value }))
}

/** Reversed along axes (all where none are given). */
export const flip = <X extends Any, const A extends Axes = undefined>(x: Check<Known<'flip', X>, X>, axes?: Check<AxesOf<'flip', X, A>, A>): X =>
  typed(op('flip', [untyped(x)], { axes: axesOf(untyped(x), axes) }))

type Integer<Op extends string, X> = [DTypeOf<X>] extends ['i32'] ? Known<Op, X> : `${Op}: the indices are ${Describe<X>}, not i32`
/** 1 where the last axis counts the index, otherwise 0: f32, shape [...indices, n]. */
export const oneHot = <I extends Any, const N extends Dim, B extends Box = [N]>(
  indices: Check<Integer<'oneHot', I>, I>, n: Check<LiteralDim<'oneHot', B>, N>,
): Tensor<[...ShapeOf<I>, N]> => {
  const shape = [...shapeOf(untyped(indices)), sizeOf(n as Dim)]
  const axis = shape.length - 1
  return typed(op('cast', [op('eq', [op('iota', [], { shape, dtype: 'i32', axis }), respread(untyped(indices), shape, [axis])], {})], { dtype: 'f32' }))
}

type Gathered<S extends Shape, I extends Shape, A, P extends readonly 0[] = []> =
  S extends readonly [infer H, ...infer R] ? (P['length'] extends A ? [...I, ...R] : [H, ...Gathered<R, I, A, [...P, 0]>]) : []
/** The entries of x at indices along one axis: shape x[:axis] + indices + x[axis+1:]. Indices are clamped into range. */
export const gather = <X extends Any, I extends Any, const A extends number = 0>(
  x: Check<Led<'gather', X>, X>, indices: Check<Integer<'gather', I>, I>, axis?: Check<Axis<'gather', X, A>, A>,
): Result<Gathered<ShapeOf<X>, ShapeOf<I>, A>, DTypeOf<X>> => typed(op('gather', [untyped(x), untyped(indices)], { axis: (axis as number | undefined) ?? 0, batch: 0 }))
