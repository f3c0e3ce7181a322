/**
 * One run from its config to its last picture: one stage after the other, or what is left of them where it is resumed. The
 * command line gives it programs and a way to be told to stop; tests give it small ones.
 */
import { join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import type { DataSet } from '../data/dataset.ts'
import { writeAtomic } from '../io/files.ts'
import { printRunConfig, stepsOf, type RunConfig } from './config.ts'
import { gitRevision, openRun, type Place, type RunFolder } from './folder.ts'
import { checkTrainStep } from './loop.ts'
import { truncateMetrics } from './metrics.ts'
import type { Sink } from './progress.ts'
import { recoveryOf, type OnDeviceFailure } from './recovery.ts'
import { findStart, type Start } from './resume.ts'
import { hasPictures, runStage } from './stage-run.ts'
import type { Schedule, Stage } from './stages.ts'
import { orThrow } from './task.ts'

export type Session = {
  readonly config: RunConfig
  readonly folder: RunFolder
  /** The stages that `config` names, in order. */
  readonly stages: readonly Stage[]
  readonly resume: boolean
  readonly stopped: () => boolean
  readonly sink: Sink
  /** Checkpoints of a stage that are kept besides the newest. */
  readonly keep?: number
  /** What checkpoints name as the source's revision; default: what git says. */
  readonly revision?: string
  readonly data: DataSet
  /** Whether `data` is what the config names, so that batches can be drawn ahead by a thread that opens it too; default: not. */
  readonly ahead?: boolean
  /** So many steps of each stage, from where it starts, are checked on another device; default: none. */
  readonly verify?: number
  /** What is done when the device fails; default: resume. */
  readonly onDeviceFailure?: OnDeviceFailure
  /** Milliseconds before a device that has failed twice is tried again. */
  readonly patience?: number
}

/** Where the run has come to. */
export type Outcome = Place & { readonly end: 'finished' | 'stopped' }

/**
 * The schedule with its learning rate scaled as it takes for a schedule that starts at `own` to start at `start`. In a run of
 * both stages `own` is that of stage 1: stage 2 is scaled alike.
 */
export const withLearningRate = (schedule: Schedule, start: number | undefined, own = schedule(0)['learningRate']): Schedule => {
  if (start === undefined) return schedule
  if (own === undefined) return refuse({ kind: 'usage', message: 'this model has no learning rate in its schedule, so --lr means nothing to it' })
  return progress => {
    const values = schedule(progress)
    return { ...values, learningRate: ((values['learningRate'] ?? 0) * start) / own }
  }
}

/** Refuses data whose sequences are too short for what a stage of the run is trained on; `others` are the frames that could be asked for instead, by name. */
export const checkLengths = (stages: readonly Stage[], data: DataSet, others: Readonly<Record<string, number>> = {}): void => {
  for (const { number, trainStep, schedule } of stages) {
    if (number === 2) data.requireFrames(checkTrainStep(trainStep, Object.keys(schedule(0))).frames, others)
  }
}

const stretched = (folder: RunFolder, config: RunConfig): readonly string[] => {
  const recorded = openRun(folder.path).config
  return config.stages.flatMap(stage => {
    const [now, was] = [stepsOf(config, stage), stepsOf(recorded, stage)]
    return now === was ? [] : [`Stage ${stage} is now ${now} steps long (it was ${was}): its schedule is stretched accordingly.`]
  })
}

/** Trains the run to its end, or until it is stopped. Throws a `Refusal` for everything that goes wrong. */
export const runSession = async (session: Session): Promise<Outcome> => {
  const { config, folder, stages, sink, resume, data } = session
  const note = (text: string): void => void sink.write(`${text}\n`)
  checkLengths(stages, data)
  const own = stages[0]?.schedule(0)['learningRate']
  const first: Start = resume ? await findStart(folder, config) : { stage: config.stages[0], step: 0 }
  if (resume && first.checkpoint === undefined) note('The run has no checkpoint yet: it starts at step 0.')

  const revision = session.revision ?? gitRevision()
  const recovery = recoveryOf({ config, folder, note, policy: session.onDeviceFailure ?? 'resume', patience: session.patience ?? 3000 })
  let begun = false
  const begin = async (): Promise<void> => {
    if (begun) return
    begun = true
    if (resume) {
      // Only now is anything of the run changed.
      stretched(folder, config).forEach(note)
      await orThrow(writeAtomic(folder.config, printRunConfig(config)))
      await truncateMetrics(folder.metrics, first)
    }
    if (data.credit !== undefined) await orThrow(writeAtomic(join(folder.pictures, 'CREDITS.txt'), `${data.credit}\n`))
  }

  for (const stage of stages.filter(({ number }) => number >= first.stage)) {
    const start: Start = stage.number === first.stage ? first : { stage: stage.number, step: 0 }
    if (start.step >= stepsOf(config, stage.number) && hasPictures(folder, start)) continue
    const { step, end } = await recovery.run(start, (from, device) => runStage({
      config, folder, stage, start: from, begin, data, sink, device,
      schedule: withLearningRate(stage.schedule, config.learningRate, own),
      ahead: session.ahead ?? false, stopped: session.stopped, keep: session.keep ?? 2, revision, verify: session.verify ?? 0,
    }))
    if (end === 'stopped') return { stage: stage.number, step, end }
  }
  const last = config.stages.at(-1) ?? 1
  const steps = stepsOf(config, last)
  if (!begun) {
    note(`The run is complete: ${steps} of ${steps} steps of stage ${last}. To train it further: ${last === 1 ? '--steps' : '--steps2'} with a larger number.`)
  }
  return { stage: last, step: steps, end: 'finished' }
}
