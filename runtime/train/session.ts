/**
 * One run from its config to its last picture: opens the data, makes or restores the state, trains, keeps metrics,
 * checkpoints and pictures. The command line gives it programs and a way to be told to stop; tests give it small ones.
 */
import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal, refuse } from '../../dsl/errors.ts'
import type { DataSet } from '../data/dataset.ts'
import { openData } from '../data/open.ts'
import { orThrow } from './task.ts'
import { writeAtomic } from '../io/files.ts'
import { curve } from '../report/curve.ts'
import { encodePng, type Picture } from '../report/sheet.ts'
import { reconstructionSheet, swapGrid, reconstruct } from '../report/pictures.ts'
import { readCheckpoint, restoreState, writeCheckpoint } from './checkpoint.ts'
import { codecOf, judgeHeldOut } from './codec.ts'
import { printRunConfig, type RunConfig } from './config.ts'
import { checkpointPath, gitRevision, listCheckpoints, openRun, type RunFolder } from './folder.ts'
import { checkTrainStep, initialise, train, type Numbers, type Outcome } from './loop.ts'
import { openMetrics, readMetrics, truncateMetrics } from './metrics.ts'
import type { Programs } from './programs.ts'
import { short, startProgress, type Sink } from './progress.ts'

export type Session = {
  readonly config: RunConfig
  readonly folder: RunFolder
  readonly programs: Programs
  /** The schedule of the model's configuration, before `config.learningRate` is applied. */
  readonly schedule: (progress: number) => Numbers
  readonly resume: boolean
  readonly stopped: () => boolean
  readonly sink: Sink
  /** Checkpoints that are kept besides the newest. */
  readonly keep?: number
  /** What checkpoints name as the source's revision; default: what git says. */
  readonly revision?: string
  /** In the place of the data set that the config names. */
  readonly data?: DataSet
}

/** The schedule with its learning rate scaled so that it starts at `start`. */
export const withLearningRate = (schedule: (progress: number) => Numbers, start: number | undefined): ((progress: number) => Numbers) => {
  const own = schedule(0)['learningRate']
  if (start === undefined) return schedule
  if (own === undefined) return refuse({ kind: 'usage', message: 'this model has no learning rate in its schedule, so --lr means nothing to it' })
  return progress => {
    const values = schedule(progress)
    return { ...values, learningRate: ((values['learningRate'] ?? 0) * start) / own }
  }
}

const writePicture = (folder: RunFolder, name: string, picture: Picture): Promise<void> => orThrow(writeAtomic(join(folder.pictures, name), encodePng(picture)))

/** Brings the run's state into the training step and its metrics file into line; says how many steps are done. */
const restore = async (session: Session, note: (text: string) => void): Promise<number> => {
  const { folder, programs, config } = session
  const recorded = openRun(folder.path).config
  const checkpoints = listCheckpoints(folder)
  const newest = checkpoints.at(-1)
  if (newest === undefined) {
    const reached = readMetrics(folder.metrics).at(-1)?.step ?? 0
    if (reached > recorded.checkpointEvery) {
      refuse({ kind: 'file', path: folder.checkpoints, message: `no checkpoint is there, though the run's metrics reach step ${reached}`,
        remedy: 'Put a checkpoint back to go on from it, or start a new run with another --out.' })
    }
    note('The run has no checkpoint yet: it starts at step 0.')
    initialise(await programs.init(), programs.trainStep, config.seed)
    await orThrow(writeAtomic(folder.config, printRunConfig(config)))
    await truncateMetrics(folder.metrics, 0)
    return 0
  }
  const checkpoint = await readCheckpoint(newest.path).catch((error: unknown) => withOlder(error, checkpoints.slice(0, -1).map(({ path }) => path)))
  const { step } = checkpoint
  if (step > config.steps) {
    refuse({ kind: 'usage', message: `${folder.path} has done ${step} steps, --steps says ${config.steps}`, remedy: `Leave --steps out, or give at least ${step}.` })
  }
  for (const warning of restoreState(checkpoint, programs.trainStep, config)) note(warning)
  if (recorded.steps !== config.steps) note(`The run is now ${config.steps} steps long (it was ${recorded.steps}): its schedule is stretched accordingly.`)
  // Only now is anything of the run changed.
  await orThrow(writeAtomic(folder.config, printRunConfig(config)))
  await truncateMetrics(folder.metrics, step)
  return step
}

