/** A trained model to be evaluated: what its run recorded, its newest checkpoint, and its programs with their parameters in place. */
import * as E from 'fp-ts/lib/Either.js'
import { refuse, type Failure } from '../../dsl/errors.ts'
import { configs, type ConfigName } from '../../models/vdsm/config.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { misfit } from '../arrays.ts'
import type { Build, LoadOptions } from '../build.ts'
import type { Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram } from '../manifest.ts'
import { restOf } from '../paths.ts'
import { readCheckpoint, type Checkpoint } from '../train/checkpoint.ts'
import { stepsOf, type RunConfig, type StageNumber } from '../train/config.ts'
import { listCheckpoints, openRun } from '../train/folder.ts'
import { STAGE_NAME } from '../train/stages.ts'
import { orThrow, right } from '../train/task.ts'
import { centred, type Prior } from './facts.ts'

export type Trained = {
  readonly run: string
  readonly config: RunConfig
  readonly checkpoint: Checkpoint
  /** 1 where the mixture is as soft as it starts; as the schedule has it where training stood. */
  readonly temperature: number
  /** p(s) and p(d). */
  readonly priors: { readonly s: Prior; readonly d: Prior }
  /** A program of the checkpoint's stage, by its short name, with all its parameters set. */
  readonly load: (name: string) => Promise<Executable>
}

const isConfig = (name: string): name is ConfigName => Object.hasOwn(configs, name)

/** A prior of `width` dimensions: as the option says, or as the checkpoint has learnt it (its scale goes through softplus). */
const priorOf = (option: string, width: number, { file }: Checkpoint, name: string): Prior => {
  if (option !== 'learnt') return centred(width, option === 'one' ? 1 : option.startsWith('variance') ? 1 / Math.sqrt(width) : 1 / width)
  const array = (part: string): ArrayLike<number> => file.arrays.get(`params.${name}.${part}`)?.data ?? []
  return { loc: array('loc'), scale: Array.from(array('scale'), v => Math.log1p(Math.exp(v))) }
}

const priorsOf = (name: ConfigName, checkpoint: Checkpoint): Trained['priors'] => {
  const { sizes, options } = configs[name]
  return { s: priorOf(options.priorS, sizes.S, checkpoint, 'priorS'), d: priorOf(options.priorD, sizes.D, checkpoint, 'priorD') }
}

/** Puts the arrays of a checkpoint into all inputs below `params`. Refuses arrays that are missing or do not fit, by name. */
const giveParameters = (checkpoint: Checkpoint, program: Executable): void => {
  const slots = program.program.inputs.filter(({ path }) => restOf(path, 'params') !== null)
  const problems = slots.flatMap(slot => {
    const array = checkpoint.file.arrays.get(slot.path)
    const problem = array === undefined ? 'not in the checkpoint' : misfit(slot, array)
    return problem === null ? [] : [`${slot.path}: ${problem}`]
  })
  if (problems.length > 0) {
    refuse({ kind: 'arrays', program: program.program.id, problems: problems.slice(0, 8), remedy: `The model has changed since ${checkpoint.path} was written: check out that revision (${checkpoint.metadata.revision}).` })
  }
  for (const { path } of slots) program.set(path, checkpoint.file.arrays.get(path)?.data ?? [])
}

/** Where a build lacks the model's programs, or the probes', it was made of other sources. */
export const toCompile = (failure: Failure): Failure =>
  failure.kind === 'usage' ? { ...failure, remedy: 'Compile the models first: npm run compile (or: npx vdsm compile node_modules/vdsm/models).' } : failure

/** Refuses a program that the build lacks, or whose sources have changed since. */
export const checkProgram = (build: Build, folder: string, id: string): void => {
  right(checkFresh(folder, right(E.mapLeft(toCompile)(findProgram(build.manifest, id)))))
}

/** Opens the newest checkpoint of a run, or the newest of one stage. Refuses runs that have none. */
export const openTrained = async (run: string, build: Build, folder: string, options: LoadOptions, stage?: StageNumber): Promise<Trained> => {
  const { folder: at, config } = openRun(run)
  const name = config.config
  if (!isConfig(name)) return refuse({ kind: 'config', where: 'config', message: `there is no configuration '${name}'`, remedy: `There are: ${Object.keys(configs).join(', ')}.` })
  const newest = listCheckpoints(at).filter(each => stage === undefined || each.stage === stage).at(-1)
  if (newest === undefined) {
    return refuse({ kind: 'file', path: at.checkpoints, message: `there is no checkpoint${stage === undefined ? '' : ` of stage ${stage}`} to evaluate`,
      remedy: stage === undefined ? 'Train first: vdsm train.' : 'Leave --stage out to evaluate what is there.' })
  }
  const checkpoint = await readCheckpoint(newest.path)
  const part = STAGE_NAME[checkpoint.stage]
  const steps = stepsOf(config, checkpoint.stage)
  return {
    run, config, checkpoint,
    temperature: schedules[name][part].temperature(Math.min(checkpoint.step, steps - 1) / steps),
    priors: priorsOf(name, checkpoint),
    load: async short => {
      const id = `vdsm/${name}/${part}/${short}`
      checkProgram(build, folder, id)
      const program = await orThrow(build.load(id, options))
      giveParameters(checkpoint, program)
      return program
    },
  }
}
