/**
 * The folder of a run:
 *
 *     config.json     what was asked for         checkpoints/stage1-step-00000500.safetensors, stage2-...
 *     revision.txt    the source's git revision  pictures/stage1-swap-00000500.png, stage1-loss.png, ...
 *     metrics.jsonl   a line a step              lock           while a process is at work in it
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Refusal, refuse } from '../../dsl/errors.ts'
import { makeFolder, readText, writeAtomic, writeFailure } from '../io/files.ts'
import { parseRunConfig, printRunConfig, type RunConfig, type StageNumber } from './config.ts'
import { orThrow, right } from './task.ts'

export type RunFolder = {
  readonly path: string
  readonly config: string
  readonly metrics: string
  readonly checkpoints: string
  readonly pictures: string
}

/** The paths of a run's files; nothing is looked at. */
export const runFolder = (path: string): RunFolder => ({
  path,
  config: join(path, 'config.json'),
  metrics: join(path, 'metrics.jsonl'),
  checkpoints: join(path, 'checkpoints'),
  pictures: join(path, 'pictures'),
})

const two = (n: number): string => String(n).padStart(2, '0')

/** `runs/20260130-142500-small-pendulum-0`, local time. */
export const defaultFolder = (config: RunConfig, now: Date, root = 'runs'): string => {
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`
  return join(root, `${day}-${time}-${config.config}-${config.data.name}-${config.seed}`)
}

/** Where the source lies that this file belongs to. */
const sourceRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** The git revision of the source, with `+changes` where the tree differs from it; `unknown` outside a repository. */
export const gitRevision = (root = sourceRoot): string => {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    // Installed as a package inside another project, the enclosing repository is not ours.
    if (git('ls-files', '--error-unmatch', 'package.json') === '') return 'unknown'
    return `${git('rev-parse', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+changes'}`
  } catch {
    return 'unknown'
  }
}

/** What lies at a path, if anything. */
const statOf = (path: string) => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw new Refusal(writeFailure(path, error))
  }
}

/** Makes the folders of a new run. Refuses a folder that holds anything, and places that cannot be written. */
export const makeRun = (path: string): RunFolder => {
  const found = statOf(path)
  if (found !== undefined && !found.isDirectory()) {
    refuse({ kind: 'write', path, message: 'it is a file, not a folder', remedy: 'Give --out the name of a folder.' })
  }
  if (found !== undefined && readdirSync(path).length > 0) {
    refuse({ kind: 'write', path, message: 'the folder is not empty',
      remedy: `Give --out a new folder; or, to continue the run in it: vdsm train --resume ${path}` })
  }
  const folder = runFolder(path)
  for (const each of [path, folder.checkpoints, folder.pictures]) makeFolder(each)
  return folder
}

/** Writes the first files of a new run. */
export const beginRun = async (folder: RunFolder, config: RunConfig): Promise<void> => {
  await orThrow(writeAtomic(folder.config, printRunConfig(config)))
  await orThrow(writeAtomic(join(folder.path, 'revision.txt'), `${gitRevision()}\n`))
}

/** Both: the folder of a new run with its first files. */
export const createRun = async (path: string, config: RunConfig): Promise<RunFolder> => {
  const folder = makeRun(path)
  await beginRun(folder, config)
  return folder
}

/** Opens the folder of a run to continue it. Refuses folders without a config.json, and bad ones. */
export const openRun = (path: string): { readonly folder: RunFolder; readonly config: RunConfig } => {
  const folder = runFolder(path)
  if (!existsSync(folder.config)) {
    refuse({ kind: 'file', path: folder.config, message: 'no such file, so this is not the folder of a run',
      remedy: 'Give --resume the folder of a run, e.g. runs/20260130-142500-small-pendulum-0.' })
  }
  const config = right(parseRunConfig(right(readText(folder.config)), folder.config))
  for (const each of [folder.checkpoints, folder.pictures]) makeFolder(each)
  return { folder, config }
}

/** The run below `root` whose config.json is the newest. Refuses where there is none. */
export const newestRun = (root = 'runs'): string => {
  const names = existsSync(root) ? readdirSync(root).filter(name => existsSync(join(root, name, 'config.json'))) : []
  const age = (name: string): number => statSync(join(root, name, 'config.json')).mtimeMs
  const newest = names.reduce<string | undefined>((best, name) => (best === undefined || age(name) > age(best) ? name : best), undefined)
  return newest !== undefined ? join(root, newest)
    : refuse({ kind: 'usage', message: `there is no run in ${root}/ to resume`, remedy: 'Start one with: vdsm train' })
}

const CHECKPOINT = /^stage([12])-step-(\d+)\.safetensors$/

/** A place in a run: so many steps of that stage are done, and all of the stages before it. */
export type Place = { readonly stage: StageNumber; readonly step: number }
export type CheckpointFile = Place & { readonly path: string }

/** Below 0 where `a` comes before `b`. */
export const comparePlaces = (a: Place, b: Place): number => a.stage - b.stage || a.step - b.step

/** Name of a file of a step, without the rest of it. */
export const placeName = ({ stage, step }: Place, what = 'step'): string => `stage${stage}-${what}-${String(step).padStart(8, '0')}`

export const checkpointPath = (folder: RunFolder, place: Place): string => join(folder.checkpoints, `${placeName(place)}.safetensors`)

/** The checkpoints of a run in the order of training. */
export const listCheckpoints = (folder: RunFolder): readonly CheckpointFile[] =>
  (existsSync(folder.checkpoints) ? readdirSync(folder.checkpoints) : [])
    .flatMap(name => {
      const found = CHECKPOINT.exec(name)
      return found === null ? [] : [{ stage: found[1] === '1' ? 1 : 2, step: Number(found[2]), path: join(folder.checkpoints, name) } as const]
    })
    .sort(comparePlaces)
