/**
 * What becomes of a run whose device fails. Nothing half-done has been saved then: the run goes on from its newest checkpoint,
 * on a fresh device of the same kind or on the processor, and what was recorded beyond that checkpoint is written again.
 */
import { Refusal, refuse, type Failure } from '../../dsl/errors.ts'
import type { RunConfig } from './config.ts'
import type { RunFolder } from './folder.ts'
import { truncateMetrics } from './metrics.ts'
import { findStart, type Start } from './resume.ts'

/** On a fresh device of the same kind; on wasm, for the rest of the run; not at all. */
export const ON_DEVICE_FAILURE = ['resume', 'wasm', 'stop'] as const
export type OnDeviceFailure = (typeof ON_DEVICE_FAILURE)[number]

/** So often a fresh device is tried without a new checkpoint in between. */
const TRIES = 2

type DeviceFailure = Extract<Failure, { readonly kind: 'device' }>

export type Recovery = {
  /** Runs a stage from a start; again from the newest checkpoint where the device fails. `device`: instead of the one of the run. */
  readonly run: <A>(start: Start, stage: (start: Start, device: 'wasm' | undefined) => Promise<A>) => Promise<A>
}

type Around = {
  readonly config: RunConfig
  readonly folder: RunFolder
  readonly note: (text: string) => void
  readonly policy: OnDeviceFailure
  readonly patience: number
}

/** A failure after which the same work on a fresh device may do; `again`: on one that was asked for already. */
const passing = ({ reason }: DeviceFailure, again: boolean): boolean => reason === 'lost' || reason === 'memory' || (again && reason === 'missing')

const remedyOf = (failure: DeviceFailure, folder: RunFolder, tried: number): string => [
  failure.remedy,
  ...(tried > 0 ? [`A fresh device was tried ${tried === 1 ? 'once' : `${tried} times`}.`] : []),
  `What was saved is whole. To go on: vdsm train --resume ${folder.path} (with --device wasm: on the processor).`,
].filter(line => line !== undefined).join('\n  ')

const pause = (ms: number): Promise<void> => new Promise(done => setTimeout(done, ms))

/** Where a stage goes on: at its newest checkpoint, or at its beginning. */
const backTo = async (folder: RunFolder, config: RunConfig, { stage }: Start): Promise<Start> => {
  const newest = await findStart(folder, config)
  return newest.stage === stage ? newest : { stage, step: 0 }
}

export const recoveryOf = ({ config, folder, note, policy, patience }: Around): Recovery => {
  let device: 'wasm' | undefined
  return {
    run: async (first, stage) => {
      let [start, tried] = [first, 0]
      for (;;) {
        try {
          return await stage(start, device)
        } catch (error) {
          if (!(error instanceof Refusal) || error.failure.kind !== 'device') throw error
          const { failure } = error
          const back = policy === 'stop' || failure.reason === 'disagreement' ? start : await backTo(folder, config, start)
          if (back.step > start.step) tried = 0
          const turn = policy === 'wasm' && device === undefined && failure.reason !== 'disagreement'
          const again = policy === 'resume' && tried < TRIES && passing(failure, tried > 0)
          if (!turn && !again) return refuse({ ...failure, remedy: remedyOf(failure, folder, tried) })
          note(`${failure.device}: ${failure.message}`)
          if (turn) device = 'wasm'
          else if (tried++ > 0) await pause(patience)
          note(`Stage ${back.stage} goes on from step ${back.step} on ${turn ? 'wasm' : `a fresh device (${tried} of ${TRIES})`}.`)
          await truncateMetrics(folder.metrics, back)
          start = back
        }
      }
    },
  }
}
