/**
 * What a run is: the contents of its config.json. Written once when the run starts, read again by `--resume`; everything
 * that decides the numbers is in it, so that a run can be repeated from this file and the source's revision.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Failure } from '../../dsl/errors.ts'
import { DataConfig } from '../data/open.ts'
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

export const runVersion = 1

const required = {
  version: t.literal(runVersion),
  /** Name of the model's configuration: programs vdsm/<config>/... and the schedule of that name. */
  config: t.string,
  stage: t.literal(1),
  data: DataConfig,
  seed: whole(0),
  /** Length of the whole run; annealing is relative to it. */
  steps: whole(1),
  checkpointEvery: whole(1),
  pictureEvery: whole(1),
}
const optional = {
  /** The learning rate at the start, where it is not the schedule's own; the schedule's shape is kept. */
  learningRate: positive,
  /** The most threads that may be used, where that was said. It does not change the numbers. */
  threads: whole(1),
}

export const RunConfig = t.readonly(t.intersection([t.type(required), t.partial(optional)]))
export type RunConfig = t.TypeOf<typeof RunConfig>

const dataKeys = ['name', 'splitSeed', 'folder', 'frameChoice', 'frames']

const unknownKeys = (value: unknown, known: readonly string[], prefix: string): readonly string[] =>
  typeof value === 'object' && value !== null ? Object.keys(value).filter(key => !known.includes(key)).map(key => `${prefix}${key}`) : []

/** Decodes the text of a config.json. Unknown keys, missing keys and bad values are named, with what was expected. */
export const parseRunConfig = (text: string, path: string): E.Either<Failure, RunConfig> => {
  const remedy = 'Restore the file as the run wrote it, or start a new run with another --out.'
  const json = E.tryCatch((): unknown => JSON.parse(text), error => (error instanceof Error ? error.message : String(error)))
  if (E.isLeft(json)) return E.left({ kind: 'file', path, message: `not valid JSON (${json.left})`, remedy })
  const known = [...Object.keys(required), ...Object.keys(optional)]
  const data = typeof json.right === 'object' && json.right !== null && 'data' in json.right ? json.right.data : undefined
  const strange = [...unknownKeys(json.right, known, ''), ...unknownKeys(data, dataKeys, 'data.')]
  if (strange.length > 0) {
    const list = `Remove or rename it. Known keys: ${known.join(', ')}; in data: ${dataKeys.join(', ')}.`
    return E.left({ kind: 'config', where: path, message: `unknown key ${strange.map(key => `'${key}'`).join(', ')}`, remedy: list })
  }
  const decoded = RunConfig.decode(json.right)
  return E.isLeft(decoded) ? E.left({ kind: 'config', where: path, message: decodeProblems(decoded.left, 5), remedy }) : E.right(decoded.right)
}

/** The text of a config.json. */
export const printRunConfig = (config: RunConfig): string => `${JSON.stringify(config, null, 2)}\n`
