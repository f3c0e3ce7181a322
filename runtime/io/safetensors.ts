/**
 * safetensors: eight bytes that give the header's length, a JSON header of names, dtypes, shapes and byte ranges, and the
 * data. Nothing in the file is believed before it is checked: ranges must fit their shapes and tile the data exactly.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Failure } from '../../dsl/errors.ts'
import type { DType } from '../../dsl/core/prim.ts'
import { decodeProblems } from '../manifest.ts'
import { bytesOf, decode, encode, type Element, type FileArray } from './element.ts'
import type { Outgoing } from './npy.ts'

export type TensorFile = { readonly arrays: ReadonlyMap<string, FileArray>; readonly metadata: Readonly<Record<string, string>> }

/** The format's own bound on headers. */
const longestHeader = 100_000_000

const elements: Readonly<Record<string, Element>> = {
  F16: 'float16', BF16: 'bfloat16', F32: 'float32', F64: 'float64', I8: 'int8', I16: 'int16', I32: 'int32', I64: 'int64',
  U8: 'uint8', U16: 'uint16', U32: 'uint32', U64: 'uint64', BOOL: 'bool',
}
const codeOf: Readonly<Record<DType, string>> = { f32: 'F32', i32: 'I32', u32: 'U32', bool: 'BOOL' }

const count = t.refinement(t.number, n => Number.isSafeInteger(n) && n >= 0, 'whole number >= 0')
const Entry = t.strict({ dtype: t.string, shape: t.readonlyArray(count), data_offsets: t.tuple([count, count]) }, '{ dtype, shape, data_offsets }')
const Entries = t.record(t.string, Entry)
const Metadata = t.record(t.string, t.string)

const isRecord = (u: unknown): u is Readonly<Record<string, unknown>> => typeof u === 'object' && u !== null && !Array.isArray(u)

type Ranged = { readonly name: string; readonly entry: t.TypeOf<typeof Entry>; readonly element: Element; readonly size: number }

/** The first key that an object of this valid JSON text has twice, if any: the format forbids them, `JSON.parse` takes the last. */
const repeatedKey = (json: string): string | undefined => {
  const open: Set<string>[] = []
  for (const [token, text, colon] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set())
    if (token === '}') open.pop()
    if (text === undefined || colon === undefined) continue
    const key = String(JSON.parse(text))
    const keys = open.at(-1)
    if (keys?.has(key) === true) return key
    keys?.add(key)
  }
  return undefined
}

const parseHeader = (text: string): E.Either<string, readonly [readonly Ranged[], Readonly<Record<string, string>>]> => {
  const json = E.tryCatch((): unknown => JSON.parse(text), () => 'its header is not valid JSON')
  if (E.isLeft(json)) return json
  if (!isRecord(json.right)) return E.left('its header is not a JSON object')
  const repeated = repeatedKey(text)
  if (repeated !== undefined) return E.left(`its header names ${JSON.stringify(repeated)} twice`)
  const { __metadata__: meta = {}, ...rest } = json.right
  const metadata = Metadata.decode(meta)
  if (E.isLeft(metadata)) return E.left(`__metadata__ must map strings to strings: ${decodeProblems(metadata.left)}`)
  const entries = Entries.decode(rest)
  if (E.isLeft(entries)) return E.left(`its header is malformed: ${decodeProblems(entries.left)}`)
  const ranged: Ranged[] = []
  for (const [name, entry] of Object.entries(entries.right)) {
    const element = Object.hasOwn(elements, entry.dtype) ? elements[entry.dtype] : undefined
    if (element === undefined) return E.left(`tensor ${name} has dtype ${entry.dtype}; ${Object.keys(elements).join(' ')} are read`)
    const size = entry.shape.reduce((n, d) => n * d, 1)
    const [begin, end] = entry.data_offsets
    if (end - begin !== size * bytesOf[element]) {
      return E.left(`tensor ${name}: ${entry.dtype}[${entry.shape.join(', ')}] takes ${size * bytesOf[element]} bytes, `
        + `its range [${begin}, ${end}) has ${end - begin}`)
    }
    ranged.push({ name, entry, element, size })
  }
  return E.right([ranged.sort((a, b) => a.entry.data_offsets[0] - b.entry.data_offsets[0] || a.entry.data_offsets[1] - b.entry.data_offsets[1]),
    metadata.right])
}

