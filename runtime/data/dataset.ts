/**
 * What a data set is to the rest of the runtime, and the one batcher that all of them share. A data set supplies a
 * `Source` - what there is and how one frame is drawn - and gets batches, clips and labels from here.
 *
 * A batch is a pure function of (split, groups, parts, frames, order, seed, step): training can stop and go on at any step.
 */
import { refuse } from '../../dsl/errors.ts'
import { chooseFrames, drawMany, type Order } from './choose.ts'
import { PURPOSE, stream } from './random.ts'
import { CHANNELS, FRAME, SIDE, type BySplit, type Factor, type Source, type Split } from './source.ts'

export type { Order } from './choose.ts'
export { FRAME, SIDE, splitIndices, type Factor, type Source, type Split } from './source.ts'

export type BatchRequest = {
  readonly split: Split
  readonly groups: number
  /** Clips of one group, all of one identity; default 1. */
  readonly parts?: number
  /** Frames of one part. */
  readonly frames: number
  readonly seed: number
  readonly step: number
  readonly order?: Order
  /** Where the frames are written, and returned as `x`; default: an array of their own. A loop that gives one leaves no garbage of that size. */
  readonly into?: Float32Array
}

/** Ground truth of a batch; used by evaluation and pictures, never by training. `factors` holds one index per group. */
export type Labels = {
  /** [B] */
  readonly identity: Int32Array
  /** [B * P * T] */
  readonly action: Int32Array
  /** [B * P * T]: the frame's place in its sequence. */
  readonly frame: Int32Array
  /** Factor name -> [B], an index into the factor's values. */
  readonly factors: Readonly<Record<string, Int32Array>>
}

/** `x` is [B, P, T, 3, 64, 64], values in [0, 1]. */
export type Batch = { readonly x: Float32Array; readonly shape: readonly number[]; readonly labels: Labels }

/** What is known of one sequence without drawing it. `factors` and, where the data set names its actions, `action` are the truth that evaluation asks for. */
export type SequenceLabels = {
  readonly identity: number
  readonly action: number
  readonly take: number
  /** Frames of the whole sequence. */
  readonly frames: number
  /** Factor name -> an index into the factor's values; empty where nothing is known. */
  readonly factors: Readonly<Record<string, number>>
}

/** Consecutive frames of one sequence: `x` is [T, 3, 64, 64]. */
export type Clip = Omit<SequenceLabels, 'frames'> & { readonly x: Float32Array }

export type DataSet = {
  readonly name: string
  /** Frames of the shortest sequence. */
  readonly frames: number
  readonly factors: readonly Factor[]
  /** The names of the actions; empty where nobody says what is done: then the numbers of actions only tell the sequences of one identity apart. */
  readonly actions: readonly string[]
  /** Identities of each split; disjoint, unless the data set says that it holds out takes instead. */
  readonly identities: BySplit<readonly number[]>
  /** Whole sequences in each split. */
  readonly sequences: BySplit<number>
  /** A line that must stand beside every picture that shows these frames or frames learnt from them. */
  readonly credit?: string
  /** What an identity is called, where it has a name. */
  readonly identityName?: (identity: number) => string
  /** The same of sequence `index` of a split. */
  readonly sequenceName?: (split: Split, index: number) => string
  /** What whoever opened the set should be told, a line each, such as files that were left out. */
  readonly notes: readonly string[]
  readonly batch: (request: BatchRequest) => Batch
  /** Sequence `index` of a split, frames `start` (default 0) to `start + frames`. Sequences run by identity, then action, then take. */
  readonly clip: (split: Split, index: number, frames: number, start?: number) => Clip
  readonly labels: (split: Split, index: number) => SequenceLabels
  /** Refuses where some sequence, named, has fewer consecutive frames than that; `shorter` says who would take fewer, by name. */
  readonly requireFrames: (frames: number, shorter?: Readonly<Record<string, number>>) => void
}

const SPLIT_NUMBER: BySplit<number> = { train: 0, heldOut: 1 }

