/** What a command says about the data that it has opened, before it begins. */
import type { DataSet } from '../data/dataset.ts'
import { heldOutOf } from '../evaluate/split.ts'
import { firstNames, plural } from '../report/words.ts'

/**
 * How many sequences there are to train on, how many are held out, and which those are (`6 sequences, 1 held out: ann/wave.gif`),
 * or whose (`54 sequences, 6 held out: identities carl, dora`); where nothing has a name, of how many identities.
 */
export const sequencesText = (data: Pick<DataSet, 'identities' | 'sequences' | 'identityName' | 'sequenceName'>): string => {
  const { identities: { heldOut }, sequences, identityName, sequenceName } = data
  const counts = `${plural(sequences.train, 'sequence')}, ${sequences.heldOut} held out`
  if (heldOutOf(data) === 'takes') {
    return sequenceName === undefined ? `${counts}, of the same ${plural(heldOut.length, 'identity', 'identities')}`
      : `${counts}: ${firstNames(sequences.heldOut, index => sequenceName('heldOut', index))}`
  }
  return identityName === undefined ? `${counts}, of ${plural(heldOut.length, 'other identity', 'other identities')}`
    : `${counts}: ${heldOut.length === 1 ? 'identity' : 'identities'} ${firstNames(heldOut.length, i => identityName(heldOut[i] ?? 0))}`
}
