/**
 * `vdsm train`: options to a run's config, programs from a build, signals to a clean stop. Everything that can be refused
 * is refused before the folder of the run is made.
 */
import * as E from 'fp-ts/lib/Either.js'
import { Refusal, refuse, type Failure } from '../../dsl/errors.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { openBuild, type Device, type LoadOptions } from '../build.ts'
import { DATA_NAMES, openData, type DataName } from '../data/open.ts'
import type { FrameChoice } from '../data/sheets.ts'
import { remembering } from '../device/host.ts'
import { nodeHost } from '../device/node.ts'
import type { Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram } from '../manifest.ts'
import { runVersion, type RunConfig } from '../train/config.ts'
import { beginRun, defaultFolder, listCheckpoints, makeRun, newestRun, openRun } from '../train/folder.ts'
import { claimRun } from '../train/lock.ts'
import { checkTrainStep, type Numbers } from '../train/loop.ts'
import { once, type Programs } from '../train/programs.ts'
import { duration } from '../train/progress.ts'
import { runSession } from '../train/session.ts'
import { stopOnSignal } from '../train/signals.ts'
import { attempt, orThrow, right } from '../train/task.ts'
import { oneOf, positive, positiveNumber, seedOption, withBuild, withThreads, type Register } from './command.ts'

/** Steps of a whole run where --steps is not given. */
const DEFAULT_STEPS: Readonly<Record<keyof typeof schedules, number>> = { tiny: 200, small: 1000, paper: 10_000 }
const DEFAULTS = { config: 'small', data: 'pendulum', seed: 0, checkpointEvery: 100, pictureEvery: 100 } as const

const configNames = Object.keys(schedules) as readonly (keyof typeof schedules)[] // keys of a closed record

/** What the options say, under commander's names. */
type Options = {
  readonly config?: keyof typeof schedules
  readonly data?: DataName
  readonly dataDir?: string
  readonly frameChoice?: FrameChoice
  readonly splitSeed?: number
  readonly steps?: number
  readonly out?: string
  /** True: without a folder. */
  readonly resume?: string | true
  readonly seed?: number
  readonly build: string
  readonly device?: Device
  readonly lr?: number
  readonly checkpointEvery?: number
  readonly pictureEvery?: number
  readonly threads?: number
}

/** The config of a new run. */
const newConfig = (o: Options): RunConfig => {
  const name = o.data ?? DEFAULTS.data
  const config = o.config ?? DEFAULTS.config
  if (name === 'pendulum' && (o.dataDir ?? o.frameChoice) !== undefined) {
    refuse({ kind: 'usage', message: `${o.dataDir === undefined ? '--frame-choice' : '--data-dir'} means nothing to the data set pendulum, which is generated`, remedy: 'Did you mean --data sprites?' })
  }
  return {
    version: runVersion,
    config,
    stage: 1,
    data: {
      name, splitSeed: o.splitSeed ?? 0,
      ...(o.dataDir === undefined ? {} : { folder: o.dataDir }),
      ...(o.frameChoice === undefined ? {} : { frameChoice: o.frameChoice }),
    },
    seed: o.seed ?? DEFAULTS.seed,
    steps: o.steps ?? DEFAULT_STEPS[config],
    checkpointEvery: o.checkpointEvery ?? DEFAULTS.checkpointEvery,
    pictureEvery: o.pictureEvery ?? DEFAULTS.pictureEvery,
    ...(o.lr === undefined ? {} : { learningRate: o.lr }),
    ...(o.threads === undefined ? {} : { threads: o.threads }),
  }
}

/**
 * The config of a run that is continued: as recorded, with the options that may change (--steps, --checkpoint-every,
 * --picture-every, --threads; --data-dir, for sheets that have moved). An option that contradicts the record is refused.
 */
const resumedConfig = (recorded: RunConfig, o: Options): RunConfig => {
  const fixed = [
    ['--config', o.config, recorded.config], ['--data', o.data, recorded.data.name], ['--seed', o.seed, recorded.seed], ['--lr', o.lr, recorded.learningRate],
    ['--split-seed', o.splitSeed, recorded.data.splitSeed], ['--frame-choice', o.frameChoice, recorded.data.frameChoice ?? 'paper'],
  ] as const
  for (const [name, given, was] of fixed) {
    if (given !== undefined && given !== was) {
      refuse({ kind: 'usage', message: `${name} ${given} contradicts the run that is resumed, which has ${was ?? 'none'}`, remedy: `Leave ${name} out, or start a new run without --resume.` })
    }
  }
  return {
    ...recorded,
    data: { ...recorded.data, ...(o.dataDir === undefined ? {} : { folder: o.dataDir }) },
    steps: o.steps ?? recorded.steps,
    checkpointEvery: o.checkpointEvery ?? recorded.checkpointEvery,
    pictureEvery: o.pictureEvery ?? recorded.pictureEvery,
    ...(o.threads === undefined ? {} : { threads: o.threads }),
  }
}

const scheduleOf = (config: string): ((progress: number) => Numbers) => {
  const curves: Readonly<Record<string, (progress: number) => number>> | undefined = configNames.some(name => name === config) ? schedules[config as keyof typeof schedules] : undefined
  if (curves === undefined) return refuse({ kind: 'config', where: 'config', message: `there is no configuration '${config}'`, remedy: `There are: ${configNames.join(', ')}.` })
  return progress => Object.fromEntries(Object.entries(curves).map(([name, curve]) => [name, curve(progress)]))
}

