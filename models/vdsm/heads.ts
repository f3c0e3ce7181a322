/** Heads that turn an embedding into a distribution, and the static one that averages over time; priors of s and d. */
import { linear, type Linear } from '../../dsl/nn/index.ts'
import { concat, dropFirst, first, mean, reshape, sizeOf, softplus, sum, vmap } from '../../dsl/index.ts'
import { centredLike, klNormal, normal, type Normal } from '../../dsl/prob/index.ts'
import type { Dim } from '../../dsl/shape.ts'
import type { Scalar, Tensor, Vec } from '../../dsl/tensor.ts'
import type { Options } from './config.ts'

/** From I features to N(loc, scale^2) over O variables. */
export type Head<I extends Dim, O extends Dim> = { readonly loc: Linear<I, O>; readonly scale: Linear<I, O> }

/** N(f_loc(x), softplus(f_scale(x))^2), both affine; the non-linearity stands before them, in the embedding. */
export const head = <I extends Dim, O extends Dim>(p: Head<I, O>, x: Vec<I>): Normal<[O]> => normal(linear(p.loc, x), softplus(linear(p.scale, x)))

/**
 * q(s | x_1:T) from the identity embeddings of frames of one identity: averaging over time leaves only what stays constant.
 * Eq. 2 averages the embeddings; the published code averages the head's outputs.
 */
export const identity = ({ staticMean }: Options, p: Head<'E', 'S'>, e: Tensor<['T', 'E']>): Normal<['S']> => {
  if (staticMean === 'embedding') return head(p, mean(e, 0))
  const each = vmap(e, et => head(p, et))
  return normal(mean(each.loc, 0), mean(each.scale, 0))
}

/** What is known of the next part of a group, for each of its P parts; the last one looks at the first. Of one part: of itself. */
export const ofNext = (each: Normal<['P', 'S']>): Normal<['P', 'S']> => normal(turned(each.loc), turned(each.scale))
const turned = (x: Tensor<['P', 'S']>): Tensor<['P', 'S']> => (sizeOf('P') === 1 ? x : concat(dropFirst(x), reshape(first(x), [1, 'S'])))

/** Location and (through softplus) scale of a prior that is learnt. */
export type Prior<N extends Dim> = { readonly loc: Vec<N>; readonly scale: Vec<N> }

/** p(s) under each reading of Eq. 1. */
export const priorOfS = ({ priorS }: Options, p: Prior<'S'>): Normal<['S']> =>
  priorS === 'learnt' ? normal(p.loc, softplus(p.scale))
  : centredLike(p.loc, priorS === 'one' ? 1 : priorS === 'varianceOverS' ? 1 / Math.sqrt(sizeOf('S')) : 1 / sizeOf('S'))

/** p(d) */
export const priorOfD = ({ priorD }: Options, p: Prior<'D'>): Normal<['D']> =>
  priorD === 'learnt' ? normal(p.loc, softplus(p.scale)) : centredLike(p.loc, priorD === 'one' ? 1 : 1 / sizeOf('D'))

/** Summed over parts: KL(q(s | part) || q(s | next part)), in nats; 0 of one part. */
export const disagreement = (q: Normal<['P', 'S']>): Scalar => sum(klNormal(q, ofNext(q)))
