/** From the options of `vdsm train` to the config of a run: a new one, or one that is continued. */
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { configs } from '../../models/vdsm/config.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { dataConfig, DEFAULT_DATA, movedDataConfig, type DataName, type DataOptions } from '../data/open.ts'
import { dataOf, readCheckpoint, type Checkpoint } from '../train/checkpoint.ts'
import { runVersion, type RunConfig } from '../train/config.ts'
import { listCheckpoints, openRun } from '../train/folder.ts'
import type { OnDeviceFailure } from '../train/recovery.ts'
import type { DeviceOptions } from './device.ts'

export type ConfigName = keyof typeof schedules

/** Steps of each stage where --steps and --steps2 are not given. */
export const DEFAULT_STEPS: Readonly<Record<ConfigName, RunConfig['steps']>> = {
  tiny: { frames: 200, video: 100 },
  small: { frames: 8000, video: 2000 },
  'small-16': { frames: 8000, video: 2000 },
  'paper-sprites': { frames: 10_000, video: 10_000 },
  'paper-mug': { frames: 12_500, video: 400 },
}
/** Seven colours at angles of one number are learnt sooner. */
export const PENDULUM_STEPS: RunConfig['steps'] = { frames: 1000, video: 1500 }
const defaultSteps = (config: ConfigName, data: DataName): RunConfig['steps'] =>
  (config === 'small-16' && data === 'pendulum' ? PENDULUM_STEPS : DEFAULT_STEPS[config])

/** What a data set is trained with where --config is not given: by the length of its videos. */
export const DEFAULT_CONFIG: Readonly<Record<DataName, ConfigName>> = {
  pendulum: 'small-16', sprites: 'small', 'moving-mnist': 'small-16', folder: 'small', mug: 'small-16',
}
export const DEFAULTS = { seed: 0, checkpointEvery: 100, pictureEvery: 100 } as const

export const configNames = Object.keys(schedules) as readonly ConfigName[] // keys of a closed record

/** Frames of a video of each configuration, as `--config NAME`. */
export const CONFIG_FRAMES: Readonly<Record<string, number>> =
  Object.fromEntries(Object.entries(configs).map(([name, { video }]) => [`--config ${name}`, video.T]))

const STAGES = { '1': [1], '2': [2], both: [1, 2] } as const satisfies Readonly<Record<string, RunConfig['stages']>>

/** Refuses a name that no configuration has. */
export const knownConfig = (name: string): ConfigName =>
  configNames.find(known => known === name) ?? refuse({ kind: 'config', where: 'config', message: `there is no configuration '${name}'`,
    remedy: `There are: ${configNames.join(', ')}.` })

/** What the options say, under commander's names. */
export type Options = DataOptions & DeviceOptions & {
  readonly config?: ConfigName
  readonly stage?: keyof typeof STAGES
  readonly from?: string
  readonly steps?: number
  readonly steps2?: number
  readonly out?: string
  /** True: without a folder. */
  readonly resume?: string | true
  readonly seed?: number
  readonly build: string
  readonly lr?: number
  readonly checkpointEvery?: number
  readonly pictureEvery?: number
  readonly verify?: number
  readonly onDeviceFailure?: OnDeviceFailure
}

/** The config of a new run. What a run of stage 2 alone is not told, it has from the checkpoint that it starts from. */
export const newConfig = (o: Options, from: Checkpoint | undefined): RunConfig => {
  const config = o.config ?? knownConfig(from?.metadata.config ?? DEFAULT_CONFIG[o.data ?? DEFAULT_DATA])
  const recorded = from === undefined ? undefined : dataOf(from)
  const stages = STAGES[o.stage ?? (from === undefined ? 'both' : '2')]
  const idle = stages.length === 2 ? undefined : stages[0] === 1 ? (['--steps2', o.steps2] as const) : (['--steps', o.steps] as const)
  if (idle?.[1] !== undefined) {
    refuse({ kind: 'usage', message: `${idle[0]} is the length of stage ${stages[0] === 1 ? 2 : 1}, which is not trained here`,
      remedy: `Did you mean ${stages[0] === 1 ? '--steps' : '--steps2'}?` })
  }
  const data = recorded === undefined || o.data !== undefined ? dataConfig(o) : movedDataConfig(recorded, o, false)
  const steps = defaultSteps(config, data.name)
  return {
    version: runVersion,
    config,
    stages,
    data,
    seed: o.seed ?? (from === undefined ? DEFAULTS.seed : Number(from.metadata.seed)),
    steps: { frames: o.steps ?? steps.frames, video: o.steps2 ?? steps.video },
    checkpointEvery: o.checkpointEvery ?? DEFAULTS.checkpointEvery,
    pictureEvery: o.pictureEvery ?? DEFAULTS.pictureEvery,
    ...(from === undefined ? {} : { from: resolve(from.path) }),
    ...(o.lr === undefined ? {} : { learningRate: o.lr }),
    ...(o.threads === undefined ? {} : { threads: o.threads }),
  }
}

