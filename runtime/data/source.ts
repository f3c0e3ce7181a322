/**
 * What a data set supplies: which identities, actions and takes there are, and how one frame is drawn. Two ways to say what
 * there is: `grid`, where every identity does everything equally long, and `listed`, one sequence after another.
 */
import { refuse } from '../../dsl/errors.ts'
import { PURPOSE, shuffled, stream } from './random.ts'

export const SIDE = 64
export const CHANNELS = 3
/** Values of one frame: planar [3, 64, 64]. */
export const FRAME = CHANNELS * SIDE * SIDE

export type Split = 'train' | 'heldOut'
export type BySplit<A> = Readonly<Record<Split, A>>

/** A named property of an identity and the names of its values. */
export type Factor = { readonly name: string; readonly values: readonly string[] }

/**
 * The sequences of a data set. A sequence is a take (a recording) of one identity doing one action. Where nobody says what
 * is done, each sequence of an identity counts as an action of its own, and the numbers of actions mean nothing across identities.
 */
export type Inventory = {
  /** Frames of the shortest sequence: so many consecutive ones can be had of each. */
  readonly frames: number
  /** The name of that sequence, where sequences have names: the file it comes from. */
  readonly shortest?: string
  /** The actions of an identity of which the split has a take. Ascending; never empty for an identity of that split. */
  readonly actionsOf: (split: Split, identity: number) => readonly number[]
  /** Ascending; never empty for an action of that identity in that split. */
  readonly takesOf: (split: Split, identity: number, action: number) => readonly number[]
  readonly framesOf: (identity: number, action: number, take: number) => number
  /** Frames of the shortest sequence of one identity. */
  readonly leastFramesOf: (identity: number) => number
  /** Sequences of one identity in a split. */
  readonly countOf: (split: Split, identity: number) => number
}

/** A data set before splits and batches: `draw` writes the FRAME values, in [0, 1], of one frame at `offset`. */
export type Source = Inventory & {
  readonly name: string
  readonly factors: readonly Factor[]
  /** The names of the actions; empty where nobody says what is done. */
  readonly actions: readonly string[]
  readonly identities: BySplit<readonly number[]>
  readonly factorsOf: (identity: number) => Readonly<Record<string, number>>
  readonly draw: (identity: number, action: number, take: number, frame: number, out: Float32Array, offset: number) => void
  readonly credit?: string
  /** What an identity is called, where it has a name. */
  readonly identityName?: (identity: number) => string
  /** The same of a sequence. */
  readonly sequenceName?: (identity: number, action: number, take: number) => string
  /** What whoever opened the set should be told, a line each; default: nothing. */
  readonly notes?: readonly string[]
}

export const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/**
 * Splits 0..n-1 into train and held-out by a permutation that depends on `seed` only. At least one item is held out and
 * at least one is kept; `n` must be 2 or more.
 */
export const splitIndices = (n: number, fraction: number, seed: number): BySplit<readonly number[]> => {
  const held = Math.min(n - 1, Math.max(1, Math.round(n * fraction)))
  const order = shuffled(upTo(n), stream(seed, PURPOSE.split, n))
  const sorted = (items: readonly number[]): readonly number[] => [...items].sort((a, b) => a - b)
  return { heldOut: sorted(order.slice(0, held)), train: sorted(order.slice(held)) }
}

/** Both splits of 0..n-1 hold everything. */
export const everyIndex = (n: number): BySplit<readonly number[]> => ({ train: upTo(n), heldOut: upTo(n) })

/** Every identity does each of `actions` actions in the same takes, `frames` frames long. */
export const grid = (actions: number, takes: BySplit<readonly number[]>, frames: number): Inventory => {
  const all = upTo(actions)
  return {
    frames,
    actionsOf: () => all,
    takesOf: split => takes[split],
    framesOf: () => frames,
    leastFramesOf: () => frames,
    countOf: split => actions * takes[split].length,
  }
}

/** One sequence of a list: whose it is, which action, how long, and its name for messages. */
export type Listed = { readonly identity: number; readonly action: number; readonly frames: number; readonly name: string }

/**
 * Whatever sequences there are, of any number and length per identity; takes count the sequences of one identity and action, in
 * the order of the list. `heldOut` are the sequences of the held-out split, by index, all others being for training; without it,
 * both splits have all that an identity of theirs does.
 */
export const listed = (
  sequences: readonly Listed[], heldOut?: ReadonlySet<number>,
): Inventory & { readonly indexOf: (identity: number, action: number, take: number) => number } => {
  const isIn = (split: Split, index: number): boolean => heldOut === undefined || heldOut.has(index) === (split === 'heldOut')
  const byIdentity = new Map<number, Map<number, number[]>>()
  sequences.forEach(({ identity, action }, index) => {
    const actions = byIdentity.get(identity) ?? new Map<number, number[]>()
    const own = actions.get(action) ?? []
    own.push(index)
    actions.set(action, own)
    byIdentity.set(identity, actions)
  })
  const least = (items: readonly Listed[]): Listed | undefined =>
    items.reduce<Listed | undefined>((a, b) => (a === undefined || b.frames < a.frames ? b : a), undefined)
  const shortest = least(sequences)
  const known = new Map([...byIdentity].map(([identity, actions]) => {
    const indices = [...actions.values()].flat()
    const own = indices.flatMap(i => sequences[i] ?? [])
    const inSplit = (split: Split): { readonly actions: readonly number[]; readonly count: number } => ({
      actions: [...actions].filter(([, all]) => all.some(i => isIn(split, i))).map(([action]) => action).sort((a, b) => a - b),
      count: indices.filter(i => isIn(split, i)).length,
    })
    return [identity, { train: inSplit('train'), heldOut: inSplit('heldOut'), least: least(own)?.frames ?? 0 }] as const
  }))
  const takes = new Map<number, readonly number[]>()
  const takesOf = (n: number): readonly number[] => {
    const found = takes.get(n) ?? upTo(n)
    takes.set(n, found)
    return found
  }
  const indicesOf = (identity: number, action: number): readonly number[] => byIdentity.get(identity)?.get(action) ?? []
  const indexOf = (identity: number, action: number, take: number): number =>
    indicesOf(identity, action)[take] ?? refuse({ kind: 'bug', where: 'data', message: `there is no take ${take} of action ${action} of identity ${identity}` })
  return {
    frames: shortest?.frames ?? 0,
    ...(shortest === undefined ? {} : { shortest: shortest.name }),
    actionsOf: (split, identity) => known.get(identity)?.[split].actions ?? [],
    takesOf: (split, identity, action) => {
      const indices = indicesOf(identity, action)
      const all = takesOf(indices.length)
      return heldOut === undefined ? all : all.filter(take => isIn(split, indices[take] ?? -1))
    },
    framesOf: (identity, action, take) => sequences[indexOf(identity, action, take)]?.frames ?? 0,
    leastFramesOf: identity => known.get(identity)?.least ?? 0,
    countOf: (split, identity) => known.get(identity)?.[split].count ?? 0,
    indexOf,
  }
}