/** Where a build lacks the model's programs, it was made of other sources. */
const toCompile = (failure: Failure): Failure =>
  failure.kind === 'usage' ? { ...failure, remedy: 'Compile VDSM first: npm run compile (or: npx vdsm compile node_modules/vdsm/models).' } : failure

/** The programs of that configuration. Their modules are read now, though most are made ready when they are first needed. */
const loadPrograms = async (folder: string, config: string, options: LoadOptions): Promise<Programs> => {
  const host = remembering(nodeHost(folder))
  const build = await orThrow(openBuild(host))
  const load = (name: string) => (): Promise<Executable> => orThrow(build.load(`vdsm/${config}/${name}`, options))
  for (const name of ['init', 'trainStep', 'encode', 'decode', 'evaluate']) {
    const program = right(E.mapLeft(toCompile)(findProgram(build.manifest, `vdsm/${config}/${name}`)))
    if (options.device === 'eager') continue
    right(checkFresh(folder, program))
    for (const module of Object.values(program.modules)) await orThrow(host.read(module))
  }
  return { trainStep: await load('trainStep')(), init: load('init'), encode: once(load('encode')), decode: once(load('decode')), evaluate: once(load('evaluate')) }
}

/** Runs the command; returns the exit code: 0, or 130 where it was stopped by a signal. Throws a `Refusal`. */
const trainCommand = async (o: Options): Promise<number> => {
  const opened = o.resume === undefined ? undefined : openRun(o.resume === true ? (o.out ?? newestRun()) : o.resume)
  const config = opened === undefined ? newConfig(o) : resumedConfig(opened.config, o)
  const schedule = scheduleOf(config.config)
  const data = openData(config.data)
  const programs = await loadPrograms(o.build, config.config, { ...(o.device === undefined ? {} : { device: o.device }), ...(config.threads === undefined ? {} : { threads: config.threads }) })
  const shape = checkTrainStep(programs.trainStep.program, Object.keys(schedule(0)))
  const folder = opened?.folder ?? makeRun(o.out ?? defaultFolder(config, new Date()))
  const release = claimRun(folder.path)
  const signals = stopOnSignal()
  try {
    if (opened === undefined) await beginRun(folder, config)
    process.stderr.write(
      `${folder.path}: ${config.config} on ${data.name} (${data.sequences.train} sequences, ${data.sequences.heldOut} held out), ` +
      `${shape.groups} groups of ${shape.frames} frames a step, ${programs.trainStep.variant}\n`,
    )
    const started = performance.now()
    const outcome = await runSession({ config, folder, programs, schedule, data, resume: opened !== undefined, stopped: signals.stopped, sink: process.stderr })
    const took = duration((performance.now() - started) / 1000)
    process.stdout.write(
      outcome.end === 'finished'
        ? `Trained to step ${outcome.step} in ${took}. Pictures: ${folder.pictures}, parameters: ${folder.checkpoints}\n`
        : `Stopped after step ${outcome.step}, saved. Go on with: vdsm train --resume ${folder.path}\n`,
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

/** Adds the command to the command line. Few options have defaults here, so that --resume can tell what was asked for. */
export const register: Register = (cli, settle) => {
  withThreads(withBuild(cli.command('train')))
    .description('train the first stage of VDSM; writes metrics, checkpoints and pictures to the folder of the run')
    .option('--config <name>', `model configuration: ${configNames.join(', ')} (default: ${DEFAULTS.config})`, oneOf(...configNames))
    .option('--data <name>', `data set: ${DATA_NAMES.join(', ')} (default: ${DEFAULTS.data})`, oneOf(...DATA_NAMES))
    .option('--data-dir <folder>', 'for sprites: the folder with body/ pants/ shirt/ hair/')
    .option('--frame-choice <name>', 'for sprites: which columns make the eight frames, paper or li-mandt (default: paper)', oneOf('paper', 'li-mandt'))
    .option('--split-seed <n>', 'decides what is held out, whatever --seed is (default: 0)', seedOption)
    .option('--stage <n>', 'training stage; there is stage 1 (default: 1)', oneOf('1'))
    .option('--steps <n>', `steps of the whole run (default: ${configNames.map(name => `${name} ${DEFAULT_STEPS[name]}`).join(', ')})`, positive)
    .option('--seed <n>', `of initial parameters, batches and noise: same seed, same build, same bytes (default: ${DEFAULTS.seed})`, seedOption)
    .option('--lr <rate>', "learning rate at the start; the schedule's shape is kept", positiveNumber)
    .option('--out <folder>', 'folder of the run, new or empty (default: runs/DATE-CONFIG-DATA-SEED)')
    .option('--resume [folder]', 'continue the run in this folder (default: --out, or the newest in runs/)')
    .option('--checkpoint-every <n>', `steps between checkpoints (default: ${DEFAULTS.checkpointEvery})`, positive)
    .option('--picture-every <n>', `steps between pictures (default: ${DEFAULTS.pictureEvery})`, positive)
    .option('--device <name>', 'wasm or eager (slow; float64) (default: wasm)', oneOf('wasm', 'eager'))
    .action((options: Options) => settle(attempt(() => trainCommand(options))))
}