const FROM = 'Give --from the folder of a run that has trained stage 1, or a checkpoint of it.'

/** The checkpoint that --from names: a file, or the newest of stage 1 in the folder of a run. */
export const openFrom = async (path: string): Promise<Checkpoint> => {
  if (!existsSync(path)) {
    return refuse({ kind: 'file', path, message: 'no such file or folder', remedy: FROM })
  }
  if (statSync(path).isFile()) return readCheckpoint(path)
  if (!existsSync(join(path, 'config.json'))) {
    return refuse({ kind: 'file', path, message: 'not the folder of a run: it has no config.json', remedy: FROM })
  }
  const newest = listCheckpoints(openRun(path).folder).findLast(({ stage }) => stage === 1)
  return newest !== undefined ? readCheckpoint(newest.path)
    : refuse({ kind: 'file', path, message: 'the run has no checkpoint of stage 1', remedy: FROM })
}

/** The stages of a run that is continued: as recorded, or stage 2 after stage 1 where there was stage 1 alone. */
const resumedStages = (recorded: RunConfig['stages'], asked: Options['stage']): RunConfig['stages'] => {
  if (asked === undefined || String(STAGES[asked]) === String(recorded) || (asked === 'both' && recorded.length === 1 && recorded[0] === 1)) {
    return asked === undefined ? recorded : STAGES[asked]
  }
  return refuse({
    kind: 'usage',
    message: `--stage ${asked} contradicts the run that is resumed, which trains ${recorded.length === 2 ? 'both stages' : `stage ${recorded[0]}`}`,
    remedy: asked === '2' ? 'To train stage 2 from what a run has learnt, in a run of its own: --stage 2 --from RUN, without --resume.'
      : 'Leave --stage out, or start a new run without --resume.',
  })
}

/** The steps of a run that is continued: a stage that the run trains already may become longer, never shorter. */
const resumedSteps = ({ stages, steps }: RunConfig, o: Options): RunConfig['steps'] => {
  for (const [stage, name, given, was] of [[1, '--steps', o.steps, steps.frames], [2, '--steps2', o.steps2, steps.video]] as const) {
    if (given !== undefined && given < was && stages.some(each => each === stage)) {
      refuse({ kind: 'usage', message: `${name} ${given} is less than the ${was} steps that the run has recorded for stage ${stage}: it may only grow`,
        remedy: `Leave ${name} out, or give at least ${was}; to train for less, start a new run without --resume.` })
    }
  }
  return { frames: o.steps ?? steps.frames, video: o.steps2 ?? steps.video }
}

/**
 * The config of a run that is continued: as recorded, with the options that may change (--steps2, which may grow; --steps as well, until
 * stage 2 has begun; --stage both, after stage 1 alone; --checkpoint-every, --picture-every, --threads; --data-dir, for files that
 * have moved). An option that contradicts the record is refused.
 */
export const resumedConfig = (recorded: RunConfig, o: Options): RunConfig => {
  const fixed = [
    ['--config', o.config, recorded.config], ['--seed', o.seed, recorded.seed], ['--lr', o.lr, recorded.learningRate],
    ['--from', o.from, undefined],
  ] as const
  for (const [name, given, was] of fixed) {
    if (given !== undefined && given !== was) {
      refuse({ kind: 'usage', message: `${name} ${given} contradicts the run that is resumed, which has ${was ?? 'none'}`,
        remedy: `Leave ${name} out, or start a new run without --resume.` })
    }
  }
  return {
    ...recorded,
    stages: resumedStages(recorded.stages, o.stage),
    data: movedDataConfig(recorded.data, o),
    steps: resumedSteps(recorded, o),
    checkpointEvery: o.checkpointEvery ?? recorded.checkpointEvery,
    pictureEvery: o.pictureEvery ?? recorded.pictureEvery,
    ...(o.threads === undefined ? {} : { threads: o.threads }),
  }
}

/** Refuses --stage 2 without --from, and --from with another stage. */
export const checkFrom = ({ stage, from }: Options): void => {
  if (stage === '2' && from === undefined) {
    refuse({ kind: 'usage', message: 'stage 2 starts from what stage 1 has learnt',
      remedy: 'Add --from with a run that has trained stage 1, or with one of its checkpoints; or leave --stage out to train both.' })
  }
  if (stage !== undefined && stage !== '2' && from !== undefined) {
    refuse({ kind: 'usage', message: '--from is where stage 2 starts, stage 1 starts from nothing', remedy: 'Leave --from or --stage out.' })
  }
}
