/** Sums of products: matmul, matvec, dot, outer, and `contract`, which all of them are. */
import { op } from '../core/apply.ts'
import type { Any, Check, DTypeOf, Describe, Known, Result, Scalar, ShapeOf, Tensor, Then } from '../tensor.ts'
import type { Same, Shape, Text } from '../shape.ts'
import { shapeOf, typed, untyped } from './border.ts'

/** Contraction of two tensors whose axes are labelled by letters. */
const einsum = (a: Any, b: Any, left: readonly string[], right: readonly string[], out: readonly string[]): Any =>
  op('contract', [a, b], {
    sizes: { ...Object.fromEntries(left.map((l, i) => [l, shapeOf(a)[i]!])), ...Object.fromEntries(right.map((l, i) => [l, shapeOf(b)[i]!])) },
    a: left, b: right, out,
  })

type F32<Op extends string, Side extends string, X> = [DTypeOf<X>] extends ['f32'] ? null : `${Op}: ${Side} is ${Describe<X>}; cast it to f32 first`
type Rank1<Op extends string, Side extends string, X> =
  F32<Op, Side, X> extends infer E ? ([E] extends [null] ? (ShapeOf<X> extends readonly [unknown] ? Known<Op, X> : `${Op}: ${Side} is ${Describe<X>}, not a vector`) : E) : never
type Rank2<Op extends string, Side extends string, X> =
  F32<Op, Side, X> extends infer E ? ([E] extends [null] ? (ShapeOf<X> extends readonly [unknown, unknown] ? Known<Op, X> : `${Op}: ${Side} is ${Describe<X>}, not a matrix`) : E) : never
/** null where the last dim of the left equals the first dim of the right */
type Inner<Op extends string, A, B> =
  ShapeOf<A> extends readonly [...unknown[], infer K] ? (ShapeOf<B> extends readonly [infer K2, ...unknown[]]
    ? Same<K, K2> extends true ? null : `${Op}: left is ${Describe<A>}, right is ${Describe<B>} [${Text<K>} != ${Text<K2>}]` : null) : null

type Entry<S extends Shape, I extends number> = S[I & keyof S]

/** [M, K] by [K, N] gives [M, N]. */
export const matmul = <A extends Any, B extends Any>(
  a: Check<Rank2<'matmul', 'left', A>, A>, b: Check<Then<Rank2<'matmul', 'right', B>, Inner<'matmul', A, B>>, B>,
): Tensor<[Entry<ShapeOf<A>, 0>, Entry<ShapeOf<B>, 1>]> => typed(einsum(untyped(a), untyped(b), ['m', 'k'], ['k', 'n'], ['m', 'n']))
/** [M, K] by [K] gives [M]. */
export const matvec = <A extends Any, B extends Any>(
  a: Check<Rank2<'matvec', 'left', A>, A>, b: Check<Then<Rank1<'matvec', 'right', B>, Inner<'matvec', A, B>>, B>,
): Tensor<[Entry<ShapeOf<A>, 0>]> => typed(einsum(untyped(a), untyped(b), ['m', 'k'], ['k'], ['m']))
/** The sum of products of two vectors. */
export const dot = <A extends Any, B extends Any>(
  a: Check<Rank1<'dot', 'left', A>, A>, b: Check<Then<Rank1<'dot', 'right', B>, Inner<'dot', A, B>>, B>,
): Scalar => typed(einsum(untyped(a), untyped(b), ['k'], ['k'], []))
/** [M] by [N] gives [M, N], every product. */
export const outer = <A extends Any, B extends Any>(
  a: Check<Rank1<'outer', 'left', A>, A>, b: Check<Rank1<'outer', 'right', B>, B>,
): Tensor<[Entry<ShapeOf<A>, 0>, Entry<ShapeOf<B>, 0>]> => typed(einsum(untyped(a), untyped(b), ['m'], ['n'], ['m', 'n']))

// ---- contract: 'bij,jk->bik' --------------------------------------------------------------------------------------
type Letters<S extends string> = S extends `${infer H}${infer T}` ? [H, ...Letters<T>] : []
type Left<Spec> = Spec extends `${infer A},${string}->${string}` ? Letters<A> : []
type Right<Spec> = Spec extends `${string},${infer B}->${string}` ? Letters<B> : []
type Out<Spec> = Spec extends `${string},${string}->${infer O}` ? Letters<O> : []

