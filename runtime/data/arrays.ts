/**
 * Arrays of NumPy's that stay in their files: an .npy file, or the entries of an .npz archive. Headers and sizes are read
 * and checked when a file is opened, elements when they are asked for, so that a data set may be larger than memory.
 * (Checksums are compared only where an entry is read as a whole: of small and of compressed ones.)
 */
import * as E from 'fp-ts/lib/Either.js'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { constants, inflateRawSync } from 'node:zlib'
import { refuse } from '../../dsl/errors.ts'
import { bytesOf, decode, familyOf, type Element, type Values } from '../io/element.ts'
import { parseHeader, parseNpy, type Header } from '../io/npy.ts'
import { listZip, type Bytes, type Placed } from '../io/zip.ts'

export type StoredArray = {
  /** The name within its archive; '' for an .npy file. */
  readonly key: string
  /** The file and the array in it, for messages. */
  readonly name: string
  readonly path: string
  readonly shape: readonly number[]
  readonly element: Element
  /** Compressed: any part costs as much as all. */
  readonly packed: boolean
  /** Pixel bytes of the elements from `start` on: bytes as they are, real numbers in [0, 1] times 255, rounded. */
  readonly pixels: (start: number, count: number) => Uint8Array
  /** All elements. */
  readonly values: () => Values
}

const bad = (path: string, message: string, remedy?: string): never => refuse({ kind: 'file', path, message, ...(remedy === undefined ? {} : { remedy }) })

const open = (path: string): number => {
  try {
    return openSync(path, 'r')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    return bad(path, code === 'ENOENT' ? 'no such file' : `cannot be opened (${error instanceof Error ? error.message : String(error)})`)
  }
}

/** A file that stays open as long as the process lives: data sets are opened once and never closed. */
const fileBytes = (path: string): Bytes => {
  const fd = open(path)
  const stat = fstatSync(fd)
  if (stat.isDirectory()) {
    closeSync(fd)
    return bad(path, 'it is a folder, not a file')
  }
  return {
    size: stat.size,
    at: (start, length) => {
      const out = new Uint8Array(Math.max(0, Math.min(length, stat.size - start)))
      for (let done = 0; done < out.length;) {
        const got = readSync(fd, out, done, Math.min(out.length - done, 2 ** 30), start + done)
        if (got === 0) return bad(path, 'the file has become shorter while it was in use')
        done += got
      }
      return out
    },
  }
}

const inside = (source: Bytes, start: number, size: number): Bytes => ({ size, at: (from, length) => source.at(start + from, Math.min(length, size - from)) })
const inMemory = (bytes: Uint8Array): Bytes => ({ size: bytes.length, at: (start, length) => bytes.subarray(start, start + length) })

/** So many bytes hold any header: NumPy writes less than 1 kB. */
const HEADER = 65_536

const toPixels = (name: string, element: Element, start: number, values: Values): Uint8Array => {
  const out = new Uint8Array(values.length)
  values.forEach((value, i) => {
    if (!(value >= 0 && value <= 1)) {
      bad(name, `its element ${start + i} is ${value}; pixels of type ${element} lie in [0, 1]`, 'Divide by 255, or save bytes: .astype(numpy.uint8).')
    }
    out[i] = Math.round(value * 255)
  })
  return out
}

/** The first bytes of an entry; of a packed one only so much is unpacked. */
const beginningOf = (name: string, source: Bytes, entry: Placed): Uint8Array => {
  const packed = source.at(entry.start, Math.min(entry.packed, HEADER))
  if (entry.method === 0) return packed
  try {
    return inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH })
  } catch (error) {
    return bad(name, `damaged (${error instanceof Error ? error.message : String(error)})`)
  }
}

/** What is needed of one .npy image: its bytes (again, where they are packed), and how to call it. */
type Place = {
  readonly key: string; readonly name: string; readonly path: string; readonly packed: boolean; readonly bytes: () => Bytes; readonly header: Header
}

