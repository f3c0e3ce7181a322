/**
 * `mug`: the MUG facial expressions, which are licensed; users bring them, converted from the form in which they are passed
 * on (arrays of Python objects: pickles, which are never opened). A folder holds
 *
 *   - an .npz archive with one array per sequence, uint8 [T_i, 112, 112, 3] (any size will do), in the order of their
 *     names: arr_0, arr_1, ..., arr_10, as numpy.savez numbers them;
 *   - labels.npz with one array [N, 2] of whole numbers: identity and action of each sequence.
 *
 * Each identity has what sequences it has, of whatever length. 15% of the identities are held out (of fewer than 20: of
 * their sequences). Arrays stay in their file and are read frame by frame; compressed ones are decoded when they are needed, and kept as bytes of 64 x 64.
 */
import { dirname, join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { naturally } from '../io/video.ts'
import { openArrays, typeOf, type StoredArray } from './arrays.ts'
import type { DataSet } from './dataset.ts'
import { kindOf, namesIn } from './places.ts'
import { upTo } from './source.ts'
import {
  channelsOf, decodedWhole, fittedBytes, KEPT_BYTES, keepUpTo, numberValues, readByFrame, sequenceSet, type Keep, type Sequence,
  type SequenceFacts,
} from './videos.ts'

export type MugOptions = {
  /** The folder of both files, or the archive of the sequences, labels.npz beside it. */
  readonly folder: string
  /** Share of the identities that is held out. */
  readonly heldOutShare?: number
  /** Decides which identities are held out. */
  readonly splitSeed?: number
}

const LABELS = 'labels.npz'
/** Preferred where a folder holds several archives, such as the unconverted one. */
const SEQUENCES = 'sequences.npz'

const LAYOUT = `Expected ${SEQUENCES} with one array per sequence, uint8 [T, 112, 112, 3], and ${LABELS} with one array [N, 2] of identity and action.`
const CONVERSION = `Convert both files once, in Python, where they can be trusted:
    import numpy as np
    a = np.load('MUG_0-255_OF_112x112_color.npz', allow_pickle=True)['arr_0']
    np.savez('converted/${SEQUENCES}', *[np.asarray(s, np.uint8) for s in a])
    l = np.load('${LABELS}', allow_pickle=True)['arr_0']
    np.savez('converted/${LABELS}', np.asarray(l.tolist(), np.int32))
  and give --data-dir converted.`

const bad = (path: string, message: string, remedy = LAYOUT): never => refuse({ kind: 'file', path, message, remedy })

const archiveIn = (folder: string): string => {
  const names = namesIn(folder, LAYOUT).filter(name => /\.npz$/i.test(name) && name !== LABELS)
  const [only] = names
  if (names.includes(SEQUENCES)) return join(folder, SEQUENCES)
  if (only === undefined) return bad(folder, 'no .npz archive of sequences is in this folder')
  return names.length === 1 ? join(folder, only)
    : bad(folder, `several archives are in this folder (${names.slice(0, 3).join(', ')}), and none is called ${SEQUENCES}`)
}

const sequenceOf = (array: StoredArray, keep: Keep): Sequence => {
  const { shape, name } = array
  const [frames = 0, height = 0, width = 0] = shape
  const channels = channelsOf(shape[3])
  if (channels === undefined || shape.length !== 4 || frames * height * width === 0) {
    return bad(name, `holds ${typeOf(array)}; a sequence is uint8 [T, 112, 112, 3]`)
  }
  const [size, frame] = [[height, width, channels] as const, height * width * channels]
  return array.packed
    ? decodedWhole(name, frames, keep, () => fittedBytes(array.pixels(0, frames * frame), frames, size))
    : readByFrame(name, frames, size, t => ({ data: array.pixels(t * frame, frame), from: 0 }))
}

/** Identity and action of each sequence. */
const labelsIn = (path: string, count: number): SequenceFacts => {
  const [array, ...more] = openArrays(path, { pickles: CONVERSION })
  if (array === undefined || more.length > 0) return bad(path, `holds ${more.length === 0 ? 'no array' : `${more.length + 1} arrays`}, expected one`)
  if (array.shape.length !== 2 || array.shape[0] !== count || array.shape[1] !== 2) {
    return bad(array.name, `holds ${typeOf(array)}; ${count} sequences need labels [${count}, 2]`)
  }
  const values = array.values()
  const wrong = values.findIndex((value: number) => !Number.isSafeInteger(value) || value < 0)
  if (wrong >= 0) bad(array.name, `row ${wrong >> 1} has ${values[wrong]}; labels are whole numbers, at least 0`)
  const column = (k: number): readonly number[] => upTo(count).map(i => values[2 * i + k] ?? 0)
  const [identity, action] = [numberValues(column(0)), numberValues(column(1))]
  return {
    identity: identity.numbers, identityNames: identity.distinct.map(String),
    action: action.numbers, actionNames: action.distinct.map(n => `action ${n}`),
  }
}

/** Opens converted MUG arrays. Refuses pickles, with the conversion, and arrays of another layout, by name. */
export const mug = ({ folder, heldOutShare = 0.15, splitSeed = 0 }: MugOptions): DataSet => {
  const kind = kindOf(folder)
  if (kind === null) return bad(folder, 'there is no such file or folder')
  const path = kind === 'folder' ? archiveIn(folder) : folder
  const arrays = [...openArrays(path, { pickles: CONVERSION, keep: false })].sort((a, b) => naturally(a.key, b.key))
  const facts = labelsIn(join(dirname(path), LABELS), arrays.length)
  const keep = keepUpTo(KEPT_BYTES)
  return sequenceSet({
    name: 'mug',
    sequences: arrays.map(array => sequenceOf(array, keep)),
    facts,
    heldOutShare,
    splitSeed,
  })
}
