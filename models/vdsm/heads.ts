/** Heads that turn an embedding into a distribution, and the static one that averages over time; the priors of s and d. */
import { linear, type Linear } from '../../dsl/nn/index.ts'
import { concat, dropFirst, first, mean, reshape, sizeOf, softplus, vmap } from '../../dsl/index.ts'
import { normal, type Normal } from '../../dsl/prob/index.ts'
import type { Dim } from '../../dsl/shape.ts'
import type { Tensor, Vec } from '../../dsl/tensor.ts'
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

/** The standard deviation of p(s) under each reading of Eq. 1. */
export const deviationS = ({ priorS }: Options): number =>
  priorS === 'one' ? 1 : priorS === 'varianceOverS' ? 1 / Math.sqrt(sizeOf('S')) : 1 / sizeOf('S')

/** The standard deviation of p(d). */
export const deviationD = ({ priorD }: Options): number => (priorD === 'one' ? 1 : 1 / sizeOf('D'))
