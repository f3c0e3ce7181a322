/** What is compiled of the whole model for every configuration: the training step of stage 2, inference, evaluation and generation. */
import {
  adam, adamInit, at, clipByGlobalNorm, mean, mul, randomNormal, sizeOf, split, vmap, zeros,
  type AdamState, type Batched, type Key,
} from '../../../dsl/index.ts'
import { draw, expected, type Normal } from '../../../dsl/prob/index.ts'
import type { Scalar, Tensor, Vec } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { frames } from '../decoder.ts'
import type { Clip } from '../frames/guide.ts'
import { priorOfD, priorOfS } from '../heads.ts'
import { posesFromPrior, type Model } from './generative.ts'
import { infer, type Guide, type Inferred, type Noise } from './guide.ts'
import { startTrained } from './init.ts'
import { gradient, loss, objective, partsOf, type Annealing, type Frozen, type Metrics, type Params, type Parts, type Trained } from './objective.ts'
import { following } from './transition.ts'

/** What training carries from step to step. The frozen parameters stand beside it. */
export type State = { readonly params: Trained; readonly optimizer: AdamState<Trained> }
/** B groups of P videos of one identity: RGB in [0, 1]. */
export type Batch = Tensor<['B', 'P', 'T', 3, 64, 64]>
export type BatchNoise = Batched<'B', Noise>
/** What a training step is annealed by; see schedules.ts for the curves. */
export type Schedule = Annealing & { readonly learningRate: Scalar }
export type StepMetrics = Metrics & {
  /** Global norm of the gradient before it is clipped. */
  readonly gradientNorm: Scalar
}

/** The true bound (every weight 1), means over a batch, s inferred from the video itself where P is 1. Pixels count as in stage 1. */
export type Evaluation = Parts & {
  /** Nats per frame; the divergences of s and d count once per video. */
  readonly elbo: Scalar
  /** -elbo in bits per number of a frame (3 x 64 x 64 of them). */
  readonly bitsPerDim: Scalar
}

/** Locations and standard deviations. Those of z hold along the means: of d, and of every pose before. */
export type Encoded = {
  readonly s: { readonly loc: Vec<'S'>; readonly scale: Vec<'S'> }
  readonly d: { readonly loc: Vec<'D'>; readonly scale: Vec<'D'> }
  readonly z: { readonly loc: Tensor<['T', 'Z']>; readonly scale: Tensor<['T', 'Z']> }
}

/** A video with the latents that it was made from. */
export type Made = { readonly s: Vec<'S'>; readonly d: Vec<'D'>; readonly z: Tensor<['T', 'Z']>; readonly x: Clip }

const noise = (key: Key): BatchNoise => {
  const keys = split(key, 3)
  return {
    s: randomNormal(at(keys, 0), ['B', 'P', 'S']),
    d: randomNormal(at(keys, 1), ['B', 'P', 'D']),
    z: randomNormal(at(keys, 2), ['B', 'P', 'T', 'Z']),
  }
}

const parameters = <Q extends Normal<['S']> | Normal<['D']> | Normal<['T', 'Z']>>({ loc, scale }: Q): { readonly loc: Q['loc']; readonly scale: Q['scale'] } =>
  ({ loc, scale })

