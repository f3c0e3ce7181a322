/**
 * What is held out of a list of sequences: whole identities where there are enough of them, else sequences of identities
 * that are trained on as well. Of a handful of identities none can be spared: too little would be left to learn from, and a
 * single identity would stand for all that was not seen.
 */
import { PURPOSE, shuffled, stream } from './random.ts'
import { splitIndices, upTo, type BySplit } from './source.ts'

/** From so many identities on, whole identities are held out. */
export const ENOUGH_IDENTITIES = 20

/** The identities of each split. `sequences` are those held out, by index; without it, an identity's split has all that it does. */
export type HeldOutPlan = { readonly identities: BySplit<readonly number[]>; readonly sequences?: ReadonlySet<number> }

/** The sequences of each identity, by index. */
const byIdentity = (identity: readonly number[], identities: number): readonly (readonly number[])[] => {
  const own: readonly number[][] = upTo(identities).map(() => [])
  identity.forEach((id, index) => own[id]?.push(index))
  return own
}

/**
 * Chooses what is held out; `identity[i]`, in 0, 1, ..., `identities - 1`, is that of sequence i. With fewer than
 * ENOUGH_IDENTITIES, where one has two sequences or more, sequences are held out: `share` of an identity's, at least one where
 * it has three, and one of two only as far as `share` of all asks for it; never the only one. Otherwise `share` of the
 * identities are. `identities` must be 2 or more; the choice depends on the counts and `seed` only.
 */
export const planHeldOut = (identity: readonly number[], identities: number, share: number, seed: number): HeldOutPlan => {
  const own = byIdentity(identity, identities)
  if (identities >= ENOUGH_IDENTITIES || own.every(({ length }) => length < 2)) return { identities: splitIndices(identities, share, seed) }
  const drawn = own.map((indices, id) => shuffled(indices, stream(seed, PURPOSE.split, identities, id)))
  const sure = drawn.flatMap(indices =>
    (indices.length < 3 ? [] : indices.slice(0, Math.min(indices.length - 1, Math.max(1, Math.round(indices.length * share))))))
  const wanted = Math.max(1, Math.round(identity.length * share))
  const spare = shuffled(drawn.filter(({ length }) => length === 2), stream(seed, PURPOSE.split, identities)).flatMap(indices => indices.slice(0, 1))
  const sequences = new Set([...sure, ...spare.slice(0, Math.max(0, wanted - sure.length))])
  return {
    sequences,
    identities: { train: upTo(identities), heldOut: upTo(identities).filter(id => own[id]?.some(index => sequences.has(index))) },
  }
}
