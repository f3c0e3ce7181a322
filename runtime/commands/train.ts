/**
 * `vdsm train`: options to a run's config, programs from a build, signals to a clean stop. Everything that can be refused
 * is refused before the folder of the run is made.
 */
import { Refusal, refuse } from '../../dsl/errors.ts'
import type { LoadOptions } from '../build.ts'
import { openData } from '../data/open.ts'
import { takenOver } from '../train/checkpoint.ts'
import type { RunConfig } from '../train/config.ts'
import { beginRun, defaultFolder, listCheckpoints, makeRun, newestRun, openRun, type RunFolder } from '../train/folder.ts'
import { claimRun } from '../train/lock.ts'
import { checkTrainStep } from '../train/loop.ts'
import { duration } from '../train/progress.ts'
import { ON_DEVICE_FAILURE } from '../train/recovery.ts'
import { checkLengths, runSession, type Session } from '../train/session.ts'
import { stopOnSignal } from '../train/signals.ts'
import { attempt } from '../train/task.ts'
import { oneOf, positive, positiveNumber, seedOption, withBuild, withThreads, type Register } from './command.ts'
import { withDataOptions } from './data-options.ts'
import { withDevice, type NodeDevice } from './device.ts'
import { sequencesText } from './opening-lines.ts'
import {
  checkFrom, CONFIG_FRAMES, configNames, DEFAULT_CONFIG, DEFAULT_STEPS, DEFAULTS, newConfig, openFrom, PENDULUM_STEPS, resumedConfig, type Options,
} from './train-options.ts'
import { loadStages, withFirstLoaded } from './train-programs.ts'

/** What a run is made of, with nothing written yet: its folder is there where it is resumed. */
type Prepared = Pick<Session, 'config' | 'stages' | 'data'> & {
  readonly opened: RunFolder | undefined
  readonly notes: readonly string[]
  /** Where it is computed, and why there. */
  readonly on: string
}

/** The config with the device on which it is computed now. */
const withDeviceOf = ({ precision: _, ...config }: RunConfig, { device, precision }: LoadOptions & { readonly device?: NodeDevice }): RunConfig =>
  ({ ...config, ...(device === undefined ? {} : { device }), ...(precision === undefined || precision === 'f32' ? {} : { precision }) })

/** Reads and checks everything that the run needs. What was read of another run's checkpoint is let go again here. */
const prepare = async (o: Options): Promise<Prepared> => {
  const opened = o.resume === undefined ? undefined : openRun(o.resume === true ? (o.out ?? newestRun()) : o.resume)
  if (opened === undefined) checkFrom(o)
  const from = opened !== undefined || o.from === undefined ? undefined : await openFrom(o.from)
  const asked = opened === undefined ? newConfig(o, from) : resumedConfig(opened.config, o)
  const data = openData(asked.data)
  const { device: _, precision = o.device === undefined ? asked.precision : undefined, ...more } = o
  const { stages, options, why } = await loadStages(o.build, asked, {
    ...more, ...(precision === undefined ? {} : { precision }), ...(o.device === undefined ? {} : { device: o.device }),
    ...(asked.threads === undefined ? {} : { threads: asked.threads }),
  }, opened === undefined ? 'auto' : (opened.config.device ?? 'wasm'))
  if (o.verify !== undefined && options.device !== 'webgpu') {
    refuse({ kind: 'usage', message: `--verify checks a GPU by the processor; this run is on ${options.device}${why === undefined ? '' : ` (${why})`}`,
      remedy: 'Add --device webgpu, or leave --verify out.' })
  }
  const config = withDeviceOf(asked, options)
  for (const { trainStep, schedule } of stages) checkTrainStep(trainStep, Object.keys(schedule(0)))
  checkLengths(stages, data, opened === undefined && from === undefined ? CONFIG_FRAMES : {})
  if (from !== undefined) stages.forEach(({ trainStep }) => takenOver(from, trainStep, config.config))
  const other = from !== undefined && from.metadata.data !== JSON.stringify(config.data)
  return {
    config, data, opened: opened?.folder, on: `${options.device}${why === undefined ? '' : ` (${why})`}`,
    stages: opened === undefined ? await withFirstLoaded(stages) : stages,
    notes: other ? [`Stage 1 was trained on other data (${from.metadata.data}): it may have seen what is held out here.`] : [],
  }
}