const requireFrames = (source: Source) => (frames: number, shorter: Readonly<Record<string, number>> = {}): void => {
  if (frames <= source.frames) return
  const named = source.shortest !== undefined
  const enough = Object.entries(shorter).filter(([, least]) => least <= source.frames).sort(([, a], [, b]) => b - a)
  const other = enough.length === 0 ? '' : `\n  So few frames are enough for ${enough.map(([name, least]) => `${name} (${least})`).join(', ')}.`
  refuse({
    kind: 'data',
    source: source.name,
    message: `${frames} consecutive frames were asked for, ${named ? `${source.shortest} has only ${source.frames}` : `a sequence has ${source.frames}`}`,
    remedy: (named ? 'Take this sequence out, or make it longer.'
      : 'Ask for fewer frames, or open the data set with longer sequences where it has that option.') + other,
  })
}

const checkWhole = (what: string, values: readonly (readonly [name: string, value: number, least: number])[]): void => {
  for (const [name, value, least] of values) {
    if (!Number.isSafeInteger(value) || value < least) {
      refuse({ kind: 'usage', message: `${what}: ${name} must be a whole number, at least ${least}; it is ${value}` })
    }
  }
}

const checkRequest = (source: Source, request: BatchRequest): void => {
  const { groups, parts = 1, frames, seed, step, order, into } = request
  checkWhole(`batch of ${source.name}`, [['groups', groups, 1], ['parts', parts, 1], ['frames', frames, 1], ['seed', seed, 0], ['step', step, 0]])
  const size = groups * parts * frames * FRAME
  if (into !== undefined && into.length !== size) {
    refuse({ kind: 'usage', message: `batch of ${source.name}: its frames take ${size} numbers, there is room for ${into.length}` })
  }
  if (order === 'sequence') requireFrames(source)(frames)
}

const batchOf = (source: Source) => (request: BatchRequest): Batch => {
  checkRequest(source, request)
  const { split, groups, parts = 1, frames, seed, step, order = 'identity' } = request
  const path = [seed, PURPOSE.batch, SPLIT_NUMBER[split], step] as const
  const identities = drawMany(source.identities[split], groups, stream(...path, 0))
  const { into: x = new Float32Array(groups * parts * frames * FRAME) } = request
  const action = new Int32Array(groups * parts * frames)
  const frame = new Int32Array(groups * parts * frames)
  identities.forEach((identity, group) => {
    chooseFrames(source, split, identity, parts, frames, order, stream(...path, 1, group)).forEach((f, t) => {
      const at = group * parts * frames + t
      action[at] = f.action
      frame[at] = f.frame
      source.draw(identity, f.action, f.take, f.frame, x, at * FRAME)
    })
  })
  const factorsByGroup = identities.map(source.factorsOf)
  const factors = Object.fromEntries(source.factors.map(({ name }) => [name, Int32Array.from(factorsByGroup, f => f[name] ?? -1)]))
  return { x, shape: [groups, parts, frames, CHANNELS, SIDE, SIDE], labels: { identity: Int32Array.from(identities), action, frame, factors } }
}

/** How many sequences lie before each identity of a split, and in all: [identities + 1]. */
const startsOf = (source: Source, split: Split): Float64Array => {
  const starts = new Float64Array(source.identities[split].length + 1)
  source.identities[split].forEach((identity, i) => { starts[i + 1] = (starts[i] ?? 0) + source.countOf(split, identity) })
  return starts
}

/** The last i with starts[i] <= index. */
const identityAt = (starts: Float64Array, index: number): number => {
  let [low, high] = [0, starts.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] ?? 0) <= index) low = middle
    else high = middle
  }
  return low
}

