/**
 * Annealing of both stages: pure functions of progress in [0, 1], the share of a stage's training steps that are done. They run
 * on the host; a training step takes their values as scalars. Progress outside [0, 1] counts as its nearer end.
 */

import type { ConfigName } from './config.ts'

/** A value that depends on progress. */
export type Curve = (progress: number) => number

/** What a training step of stage 1 is annealed by. */
export type FrameValues = { readonly learningRate: number; readonly temperature: number; readonly lambdaS: number; readonly lambdaZ: number }
/** What one of stage 2 is annealed by. */
export type VideoValues = FrameValues & { readonly lambdaD: number }
export type Curves<V> = { readonly [K in keyof V]: Curve }

const share = (progress: number, start: number, end: number): number => Math.min(1, Math.max(0, (progress - start) / (end - start)))

export const constant = (value: number): Curve => () => value

/** From `from` to `to` along half a period of the cosine, between the progresses `start` and `end`; flat before and after. */
export const halfCosine = (from: number, to: number, start = 0, end = 1): Curve => progress =>
  from + (to - from) * 0.5 * (1 - Math.cos(Math.PI * share(progress, start, end)))

/** From `from` to `to` by equal factors in equal times, both positive, between `start` and `end`; flat before and after. */
export const geometric = (from: number, to: number, start = 0, end = 1): Curve => progress => from * Math.pow(to / from, share(progress, start, end))

/** Geometric from anchor to anchor; anchors are [progress, value], ascending. */
export const through = (anchors: readonly (readonly [number, number])[]): Curve => progress => {
  const from = anchors.findLast(([at]) => at <= progress) ?? anchors[0]!
  const to = anchors.find(([at]) => at > progress) ?? from
  return from === to ? from[1] : geometric(from[1], to[1], from[0], to[0])(progress)
}

/**
 * Stage 1, small (and small-16, tiny): lambda_z falls 10 -> 1 geometrically over the first 40 %, so that what is constant in a
 * group has to pass through s first; lambda_s rises 0.1 -> 0.5 over the first third, half cosine (a part of small has half the
 * frames of a video of stage 2, so s costs as much a frame as there; of small-16 a quarter, so it costs twice as much); the
 * mixture sharpens 1 -> 6 over the last half; the learning rate falls 2e-3 -> 3e-4 along half a cosine over the whole run.
 */
const smallFrames: Curves<FrameValues> = {
  learningRate: halfCosine(2e-3, 3e-4),
  temperature: halfCosine(1, 6, 0.5, 1),
  lambdaS: halfCosine(0.1, 0.5, 0, 1 / 3),
  lambdaZ: geometric(10, 1, 0, 0.4),
}

/**
 * Stage 1, paper: lambda_z passes 30, 0.2 (50 %), 0.4 (80 %), 1 (the published code lays a quadratic spline through these
 * anchors and clips what overshoots; here it is geometric between them); lambda_s rises 0.1 -> 1 over the first third, temperature
 * 1 -> 10 over the last half, both half cosine; learning rate 1e-3 throughout.
 */
const paperFrames: Curves<FrameValues> = {
  learningRate: constant(1e-3),
  temperature: halfCosine(1, 10, 0.5, 1),
  lambdaS: halfCosine(0.1, 1, 0, 1 / 3),
  lambdaZ: through([[0, 30], [0.5, 0.2], [0.8, 0.4], [1, 1]]),
}

/**
 * Stage 2, at the temperature that stage 1 ended with: lambda_z passes 0.1, 0.4, 0.4, 1 at thirds of the stage; lambda_s and
 * lambda_d rise 0.1 -> 1 over the first third.
 */
const video = (temperature: number, learningRate: Curve): Curves<VideoValues> => ({
  learningRate,
  temperature: constant(temperature),
  lambdaS: halfCosine(0.1, 1, 0, 1 / 3),
  lambdaD: halfCosine(0.1, 1, 0, 1 / 3),
  lambdaZ: through([[0, 0.1], [1 / 3, 0.4], [2 / 3, 0.4], [1, 1]]),
})

const small = { frames: smallFrames, video: video(6, halfCosine(2e-3, 3e-4)) }
const paper = { frames: paperFrames, video: video(10, constant(1e-3)) }

/** By the name of the configuration, for each stage. */
export const schedules = {
  tiny: small, small, 'small-16': small, 'paper-sprites': paper, 'paper-mug': paper,
} as const satisfies Readonly<Record<ConfigName, { readonly frames: Curves<FrameValues>; readonly video: Curves<VideoValues> }>>

/** The values of all curves at one progress. */
export const valuesAt = <V extends Readonly<Record<keyof V, number>>>(curves: Curves<V>, progress: number): V =>
  Object.fromEntries(Object.entries<Curve>(curves).map(([name, curve]) => [name, curve(progress)])) as V // a curve for every name of V
