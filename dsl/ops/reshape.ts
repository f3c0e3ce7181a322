/** Operations that rearrange a tensor without changing its values: reshape, flatten, transpose, broadcast. */
import { op } from '../core/apply.ts'
import type { Any, Check, DTypeOf, Describe, Known, Result, ShapeOf, Tensor } from '../tensor.ts'
import type { Dim, Mul, Plain, Product, Same, Shape, Show, Text } from '../shape.ts'
import type { Literals } from './create.ts'
import { range, rankOf, shapeOf, sizes, typed, untyped } from './border.ts'

// ---- element counts: equal products of names in any order ---------------------------------------------------------
/** [numeric factor, named factors] */
type Factors<S extends Shape, N = 1, F extends readonly unknown[] = []> =
  S extends readonly [infer D, ...infer R]
    ? [D] extends [number] ? Factors<R, Mul<N, D>, F> : D extends `${infer K extends number}*${infer M}` ? Factors<[M, ...R], Mul<N, K>, F>
    : D extends `${string}${'+' | '-'}${string}` ? Factors<R, N, [...F, D]>
    : D extends `${infer A}*${infer B}` ? Factors<[B, ...R], N, [...F, A]> : Factors<R, N, [...F, D]>
  : [N, F]
type Strike<F extends readonly unknown[], X> = F extends readonly [infer H, ...infer R] ? (Same<H, X> extends true ? R : [H, ...Strike<R, X>]) : ['?']
type Equal<A extends readonly unknown[], B extends readonly unknown[]> = A extends readonly [infer H, ...infer R] ? Equal<R, Strike<B, H>> : B extends readonly [] ? true : false
type Balanced<A, B> = A extends readonly [infer N, infer F extends readonly unknown[]] ? (B extends readonly [infer M, infer G extends readonly unknown[]] ? (Same<N, M> extends true ? Equal<F, G> : false) : false) : false

type Reshape<X, To extends Shape> = Literals<'reshape', To> extends infer E ? ([E] extends [null] ? Count<ShapeOf<X>, To> : E) : never
type Count<A extends Shape, B extends Shape> =
  Same<Product<A>, Product<B>> extends true ? null
  : Balanced<Factors<A>, Factors<B>> extends true ? null
  : `reshape: ${Show<A>} has ${Text<Product<A>>} elements, ${Show<B>} has ${Text<Product<B>>} [${Text<Product<A>>} != ${Text<Product<B>>}]`

/** The same values, row-major, in another shape: `reshape(x, [3, 64, 64])`. */
export const reshape = <X extends Any, const S extends readonly Dim[]>(x: Check<Known<'reshape', X>, X>, shape: Check<Reshape<X, S>, S>): Tensor<Plain<S>, DTypeOf<X>> =>
  typed(op('reshape', [untyped(x)], { shape: sizes(shape) }))

/** One long vector. */
export const flatten = <X extends Any>(x: Check<Known<'flatten', X>, X>): Result<[Product<ShapeOf<X>>], DTypeOf<X>> =>
  typed(op('reshape', [untyped(x)], { shape: [shapeOf(untyped(x)).reduce((n, d) => n * d, 1)] }))

// ---- order of axes ------------------------------------------------------------------------------------------------
type Flipped<S extends Shape> = S extends readonly [infer H, ...infer R] ? [...Flipped<R>, H] : []
type Permuted<S extends Shape, P extends readonly unknown[]> = P extends readonly [infer A, ...infer R] ? [S[A & keyof S], ...Permuted<S, R>] : []
type Permutation<X, P> =
  [P] extends [undefined] ? null
  : P extends readonly unknown[] ? (P['length'] extends ShapeOf<X>['length'] ? Once<X, P> : `transpose: the permutation has ${Text<P['length']>} axes, the input ${Describe<X>} has ${Text<ShapeOf<X>['length']>}`) : null
type Once<X, P extends readonly unknown[]> =
  P extends readonly [infer H, ...infer R]
    ? number extends H ? 'transpose: an axis is a plain number; write literals'
    : `${H & number}` extends keyof ShapeOf<X> ? (H extends R[number] ? `transpose: axis ${H & number} is given twice` : Once<X, R>) : `transpose: axis ${H & number} is out of range of ${Describe<X>}`
  : null

/** Output axis i is input axis perm[i]; without a permutation the axes are reversed. */
export const transpose = <X extends Any, const P extends readonly number[] | undefined = undefined>(
  x: Check<Known<'transpose', X>, X>, perm?: Check<Permutation<X, P>, P>,
): Result<P extends readonly unknown[] ? Permuted<ShapeOf<X>, P> : Flipped<ShapeOf<X>>, DTypeOf<X>> =>
  typed(op('transpose', [untyped(x)], { perm: perm === undefined ? range(rankOf(untyped(x))).toReversed() : (perm as unknown as readonly number[]) }))

// ---- repetition ---------------------------------------------------------------------------------------------------
/** The last dims of To, as many as S has; never where To is shorter. */
type LastOf<To extends Shape, S extends Shape> = S extends readonly [...infer R, unknown] ? (To extends readonly [...infer Q, infer D] ? [...LastOf<Q, R>, D] : never) : []
type Broadcast<X, To extends Shape> =
  Literals<'broadcast', To> extends infer E
    ? [E] extends [null] ? (Same<LastOf<To, ShapeOf<X>>, Plain<ShapeOf<X>>> extends true ? null : `broadcast: ${Describe<X>} is not the end of ${Show<To>}; new axes go first`) : E
  : never

/** Repeats x along new leading axes: `broadcast(bias, ['T', 'H'])` of a `Vec<'H'>`. */
export const broadcast = <X extends Any, const S extends readonly Dim[]>(x: Check<Known<'broadcast', X>, X>, shape: Check<Broadcast<X, S>, S>): Tensor<Plain<S>, DTypeOf<X>> => {
  const to = sizes(shape)
  const rank = rankOf(untyped(x))
  return typed(op('broadcast', [untyped(x)], { shape: to, axes: range(rank).map(i => i + to.length - rank) }))
}
