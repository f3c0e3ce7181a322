/**
 * NumPy's .npz: a zip archive of .npy files, one per array. Names are argument paths; a program that returns a single
 * tensor calls it '' and the file calls it `output`.
 */
import * as E from 'fp-ts/lib/Either.js'
import { zipSync } from 'fflate'
import type { Failure } from '../../dsl/errors.ts'
import type { FileArray } from './element.ts'
import { parseNpy, printNpy, type Outgoing } from './npy.ts'
import { unzip } from './zip.ts'

export type FileArrays = ReadonlyMap<string, FileArray>

const remedy = 'Write it again, e.g. in Python: numpy.savez(path, x=x).'

/** The arrays of the archive; `path` is where the bytes came from. */
export const parseNpz = (bytes: Uint8Array, path: string): E.Either<Failure, FileArrays> => {
  const no = (message: string): E.Either<Failure, never> => E.left({ kind: 'file', path, message, remedy })
  if (bytes.length === 0) return no('the file is empty')
  const entries = unzip(bytes)
  if (E.isLeft(entries)) return no(entries.left === 'not a zip archive' ? 'not an .npz file (a zip archive of .npy arrays)' : entries.left)
  const arrays = new Map<string, FileArray>()
  for (const [name, content] of entries.right) {
    if (!name.endsWith('.npy')) return no(`entry ${JSON.stringify(name)} is not an .npy array`)
    const array = parseNpy(content)
    if (E.isLeft(array)) return no(`array ${JSON.stringify(name.slice(0, -4))}: ${array.left}`)
    arrays.set(name.slice(0, -4), array.right)
  }
  return E.right(arrays)
}

/** The bytes of an archive of these arrays, stored without compression as numpy.savez does; equal arrays give equal bytes. */
export const printNpz = (arrays: ReadonlyMap<string, Outgoing>): Uint8Array =>
  zipSync(Object.fromEntries([...arrays].map(([name, array]) => [`${name}.npy`, printNpy(array)])), { level: 0, mtime: new Date(1980, 0, 1) })