/** Says, where a checkpoint is damaged, from which older one the run can go on. */
const withOlder = async (error: unknown, older: readonly string[]): Promise<never> => {
  if (!(error instanceof Refusal) || error.failure.kind !== 'file') throw error
  const next = older.at(-1)
  const remedy = next === undefined ? 'No older checkpoint is whole: put a copy in its place, or start a new run with another --out.'
    : await readCheckpoint(next).then(({ step }) => `Delete what is newer to go on from step ${step}: ${next} is whole.`, () => undefined)
  return remedy === undefined ? withOlder(error, older.slice(0, -1)) : refuse({ ...error.failure, remedy })
}

/** Deletes all but the newest `keep + 1` checkpoints. */
const prune = (folder: RunFolder, keep: number): void => listCheckpoints(folder).slice(0, -(keep + 1)).forEach(({ path }) => unlinkSync(path))

/** Trains the run to its end, or until it is stopped. Throws a `Refusal` for everything that goes wrong. */
export const runSession = async (session: Session): Promise<Outcome> => {
  const { config, folder, programs, sink } = session
  const note = (text: string): void => void sink.write(`${text}\n`)
  const schedule = withLearningRate(session.schedule, config.learningRate)
  const shape = checkTrainStep(programs.trainStep.program, Object.keys(schedule(0)))
  const data = session.data ?? openData(config.data)
  if (data.credit !== undefined) await orThrow(writeAtomic(join(folder.pictures, 'CREDITS.txt'), `${data.credit}\n`))
  if (!session.resume) initialise(await programs.init(), programs.trainStep, config.seed)
  const from = session.resume ? await restore(session, note) : 0
  if (from >= config.steps) {
    note(`The run is complete: ${from} of ${config.steps} steps. To train it further: --steps with a larger number.`)
    return { step: from, end: 'finished' }
  }

  const shown = data.batch({ split: 'heldOut', groups: shape.groups, frames: shape.frames, seed: config.seed, step: 0 })
  const identities = new Set(shown.labels.identity).size
  const metricsFile = openMetrics(folder.metrics)
  const progress = startProgress(config.steps, from, sink)
  const judge = async (step: number, scheduled: Numbers): Promise<void> => {
    const heldOut = await judgeHeldOut(programs, scheduled, data, shape, config.seed)
    if (heldOut === undefined) return
    metricsFile.append({ step, ...Object.fromEntries(Object.entries(heldOut).map(([name, value]) => [`heldOut.${name}`, value])) })
    progress.note(`step ${step}  held out: ${Object.entries(heldOut).map(([name, value]) => `${name} ${short(value)}`).join('  ')}`)
  }
  const picture = async (step: number): Promise<void> => {
    const scheduled = schedule(Math.min(step, config.steps - 1) / config.steps)
    await judge(step, scheduled)
    const codec = await codecOf(programs, scheduled)
    if (codec === undefined) return
    const name = String(step).padStart(8, '0')
    await writePicture(folder, `reconstruction-${name}.png`, reconstructionSheet(shown.x, reconstruct(codec, shown.x), shape))
    await writePicture(folder, `swap-${name}.png`, swapGrid(codec, shown.x, shape, Math.min(8, identities)))
    const points = readMetrics(folder.metrics).flatMap(line => (typeof line['loss'] === 'number' ? [{ step: line.step, value: line['loss'] }] : []))
    if (points.length > 1) await writePicture(folder, 'loss.png', curve(points))
  }

  const revision = session.revision ?? gitRevision()
  const save = async (step: number): Promise<void> => {
    metricsFile.flush()
    await writeCheckpoint(checkpointPath(folder, step), programs.trainStep, { step, config, revision })
    prune(folder, session.keep ?? 2)
  }
  let before = performance.now()
  try {
    return await train({
      program: programs.trainStep,
      data,
      seed: config.seed,
      steps: config.steps,
      from,
      schedule,
      stopped: session.stopped,
      onStep: (step, metrics, scheduled) => {
        const now = performance.now()
        metricsFile.append({ step, ...metrics, ...scheduled, milliseconds: Math.round(now - before) })
        before = now
        progress.update(step, metrics)
      },
      checkpointEvery: config.checkpointEvery,
      save,
      pictureEvery: config.pictureEvery,
      picture,
      lastGood: () => listCheckpoints(folder).at(-1)?.path,
    })
  } finally {
    progress.stop()
    metricsFile.close()
  }
}

