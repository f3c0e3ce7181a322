/**
 * Distributions as records of tensors, one element-wise independent variable per element. They pass through `vmap` and
 * `scan` like any other tree: a distribution of one frame, mapped over time, is the distribution of all frames.
 */
import { abs, add, div, log, maximum, mul, neg, square, sub, sigmoid, softplus } from '../ops/elementwise.ts'
import { onesLike, zerosLike } from '../ops/create.ts'
import { sum } from '../ops/reduce.ts'
import { fill, sizes, typed, untyped } from '../ops/border.ts'
import type { Literals } from '../ops/create.ts'
import type { Clash, Dim, Plain, Same, Shape, Show } from '../shape.ts'
import type { Check, Scalar, ShapeOf, Tensor } from '../tensor.ts'

/** N(loc, scale^2); scale > 0. */
export type Normal<S extends Shape> = { readonly kind: 'normal'; readonly loc: Tensor<S>; readonly scale: Tensor<S> }
/** exp(-|x - loc| / scale) / (2 scale); scale > 0. */
export type Laplace<S extends Shape> = { readonly kind: 'laplace'; readonly loc: Tensor<S>; readonly scale: Tensor<S> }
/** P(1) = sigmoid(logits). Values in [0, 1] count as means, which makes the log-probability a cross entropy. */
export type Bernoulli<S extends Shape> = { readonly kind: 'bernoulli'; readonly logits: Tensor<S> }
export type Distribution<S extends Shape> = Normal<S> | Laplace<S> | Bernoulli<S>

/** A distribution together with a value drawn from it: what a guide gives for a site. */
export type Draw<S extends Shape, D = Normal<S>> = { readonly dist: D; readonly value: Tensor<S> }

/** f32 in a shape that a body does not know: the border inside this file. */
export type Floats = Tensor<Shape>
type AnyNormal = Normal<Shape>

type Fits<Op extends string, A extends Shape, B extends Shape, NameA extends string, NameB extends string> =
  Same<A, B> extends true ? null : `${Op}: ${NameA} is ${Show<A>}, ${NameB} is ${Show<B>}${Clash<A, B>}`

export const normal = <S extends Shape, X>(loc: Tensor<S>, scale: Check<Fits<'normal', S, ShapeOf<X>, 'loc', 'scale'>, X>): Normal<S> =>
  ({ kind: 'normal', loc, scale: typed(untyped(scale)) })
export const laplace = <S extends Shape, X>(loc: Tensor<S>, scale: Check<Fits<'laplace', S, ShapeOf<X>, 'loc', 'scale'>, X>): Laplace<S> =>
  ({ kind: 'laplace', loc, scale: typed(untyped(scale)) })
export const bernoulli = <S extends Shape>(logits: Tensor<S>): Bernoulli<S> => ({ kind: 'bernoulli', logits })

/** N(0, 1) in a shape: `standardNormal(['T', 'Z'])`. */
export const standardNormal = <const S extends readonly Dim[]>(shape: Check<Literals<'standardNormal', S>, S>): Normal<Plain<S>> =>
  ({ kind: 'normal', loc: typed(fill(sizes(shape), 'f32', 0)), scale: typed(fill(sizes(shape), 'f32', 1)) })
/** N(0, deviation^2) in the shape of x. */
export const centredLike = <S extends Shape>(x: Tensor<S>, deviation = 1): Normal<S> =>
  ({ kind: 'normal', loc: zerosLike(x), scale: typed(mul(typed<Floats>(onesLike(x)), deviation)) })

/** The expected value of each element; of a Bernoulli, its probability of 1. */
export const expected = <S extends Shape>(d: Distribution<S>): Tensor<S> => (d.kind === 'bernoulli' ? typed(sigmoid(typed<Floats>(d.logits))) : d.loc)

const logProbOf = (d: Distribution<Shape>, x: Floats): Floats =>
  d.kind === 'normal' ? sub(mul(-0.5, square(div(sub(x, d.loc), d.scale))), add(log(d.scale), 0.5 * Math.log(2 * Math.PI)))
  : d.kind === 'laplace' ? neg(add(div(abs(sub(x, d.loc)), d.scale), log(mul(2, d.scale))))
  // log sigmoid(l) = l - softplus(l), log(1 - sigmoid(l)) = -softplus(l). Below -30 softplus (9e-14) counts as constant: pixels that are
  // surely off would send back gradients that sink to subnormal numbers on their way, where a CPU is many times slower.
  : sub(mul(x, d.logits), softplus(maximum(d.logits, -30)))

/** The shape of the elements of a distribution or of a draw. */
export type ElementsOf<D> = D extends { readonly loc: infer X } ? ShapeOf<X> : D extends { readonly logits: infer X } ? ShapeOf<X> : D extends { readonly value: infer X } ? ShapeOf<X> : never

/** The log-density (in nats) of each element of x. */
export const logProb = <S extends Shape, X>(d: Distribution<S>, x: Check<Fits<'logProb', S, ShapeOf<X>, 'the distribution', 'the value'>, X>): Tensor<S> =>
  typed(logProbOf(d as unknown as Distribution<Shape>, typed(untyped(x))))

/**
 * A draw as a differentiable function of the distribution's parameters: loc + scale * noise, where `noise` comes from the
 * standard member of the family (for a Normal: `randomNormal`).
 */
export const draw = <S extends Shape, X>(dist: Normal<S>, noise: Check<Fits<'draw', S, ShapeOf<X>, 'the distribution', 'the noise'>, X>): Draw<S> =>
  ({ dist, value: typed(add(typed<Floats>(dist.loc), mul(typed<Floats>(dist.scale), typed<Floats>(untyped(noise))))) })

const klOf = (q: AnyNormal, p: AnyNormal): Floats =>
  add(log(div(p.scale, q.scale)), mul(0.5, sub(div(add(square(q.scale), square(sub(q.loc, p.loc))), square(p.scale)), 1)))

/** KL(q || p) of two normal distributions, in nats for each element: log(sp / sq) + (sq^2 + (mq - mp)^2) / (2 sp^2) - 1/2. */
export const klNormal = <S extends Shape, P>(q: Normal<S>, p: Check<Fits<'klNormal', S, ElementsOf<P>, 'q', 'p'>, P>): Tensor<S> =>
  typed(klOf(q as unknown as AnyNormal, p as unknown as AnyNormal))

/** KL(q || p) summed over elements: analytic where both are normal, otherwise log q - log p at the value drawn from q. */
export const divergence = (q: Draw<Shape, Distribution<Shape>>, p: Distribution<Shape>): Scalar =>
  sum(q.dist.kind === 'normal' && p.kind === 'normal' ? klOf(q.dist, p) : sub(logProbOf(q.dist, q.value), logProbOf(p, q.value)))

/** The log-probability of data, summed over elements. */
export const logLikelihood = (p: Distribution<Shape>, x: Floats): Scalar => sum(logProbOf(p, x))
