/**
 * Optimisers as pure functions of (parameters, state, gradients): nothing is changed, new parameters and a new state come
 * back. Parameters are any tree of f32 tensors.
 */
import { fill, typed } from './ops/border.ts'
import { zerosLike } from './ops/create.ts'
import { add, div, expm1, maximum, mul, sqrt, square, sub } from './ops/elementwise.ts'
import { sum } from './ops/reduce.ts'
import { leaves, treeMap } from './tree.ts'
import type { Shape } from './shape.ts'
import type { Scalar, Tensor } from './tensor.ts'

type Floats = Tensor<Shape>
// Border: trees of one structure, walked leaf by leaf.
const each = treeMap as unknown as <P>(f: (...leaves: readonly Floats[]) => Floats, tree: P, ...trees: readonly P[]) => P

/** A number, or a scalar tensor that is known only when the program runs. */
export type Amount = number | Scalar

/** The square root of the sum of all squares of a tree. */
export const globalNorm = <P>(tree: P): Scalar => sqrt(leaves(tree).map(x => sum(square(typed<Floats>(x)))).reduce((a, b) => add(a, b)))

/** The tree, scaled down to a global norm of `limit` where it exceeds that. */
export const clipByGlobalNorm = <P>(grads: P, limit: Amount): { readonly grads: P; readonly norm: Scalar } => {
  const norm = globalNorm(grads)
  // limit / max(norm, limit) is 1 up to the limit and has no division by zero where limit > 0.
  const factor = div(limit as Scalar, maximum(norm, limit as Scalar)) // Border: the operations lift a plain number.
  return { grads: each(g => mul(g!, factor), grads), norm }
}

/** First and second moments of the gradients, and the number of steps taken. */
export type AdamState<P> = { readonly m: P; readonly v: P; readonly count: Scalar }
export type AdamOptions = {
  readonly learningRate: Amount
  /** Decay of the first moment; 0.9 where not given. */
  readonly beta1?: number
  /** Decay of the second moment; 0.999 where not given. */
  readonly beta2?: number
  /** Added to the root of the second moment; 1e-8 where not given. */
  readonly epsilon?: number
}
export type Updated<P> = { readonly params: P; readonly state: AdamState<P> }

/** The state before the first step: zeros. */
export const adamInit = <P>(params: P): AdamState<P> => ({ m: each(x => zerosLike(x!), params), v: each(x => zerosLike(x!), params), count: typed(fill([], 'f32', 0)) })

/** 1 - beta^count for a count that is a tensor: -expm1(count log beta), exact for beta close to 1. */
const correction = (beta: number, count: Scalar): Scalar => mul(expm1(mul(count, Math.log(beta))), -1)

/**
 * Adam (Kingma and Ba 2015, algorithm 1), with decoupled weight decay (Loshchilov and Hutter 2019):
 * m' = b1 m + (1 - b1) g, v' = b2 v + (1 - b2) g^2, p' = p - lr (m' / (1 - b1^t) / (sqrt(v' / (1 - b2^t)) + epsilon) + decay p)
 */
export const adamW = <P>(params: P, state: AdamState<P>, grads: P, options: AdamOptions & { readonly weightDecay?: number }): Updated<P> => {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options
  const count = add(state.count, 1)
  const m = each((m, g) => add(mul(m!, beta1), mul(g!, 1 - beta1)), state.m, grads)
  const v = each((v, g) => add(mul(v!, beta2), mul(square(g!), 1 - beta2)), state.v, grads)
  const [first, second] = [correction(beta1, count), correction(beta2, count)]
  const move = (p: Floats, m: Floats, v: Floats): Floats => {
    const direction = div(div(m, first), add(sqrt(div(v, second)), epsilon))
    return sub(p, mul(weightDecay === 0 ? direction : add(direction, mul(p, weightDecay)), learningRate as Scalar))
  }
  return { params: each((p, m, v) => move(p!, m!, v!), params, m, v), state: { m, v, count } }
}

/** Adam: `adamW` without weight decay. */
export const adam = <P>(params: P, state: AdamState<P>, grads: P, options: AdamOptions): Updated<P> => adamW(params, state, grads, options)
