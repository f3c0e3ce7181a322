/** What is compiled for every configuration: the training step and its pieces, inference and evaluation. */
import {
  adam, adamInit, at, clipByGlobalNorm, mean, mul, randomNormal, sizeOf, split, vmap, type AdamState, type Batched, type Key,
} from '../../../dsl/index.ts'
import { expected } from '../../../dsl/prob/index.ts'
import type { Scalar, Tensor, Vec } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { frames } from '../decoder.ts'
import { posterior, type Clip, type Guide, type Noise } from './guide.ts'
import { startParams } from './init.ts'
import { gradient, loss, objective, type Annealing, type Metrics, type Params } from './objective.ts'

/** All that training carries from step to step. */
export type State = { readonly params: Params; readonly optimizer: AdamState<Params> }
/** B groups of P parts of T frames: RGB in [0, 1]. */
export type Batch = Tensor<['B', 'P', 'T', 3, 64, 64]>
export type BatchNoise = Batched<'B', Noise>
/** What a training step is annealed by; see schedules.ts for the curves. */
export type Schedule = { readonly learningRate: Scalar; readonly temperature: Scalar; readonly lambdaS: Scalar; readonly lambdaZ: Scalar }

/** Location and scale of q(s | x) and q(z | x). */
export type Encoded = {
  readonly s: { readonly loc: Vec<'S'>; readonly scale: Vec<'S'> }
  readonly z: { readonly loc: Tensor<['T', 'Z']>; readonly scale: Tensor<['T', 'Z']> }
}
export type StepMetrics = Metrics & {
  /** Global norm of the gradient before it is clipped. */
  readonly gradientNorm: Scalar
}
/**
 * The true bound (every weight 1), means over a batch. Pixels between 0 and 1 count as means of the Bernoulli likelihood, so
 * even a perfect model has -elbo above zero: the entropy of the pixel values. klS is shared by the T frames of a part, so
 * bounds compare only between models that are given parts of one size.
 */
export type Evaluation = {
  /** Nats per frame; KL(q(s) || p(s)) counts once per part. */
  readonly elbo: Scalar
  /** -elbo in bits per number of a frame (3 x 64 x 64 of them). */
  readonly bitsPerDim: Scalar
  /** log p(x_t | s, z_t) of a frame, in nats. */
  readonly logLikelihood: Scalar
  /** KL(q(s | x) || p(s)) of a part, in nats. */
  readonly klS: Scalar
  /** KL(q(z_t | x_t) || p(z)) of a frame, in nats. */
  readonly klZ: Scalar
}

/** Standard normal noise for a batch. */
const noise = (key: Key): BatchNoise => {
  const keys = split(key, 2)
  return { s: randomNormal(at(keys, 0), ['B', 'P', 'S']), z: randomNormal(at(keys, 1), ['B', 'P', 'T', 'Z']) }
}

export const programs = (o: Options) => {
  const batchLoss = loss(o)
  const batchGradient = gradient(o)
  const bound = objective(o)

  /** Parameters as init.ts starts them, and Adam before its first step. Another key, another start. */
  const init = (key: Key): State => {
    const params = startParams(o, key)
    return { params, optimizer: adamInit(params) }
  }

  /** One step of Adam on the loss of a batch, by noise from `key`: give every step a key of its own. */
  const trainStep = (state: State, x: Batch, key: Key, schedule: Schedule): { readonly state: State; readonly metrics: StepMetrics } => {
    const { value: [, metrics], grad } = batchGradient(state.params, x, noise(key), schedule)
    const { grads, norm } = clipByGlobalNorm(grad, o.clipNorm)
    const next = adam(state.params, state.optimizer, grads, { learningRate: schedule.learningRate })
    return { state: { params: next.params, optimizer: next.state }, metrics: { ...metrics, gradientNorm: norm } }
  }

  /** q(s | x) of T frames of one identity, q(z | x) of each: locations and standard deviations. */
  const encode = (params: Guide, x: Clip): Encoded => {
    const { s, z } = posterior(o, params, x)
    return { s: { loc: s.loc, scale: s.scale }, z: { loc: z.loc, scale: z.scale } }
  }

  /** Means, in [0, 1], of T frames: identity s, poses z. Take s from elsewhere to swap identities. */
  const decode = (params: Pick<Params, 'bank'>, s: Vec<'S'>, z: Tensor<['T', 'Z']>, temperature: Scalar): Clip =>
    expected(frames(o, params.bank, temperature, s, z))

  /** Frames by way of the means of q(s | x) and q(z | x). */
  const reconstruct = (params: Params, x: Clip, temperature: Scalar): Clip => {
    const { s, z } = posterior(o, params, x)
    return decode(params, s.loc, z.loc, temperature)
  }

  /** The true bound, by one draw for each latent variable. */
  const evaluate = (params: Params, x: Batch, eps: BatchNoise, temperature: Scalar): Evaluation => {
    const parts = vmap({ x, eps }, group => bound({ params, temperature }, { x: group.x }, group.eps, { s: 1, z: 1 }))
    const perFrame = 1 / (sizeOf('P') * sizeOf('T'))
    const elbo = mul(mean(parts.elbo), perFrame)
    return {
      elbo,
      bitsPerDim: mul(elbo, -1 / (3 * 64 * 64 * Math.LN2)),
      logLikelihood: mul(mean(parts.logLikelihood.x), perFrame),
      klS: mul(mean(parts.kl.s), 1 / sizeOf('P')),
      klZ: mul(mean(parts.kl.z), perFrame),
    }
  }

  return {
    init,
    trainStep,
    /** The annealed loss (nats per frame) with its parts, by given noise: what `trainStep` minimises. */
    loss: (params: Params, x: Batch, eps: BatchNoise, schedule: Annealing) => batchLoss(params, x, eps, schedule),
    /** `loss` as `value`, and `grad`: its derivative by every parameter, not clipped. */
    gradient: (params: Params, x: Batch, eps: BatchNoise, schedule: Annealing) => batchGradient(params, x, eps, schedule),
    encode,
    decode,
    reconstruct,
    evaluate,
  }
}
