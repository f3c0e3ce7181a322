/** The objective of stage 1: the annealed ELBO of one group (Eq. 7, for each of its parts), and the loss of a batch of groups. */
import { mean, mul, sizeOf, sub, valueAndGrad, vmap, type Batched } from '../../../dsl/index.ts'
import { elbo } from '../../../dsl/prob/index.ts'
import type { Scalar } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { generative, type Latents, type Model } from './generative.ts'
import { disagreement } from '../heads.ts'
import { guide, type Data, type Guide, type Noise } from './guide.ts'

/** All parameters of stage 1. */
export type Params = Guide & Model
/** What one evaluation of the objective is annealed by; see schedules.ts. The temperature multiplies s: it is 1 / tau. */
export type Annealing = { readonly temperature: Scalar; readonly lambdaS: Scalar; readonly lambdaZ: Scalar }

/** Parameters as the objective sees them: with the temperature of the mixture. */
type At = { readonly params: Params; readonly temperature: Scalar }

/**
 * Summed over parts: sum_t E_q[log p(x_t | s, z_t)] - lambda_z sum_t KL(q(z_t | x_t) || p(z)) - lambda_s KL(q(s | x) || p(s)), by one draw.
 */
export const objective = (o: Options) =>
  elbo(
    ({ params }: At, data: Data, noise: Noise) => guide(o, params, data, noise),
    ({ params, temperature }: At, latents: Latents) => generative(o, params, temperature, latents),
  )

/** Means over a batch, in nats: of a frame, and for s of a part. */
export type Metrics = {
  /** The negative annealed bound of a frame, and the weighted disagreement: what is minimised. */
  readonly loss: Scalar
  /** log p(x_t | s, z_t) of a frame. */
  readonly logLikelihood: Scalar
  /** KL(q(s | x) || p(s)) of a part. */
  readonly klS: Scalar
  /** KL(q(z_t | x_t) || p(z)) of a frame. */
  readonly klZ: Scalar
  /** KL(q(s | part) || q(s | next part)) of a part; 0 where P is 1. */
  readonly disagreement: Scalar
}

/**
 * The loss of B groups of P parts of T frames: the mean negative bound of a frame, that is of a group divided by P T. So its
 * size, the gradient's norm and the learning rate do not depend on B, P or T; the relative weights of Eq. 7 are kept.
 */
export const loss = (o: Options) => {
  const bound = objective(o)
  return (params: Params, x: Batched<'B', Data>['x'], eps: Batched<'B', Noise>, { temperature, lambdaS, lambdaZ }: Annealing): readonly [Scalar, Metrics] => {
    const parts = vmap({ x, eps }, group => bound({ params, temperature }, { x: group.x }, group.eps, { s: lambdaS, z: lambdaZ }))
    const perFrame = 1 / (sizeOf('P') * sizeOf('T'))
    const apart = mean(vmap(parts.draws.s.dist, disagreement))
    const value = mul(sub(mul(apart, o.agreement), mean(parts.elbo)), perFrame)
    return [value, {
      loss: value,
      logLikelihood: mul(mean(parts.logLikelihood.x), perFrame),
      klS: mul(mean(parts.kl.s), 1 / sizeOf('P')),
      klZ: mul(mean(parts.kl.z), perFrame),
      disagreement: mul(apart, 1 / sizeOf('P')),
    }]
  }
}

/** The loss with its metrics, and its gradient by the parameters. */
export const gradient = (o: Options) => valueAndGrad(loss(o))
