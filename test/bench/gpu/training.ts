/** Training at the paper's sizes for the time that there is, and what it has learnt: `vdsm train` and `vdsm evaluate`, their tables and pictures kept. */
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Job } from './child.ts'
import { comparedOf, type Results } from './report.ts'

type Asked = {
  readonly out: string
  readonly build: string
  readonly minutes: number
  readonly dataDir?: string
  readonly trial: boolean
  readonly results: Results
}

/** Steps of a stage for so many minutes: by what a step took here, or by a guess; a fifth more for batches, pictures and checkpoints. */
const stepsFor = (results: Results, row: string, minutes: number): number => {
  const ms = comparedOf(results).find(one => one.row.name === row)?.ours?.ms ?? 100
  return Math.max(20, Math.floor((minutes * 60_000) / (1.2 * ms) / 10) * 10)
}

const folderOf = (out: string): string => join(dirname(resolve(out)), 'run')

/** A run that is there already goes on: the lengths of its stages were decided when it began. */
export const trainingJobs = ({ out, build, minutes, dataDir, trial, results }: Asked): readonly Job[] => {
  const run = folderOf(out)
  const device = ['--device', 'webgpu', ...(trial ? ['--allow-software'] : [])]
  const cli = [process.execPath, 'runtime/vdsm.mjs'] as const
  const data = trial ? ['--data', 'pendulum'] : ['--data', 'sprites', '--data-dir', dataDir ?? '']
  // Stage 2 learns fast; the length of stage 1 decides.
  const [steps, steps2] = trial ? [2, 2] : [stepsFor(results, 'paper-sprites/frames', 0.75 * minutes), stepsFor(results, 'paper-sprites/video', 0.25 * minutes)]
  const often = (every: number): string => String(Math.max(1, Math.floor(Math.min(steps, steps2) / every)))
  const fresh = [
    '--config', trial ? 'tiny' : 'paper-sprites', ...data, '--steps', String(steps), '--steps2', String(steps2), '--out', run,
    // A checkpoint of 134 million parameters with their moments is 1.6 GB.
    '--picture-every', often(4), '--checkpoint-every', String(Math.max(steps, steps2)),
  ]
  const more = existsSync(join(run, 'config.json')) ? ['--resume', run] : fresh
  const env = { XDG_CACHE_HOME: join(dirname(resolve(out)), 'cache') }
  const less = trial ? ['--train', '40', '--held-out', '20', '--seeds', '1'] : []
  return [
    { name: 'train', args: [...cli, 'train', ...more, '--build', build, ...device], limitSeconds: 60 * minutes, ending: 'SIGINT', keep: true, env },
    {
      name: 'train:evaluate', args: [...cli, 'evaluate', run, '--build', build, ...device, ...less], limitSeconds: 600, keep: true, env,
    },
  ]
}

/** Copies what a run has to show, and none of its parameters, beside the results. */
export const keepTraining = (folder: string): void => {
  const [run, kept] = [join(folder, 'run'), join(folder, 'training')]
  if (!existsSync(run)) return
  mkdirSync(kept, { recursive: true })
  for (const name of readdirSync(run).filter(one => one !== 'checkpoints')) cpSync(join(run, name), join(kept, name), { recursive: true })
}