/** What is wrong with the ranges, taken together: they must follow one another and fill the data exactly. */
const tiling = (ranged: readonly Ranged[], dataBytes: number): string | null => {
  let at = 0
  let before = 'the start of the data'
  for (const { name, entry: { data_offsets: [begin, end] } } of ranged) {
    if (begin < at) return `the ranges of tensors ${before} and ${name} overlap`
    if (begin > at) return `${begin - at} bytes between ${before} and tensor ${name} belong to no tensor`
    if (end > dataBytes) return `truncated: tensor ${name} ends at byte ${end} of the data, ${dataBytes} are there`
    at = end
    before = name
  }
  return at === dataBytes ? null : `${dataBytes - at} bytes at its end belong to no tensor`
}

const parse = (bytes: Uint8Array): E.Either<string, TensorFile> => {
  if (bytes.length < 8) return E.left(bytes.length === 0 ? 'the file is empty' : 'truncated: it has not even the 8 bytes of the header length')
  const announced = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  if (announced > BigInt(longestHeader)) return E.left(`not a safetensors file: it announces a header of ${announced} bytes`)
  const length = Number(announced)
  if (length > bytes.length - 8) return E.left(`truncated: a header of ${length} bytes is announced, ${bytes.length - 8} are there`)
  if (bytes[8] !== 0x7b) return E.left('not a safetensors file: no { where the header begins')
  const text = E.tryCatch(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length)), () => 'its header is not UTF-8')
  if (E.isLeft(text)) return text
  const header = parseHeader(text.right)
  if (E.isLeft(header)) return header
  const [ranged, metadata] = header.right
  const data = bytes.subarray(8 + length)
  const problem = tiling(ranged, data.length)
  if (problem !== null) return E.left(problem)
  const arrays = new Map<string, FileArray>()
  for (const { name, entry, element, size } of ranged) {
    const values = decode(data.subarray(...entry.data_offsets), element, size)
    if (values === null) return E.left(`tensor ${name}: ${entry.dtype} values beyond 2^53`)
    arrays.set(name, { shape: entry.shape, element, data: values })
  }
  return E.right({ arrays, metadata })
}

/** The tensors and metadata of a file; `path` is where the bytes came from. */
export const parseSafetensors = (bytes: Uint8Array, path: string): E.Either<Failure, TensorFile> =>
  E.mapLeft((message: string): Failure => ({ kind: 'file', path, message, remedy: 'Use an intact safetensors file, e.g. another checkpoint.' }))(parse(bytes))

/** The bytes of a file, in chunks: wide elements first, then by name, as the format's own library orders them. */
export const printSafetensors = (arrays: ReadonlyMap<string, Outgoing>, metadata: Readonly<Record<string, string>> = {}): readonly Uint8Array[] => {
  const wide = (array: Outgoing): number => (array.dtype === 'bool' ? 1 : 0)
  const ordered = [...arrays].sort(([m, a], [n, b]) => wide(a) - wide(b) || (m < n ? -1 : m > n ? 1 : 0))
  const chunks = ordered.map(([, array]) => encode(array.dtype, array.data))
  let at = 0
  const entries = ordered.map(([name, array], i) => {
    const begin = at
    at += chunks[i]?.length ?? 0
    return [name, { dtype: codeOf[array.dtype], shape: array.shape, data_offsets: [begin, at] }] as const
  })
  const json = JSON.stringify(Object.fromEntries([...(Object.keys(metadata).length === 0 ? [] : [['__metadata__', metadata] as const]), ...entries]))
  const text = new TextEncoder().encode(json)
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true)
  header.set(text, 8)
  return [header, ...chunks]
}
