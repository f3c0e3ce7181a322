/**
 * Reading zip archives strictly, as .npz files are: every size is checked against the file and every entry against its
 * checksum, so that a damaged or cut-off archive is noticed and not half read. (Inflating is fflate's work.) An archive may
 * also be listed alone, for those whose contents are too much to be read at once.
 */
import * as E from 'fp-ts/lib/Either.js'
import { Inflate } from 'fflate'
import { crc32 } from './crc32.ts'

/** One file of the archive: how it is packed, and where its local header begins. */
export type Entry = {
  readonly name: string
  readonly flags: number
  readonly method: number
  readonly crc: number
  readonly packed: number
  readonly size: number
  readonly at: number
}

class Cut extends Error {}

/** The value of a zip64 field: 8 bytes in the extra field, in order of the 32-bit fields that are all ones. */
const zip64 = (view: DataView, extra: number, length: number, fields: readonly number[]): readonly number[] => {
  for (let at = extra; at + 4 <= extra + length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue
    let next = at + 4
    return fields.map(field => {
      if (field !== 0xffffffff) return field
      const value = Number(view.getBigUint64(next, true))
      next += 8
      return value
    })
  }
  return fields
}

/** An archive that need not be in memory: its size, and a way to read a part. */
export type Bytes = { readonly size: number; readonly at: (start: number, length: number) => Uint8Array }

const inMemory = (bytes: Uint8Array): Bytes => ({ size: bytes.length, at: (start, length) => bytes.subarray(start, start + length) })
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Where the directory lies, where it ends at the latest, and how many entries it has. */
const directory = (source: Bytes): readonly [offset: number, end: number, entries: number] => {
  const first = Math.max(0, source.size - 22 - 0xffff - 20)
  const view = viewOf(source.at(first, source.size - first))
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 22 - 0xffff); at--) {
    if (view.getUint32(at, true) !== 0x06054b50) continue
    const [entries, offset] = [view.getUint16(at + 10, true), view.getUint32(at + 16, true)]
    if (at >= 20 && view.getUint32(at - 20, true) === 0x07064b50) {
      const end = Number(view.getBigUint64(at - 12, true))
      const large = viewOf(source.at(end, 56))
      return [Number(large.getBigUint64(48, true)), end, Number(large.getBigUint64(32, true))]
    }
    return [offset, first + at, entries]
  }
  throw new Cut('its table of contents is missing')
}

const entriesOf = (source: Bytes): readonly Entry[] => {
  const [offset, end, count] = directory(source)
  const bytes = source.at(offset, end - offset)
  const view = viewOf(bytes)
  const entries: Entry[] = []
  for (let i = 0, at = 0; i < count; i++) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Cut('its table of contents is damaged')
    const [nameLength, extraLength, commentLength] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)]
    const [size = 0, packed = 0, start = 0] = zip64(view, at + 46 + nameLength, extraLength,
      [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)])
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength))
    entries.push({ name, flags: view.getUint16(at + 8, true), method: view.getUint16(at + 10, true), crc: view.getUint32(at + 16, true), packed, size,
      at: start })
    at += 46 + nameLength + extraLength + commentLength
  }
  return entries
}

/** Inflates `packed` into exactly `size` bytes; stops as soon as there would be more. */
const inflate = (packed: Uint8Array, entry: Entry): Uint8Array => {
  const chunks: Uint8Array[] = []
  let total = 0
  const stream = new Inflate(chunk => {
    total += chunk.length
    if (total > entry.size) throw new Cut(`${entry.name} unpacks to more than the ${entry.size} bytes announced`)
    chunks.push(chunk)
  })
  const piece = 1 << 20
  for (let at = 0; at < packed.length; at += piece) stream.push(packed.subarray(at, at + piece), at + piece >= packed.length)
  const out = new Uint8Array(total)
  chunks.reduce((at, chunk) => (out.set(chunk, at), at + chunk.length), 0)
  return out
}

/** Where the packed bytes of an entry begin. */
const contentOf = (source: Bytes, entry: Entry): number => {
  if (entry.flags & 1) throw new Cut(`${entry.name} is encrypted`)
  const view = viewOf(source.at(entry.at, 30))
  if (view.getUint32(0, true) !== 0x04034b50) throw new Cut(`${entry.name} is not where the table of contents says`)
  const start = entry.at + 30 + view.getUint16(26, true) + view.getUint16(28, true)
  if (start + entry.packed > source.size) throw new Cut(`${entry.name} is cut off`)
  if (entry.method !== 0 && entry.method !== 8) throw new Cut(`${entry.name} is packed by method ${entry.method}; stored and deflated entries are read`)
  return start
}

const extract = (source: Bytes, entry: Entry): Uint8Array => {
  const packed = source.at(contentOf(source, entry), entry.packed)
  const data = entry.method === 0 ? packed : inflate(packed, entry)
  if (data.length !== entry.size) throw new Cut(`${entry.name} has ${data.length} bytes of the ${entry.size} announced`)
  if (crc32(data) !== entry.crc) throw new Cut(`${entry.name} is damaged (its checksum does not fit)`)
  return data
}

/** What `read` gives, or what is wrong with the archive. */
const reading = <A>(read: () => A): E.Either<string, A> =>
  E.tryCatch(read, error => (error instanceof Cut ? `a damaged or truncated zip archive: ${error.message}` : 'a damaged or truncated zip archive'))

const isArchive = (source: Bytes): boolean => source.size >= 4 && viewOf(source.at(0, 2)).getUint16(0, true) === 0x4b50

/** An entry, where its packed bytes begin, and a way to have it unpacked and checked against its checksum. */
export type Placed = Entry & { readonly start: number; readonly unpack: () => E.Either<string, Uint8Array> }

/** The entries of an archive of any size without their contents, in the order of its table, or what is wrong with it. */
export const listZip = (source: Bytes): E.Either<string, readonly Placed[]> => {
  if (!isArchive(source)) return E.left('not a zip archive')
  return reading(() => entriesOf(source).filter(({ name }) => !name.endsWith('/')).map(entry => ({
    ...entry, start: contentOf(source, entry), unpack: () => reading(() => extract(source, entry)),
  })))
}

/** The entries of an archive by name, or what is wrong with it. */
export const unzip = (bytes: Uint8Array): E.Either<string, ReadonlyMap<string, Uint8Array>> => {
  const source = inMemory(bytes)
  if (!isArchive(source)) return E.left('not a zip archive')
  return reading(() => {
    const found = new Map<string, Uint8Array>()
    for (const entry of entriesOf(source)) {
      if (found.has(entry.name)) throw new Cut(`${entry.name} occurs twice`)
      if (!entry.name.endsWith('/')) found.set(entry.name, extract(source, entry))
    }
    return found
  })
}
