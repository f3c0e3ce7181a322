/**
 * What a run is: the contents of its config.json. Written once when the run starts, read again by `--resume`; everything
 * that decides the numbers is in it, so that a run can be repeated from this file and the source's revision.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Failure } from '../../dsl/errors.ts'
import { DataConfig, DATA_KEYS } from '../data/open.ts'
import { decodeProblems } from '../manifest.ts'

const whole = (least: number): t.Type<number> =>
  new t.Type<number>(
    `whole number >= ${least}`,
    (u): u is number => typeof u === 'number' && Number.isSafeInteger(u) && u >= least,
    (u, c) => (typeof u === 'number' && Number.isSafeInteger(u) && u >= least ? t.success(u) : t.failure(u, c)),
    t.identity,
  )

const positive = new t.Type<number>(
  'number > 0',
  (u): u is number => typeof u === 'number' && Number.isFinite(u) && u > 0,
  (u, c) => (typeof u === 'number' && Number.isFinite(u) && u > 0 ? t.success(u) : t.failure(u, c)),
  t.identity,
)

export const runVersion = 2

/** Stage 1 trains on single frames, stage 2 on videos with what stage 1 has learnt about frames. */
export type StageNumber = 1 | 2

type StageList = readonly [1, 2] | readonly [1] | readonly [2]
const isStages = (u: unknown): u is StageList => ['[1,2]', '[1]', '[2]'].includes(JSON.stringify(u))
const Stages = new t.Type<StageList>('[1, 2], [1] or [2]', isStages, (u, c) => (isStages(u) ? t.success(u) : t.failure(u, c)), t.identity)

const steps = { frames: whole(1), video: whole(1) }
const required = {
  version: t.literal(runVersion),
  /** Name of the model's configuration: programs vdsm/<config>/... and the schedules of that name. */
  config: t.string,
  /** What is trained here, in order. */
  stages: Stages,
  data: DataConfig,
  seed: whole(0),
  /** Length of stage 1 (frames) and of stage 2 (video), whichever of them are trained here; annealing is relative to it. */
  steps: t.readonly(t.type(steps)),
  checkpointEvery: whole(1),
  pictureEvery: whole(1),
}
const optional = {
  /** The checkpoint of stage 1 from which stage 2 starts: there if, and only if, stage 1 is not trained here. */
  from: t.string,
  /** The learning rate at the start, where it is not the schedule's own; see `withLearningRate`. */
  learningRate: positive,
  /** What it is computed on; where nothing is said, wasm. Another device may go on with the run: results then agree up to rounding. */
  device: t.keyof({ wasm: null, eager: null, webgpu: null }),
  /** Of a GPU's products, where it is not f32. */
  precision: t.keyof({ 'f16-tiles': null, 'tensor-cores': null }),
  /** The most threads that may be used, where that was said. It does not change the numbers. */
  threads: whole(1),
}

export const RunConfig = t.readonly(t.intersection([t.type(required), t.partial(optional)]))
export type RunConfig = t.TypeOf<typeof RunConfig>

/** How long a stage of the run is. */
export const stepsOf = (config: RunConfig, stage: StageNumber): number => (stage === 1 ? config.steps.frames : config.steps.video)

const remedy = 'Restore the file as the run wrote it, or start a new run with another --out.'

const member = (value: unknown, key: string): unknown =>
  (typeof value === 'object' && value !== null && key in value ? (value as Readonly<Record<string, unknown>>)[key] : undefined)

const unknownKeys = (value: unknown, known: readonly string[], prefix = ''): readonly string[] =>
  typeof value === 'object' && value !== null ? Object.keys(value).filter(key => !known.includes(key)).map(key => `${prefix}${key}`) : []

/** Decodes the text of a config.json. Unknown keys, missing keys and bad values are named, with what was expected. */
export const parseRunConfig = (text: string, path: string): E.Either<Failure, RunConfig> => {
  const json = E.tryCatch((): unknown => JSON.parse(text), error => (error instanceof Error ? error.message : String(error)))
  if (E.isLeft(json)) return E.left({ kind: 'file', path, message: `not valid JSON (${json.left})`, remedy })
  const no = (message: string, then = remedy): E.Either<Failure, RunConfig> => E.left({ kind: 'config', where: path, message, remedy: then })
  if (member(json.right, 'version') === 1) {
    return no('the run was begun by an earlier version, which trained one stage only', 'Start a new run with another --out.')
  }
  const known = [...Object.keys(required), ...Object.keys(optional)]
  const strange = [
    ...unknownKeys(json.right, known),
    ...unknownKeys(member(json.right, 'steps'), Object.keys(steps), 'steps.'),
    ...unknownKeys(member(json.right, 'data'), DATA_KEYS, 'data.'),
  ]
  if (strange.length > 0) {
    return no(`unknown key ${strange.map(key => `'${key}'`).join(', ')}`,
      `Remove or rename it. Known keys: ${known.join(', ')}; in data: ${DATA_KEYS.join(', ')}.`)
  }
  const decoded = RunConfig.decode(json.right)
  if (E.isLeft(decoded)) return no(decodeProblems(decoded.left, 5))
  const { from, stages } = decoded.right
  if ((stages[0] === 2) !== (from !== undefined)) {
    return no(from === undefined ? "from: expected the checkpoint of stage 1 that stage 2 starts from, found nothing"
      : 'from: a run that trains stage 1 starts from nothing else')
  }
  return decoded
}

/** The text of a config.json. */
export const printRunConfig = (config: RunConfig): string => `${JSON.stringify(config, null, 2)}\n`
