/**
 * One stage of a run, from the state it starts with to its last picture: trains, and keeps metrics, checkpoints and pictures.
 */
import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { inPlace, openAhead, type Ahead } from '../data/ahead.ts'
import type { BatchRequest, DataSet } from '../data/dataset.ts'
import { writeAtomic } from '../io/files.ts'
import { plural } from '../report/words.ts'
import { readCheckpoint, restoreState, takeOver, writeCheckpoint } from './checkpoint.ts'
import { judgeHeldOut } from './codec.ts'
import { stepsOf, type RunConfig, type StageNumber } from './config.ts'
import { checkpointPath, listCheckpoints, type RunFolder } from './folder.ts'
import { checkTrainStep, isPictured, train, type Ending, type Shape } from './loop.ts'
import { initialise } from '../trainer.ts'
import { openMetrics, readMetrics } from './metrics.ts'
import { picturesOf } from './pictures.ts'
import type { Programs } from './programs.ts'
import { duration, short, startProgress, type Sink } from './progress.ts'
import type { Start } from './resume.ts'
import { ORDER, seedOf, type Numbers, type Schedule, type Stage } from './stages.ts'
import { orThrow } from './task.ts'
import { verifyWith, type Verification } from './verify.ts'

/** What a stage is told by its run. */
export type StageRun = {
  readonly config: RunConfig
  readonly folder: RunFolder
  readonly stage: Stage
  /** With the run's own learning rate. */
  readonly schedule: Schedule
  readonly start: Start
  /** Called when the state to start from is in place, before anything is written. */
  readonly begin: () => Promise<void>
  readonly data: DataSet
  /** Whether batches are drawn ahead, which takes data that the config names. */
  readonly ahead: boolean
  readonly stopped: () => boolean
  readonly sink: Sink
  readonly keep: number
  readonly revision: string
  /** Where it trains, instead of on the device of the run. */
  readonly device?: 'wasm' | undefined
  /** So many steps from the start are checked on another device, where there is one. */
  readonly verify: number
}

/** Deletes all but the newest `keep + 1` checkpoints of a stage, and all but the last of the stage before it. */
const prune = (folder: RunFolder, stage: StageNumber, keep: number): void => {
  const all = listCheckpoints(folder)
  const old = all.filter(each => each.stage === stage).slice(0, -(keep + 1))
  const before = all.filter(each => each.stage < stage).slice(0, -1)
  for (const { path } of [...old, ...before]) unlinkSync(path)
}

/** The checkpoint of stage 1 that stage 2 of this run starts from. */
const lastOfStageOne = (config: RunConfig, folder: RunFolder): string =>
  config.from ?? listCheckpoints(folder).findLast(({ stage, step }) => stage === 1 && step === config.steps.frames)?.path
  ?? refuse({ kind: 'file', path: folder.checkpoints,
    message: `the last checkpoint of stage 1 (step ${config.steps.frames}), which stage 2 starts from, is not there`,
    remedy: 'Put it back, or start a new run.' })

/** Puts the state to start from into the training step. */
const enter = async ({ config, folder, stage, start }: StageRun, programs: Programs, note: (text: string) => void): Promise<void> => {
  const { trainStep } = programs
  if (start.checkpoint !== undefined) return restoreState(await readCheckpoint(start.checkpoint), trainStep, config).forEach(note)
  const init = await programs.init()
  await initialise(init, trainStep, seedOf(config.seed, stage.number))
  init.dispose()
  if (stage.number === 1) return
  const path = lastOfStageOne(config, folder)
  takeOver(await readCheckpoint(path), trainStep, config.config)
  note(`Stage 2 starts from ${path}`)
}

/** The training batches of a stage, from step `from` on. */
const batchesOf = ({ config, stage, data, ahead, start }: StageRun, shape: Shape): Ahead => {
  const request = (step: number): BatchRequest & Shape =>
    ({ split: 'train', ...shape, seed: seedOf(config.seed, stage.number), step, order: ORDER[stage.number] })
  return ahead ? openAhead(config.data, request, start.step, { last: stepsOf(config, stage.number) - 1, data })
    : inPlace(() => data, request, 'the data set is given')
}

const prefixed = (prefix: string, values: Numbers): Numbers => Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]))
const inWords = (values: Numbers): string => Object.entries(values).map(([name, value]) => `${name} ${short(value)}`).join('  ')
const tenths = (value: number): number => Math.round(value * 10) / 10