/** Runs the command; returns the exit code: 0, or 130 where it was stopped by a signal. Throws a `Refusal`. */
const trainCommand = async (o: Options): Promise<number> => {
  const { config, stages, data, opened, notes, on } = await prepare(o)
  const folder = opened ?? makeRun(o.out ?? defaultFolder(config, new Date()))
  const release = claimRun(folder.path)
  const signals = stopOnSignal()
  try {
    if (opened === undefined) await beginRun(folder, config)
    process.stderr.write(`${folder.path}: ${config.config} on ${data.name} (${sequencesText(data)}), on ${on}\n`)
    ;[...data.notes, ...notes].forEach(note => process.stderr.write(`${note}\n`))
    const started = performance.now()
    const outcome = await runSession({ config, folder, stages, data, ahead: true, resume: opened !== undefined, stopped: signals.stopped,
      sink: process.stderr, ...(o.verify === undefined ? {} : { verify: o.verify }),
      ...(o.onDeviceFailure === undefined ? {} : { onDeviceFailure: o.onDeviceFailure }) })
    const took = duration((performance.now() - started) / 1000)
    process.stdout.write(
      outcome.end === 'finished'
        ? `Trained to step ${outcome.step} of stage ${outcome.stage} in ${took}. Pictures: ${folder.pictures}, parameters: ${folder.checkpoints}\n`
        : `Stopped after step ${outcome.step} of stage ${outcome.stage}, saved. Go on with: vdsm train --resume ${folder.path}\n`,
    )
    return outcome.end === 'finished' ? 0 : 130
  } catch (error) {
    if (!(error instanceof Refusal) || error.failure.kind !== 'write' || listCheckpoints(folder).length === 0) throw error
    return refuse({ ...error.failure, remedy: [error.failure.remedy, `Then go on with: vdsm train --resume ${folder.path}`].filter(Boolean).join('\n  ') })
  } finally {
    signals.release()
    release()
  }
}

const defaultConfigs = Object.entries(DEFAULT_CONFIG).map(([data, name]) => `${data} ${name}`).join(', ')
const defaultSteps = (stage: keyof RunConfig['steps']): string =>
  `${configNames.map(name => `${name} ${DEFAULT_STEPS[name][stage]}`).join(', ')}; of the pendulum ${PENDULUM_STEPS[stage]}`

/** Adds the command to the command line. Few options have defaults here, so that --resume can tell what was asked for. */
export const register: Register = (cli, settle) => {
  const command = cli.command('train')
    .description('train VDSM: stage 1 on frames, then stage 2 on videos; writes metrics, checkpoints and pictures to the folder of the run')
    .option('--config <name>', `model configuration: ${configNames.join(', ')} (default: ${defaultConfigs})`, oneOf(...configNames))
    .option('--stage <n>', 'what is trained: 1, 2 or both (default: both; 2 where --from is given)', oneOf('1', '2', 'both'))
    .option('--from <run>', 'a run that has trained stage 1, or a checkpoint of it: where stage 2 alone starts')
    .option('--steps <n>', `steps of stage 1; may grow with --resume until stage 2 has begun (default: ${defaultSteps('frames')})`, positive)
    .option('--steps2 <n>', `steps of stage 2; may grow with --resume (default: ${defaultSteps('video')})`, positive)
    .option('--seed <n>', `of initial parameters, batches and noise: same seed, same build, same bytes (default: ${DEFAULTS.seed})`, seedOption)
    .option('--lr <rate>', "learning rate at the start of the run; the schedules' shapes are kept", positiveNumber)
    .option('--out <folder>', 'folder of the run, new or empty (default: runs/DATE-CONFIG-DATA-SEED)')
    .option('--resume [folder]', 'continue the run in this folder (default: --out, or the newest in runs/)')
    .option('--checkpoint-every <n>', `steps between checkpoints (default: ${DEFAULTS.checkpointEvery})`, positive)
    .option('--picture-every <n>', `steps between pictures (default: ${DEFAULTS.pictureEvery})`, positive)
  withThreads(withBuild(withDevice(withDataOptions(command), undefined, 'auto; with --resume, the device of the run')))
    .option('--verify <n>', 'on a GPU: also compute the first n steps on the processor, from where the run starts or is resumed, '
      + 'and end it where they disagree', positive)
    .option('--on-device-failure <what>', 'when the GPU fails: resume (from the newest checkpoint, on a fresh device, twice at most), '
      + 'wasm (go on from it on the processor) or stop (default: resume)', oneOf(...ON_DEVICE_FAILURE))
    .action((options: Options) => settle(attempt(() => trainCommand(options))))
}
