/**
 * The standard test file of moving MNIST, `mnist_test_seq.npy`: uint8 [20 frames, 10,000 sequences, 64, 64]. Any array of
 * that layout is read, frame by frame from the file. Nobody says which digits it shows: each sequence is an identity of its
 * own, a tenth of them held out, with no factors and no actions.
 */
import { refuse } from '../../dsl/errors.ts'
import { openArrays, typeOf } from './arrays.ts'
import type { DataSet } from './dataset.ts'
import { SIDE, upTo } from './source.ts'
import { readByFrame, sequenceSet } from './videos.ts'

export const TEST_FILE = 'mnist_test_seq.npy'

/** Opens the file. Refuses arrays of another layout. */
export const testSequences = (path: string, options: { readonly splitSeed: number; readonly heldOutShare?: number }): DataSet => {
  const { splitSeed, heldOutShare = 0.1 } = options
  const [array] = openArrays(path)
  const [frames = 0, count = 0, height, width] = array?.shape ?? []
  if (array === undefined || array.element !== 'uint8' || array.shape.length !== 4 || height !== SIDE || width !== SIDE || frames * count === 0) {
    return refuse({ kind: 'file', path,
      message: `holds ${array === undefined ? 'no array' : typeOf(array)}; moving MNIST sequences are uint8 [frames, sequences, ${SIDE}, ${SIDE}]`,
      remedy: `${TEST_FILE} is uint8 [20, 10000, 64, 64]. Videos of your own: --data folder.` })
  }
  const plane = SIDE * SIDE
  return sequenceSet({
    name: 'moving-mnist',
    sequences: upTo(count).map(i =>
      readByFrame(`${path}, sequence ${i}`, frames, [SIDE, SIDE, 1], frame => ({ data: array.pixels((frame * count + i) * plane, plane), from: 0 }))),
    facts: { identity: upTo(count) },
    heldOutShare,
    splitSeed,
  })
}