const labelsOf = (source: Source, starts: BySplit<Float64Array>) => (split: Split, index: number): SequenceLabels => {
  const count = starts[split].at(-1) ?? 0
  if (!Number.isSafeInteger(index) || index < 0 || index >= count) {
    refuse({ kind: 'usage', message: `${source.name} has the sequences 0 to ${count - 1} in ${split}; ${index} was asked for` })
  }
  const place = identityAt(starts[split], index)
  const identity = source.identities[split][place] ?? 0
  let rest = index - (starts[split][place] ?? 0)
  for (const action of source.actionsOf(split, identity)) {
    const takes = source.takesOf(split, identity, action)
    const take = takes[rest]
    if (take !== undefined) return { identity, action, take, frames: source.framesOf(identity, action, take), factors: source.factorsOf(identity) }
    rest -= takes.length
  }
  return refuse({ kind: 'bug', where: `data set ${source.name}`, message: `sequence ${index} of ${split} is counted but not there` })
}

/** Makes a data set of a source: splits are the source's, batches and clips are drawn here. */
export const makeDataSet = (source: Source): DataSet => {
  const starts = { train: startsOf(source, 'train'), heldOut: startsOf(source, 'heldOut') }
  const labels = labelsOf(source, starts)
  const { sequenceName } = source
  const nameOf = sequenceName === undefined ? undefined : (split: Split, index: number): string => {
    const { identity, action, take } = labels(split, index)
    return sequenceName(identity, action, take)
  }
  const clip = (split: Split, index: number, frames: number, start = 0): Clip => {
    checkWhole(`clip of ${source.name}`, [['frames', frames, 1], ['start', start, 0]])
    const { frames: length, ...known } = labels(split, index)
    const { identity, action, take } = known
    if (start + frames > length) {
      refuse({ kind: 'data', source: source.name,
        message: `frames ${start} to ${start + frames - 1} of sequence ${index} in ${split} were asked for; it has ${length}` })
    }
    const x = new Float32Array(frames * FRAME)
    for (let t = 0; t < frames; t++) source.draw(identity, action, take, start + t, x, t * FRAME)
    return { x, ...known }
  }
  return {
    name: source.name,
    frames: source.frames,
    factors: source.factors,
    actions: source.actions,
    identities: source.identities,
    sequences: { train: starts.train.at(-1) ?? 0, heldOut: starts.heldOut.at(-1) ?? 0 },
    ...(source.credit === undefined ? {} : { credit: source.credit }),
    ...(source.identityName === undefined ? {} : { identityName: source.identityName }),
    ...(nameOf === undefined ? {} : { sequenceName: nameOf }),
    notes: source.notes ?? [],
    batch: batchOf(source),
    clip,
    labels,
    requireFrames: requireFrames(source),
  }
}

/**
 * Refuses a batch with a value that is not a number in [0, 1], naming the first one: group, part, frame, channel, row, column.
 * Call it on every batch before it reaches a program: one NaN here would otherwise spoil every parameter.
 */
export const checkPixels = (name: string, batch: Batch): void => {
  const { x, shape } = batch
  const bad = firstOutside(x)
  if (bad < 0) return
  const [, parts = 1, frames = 1] = shape
  const group = Math.floor(bad / (parts * frames * FRAME))
  const part = Math.floor(bad / (frames * FRAME)) % parts
  const t = Math.floor(bad / FRAME) % frames
  const within = bad % FRAME
  const [c, row, column] = [Math.floor(within / (SIDE * SIDE)), Math.floor(within / SIDE) % SIDE, within % SIDE]
  refuse({
    kind: 'data',
    source: name,
    message: `group ${group} (identity ${batch.labels.identity[group]}),${parts > 1 ? ` part ${part},` : ''} `
      + `frame ${t}, channel ${c}, row ${row}, column ${column} is ${x[bad]}; pixels lie in [0, 1]`,
    remedy: 'Nothing was trained on this batch. Repair or remove the file that holds this frame.',
  })
}

const firstOutside = (x: Float32Array): number => {
  for (let i = 0; i < x.length; i++) {
    const v = x[i] as number
    if (!(v >= 0 && v <= 1)) return i
  }
  return -1
}