/** The check of the first steps, where it is asked for. */
const verificationOf = async (
  { config, stage, start, verify }: StageRun, { reference }: Programs, note: (text: string) => void,
): Promise<Verification | undefined> => {
  const steps = Math.min(verify, stepsOf(config, stage.number) - start.step)
  if (reference === undefined || steps <= 0) return undefined
  const other = await reference()
  const last = start.step + steps
  return verifyWith(other, start.step, steps, step => {
    if (step === last) note(`stage ${stage.number}: ${steps === 1 ? 'one step agrees' : `${steps} steps agree`} with ${other.variant}`)
  })
}

/** Trains the stage to its end, or until it is stopped. */
export const runStage = async (run: StageRun): Promise<Ending> => {
  const programs = await run.stage.load(run.device)
  try {
    return await trainStage(run, programs)
  } finally {
    programs.release?.()
  }
}

const trainStage = async (run: StageRun, programs: Programs): Promise<Ending> => {
  const { config, folder, stage: { number: stage }, schedule, start, data, sink } = run
  const note = (text: string): void => void sink.write(`${text}\n`)
  const steps = stepsOf(config, stage)
  const seed = seedOf(config.seed, stage)
  const shape = checkTrainStep(programs.trainStep.program, Object.keys(schedule(0)))
  await enter(run, programs, note)
  await run.begin()
  note(`stage ${stage}: ${shape.groups} groups of ${shape.parts === 1 ? '' : `${shape.parts} x `}${shape.frames} frames a step, ${programs.trainStep.variant}`)

  const metricsFile = openMetrics(folder.metrics)
  const progress = startProgress(`stage ${stage}`, steps, start.step, sink)
  /** The line about held-out frames comes last: where it is, the pictures are. */
  const picture = async (step: number): Promise<void> => {
    const scheduled = schedule(Math.min(step, steps - 1) / steps)
    const pictures = await picturesOf({ stage, step, programs, data, seed, schedule: scheduled, metrics: readMetrics(folder.metrics) })
    for (const { name, bytes } of pictures) await orThrow(writeAtomic(join(folder.pictures, name), bytes))
    const heldOut = await judgeHeldOut(programs, scheduled, data, ORDER[stage], seed)
    if (heldOut === undefined) return
    metricsFile.append({ stage, step, ...prefixed('heldOut.', heldOut) })
    progress.note(`stage ${stage}  step ${step}  held out: ${inWords(heldOut)}`)
  }

  const total = { milliseconds: 0, waited: 0, steps: 0 }
  try {
    if (isPictured({ steps, pictureEvery: config.pictureEvery }, start.step) && !hasPictures(folder, start)) await picture(start.step)
    if (start.step >= steps) return { step: start.step, end: 'finished' }
    const verification = await verificationOf(run, programs, text => progress.note(text))
    const batches = batchesOf(run, shape)
    try {
      return await train({
        program: programs.trainStep,
        ...(verification === undefined ? {} : { verification }),
        batches,
        seed,
        steps,
        from: start.step,
        schedule,
        stopped: run.stopped,
        onStep: (step, metrics, scheduled, { milliseconds, waited }) => {
          total.milliseconds += milliseconds
          total.waited += waited
          total.steps += 1
          metricsFile.append({ stage, step, ...metrics, ...scheduled, milliseconds: tenths(milliseconds), waited: tenths(waited) })
          progress.update(step, metrics)
        },
        checkpointEvery: config.checkpointEvery,
        save: async (step, state) => {
          metricsFile.flush()
          await writeCheckpoint(checkpointPath(folder, { stage, step }), programs.trainStep, state, { stage, step, config, revision: run.revision })
          prune(folder, stage, run.keep)
        },
        pictureEvery: config.pictureEvery,
        picture,
        lastGood: () => listCheckpoints(folder).at(-1)?.path,
      })
    } finally {
      progress.stop()
      const why = run.ahead ? batches.obstacle() : null
      await batches.close()
      if (total.steps > 0) {
        const waited = short((100 * total.waited) / total.milliseconds)
        note(`stage ${stage}: ${plural(total.steps, 'step')} in ${duration(total.milliseconds / 1000)}, ${waited}% of it waiting for data`
          + (why === null ? '' : ` (drawn between the steps: ${why})`))
      }
    }
  } finally {
    progress.stop()
    metricsFile.close()
  }
}

/** Whether the pictures of that place have been drawn. A model that is not judged leaves no trace of it: they are drawn again. */
export const hasPictures = (folder: RunFolder, { stage, step }: Start): boolean =>
  readMetrics(folder.metrics).some(line => line.stage === stage && line.step === step && Object.keys(line).some(name => name.startsWith('heldOut.')))
