/**
 * What a data set is to the rest of the runtime, and the one batcher that all of them share. A data set supplies a
 * `Source` - which identities, actions and takes exist and how one frame is drawn - and gets splits and batches from here.
 *
 * A batch is a pure function of (split, groups, frames, order, seed, step): training can stop and go on at any step.
 */
import { refuse } from '../../dsl/errors.ts'
import { PURPOSE, shuffled, stream, type Stream } from './random.ts'

export const SIDE = 64
const CHANNELS = 3
/** Values of one frame: planar [3, 64, 64]. */
export const FRAME = CHANNELS * SIDE * SIDE

export type Split = 'train' | 'heldOut'

/**
 * How the frames of a group are chosen. `identity`: half of them from one random action and half from another, at random
 * places in each (stage 1 of the paper: order means nothing). `sequence`: consecutive frames of one take of one action.
 */
export type Order = 'identity' | 'sequence'

export type BatchRequest = {
  readonly split: Split
  readonly groups: number
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
  /** [B, T] */
  readonly action: Int32Array
  /** [B, T]: the frame's place in its sequence. */
  readonly frame: Int32Array
  /** Factor name -> [B], an index into the factor's values. */
  readonly factors: Readonly<Record<string, Int32Array>>
}

/** `x` is [B, T, 3, 64, 64], values in [0, 1]. */
export type Batch = { readonly x: Float32Array; readonly shape: readonly number[]; readonly labels: Labels }

/** A named property of an identity and the names of its values. */
export type Factor = { readonly name: string; readonly values: readonly string[] }

export type DataSet = {
  readonly name: string
  /** Frames in one whole sequence. */
  readonly frames: number
  readonly factors: readonly Factor[]
  readonly actions: readonly string[]
  /** Identities of each split; disjoint, unless the data set says that it holds out takes instead. */
  readonly identities: Readonly<Record<Split, readonly number[]>>
  /** Whole sequences in each split. */
  readonly sequences: Readonly<Record<Split, number>>
  /** A line that must stand beside every picture that shows these frames or frames learnt from them. */
  readonly credit?: string
  readonly batch: (request: BatchRequest) => Batch
}

/** What a data set supplies. `takes` are recordings of one identity doing one action; `draw` writes FRAME values at `offset`. */
export type Source = {
  readonly name: string
  readonly frames: number
  readonly factors: readonly Factor[]
  readonly actions: readonly string[]
  readonly identities: Readonly<Record<Split, readonly number[]>>
  readonly takes: Readonly<Record<Split, readonly number[]>>
  readonly factorsOf: (identity: number) => Readonly<Record<string, number>>
  readonly draw: (identity: number, action: number, take: number, frame: number, out: Float32Array, offset: number) => void
  readonly credit?: string
}

/**
 * Splits 0..n-1 into train and held-out by a permutation that depends on `seed` only. At least one item is held out and
 * at least one is kept; `n` must be 2 or more.
 */
export const splitIndices = (n: number, fraction: number, seed: number): Readonly<Record<Split, readonly number[]>> => {
  const held = Math.min(n - 1, Math.max(1, Math.round(n * fraction)))
  const order = shuffled(Array.from({ length: n }, (_, i) => i), stream(seed, PURPOSE.split, n))
  const sorted = (items: readonly number[]): readonly number[] => [...items].sort((a, b) => a - b)
  return { heldOut: sorted(order.slice(0, held)), train: sorted(order.slice(held)) }
}

/** The first `count` of `items` in random order; starts over with a new permutation when they run out. */
const drawMany = (items: readonly number[], count: number, s: Stream): readonly number[] =>
  Array.from({ length: Math.ceil(count / items.length) }, () => shuffled(items, s)).flat().slice(0, count)

type Frame = { readonly action: number; readonly take: number; readonly frame: number }

const pick = (items: readonly number[], s: Stream): number => items[s.below(items.length)] as number
const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** Frames of one group in `identity` order: two actions (more where T needs them), an equal share of each, places ascending. */
const mixedFrames = (source: Source, split: Split, frames: number, s: Stream): readonly Frame[] => {
  const parts = Math.min(frames, Math.max(2, Math.ceil(frames / source.frames)))
  const actions = drawMany(upTo(source.actions.length), parts, s)
  return actions.flatMap((action, part) => {
    const share = Math.floor(((part + 1) * frames) / parts) - Math.floor((part * frames) / parts)
    const take = pick(source.takes[split], s)
    const places = [...drawMany(upTo(source.frames), share, s)].sort((a, b) => a - b)
    return places.map(frame => ({ action, take, frame }))
  })
}

