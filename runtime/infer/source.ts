/**
 * The checkpoint that is meant by a run, a file, or nothing (the newest run): the newest one of stage 2, since stage 1 knows
 * nothing of how frames follow one another. Nothing is written to a run here.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Refusal, refuse } from '../../dsl/errors.ts'
import { readCheckpoint, type Checkpoint } from '../train/checkpoint.ts'
import { listCheckpoints, newestRun, runFolder } from '../train/folder.ts'

export type Source = {
  readonly checkpoint: Checkpoint
  /** The line that must stand beside pictures of the data that the run was trained on, if there is one. */
  readonly credit?: string
}

const REMEDY = 'Give the folder of a run, e.g. runs/20260130-142500-small-pendulum-0, or a checkpoint with --checkpoint.'

const isFile = (path: string): boolean => {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}

const newest = (): string => {
  try {
    return newestRun()
  } catch (error) {
    if (!(error instanceof Refusal) || error.failure.kind !== 'usage') throw error
    return refuse({ kind: 'usage', message: 'there is no run in runs/',
      remedy: 'Train one with: vdsm train; or give the folder of a run that lies elsewhere.' })
  }
}

/** The path of the newest checkpoint of stage 2 of a run. */
const newestOf = (run: string): string => {
  const folder = runFolder(run)
  if (!existsSync(run)) refuse({ kind: 'file', path: run, message: 'no such folder', remedy: REMEDY })
  if (!existsSync(folder.config)) refuse({ kind: 'file', path: run, message: 'not the folder of a run: it has no config.json', remedy: REMEDY })
  const all = listCheckpoints(folder)
  const found = all.findLast(({ stage }) => stage === 2)
  if (found !== undefined) return found.path
  const last = all.at(-1)
  return last === undefined ? refuse({ kind: 'file', path: run, message: 'the run has no checkpoint yet', remedy: `Train it: vdsm train --resume ${run}` })
    : notVideo(run, `its newest checkpoint is of stage 1, step ${last.step}`, run, last.path)
}

/** Says how to come to stage 2 from a run, or a checkpoint, of stage 1. */
const notVideo = (path: string, found: string, run: string, checkpoint: string): never =>
  refuse({
    kind: 'file', path, message: `${found}: frames are learnt, but not yet how they follow one another (stage 2)`,
    remedy: `Train the second stage: vdsm train --stage 2 --from ${checkpoint}; or, where the run was begun with both stages: vdsm train --resume ${run}`,
  })

const read = async (path: string): Promise<Checkpoint> => {
  try {
    return await readCheckpoint(path)
  } catch (error) {
    // What to do about it while training is something else.
    if (error instanceof Refusal && error.failure.kind === 'file') {
      return refuse({ ...error.failure, remedy: 'Use another checkpoint of the run: --checkpoint FILE.' })
    }
    throw error
  }
}

const creditOf = (run: string): string | undefined => {
  const path = join(run, 'pictures', 'CREDITS.txt')
  return isFile(path) ? readFileSync(path, 'utf8').trim() : undefined
}

/** Finds and reads the checkpoint. `run` is a run's folder or a checkpoint; `checkpoint` goes before it. Throws a `Refusal`. */
export const openSource = async ({ run, checkpoint }: { readonly run?: string | undefined; readonly checkpoint?: string | undefined }): Promise<Source> => {
  if (checkpoint !== undefined && run !== undefined && isFile(run)) {
    refuse({ kind: 'usage', message: `two checkpoints are given, ${run} and ${checkpoint}`, remedy: 'Leave one of them out.' })
  }
  const path = checkpoint ?? (run !== undefined && isFile(run) ? run : newestOf(run ?? newest()))
  const opened = await read(path)
  const home = run !== undefined && !isFile(run) ? run : dirname(dirname(path))
  if (opened.stage !== 2) notVideo(path, `it is a checkpoint of stage ${opened.stage}`, home, path)
  const credit = creditOf(home)
  return { checkpoint: opened, ...(credit === undefined ? {} : { credit }) }
}