export const programs = (o: Options) => {
  const batchLoss = loss(o)
  const batchGradient = gradient(o)
  const bound = objective(o)

  /** Parameters as init.ts starts them, and Adam before its first step. */
  const init = (key: Key): State => {
    const params = startTrained(o, key)
    return { params, optimizer: adamInit(params) }
  }

  /** One step of Adam on the loss of a batch, by noise from `key`: give every step a key of its own. */
  const trainStep = (state: State, frozen: Frozen, x: Batch, key: Key, schedule: Schedule): { readonly state: State; readonly metrics: StepMetrics } => {
    const { value: [, metrics], grad } = batchGradient(state.params, frozen, x, noise(key), schedule)
    const { grads, norm } = clipByGlobalNorm(grad, o.clipNorm)
    const next = adam(state.params, state.optimizer, grads, { learningRate: schedule.learningRate })
    return { state: { params: next.params, optimizer: next.state }, metrics: { ...metrics, gradientNorm: norm } }
  }

  /** The true bound, by one draw for each latent variable. */
  const evaluate = (params: Params, x: Batch, eps: BatchNoise, temperature: Scalar): Evaluation => {
    const bounds = vmap({ x, eps }, group => bound({ params, temperature }, { x: group.x }, group.eps, { s: 1, d: 1, z: 1 }))
    const elbo = mul(mean(bounds.elbo), 1 / (sizeOf('P') * sizeOf('T')))
    return { elbo, bitsPerDim: mul(elbo, -1 / (3 * 64 * 64 * Math.LN2)), ...partsOf(bounds) }
  }

  /** What is inferred of a video along the means. */
  const inferred = (params: Guide, x: Clip): Inferred => infer(o, params, x, { d: zeros(['D']), z: zeros(['T', 'Z']) })

  /** q(s | x), q(d | x) and q(z_t | z_t-1, x, d) of a video. */
  const encode = (params: Guide, x: Clip): Encoded => {
    const { s, d, z } = inferred(params, x)
    return { s: parameters(s), d: parameters(d.dist), z: parameters(z.dist) }
  }

  /** Means, in [0, 1], of the frames of identity s with poses z. */
  const decoded = ({ bank }: Pick<Params, 'bank'>, s: Vec<'S'>, z: Tensor<['T', 'Z']>, temperature: Scalar): Clip =>
    expected(frames(o, bank, temperature, s, z))

  /** A video by way of the means of its latents. */
  const reconstruct = (params: Guide & Pick<Params, 'bank'>, x: Clip, temperature: Scalar): Clip => {
    const { s, z } = inferred(params, x)
    return decoded(params, s.loc, z.value, temperature)
  }

  /** The identity of one video doing what another one does. */
  const transfer = (params: Guide & Pick<Params, 'bank'>, identity: Clip, action: Clip, temperature: Scalar): Made => {
    const who = inferred(params, identity)
    const what = inferred(params, action)
    return { s: who.s.loc, d: what.d.value, z: what.z.value, x: decoded(params, who.s.loc, what.z.value, temperature) }
  }

  /** A video from the priors. `spread` scales the noise of the transitions: 1 draws from the model, 0 follows the means. */
  const generate = (params: Model, key: Key, temperature: Scalar, spread: Scalar): Made => {
    const keys = split(key, 3)
    const s = draw(priorOfS(o, params.priorS), randomNormal(at(keys, 0), ['S'])).value
    const d = draw(priorOfD(o, params.priorD), randomNormal(at(keys, 1), ['D'])).value
    const z = posesFromPrior(o, params.transition, d, randomNormal(at(keys, 2), ['T', 'Z']), spread)
    return { s, d, z, x: decoded(params, s, z, temperature) }
  }

  /** The T frames after pose z. */
  const continuation = (
    params: Pick<Params, 'bank' | 'transition'>, s: Vec<'S'>, d: Vec<'D'>, z: Vec<'Z'>, key: Key, temperature: Scalar, spread: Scalar,
  ): { readonly z: Tensor<['T', 'Z']>; readonly x: Clip } => {
    const after = following(o, params.transition, z, d, randomNormal(key, ['T', 'Z']), spread)
    return { z: after, x: decoded(params, s, after, temperature) }
  }

  return {
    init,
    trainStep,
    /** The annealed loss (nats per frame) with its parts, by given noise: what `trainStep` minimises. */
    loss: (params: Trained, frozen: Frozen, x: Batch, eps: BatchNoise, schedule: Annealing) => batchLoss(params, frozen, x, eps, schedule),
    /** `loss` as `value`, and `grad`: its derivative by every trained parameter, not clipped. */
    gradient: (params: Trained, frozen: Frozen, x: Batch, eps: BatchNoise, schedule: Annealing) => batchGradient(params, frozen, x, eps, schedule),
    evaluate,
    encode,
    reconstruct,
    transfer,
    generate,
    continuation,
  }
}