const stored = ({ key, name, path, packed, bytes, header }: Place): StoredArray => {
  const { element, shape, start, little, fortran } = header
  const width = bytesOf[element]
  return {
    key, name, path, packed, element, shape,
    pixels: (from, count) => {
      if (fortran && shape.length > 1) bad(name, 'its elements lie in Fortran order', 'Save it in C order: numpy.ascontiguousarray(x).')
      const raw = bytes().at(start + from * width, count * width)
      if (element === 'uint8') return raw
      if (familyOf[element] !== 'float') {
        return bad(name, `its elements are ${element}; pixels are bytes (uint8), or real numbers in [0, 1]`, 'Convert it: .astype(numpy.uint8).')
      }
      return toPixels(name, element, from, decode(raw, element, count, little) ?? new Float32Array())
    },
    values: () => {
      const source = bytes()
      const array = parseNpy(source.at(0, source.size))
      return E.isLeft(array) ? bad(name, array.left) : array.right.data
    },
  }
}

/** The header of an .npy image, checked against its size. */
const checkedHeader = (name: string, size: number, beginning: Uint8Array, pickles: string | undefined): Header => {
  const header = parseHeader(beginning)
  if (E.isLeft(header)) {
    const isPickle = pickles !== undefined && header.left.includes('(a pickle)')
    return isPickle ? bad(name, 'an array of Python objects (a pickle), which is never opened', pickles) : bad(name, header.left)
  }
  const { element, shape, start } = header.right
  const needed = start + shape.reduce((n, d) => n * d, 1) * bytesOf[element]
  if (needed !== size) {
    bad(name, `${size < needed ? 'truncated' : 'too long'}: shape (${shape.join(', ')}) of ${element} needs ${needed} bytes, ${size} are there`)
  }
  return header.right
}

/** The entry's bytes: those in the file, or unpacked; unpacked ones are kept only where `keep` says so. */
const entryBytes = (path: string, source: Bytes, entry: Placed, keep: boolean): (() => Bytes) => {
  if (entry.method === 0) return () => inside(source, entry.start, entry.size)
  let kept: Bytes | undefined
  return () => {
    if (kept !== undefined) return kept
    const bytes = entry.unpack()
    const all = inMemory(E.isLeft(bytes) ? bad(path, bytes.left) : bytes.right)
    if (keep) kept = all
    return all
  }
}

export type OpenOptions = {
  /** The remedy where an array is a pickle. */
  readonly pickles?: string
  /** Whether compressed arrays stay in memory once they are unpacked; otherwise every reading unpacks them again. */
  readonly keep?: boolean
}

/** The arrays of an .npz archive, in its order, or the one of an .npy file. Which one it is, its first bytes say. */
export const openArrays = (path: string, { pickles, keep = true }: OpenOptions = {}): readonly StoredArray[] => {
  const source = fileBytes(path)
  if (source.size === 0) return bad(path, 'the file is empty')
  const first = source.at(0, HEADER)
  if (first[0] === 0x93) {
    return [stored({ key: '', name: path, path, packed: false, bytes: () => source, header: checkedHeader(path, source.size, first, pickles) })]
  }
  const entries = listZip(source)
  if (E.isLeft(entries)) {
    const fault = entries.left === 'not a zip archive' ? 'neither an .npy array nor an .npz archive' : entries.left
    return bad(path, fault, 'Write it again, e.g. numpy.savez(path, x=x).')
  }
  return entries.right.map(entry => {
    if (!entry.name.endsWith('.npy')) bad(path, `entry ${JSON.stringify(entry.name)} is not an .npy array`)
    const key = entry.name.slice(0, -4)
    const name = `${path}, array ${JSON.stringify(key)}`
    const bytes = entryBytes(path, source, entry, keep)
    return stored({ key, name, path, packed: entry.method !== 0, bytes, header: checkedHeader(name, entry.size, beginningOf(name, source, entry), pickles) })
  })
}

/** `uint8 [8, 64, 64, 3]`. */
export const typeOf = ({ element, shape }: StoredArray): string => `${element} [${shape.join(', ')}]`