const consecutiveFrames = (source: Source, split: Split, frames: number, s: Stream): readonly Frame[] => {
  const action = s.below(source.actions.length)
  const take = pick(source.takes[split], s)
  const start = s.below(source.frames - frames + 1)
  return upTo(frames).map(t => ({ action, take, frame: start + t }))
}

const SPLIT_NUMBER: Readonly<Record<Split, number>> = { train: 0, heldOut: 1 }

const checkRequest = (source: Source, request: BatchRequest): void => {
  const { groups, frames, seed, step, order, into } = request
  for (const [name, value, least] of [['groups', groups, 1], ['frames', frames, 1], ['seed', seed, 0], ['step', step, 0]] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      refuse({ kind: 'usage', message: `batch of ${source.name}: ${name} must be a whole number, at least ${least}; it is ${value}` })
    }
  }
  const size = groups * frames * FRAME
  if (into !== undefined && into.length !== size) {
    refuse({ kind: 'usage', message: `batch of ${source.name}: its frames take ${size} numbers, there is room for ${into.length}` })
  }
  if (order === 'sequence' && frames > source.frames) {
    refuse({
      kind: 'data',
      source: source.name,
      message: `${frames} consecutive frames were asked for, a sequence has ${source.frames}`,
      remedy: 'Ask for fewer frames, or open the data set with longer sequences where it has that option.',
    })
  }
}

/** Makes a data set of a source: splits are the source's, batches are drawn here. */
export const makeDataSet = (source: Source): DataSet => {
  const count = (split: Split): number => source.identities[split].length * source.actions.length * source.takes[split].length
  const batch = (request: BatchRequest): Batch => {
    checkRequest(source, request)
    const { split, groups, frames, seed, step, order = 'identity' } = request
    const path = [seed, PURPOSE.batch, SPLIT_NUMBER[split], step] as const
    const identities = drawMany(source.identities[split], groups, stream(...path, 0))
    const { into: x = new Float32Array(groups * frames * FRAME) } = request
    const action = new Int32Array(groups * frames)
    const frame = new Int32Array(groups * frames)
    identities.forEach((identity, group) => {
      const choose = order === 'identity' ? mixedFrames : consecutiveFrames
      choose(source, split, frames, stream(...path, 1, group)).forEach((f, t) => {
        const at = group * frames + t
        action[at] = f.action
        frame[at] = f.frame
        source.draw(identity, f.action, f.take, f.frame, x, at * FRAME)
      })
    })
    const factorsByGroup = identities.map(source.factorsOf)
    const factors = Object.fromEntries(source.factors.map(({ name }) => [name, Int32Array.from(factorsByGroup, f => f[name] ?? -1)]))
    return { x, shape: [groups, frames, CHANNELS, SIDE, SIDE], labels: { identity: Int32Array.from(identities), action, frame, factors } }
  }
  return {
    name: source.name,
    frames: source.frames,
    factors: source.factors,
    actions: source.actions,
    identities: source.identities,
    sequences: { train: count('train'), heldOut: count('heldOut') },
    ...(source.credit === undefined ? {} : { credit: source.credit }),
    batch,
  }
}

/**
 * Refuses a batch with a value that is not a number in [0, 1], naming the first one: group, frame, channel, row, column.
 * Call it on every batch before it reaches a program: one NaN here would otherwise spoil every parameter.
 */
export const checkPixels = (name: string, batch: Batch): void => {
  const { x, shape } = batch
  const bad = firstOutside(x)
  if (bad < 0) return
  const frames = shape[1] ?? 1
  const group = Math.floor(bad / (frames * FRAME))
  const t = Math.floor(bad / FRAME) % frames
  const within = bad % FRAME
  const [c, row, column] = [Math.floor(within / (SIDE * SIDE)), Math.floor(within / SIDE) % SIDE, within % SIDE]
  refuse({
    kind: 'data',
    source: name,
    message: `group ${group} (identity ${batch.labels.identity[group]}), frame ${t}, channel ${c}, row ${row}, column ${column} is ${x[bad]}; pixels lie in [0, 1]`,
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
