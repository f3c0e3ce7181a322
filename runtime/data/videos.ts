/**
 * Sequences from files, as the listed data sets hold them: read frame by frame where that is cheap, else decoded once and
 * kept as bytes, one for each of the [3, 64, 64] numbers of a frame, up to a limit beyond which the oldest are let go and
 * decoded again when they are needed.
 */
import { refuse } from '../../dsl/errors.ts'
import { fitterOf, type Fit } from '../io/resize.ts'
import { makeDataSet, type DataSet } from './dataset.ts'
import { planHeldOut } from './held-out.ts'
import { CHANNELS, FRAME, listed, SIDE, type Factor } from './source.ts'

/** One sequence: `draw` writes the FRAME values, in [0, 1], of a frame at `offset`. */
export type Sequence = { readonly name: string; readonly frames: number; readonly draw: (frame: number, out: Float32Array, offset: number) => void }

/** Where the pixels of a frame lie: [height, width, channels] bytes from `from` on. */
export type Pixels = { readonly data: Uint8Array; readonly from: number }

const fitters = new Map<string, Fit>()

/** What fits frames of one size; made once for each. */
const fitterFor = (height: number, width: number, channels: 1 | 3): Fit => {
  const key = `${height} ${width} ${channels}`
  const fit = fitters.get(key) ?? fitterOf(height, width, channels, SIDE)
  fitters.set(key, fit)
  return fit
}

/** A sequence whose frames, of any size, are read one by one, and fitted when they are drawn. */
export const readByFrame = (
  name: string, frames: number, size: readonly [height: number, width: number, channels: 1 | 3], read: (frame: number) => Pixels,
): Sequence => {
  const fit = fitterFor(...size)
  return {
    name, frames,
    draw: (frame, out, offset) => {
      const { data, from } = read(frame)
      fit(data, from, out, offset)
    },
  }
}

/** Fits whole frames of any size to bytes [frames, 3, 64, 64]. */
export const fittedBytes = (data: Uint8Array, frames: number, size: readonly [height: number, width: number, channels: 1 | 3]): Uint8Array => {
  const fit = fitterFor(...size)
  const [height, width, channels] = size
  const [out, one] = [new Uint8Array(frames * FRAME), new Float32Array(FRAME)]
  for (let t = 0; t < frames; t++) {
    fit(data, t * height * width * channels, one, 0)
    for (let i = 0; i < FRAME; i++) out[t * FRAME + i] = Math.round((one[i] as number) * 255)
  }
  return out
}

/** Bytes by name, the least recently used dropped where all would be more than `limit`. */
export type Keep = (name: string, make: () => Uint8Array) => Uint8Array

export const keepUpTo = (limit: number): Keep => {
  const kept = new Map<string, Uint8Array>()
  let total = 0
  return (name, make) => {
    const found = kept.get(name)
    const bytes = found ?? make()
    if (found === undefined) total += bytes.length
    kept.delete(name)
    kept.set(name, bytes)
    for (const [oldest, dropped] of kept) {
      if (total <= limit || oldest === name) break
      kept.delete(oldest)
      total -= dropped.length
    }
    return bytes
  }
}

/** Decoded sequences are kept up to this many bytes: 175,000 frames. */
export const KEPT_BYTES = 2 ** 31

/** A sequence that `load` decodes to bytes [frames, 3, 64, 64]. */
export const decodedWhole = (name: string, frames: number, keep: Keep, load: () => Uint8Array): Sequence => ({
  name, frames,
  draw: (frame, out, offset) => {
    const bytes = keep(name, load)
    const from = frame * FRAME
    for (let i = 0; i < FRAME; i++) out[offset + i] = (bytes[from + i] as number) / 255
  },
})

/** The number of channels of a frame's last axis, where it is one. */
export const channelsOf = (n: number | undefined): 1 | 3 | undefined => (n === 1 || n === CHANNELS ? n : undefined)

/** What is known of each sequence; arrays run along the sequences. */
export type SequenceFacts = {
  readonly identity: readonly number[]
  /** What identity 0, 1, ... is called. */
  readonly identityNames?: readonly string[]
  /** What each sequence is called. */
  readonly sequenceNames?: readonly string[]
  /** Without it, each sequence of an identity is an action of its own. */
  readonly action?: readonly number[]
  readonly actionNames?: readonly string[]
  readonly factors?: readonly Factor[]
  readonly factorsOf?: (identity: number) => Readonly<Record<string, number>>
}

export type SequenceSet = {
  readonly name: string
  readonly sequences: readonly Sequence[]
  readonly facts: SequenceFacts
  readonly heldOutShare: number
  readonly splitSeed: number
  readonly credit?: string
  readonly notes?: readonly string[]
}

/**
 * The data set of these sequences, a share of its identities held out, or of its sequences where identities are few (see
 * held-out.ts). Refuses fewer than two identities. Identities are numbered 0, 1, ...
 */
export const sequenceSet = ({ name, sequences, facts, heldOutShare, splitSeed, credit, notes }: SequenceSet): DataSet => {
  const identities = new Set(facts.identity).size
  if (identities < 2) {
    refuse({ kind: 'data', source: name,
      message: `${identities === 0 ? 'there is no sequence' : 'all sequences are of one identity'}; two identities are needed, to learn in what they differ`,
      remedy: 'Add sequences of another identity.' })
  }
  const seen = new Map<number, number>()
  const numbered = facts.identity.map(identity => {
    const n = seen.get(identity) ?? 0
    seen.set(identity, n + 1)
    return n
  })
  const action = facts.action ?? numbered
  const plan = planHeldOut(facts.identity, identities, heldOutShare, splitSeed)
  const { indexOf, ...inventory } = listed(
    sequences.map((sequence, i) => ({ identity: facts.identity[i] ?? 0, action: action[i] ?? 0, frames: sequence.frames, name: sequence.name })),
    plan.sequences,
  )
  const { identityNames, sequenceNames } = facts
  return makeDataSet({
    ...inventory,
    name,
    factors: facts.factors ?? [],
    actions: facts.actionNames ?? [],
    identities: plan.identities,
    factorsOf: facts.factorsOf ?? (() => ({})),
    ...(credit === undefined ? {} : { credit }),
    ...(notes === undefined ? {} : { notes }),
    ...(identityNames === undefined ? {} : { identityName: identity => identityNames[identity] ?? String(identity) }),
    ...(sequenceNames === undefined ? {} : { sequenceName: (identity, doing, take) => sequenceNames[indexOf(identity, doing, take)] ?? '' }),
    draw: (identity, doing, take, frame, out, offset) => sequences[indexOf(identity, doing, take)]?.draw(frame, out, offset),
  })
}

/** Numbers 0, 1, ... for values in ascending order: `numbers[i]` is that of `values[i]`, `distinct` says which value each stands for. */
export const numberValues = (values: readonly number[]): { readonly numbers: readonly number[]; readonly distinct: readonly number[] } => {
  const distinct = [...new Set(values)].sort((a, b) => a - b)
  const place = new Map(distinct.map((value, i) => [value, i]))
  return { numbers: values.map(value => place.get(value) ?? 0), distinct }
}
