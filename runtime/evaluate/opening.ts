/** A trained model to be evaluated: what its run recorded, a checkpoint of either stage, and the programs that look at data. */
import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { configs, type ConfigName } from '../../models/vdsm/config.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { openPrograms, type Programs, type Where } from '../infer/programs.ts'
import { readText } from '../io/files.ts'
import { dataOf, readCheckpoint, type Checkpoint } from '../train/checkpoint.ts'
import { parseRunConfig, stepsOf, type RunConfig, type StageNumber } from '../train/config.ts'
import { listCheckpoints, newestRun, runFolder } from '../train/folder.ts'
import { STAGE_NAME } from '../train/stages.ts'
import { right } from '../train/task.ts'
import { centred, type Prior } from './facts.ts'

export type Trained = {
  readonly run: string
  readonly config: RunConfig
  readonly checkpoint: Checkpoint
  /** Of the mixture, as the schedule has it where training stood. */
  readonly temperature: number
  /** p(s) and p(d). */
  readonly priors: { readonly s: Prior; readonly d: Prior }
  /** `encode` and `evaluate` of the checkpoint's stage, with its parameters. */
  readonly programs: Programs<'encode' | 'evaluate'>
}

/** Which checkpoint is meant: the newest of a run (of that stage), or a file. Without either, of the newest run. */
export type Wanted = { readonly run?: string | undefined; readonly checkpoint?: string | undefined; readonly stage?: StageNumber | undefined }

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

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

const remedy = 'Give the folder of a run, e.g. runs/20260130-142500-small-pendulum-0.'

/** The checkpoint's path, and the folder of the run that says what data it was trained on. */
const placesOf = ({ run, checkpoint, stage }: Wanted): { readonly run: string; readonly path: string } => {
  const file = checkpoint ?? (run !== undefined && isFile(run) ? run : undefined)
  const home = run !== undefined && !isFile(run) ? run : file === undefined ? newestRun() : dirname(dirname(file))
  const folder = runFolder(home)
  if (!existsSync(folder.config)) return refuse({ kind: 'file', path: home, message: 'not the folder of a run: it has no config.json', remedy })
  if (file !== undefined) return { run: home, path: file }
  const newest = listCheckpoints(folder).findLast(each => stage === undefined || each.stage === stage)
  return newest === undefined
    ? refuse({ kind: 'file', path: home, message: `the run has no checkpoint${stage === undefined ? '' : ` of stage ${stage}`}`,
      remedy: stage === undefined ? `Train it: vdsm train --resume ${home}` : 'Leave --stage out to evaluate what is there.' })
    : { run: home, path: newest.path }
}

/**
 * Refuses a checkpoint of another run where that run held out something else: what this one holds out was trained on there. A
 * checkpoint that does not say what it was trained on is taken as it is.
 */
const checkData = ({ data }: RunConfig, checkpoint: Checkpoint, run: string): void => {
  const trained = dataOf(checkpoint)
  if (trained === undefined || (trained.name === data.name && trained.splitSeed === data.splitSeed)) return
  const of = ({ name, splitSeed }: typeof data): string => `${name} with split seed ${splitSeed}`
  refuse({
    kind: 'file', path: checkpoint.path,
    message: `it was trained on ${of(trained)}, the run ${run} is on ${of(data)}: what is held out there may have been trained on here`,
    remedy: 'Give the folder of the run that the checkpoint is of.',
  })
}

/** Opens what is to be evaluated. Throws a `Refusal`. */
export const openTrained = async (wanted: Wanted, build: string, where: Where): Promise<Trained> => {
  const { run, path } = placesOf(wanted)
  const { config: at } = runFolder(run)
  const config = right(parseRunConfig(right(readText(at)), at))
  const checkpoint = await readCheckpoint(path)
  checkData(config, checkpoint, run)
  const name = checkpoint.metadata.config
  if (!isConfig(name)) {
    return refuse({ kind: 'file', path, message: `it is of configuration '${name}', which is unknown here`,
      remedy: `There are: ${Object.keys(configs).join(', ')}.` })
  }
  const part = STAGE_NAME[checkpoint.stage]
  const steps = stepsOf(config, checkpoint.stage)
  return {
    run, config, checkpoint,
    temperature: schedules[name][part].temperature(Math.min(checkpoint.step, steps - 1) / steps),
    priors: priorsOf(name, checkpoint),
    programs: await openPrograms(build, checkpoint, { encode: `${part}/encode`, evaluate: `${part}/evaluate` }, where),
  }
}
