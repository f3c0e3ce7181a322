/**
 * The type of tensors, and what every typed operation is built from: `Check`, which puts a one-line message where an
 * argument would stand.
 */
import type { DType } from './core/prim.ts'
import type { Loose, Same, Shape, Show, ShowLoose } from './shape.ts'

export type { DType } from './core/prim.ts'

declare const shape: unique symbol
declare const dtype: unique symbol

/** Any tensor. */
export interface Any {
  readonly [shape]: Shape
  readonly [dtype]: DType
}

/**
 * A tensor of known shape and element type, invariant in both: `[30]` and `[50]` never widen to a common `[30 | 50]`.
 * `Tensor<[3, 64, 64]>` holds f32; scalars are `Tensor<[]>`.
 */
export interface Tensor<in out S extends Shape, in out D extends DType = 'f32'> extends Any {
  readonly [shape]: S
  readonly [dtype]: D
}

/** A vector of N numbers. */
export type Vec<N, D extends DType = 'f32'> = Tensor<[N], D>
/** One number. */
export type Scalar<D extends DType = 'f32'> = Tensor<[], D>

/** The shape of a tensor; of a number, `[]`. */
export type ShapeOf<X> = X extends { readonly [shape]: infer S extends Shape } ? S : []
/** The element type of a tensor; of a number, f32. */
export type DTypeOf<X> = X extends { readonly [dtype]: infer D extends DType } ? D : 'f32'
/** Whether X is a scalar tensor. (Tensors are compared, not shapes: so it resolves for generic shapes.) */
export type IsScalar<X> = Same<X, Tensor<[], DTypeOf<X>>>

declare const problem: unique symbol
/** A message for array arguments: against a bare string TypeScript would blame every element. */
export interface Problem<Text> {
  readonly [problem]: Text
}
/** The argument itself where the problem `P` is null, otherwise the message. */
export type Check<P, X> = [P] extends [null] ? X : [X] extends [readonly unknown[]] ? Problem<P> : P

/** E where it is a message, otherwise E2. */
export type Then<E, E2> = [E] extends [null] ? E2 : E

/** A tensor in words: `[2, 3]`, and `i32 [2, 3]` where it does not hold f32. */
export type Describe<X> = DTypeOf<X> extends 'f32' ? Show<ShapeOf<X>> : `${DTypeOf<X>} ${Show<ShapeOf<X>>}`

/**
 * The tensor of a computed shape. (The detour through `infer` keeps TypeScript from inferring backwards into the
 * computation, and the leading 0 from matching it against a `Check`.)
 */
export type Result<S, D extends DType = 'f32'> = [0, S] extends [0, infer R extends Shape] ? Tensor<R, D> : never

/** Whether a dim of X is not one literal, in a box: so that it can be compared where X is generic. */
export type LooseOf<X> = X extends { readonly [shape]: infer S extends Shape } ? [Loose<S>] : [false]
/**
 * `Else` unless a dim of X is a plain `number` or `string` or one of several. For tensors of type parameters it is `Else` at once,
 * and for `Tensor<Shape>`, of which nothing is said.
 */
export type KnownDims<Op extends string, X, Else = null> =
  Same<LooseOf<X>, [true]> extends true ? `${Op}: a dimension of ${ShowLoose<ShapeOf<X>>} is not one literal; annotate the tensor or take sizes from a config declared 'as const'` : Else
/** The same where the rank counts, too: `Tensor<Shape>` is refused. */
export type Known<Op extends string, X, Else = null> =
  Same<LooseOf<X>, ['open']> extends true ? `${Op}: the shape of the tensor is not known; annotate it` : KnownDims<Op, X, Else>
