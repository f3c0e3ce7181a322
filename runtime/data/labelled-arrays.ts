/**
 * Videos in arrays with labels, as data sets of sprites are passed on. A file or a folder holds
 *
 *   - .npz archives, each with one array of frames [N, T, H, W, C] (whatever its name) and arrays of labels, or
 *   - the same as .npy files, one array each, or
 *   - NAME_frames.npy and NAME_attributes.npy (or NAME_frames_PART.npy, ...) for every action NAME, the form in which the
 *     Sprites of Li and Mandt (2018) lie on many disks.
 *
 * Frames are bytes, or real numbers in [0, 1]; H x W is anything and fitted to 64 x 64; C is 3 or 1. Labels are whole
 * numbers [N]: `identity` decides groups and split, `action` says what is done, any other name is a factor. `attributes`
 * [N, A, V] or [N, T, A, V] holds A factors, one-hot. Without `identity`, equal factors make an identity; without any, each
 * sequence is one of its own. Whole identities are held out, or sequences where there are fewer than
 * 20. Frames stay in their files (those of compressed archives in memory).
 */
import { basename, join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { openArrays, typeOf, type StoredArray } from './arrays.ts'
import type { DataSet } from './dataset.ts'
import { kindOf, namesIn } from './places.ts'
import { upTo } from './source.ts'
import { channelsOf, numberValues, readByFrame, sequenceSet, type Sequence, type SequenceFacts } from './videos.ts'

const LAYOUT = 'Expected one array of frames, uint8 [N, T, H, W, 3], and labels of N whole numbers: identity, action, and factors by any other name.'
/** The most that a compressed archive may unpack to. */
const MOST_UNPACKED = 2 ** 31

const bad = (path: string, message: string, remedy = LAYOUT): never => refuse({ kind: 'file', path, message, remedy })

/** Sequences that share one array, and their labels by name. `action` is the name of what all of them do, where the file's name says it. */
type Chunk = {
  readonly path: string; readonly sequences: readonly Sequence[]; readonly labels: ReadonlyMap<string, readonly number[]>; readonly action?: string
}

const sequencesOf = (array: StoredArray): readonly Sequence[] => {
  const [count = 0, frames = 0, height = 0, width = 0] = array.shape
  const channels = channelsOf(array.shape[4])
  if (channels === undefined || count * frames * height * width === 0) {
    return bad(array.name, `holds ${typeOf(array)}; the last axis has 3 colours or 1, and no axis is empty`)
  }
  if (array.packed && count * frames * height * width * channels > MOST_UNPACKED) {
    return bad(array.name, `compressed, and ${typeOf(array)} is more than 2 GiB`, 'Save it without compression: numpy.savez, or numpy.save.')
  }
  const size = height * width * channels
  return upTo(count).map(n =>
    readByFrame(`${array.name}, sequence ${n}`, frames, [height, width, channels], t => ({ data: array.pixels((n * frames + t) * size, size), from: 0 })))
}

const wholeLabels = (array: StoredArray, count: number): readonly number[] => {
  const values = [...array.values()]
  if (values.length !== count) bad(array.name, `${values.length} labels for ${count} sequences`)
  const wrong = values.findIndex(value => !Number.isSafeInteger(value) || value < 0)
  if (wrong >= 0) bad(array.name, `label ${wrong} is ${values[wrong]}; labels are whole numbers, at least 0`)
  return values
}

/** Factors from one-hot vectors: [N, A, V], or [N, T, A, V] of which the first frame counts. */
const oneHot = (array: StoredArray, count: number): readonly (readonly [string, readonly number[]])[] => {
  const { shape } = array
  const [attributes = 0, values = 0] = shape.slice(-2)
  const stride = shape.slice(1).reduce((n, d) => n * d, 1)
  if (shape[0] !== count || shape.length < 3 || shape.length > 4) {
    return bad(array.name, `holds ${typeOf(array)}; attributes are [${count}, A, V] or [${count}, T, A, V]`)
  }
  const all = array.values()
  return upTo(attributes).map(a => [`attribute ${a + 1}`, upTo(count).map(n => {
    const own = all.subarray(n * stride + a * values, n * stride + (a + 1) * values)
    return own.indexOf(Math.max(...own))
  })] as const)
}

const chunkOf = (path: string, arrays: readonly StoredArray[], action?: string): Chunk => {
  const frames = arrays.filter(({ shape }) => shape.length === 5)
  const [only] = frames
  if (only === undefined || frames.length > 1) {
    const list = arrays.slice(0, 6).map(array => `${array.key === '' ? basename(array.path) : array.key} ${typeOf(array)}`).join(', ')
    return bad(path, `${frames.length === 0 ? 'no array' : `${frames.length} arrays`} of frames (five axes) among: ${list}`)
  }
  const sequences = sequencesOf(only)
  const labels = arrays.filter(array => array !== only).flatMap(array => {
    const name = array.key === '' ? basename(array.path, '.npy') : array.key
    if (/(^|_)attributes(_|$)/.test(name)) return oneHot(array, sequences.length)
    return array.shape.length === 1 ? [[name, wholeLabels(array, sequences.length)] as const]
      : bad(array.name, `holds ${typeOf(array)}, which are neither frames nor labels`)
  })
  return { path, sequences, labels: new Map(labels), ...(action === undefined ? {} : { action }) }
}

const isArrayFile = (name: string): boolean => /\.np[yz]$/i.test(name)
const PAIR = /^(.+)_frames((?:_[^_]+)?)\.npy$/

const chunksIn = (path: string): readonly Chunk[] => {
  if (kindOf(path) !== 'folder') return [chunkOf(path, openArrays(path))]
  const names = namesIn(path, LAYOUT).filter(isArrayFile)
  const pairs = names.flatMap(name => { const found = PAIR.exec(name); return found === null ? [] : [[name, found[1] ?? '', found[2] ?? ''] as const] })
  if (pairs.length > 0) {
    return pairs.map(([name, action, part]) => {
      const attributes = `${action}_attributes${part}.npy`
      return chunkOf(join(path, name), [name, ...(names.includes(attributes) ? [attributes] : [])].flatMap(each => openArrays(join(path, each))), action)
    })
  }
  const archives = names.filter(name => /\.npz$/i.test(name))
  if (archives.length > 0) return archives.map(name => chunkOf(join(path, name), openArrays(join(path, name))))
  return [chunkOf(path, names.flatMap(name => openArrays(join(path, name))))]
}

/** One label of all sequences. Refuses a file that lacks what another has. */
const gather = (chunks: readonly Chunk[], name: string): readonly number[] =>
  chunks.flatMap(({ path, labels }) => labels.get(name) ?? bad(path, `has no labels ${JSON.stringify(name)}, other files have them`))

/** Which identity each sequence is of, numbered from 0. */
const identitiesOf = (count: number, factors: readonly (readonly number[])[], identity: readonly number[] | undefined): readonly number[] => {
  if (identity !== undefined) return numberValues(identity).numbers
  if (factors.length === 0) return upTo(count)
  const seen = new Map<string, number>()
  return upTo(count).map(i => {
    const key = factors.map(values => values[i]).join()
    const number = seen.get(key) ?? seen.size
    seen.set(key, number)
    return number
  })
}

const factsOf = (path: string, chunks: readonly Chunk[]): SequenceFacts => {
  const count = chunks.reduce((n, { sequences }) => n + sequences.length, 0)
  const names = [...new Set(chunks.flatMap(({ labels }) => [...labels.keys()]))]
  const factorNames = names.filter(name => name !== 'identity' && name !== 'action')
  const factors = factorNames.map(name => numberValues(gather(chunks, name)))
  const values = factors.map(({ numbers }) => numbers)
  const identity = identitiesOf(count, values, names.includes('identity') ? gather(chunks, 'identity') : undefined)
  const identityNames = names.includes('identity') ? numberValues(gather(chunks, 'identity')).distinct.map(String) : undefined
  const first = new Map<number, number>()
  identity.forEach((id, i) => {
    const known = first.get(id) ?? i
    first.set(id, known)
    const differs = values.findIndex(each => each[known] !== each[i])
    if (differs < 0) return
    bad(path, `factor ${factorNames[differs]} differs between the sequences ${known} and ${i}, which are of one identity`,
      'A factor is a property of an identity: leave out what changes.')
  })
  const spoken = [...new Set(chunks.flatMap(({ action }) => action ?? []))]
  const numbered = names.includes('action') ? numberValues(gather(chunks, 'action')) : undefined
  const action = numbered?.numbers ?? (spoken.length === 0 ? undefined : chunks.flatMap(chunk => chunk.sequences.map(() => spoken.indexOf(chunk.action ?? ''))))
  return {
    identity,
    ...(identityNames === undefined ? {} : { identityNames }),
    ...(action === undefined ? {}
      : { action, actionNames: numbered === undefined ? spoken.map(name => name.replaceAll('_', ' ')) : numbered.distinct.map(n => `action ${n}`) }),
    factors: factorNames.map((name, f) => ({ name, values: (factors[f]?.distinct ?? []).map(String) })),
    factorsOf: id => Object.fromEntries(factorNames.map((name, f) => [name, values[f]?.[first.get(id) ?? 0] ?? 0])),
  }
}

/** Opens arrays with labels as the data set `name`. Refuses, by file and array, what is not of the layout. */
export const labelledArrays = (
  name: string, path: string, options: { readonly heldOutShare: number; readonly splitSeed: number; readonly credit?: string },
): DataSet => {
  const chunks = chunksIn(path)
  return sequenceSet({ name, sequences: chunks.flatMap(({ sequences }) => sequences), facts: factsOf(path, chunks), ...options })
}

/** Whether a path is for `labelledArrays`: an .npy or .npz file, or a folder that holds some. */
export const holdsArrays = (path: string): boolean => {
  const kind = kindOf(path)
  return kind === 'folder' ? namesIn(path, LAYOUT).some(isArrayFile) : kind === 'file'
}
