/**
 * The two stages of training and what tells them apart: names, the order of their frames, and the seeds of their random
 * numbers. Everything else in this folder is the same for both.
 */
import { keyOf, PURPOSE } from '../data/random.ts'
import type { Order } from '../data/dataset.ts'
import type { ProgramInfo } from '../manifest.ts'
import type { StageNumber } from './config.ts'
import type { Programs } from './programs.ts'

/** Values by name: metrics, or what a step is annealed by. */
export type Numbers = Readonly<Record<string, number>>

/** Values by name at a progress in [0, 1). */
export type Schedule = (progress: number) => Numbers

export type Stage = {
  readonly number: StageNumber
  /** What the training step takes and gives, known before it is loaded. */
  readonly trainStep: ProgramInfo
  /** The schedule of the model's configuration, before `learningRate` of the run's config is applied. */
  readonly schedule: Schedule
  /**
   * The stage's programs, on the device of the run, or on another one. Each call gives them away: a stage that is over leaves no
   * memory behind; what is loaded after a device has failed is on a fresh one.
   */
  readonly load: (device?: 'wasm') => Promise<Programs>
}

/** As in the programs' ids: vdsm/<config>/<name>/trainStep. */
export const STAGE_NAME = { 1: 'frames', 2: 'video' } as const satisfies Readonly<Record<StageNumber, string>>

export const ORDER = { 1: 'identity', 2: 'sequence' } as const satisfies Readonly<Record<StageNumber, Order>>

/** The seed of all that is random in a stage. The stages must not share numbers: stage 2 has a seed of its own. */
export const seedOf = (seed: number, stage: StageNumber): number => {
  if (stage === 1) return seed
  const [high, low] = keyOf(seed, PURPOSE.stage, stage)
  return (high >>> 11) * 2 ** 32 + low
}