type Repeated<L extends readonly unknown[]> = L extends readonly [infer H, ...infer R] ? (H extends R[number] ? H : Repeated<R>) : never
type Missing<O extends readonly unknown[], From> = O extends readonly [infer H, ...infer R] ? (H extends From ? Missing<R, From> : H) : never
/** null where a specification is well formed */
type Spec_<S> =
  S extends `${infer A},${infer B}->${infer O}`
    ? [Repeated<Letters<A>>] extends [never] ? [Repeated<Letters<B>>] extends [never] ? [Repeated<Letters<O>>] extends [never]
      ? [Missing<Letters<O>, Letters<A>[number] | Letters<B>[number]>] extends [never] ? null
        : `contract: output label ${Missing<Letters<O>, Letters<A>[number] | Letters<B>[number]> & string} is in no operand of '${S}'`
      : `contract: label ${Repeated<Letters<O>> & string} occurs twice in the output of '${S}'`
      : `contract: label ${Repeated<Letters<B>> & string} occurs twice on the right of '${S}'`
      : `contract: label ${Repeated<Letters<A>> & string} occurs twice on the left of '${S}'`
  : 'contract: write a literal such as \'ij,jk->ik\''

/** label -> dim */
type Labelled<L extends readonly unknown[], S extends Shape, R = unknown> =
  L extends readonly [infer H extends string, ...infer T] ? (S extends readonly [infer D, ...infer Q] ? Labelled<T, Q, R & { readonly [K in H]: D }> : R) : R
type Ranked<Side extends string, L extends readonly unknown[], X, Spec> =
  Same<L['length'], ShapeOf<X>['length']> extends true ? null : `contract: ${Side} is ${Describe<X>}, '${Spec & string}' labels ${Text<L['length']>} axes`
type Clash<L extends readonly unknown[], S extends Shape, From> =
  L extends readonly [infer H, ...infer T] ? (S extends readonly [infer D, ...infer Q]
    ? H extends keyof From ? (Same<From[H], D> extends true ? Clash<T, Q, From> : `contract: ${H & string} is ${Text<From[H]>} on the left, ${Text<D>} on the right [${Text<From[H]>} != ${Text<D>}]`) : Clash<T, Q, From>
    : null) : null
type LeftFits<Spec, A> = Then<F32<'contract', 'left', A>, Then<Ranked<'left', Left<Spec>, A, Spec>, Known<'contract', A>>>
type RightFits<Spec, A, B> =
  Then<F32<'contract', 'right', B>, Then<Ranked<'right', Right<Spec>, B, Spec>, Then<Known<'contract', B>, Clash<Right<Spec>, ShapeOf<B>, Labelled<Left<Spec>, ShapeOf<A>>>>>>
type Read<L extends readonly unknown[], From> = L extends readonly [infer H, ...infer T] ? [From[H & keyof From], ...Read<T, From>] : []
type Contracted<Spec, A, B> = Result<Read<Out<Spec>, Labelled<Right<Spec>, ShapeOf<B>, Labelled<Left<Spec>, ShapeOf<A>>>>>

/** The sum over every label that is not in the output of the products of a and b: `contract('bij,jk->bik', a, b)`. */
export const contract = <const Spec extends string, A extends Any, B extends Any>(
  spec: Check<Spec_<Spec>, Spec>, a: Check<LeftFits<Spec, A>, A>, b: Check<RightFits<Spec, A, B>, B>,
): Contracted<Spec, A, B> => {
  const { left, right, out } = labels(spec as string)
  return typed(einsum(untyped(a), untyped(b), left, right, out))
}

/** 'ij,jk->ik' as three lists of letters. */
const labels = (spec: string): { readonly left: readonly string[]; readonly right: readonly string[]; readonly out: readonly string[] } => {
  const letters = Array.from({ length: spec.length }, (_, i) => spec[i]!)
  const comma = letters.indexOf(',')
  const arrow = letters.indexOf('-')
  return { left: letters.slice(0, comma), right: letters.slice(comma + 1, arrow), out: letters.slice(arrow + 2) }
}
