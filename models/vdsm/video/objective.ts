/** The objective of stage 2: the annealed ELBO of the videos of one identity (Eq. 4), and the loss of a batch of such groups. */
import { mean, mul, sizeOf, sub, valueAndGrad, vmap, type Batched } from '../../../dsl/index.ts'
import { elbo, type Elbo } from '../../../dsl/prob/index.ts'
import type { Scalar } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import type { Data } from '../frames/guide.ts'
import { disagreement } from '../heads.ts'
import { generative, type Latents, type Model, type Sites } from './generative.ts'
import { guide, type Draws, type Guide, type Noise } from './guide.ts'

/** All parameters of the model. */
export type Params = Guide & Model
/** What stage 2 leaves as stage 1 made it, and what it trains: all that is new, the last layer before s and its prior. (The last one before z is new.) */
export type Frozen = Pick<Params, 'encoder' | 'pose' | 'bank'>
export type Trained = Pick<Params, 'identity' | 'dynamics' | 'sequence' | 'combiner' | 'transition' | 'priorS' | 'priorD'>

/** What one evaluation of the objective is annealed by; see schedules.ts. */
export type Annealing = { readonly temperature: Scalar; readonly lambdaS: Scalar; readonly lambdaD: Scalar; readonly lambdaZ: Scalar }

type At = { readonly params: Params; readonly temperature: Scalar }

/**
 * Summed over parts: sum_t E_q[log p(x_t | s, z_t)] - lambda_s KL(q(s | x) || p(s)) - lambda_d KL(q(d | x) || p(d))
 * - lambda_z sum_t KL(q(z_t | z_t-1, x, d) || p(z_t | z_t-1, d)), by one draw.
 */
export const objective = (o: Options) =>
  elbo(
    ({ params }: At, data: Data, noise: Noise) => guide(o, params, data, noise),
    ({ params, temperature }: At, latents: Latents) => generative(o, params, temperature, latents),
  )

/** Means over a batch, in nats: of a frame, and for s and d of a video. */
export type Parts = {
  /** log p(x_t | s, z_t) of a frame. */
  readonly logLikelihood: Scalar
  /** KL(q(s | x) || p(s)) of a video. */
  readonly klS: Scalar
  /** KL(q(d | x) || p(d)) of a video. */
  readonly klD: Scalar
  /** KL(q(z_t | z_t-1, x, d) || p(z_t | z_t-1, d)) of a frame. */
  readonly klZ: Scalar
}
export type Metrics = Parts & {
  /** KL(q(s | video) || q(s | next video of the group)); 0 where P is 1. */
  readonly disagreement: Scalar
  /** The negative annealed bound of a frame, and the weighted disagreement: what is minimised. */
  readonly loss: Scalar
}

/** The parts of the bounds of a batch, as means. */
export const partsOf = ({ logLikelihood, kl }: Batched<'B', Elbo<Sites, Draws>>): Parts => {
  const perVideo = 1 / sizeOf('P')
  const perFrame = perVideo / sizeOf('T')
  return {
    logLikelihood: mul(mean(logLikelihood.x), perFrame),
    klS: mul(mean(kl.s), perVideo),
    klD: mul(mean(kl.d), perVideo),
    klZ: mul(mean(kl.z), perFrame),
  }
}

/** The loss of B groups of P videos: the mean negative bound of a frame. Differentiated by its first argument: frozen parameters have no gradient. */
export const loss = (o: Options) => {
  const bound = objective(o)
  return (
    trained: Trained, frozen: Frozen, x: Batched<'B', Data>['x'], eps: Batched<'B', Noise>, { temperature, lambdaS, lambdaD, lambdaZ }: Annealing,
  ): readonly [Scalar, Metrics] => {
    const params = { ...trained, ...frozen }
    const bounds = vmap({ x, eps }, group => bound({ params, temperature }, { x: group.x }, group.eps, { s: lambdaS, d: lambdaD, z: lambdaZ }))
    const apart = mean(vmap(bounds.draws.s.dist, disagreement))
    const value = mul(sub(mul(apart, o.agreement), mean(bounds.elbo)), 1 / (sizeOf('P') * sizeOf('T')))
    return [value, { loss: value, ...partsOf(bounds), disagreement: mul(apart, 1 / sizeOf('P')) }]
  }
}

/** The loss with its metrics, and its gradient by the trained parameters. */
export const gradient = (o: Options) => valueAndGrad(loss(o))
