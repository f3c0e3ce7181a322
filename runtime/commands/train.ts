/**
 * `vdsm train`: options to a run's config, programs from a build, signals to a clean stop. Everything that can be refused
 * is refused before the folder of the run is made.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { Refusal, refuse, type Failure } from '../../dsl/errors.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { openBuild } from '../build.ts'
import { DATA_NAMES, openData } from '../data/open.ts'
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
import type { Register } from './command.ts'

/** Steps of a whole run where --steps is not given. */
export const DEFAULT_STEPS: Readonly<Record<keyof typeof schedules, number>> = { tiny: 200, small: 400, paper: 10_000 }
const DEFAULTS = { config: 'small', data: 'pendulum', seed: 0, checkpointEvery: 100, pictureEvery: 100, build: 'build' } as const

const numeral = (name: string, good: (n: number) => boolean): t.Type<number, string, unknown> =>
  new t.Type<number, string, unknown>(
    name,
    (u): u is number => typeof u === 'number' && good(u),
    (u, c) => (typeof u === 'string' && u.trim() !== '' && good(Number(u)) ? t.success(Number(u)) : t.failure(u, c)),
    String,
  )
const atLeast = (least: number) => numeral(`a whole number, at least ${least}`, n => Number.isSafeInteger(n) && n >= least)
const oneOf = <K extends string>(names: readonly K[]): t.Type<K, string, unknown> => {
  const is = (u: unknown): u is K => names.some(name => name === u)
  return new t.Type<K, string, unknown>(`one of: ${names.join(', ')}`, is, (u, c) => (is(u) ? t.success(u) : t.failure(u, c)), k => k)
}
const configNames = Object.keys(schedules) as readonly (keyof typeof schedules)[] // keys of a closed record

/** Option by option, under commander's names: what its text must be. */
const Options = {
  config: oneOf(configNames),
  data: oneOf(DATA_NAMES),
  dataDir: t.string,
  frameChoice: oneOf(['paper', 'li-mandt']),
  splitSeed: atLeast(0),
  stage: oneOf(['1']),
  steps: atLeast(1),
  out: t.string,
  resume: t.union([t.string, t.literal(true)]),
  seed: atLeast(0),
  build: t.string,
  device: oneOf(['wasm', 'eager']),
  lr: numeral('a number > 0', n => Number.isFinite(n) && n > 0),
  checkpointEvery: atLeast(1),
  pictureEvery: atLeast(1),
} as const
export type TrainOptions = { readonly [K in keyof typeof Options]?: t.TypeOf<(typeof Options)[K]> }

const flag = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`

/** Validates what commander read. Refuses bad values, naming the option, what it takes and what it got. */
export const parseTrainOptions = (given: Readonly<Record<string, unknown>>): TrainOptions => {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined).map(([name, value]) => {
    const codec: Pick<t.Decoder<unknown, unknown>, 'decode'> & { readonly name: string } | undefined = Options[name as keyof typeof Options] // may be absent
    if (codec === undefined) return refuse({ kind: 'usage', message: `unknown option ${flag(name)}`, remedy: 'See: vdsm train --help' })
    const decoded = codec.decode(value)
    if (E.isLeft(decoded)) return refuse({ kind: 'usage', message: `option ${flag(name)} takes ${codec.name}; it was given '${String(value)}'`, remedy: 'See: vdsm train --help' })
    return [name, decoded.right] as const
  })
  return Object.fromEntries(entries) as TrainOptions // each entry was decoded by the codec of its name
}

/** The config of a new run. */
export const newConfig = (o: TrainOptions): RunConfig => {
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
  }
}

/**
 * The config of a run that is continued: as recorded, with the options that may change (--steps, --checkpoint-every,
 * --picture-every; --data-dir, for sheets that have moved). An option that contradicts the record is refused.
 */
export const resumedConfig = (recorded: RunConfig, o: TrainOptions): RunConfig => {
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

const loadPrograms = async (folder: string, config: string, device: 'wasm' | 'eager'): Promise<Programs> => {
  const build = await orThrow(openBuild(nodeHost(folder)))
  const load = (name: string) => (): Promise<Executable> => orThrow(build.load(`vdsm/${config}/${name}`, { device }))
  for (const name of ['init', 'trainStep', 'encode', 'decode', 'evaluate']) {
    const program = right(E.mapLeft(toCompile)(findProgram(build.manifest, `vdsm/${config}/${name}`)))
    if (device === 'wasm') right(checkFresh(folder, program))
  }
  return { trainStep: await load('trainStep')(), init: load('init'), encode: once(load('encode')), decode: once(load('decode')), evaluate: once(load('evaluate')) }
}

/** Runs the command; returns the exit code: 0, or 130 where it was stopped by a signal. Throws a `Refusal`. */
export const trainCommand = async (given: Readonly<Record<string, unknown>>): Promise<number> => {
  const o = parseTrainOptions(given)
  const opened = o.resume === undefined ? undefined : openRun(o.resume === true ? (o.out ?? newestRun()) : o.resume)
  const config = opened === undefined ? newConfig(o) : resumedConfig(opened.config, o)
  const schedule = scheduleOf(config.config)
  const data = openData(config.data)
  const programs = await loadPrograms(o.build ?? DEFAULTS.build, config.config, o.device ?? 'wasm')
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

/** Adds the command to the command line. Options have no defaults here, so that --resume can tell what was asked for. */
export const register: Register = (cli, settle) => {
  cli
    .command('train')
    .description('Train the first stage of VDSM; writes metrics, checkpoints and pictures to the folder of the run.')
    .option('--config <name>', `model configuration: ${configNames.join(', ')} (default: ${DEFAULTS.config})`)
    .option('--data <name>', `data set: ${DATA_NAMES.join(', ')} (default: ${DEFAULTS.data})`)
    .option('--data-dir <folder>', 'for sprites: the folder with body/ pants/ shirt/ hair/')
    .option('--frame-choice <name>', 'for sprites: which columns make the eight frames, paper or li-mandt (default: paper)')
    .option('--split-seed <n>', 'decides what is held out (default: 0)')
    .option('--stage <n>', 'training stage; there is stage 1 (default: 1)')
    .option('--steps <n>', `steps of the whole run (default: ${configNames.map(name => `${name} ${DEFAULT_STEPS[name]}`).join(', ')})`)
    .option('--seed <n>', `seed of the initial parameters, the batches and the noise (default: ${DEFAULTS.seed})`)
    .option('--lr <rate>', "learning rate at the start; the schedule's shape is kept")
    .option('--out <folder>', 'folder of the run, new or empty (default: runs/DATE-CONFIG-DATA-SEED)')
    .option('--resume [folder]', 'continue the run in this folder (default: --out, or the newest in runs/)')
    .option('--checkpoint-every <n>', `steps between checkpoints (default: ${DEFAULTS.checkpointEvery})`)
    .option('--picture-every <n>', `steps between pictures (default: ${DEFAULTS.pictureEvery})`)
    .option('--build <folder>', `folder of the compiled programs (default: ${DEFAULTS.build})`)
    .option('--device <name>', 'wasm or eager (slow; float64) (default: wasm)')
    .action((given: Readonly<Record<string, unknown>>) => settle(attempt(async () => {
      process.exitCode = await trainCommand(given)
    })))
}
