/** What a command says about the data that it has opened, before it begins. */
import type { DataSet } from '../data/dataset.ts'
import { heldOutOf } from '../evaluate/split.ts'

/** So many identities are called by name. */
const NAMED = 3

const plural = (n: number, one: string, more: string): string => `${n} ${n === 1 ? one : more}`

/** `6 sequences, 3 held out: identity carl`: how many sequences there are to train on, how many are held out, and whose those are. */
export const sequencesText = (data: Pick<DataSet, 'identities' | 'sequences' | 'identityName'>): string => {
  const { identities: { heldOut }, sequences, identityName } = data
  const counts = `${plural(sequences.train, 'sequence', 'sequences')}, ${sequences.heldOut} held out`
  if (heldOutOf(data) === 'takes') return `${counts}, of the same ${plural(heldOut.length, 'identity', 'identities')}`
  if (identityName === undefined) return `${counts}, of ${plural(heldOut.length, 'other identity', 'other identities')}`
  const rest = heldOut.length - NAMED
  return `${counts}: ${heldOut.length === 1 ? 'identity' : 'identities'} ${heldOut.slice(0, NAMED).map(identityName).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
