/** Where a run that was interrupted goes on: at its newest checkpoint, inside a stage or between the two. Nothing is changed here. */
import { Refusal, refuse } from '../../dsl/errors.ts'
import { readCheckpoint } from './checkpoint.ts'
import { stepsOf, type RunConfig } from './config.ts'
import { listCheckpoints, openRun, type Place, type RunFolder } from './folder.ts'
import { readMetrics } from './metrics.ts'

/** A place in the run, and the path of the checkpoint that was written there; without one, the stage is at its beginning. */
export type Start = Place & { readonly checkpoint?: string }

/** Finds the start for a run that is to go on by `config`. Refuses damaged checkpoints, and steps that the run is beyond. */
export const findStart = async (folder: RunFolder, config: RunConfig): Promise<Start> => {
  const recorded = openRun(folder.path).config
  const checkpoints = listCheckpoints(folder)
  const newest = checkpoints.at(-1)
  if (newest === undefined) {
    const last = readMetrics(folder.metrics).at(-1)
    if (last !== undefined && (last.stage !== recorded.stages[0] || last.step > recorded.checkpointEvery)) {
      refuse({ kind: 'file', path: folder.checkpoints,
        message: `no checkpoint is there, though the run's metrics reach step ${last.step} of stage ${last.stage}`,
        remedy: 'Put a checkpoint back to go on from it, or start a new run with another --out.' })
    }
    return { stage: config.stages[0], step: 0 }
  }
  const checkpoint = await readCheckpoint(newest.path).catch((error: unknown) => withOlder(error, checkpoints.slice(0, -1).map(({ path }) => path)))
  const { stage, step, path } = checkpoint
  if (!config.stages.some(each => each === stage)) {
    refuse({ kind: 'file', path, message: `it is of stage ${stage}, which this run does not train`, remedy: 'Remove it from the folder of the run.' })
  }
  const steps = stepsOf(config, stage)
  if (stage === 2 && recorded.steps.frames !== config.steps.frames) {
    refuse({
      kind: 'usage',
      message: `stage 2 of ${folder.path} has begun, from what stage 1 had learnt in ${recorded.steps.frames} steps; `
        + `--steps ${config.steps.frames} can no longer change that`,
      remedy: 'Leave --steps out (--steps2 may still grow), or start a new run.',
    })
  }
  if (step > steps) {
    const name = stage === 1 ? '--steps' : '--steps2'
    refuse({ kind: 'usage', message: `${folder.path} has done ${step} steps of stage ${stage}, ${name} says ${steps}`,
      remedy: `Leave ${name} out, or give at least ${step}.` })
  }
  return { stage, step, checkpoint: path }
}

/** Says, where a checkpoint is damaged, from which older one the run can go on. */
const withOlder = async (error: unknown, older: readonly string[]): Promise<never> => {
  if (!(error instanceof Refusal) || error.failure.kind !== 'file') throw error
  const next = older.at(-1)
  const remedy = next === undefined ? 'No older checkpoint is whole: put a copy in its place, or start a new run with another --out.'
    : await readCheckpoint(next).then(({ stage, step }) => `Delete what is newer to go on from step ${step} of stage ${stage}: ${next} is whole.`,
      () => undefined)
  return remedy === undefined ? withOlder(error, older.slice(0, -1)) : refuse({ ...error.failure, remedy })
}
