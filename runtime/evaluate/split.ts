/** Which sequences probes are trained, chosen and tested on. Test sequences decide nothing, and no identity stands on both sides of a line. */
import type { DataSet } from '../data/dataset.ts'
import { PURPOSE, shuffled, stream } from '../data/random.ts'

/** Whether the data set holds out whole identities, or takes of identities that are trained on as well. */
export type HeldOut = 'identities' | 'takes'

export const heldOutOf = ({ identities }: Pick<DataSet, 'identities'>): HeldOut => {
  const train = new Set(identities.train)
  return identities.heldOut.some(identity => train.has(identity)) ? 'takes' : 'identities'
}

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** `count` of 0..total-1, or all of them, in ascending order. */
export const sample = (total: number, count: number, seed: number): readonly number[] =>
  count >= total ? upTo(total) : [...shuffled(upTo(total), stream(seed, PURPOSE.evaluate, 3)).slice(0, count)].sort((a, b) => a - b)

/** Below so many identities one cannot be spared for validation. */
const FEWEST = 8
const SHARE = 0.15

export type Parts = { readonly train: readonly number[]; readonly validation: readonly number[] }

/**
 * Parts the rows of training sequences into those that probes learn from and those that choose the number of steps: by
 * identity, where identities are what the data set holds out and there are eight of them; otherwise by sequence.
 */
export const partition = (identity: Int32Array, heldOut: HeldOut, seed: number): Parts => {
  const s = stream(seed, PURPOSE.evaluate, 4)
  const known = [...new Set(identity)].sort((a, b) => a - b)
  const by: (row: number) => number = heldOut === 'identities' && known.length >= FEWEST ? row => identity[row] as number : row => row
  const keys = heldOut === 'identities' && known.length >= FEWEST ? known : upTo(identity.length)
  const chosen = new Set(shuffled(keys, s).slice(0, Math.max(1, Math.round(keys.length * SHARE))))
  const rows = upTo(identity.length)
  return { train: rows.filter(row => !chosen.has(by(row))), validation: rows.filter(row => chosen.has(by(row))) }
}
