/**
 * NumPy's .npy: a magic word, a version, a header that is a Python dictionary literal, and the elements. Versions 1 to 3,
 * both byte orders, C and Fortran order. Arrays of Python objects are pickles, which could run code: they are refused.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../../dsl/core/prim.ts'
import { bytesOf, decode, encode, type Element, type FileArray, type Values } from './element.ts'

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const

const codes: Readonly<Record<string, Element>> = {
  f2: 'float16', f4: 'float32', f8: 'float64', i1: 'int8', i2: 'int16', i4: 'int32', i8: 'int64',
  u1: 'uint8', u2: 'uint16', u4: 'uint32', u8: 'uint64', b1: 'bool',
}

const codeOf: Readonly<Record<DType, string>> = { f32: '<f4', i32: '<i4', u32: '<u4', bool: '|b1' }

export type Header =
  { readonly element: Element; readonly little: boolean; readonly fortran: boolean; readonly shape: readonly number[]; readonly start: number }

/** What the header of an .npy file says; `bytes` is the file's beginning, up to its data at least. */
export const parseHeader = (bytes: Uint8Array): E.Either<string, Header> => {
  if (bytes.length < 10 || magic.some((byte, i) => bytes[i] !== byte)) return E.left('not an .npy array (no \\x93NUMPY at its start)')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = bytes[6] ?? 0
  if (version < 1 || version > 3) return E.left(`.npy version ${version} is unknown; versions 1 to 3 are read`)
  const prefix = version === 1 ? 10 : 12
  if (bytes.length < prefix) return E.left('truncated within its header')
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (bytes.length < prefix + length) return E.left(`truncated within its header (${length} bytes announced, ${bytes.length - prefix} there)`)
  const text = new TextDecoder().decode(bytes.subarray(prefix, prefix + length))
  const descr = /['"]descr['"]\s*:\s*(?:['"]([^'"]*)['"]|(\[))/.exec(text)
  const fortran = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)
  const shape = /['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/.exec(text)
  if (descr === null || fortran === null || shape === null) return E.left(`its header cannot be read: ${JSON.stringify(text.slice(0, 80))}`)
  if (descr[2] !== undefined) return E.left('a structured array (a record type); save its fields as arrays of their own')
  const code = descr[1] ?? ''
  if (code.includes('O')) return E.left('an array of Python objects (a pickle), which is never opened; save numbers: numpy.asarray(x, dtype=numpy.float32)')
  const element = Object.hasOwn(codes, code.slice(1)) ? codes[code.slice(1)] : undefined
  if (element === undefined || !/^[<>|=]/.test(code)) {
    return E.left(`elements of type ${JSON.stringify(code)}; `
      + `numbers and truth values are read (f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1): convert with .astype(numpy.float32)`)
  }
  const dims = (shape[1] ?? '').split(',').map(part => part.replace('L', '').trim()).filter(part => part !== '').map(Number)
  if (dims.some(d => !Number.isSafeInteger(d))) return E.left(`its shape cannot be read: (${shape[1] ?? ''})`)
  return E.right({ element, little: !code.startsWith('>'), fortran: fortran[1] === 'True', shape: dims, start: prefix + length })
}

/** Row-major values from column-major ones. */
const rowMajor = (data: Values, shape: readonly number[]): Values => {
  const out = data.slice()
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((n, d) => n * d, 1))
  const index = shape.map(() => 0)
  let from = 0
  for (let to = 0; to < out.length; to++) {
    out[to] = data[from] ?? 0
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1
      from += strides[axis] ?? 0
      index[axis] = next
      if (next < (shape[axis] ?? 0)) break
      from -= (strides[axis] ?? 0) * next
      index[axis] = 0
    }
  }
  return out
}

/** The array in the bytes of an .npy file, or what is wrong with them. */
export const parseNpy = (bytes: Uint8Array): E.Either<string, FileArray> => {
  const header = parseHeader(bytes)
  if (E.isLeft(header)) return header
  const { element, little, fortran, shape, start } = header.right
  const size = shape.reduce((n, d) => n * d, 1)
  const needed = size * bytesOf[element]
  const there = bytes.length - start
  if (needed !== there) return E.left(`${there < needed ? 'truncated' : 'too long'}: shape (${shape.join(', ')}) of ${element} `
    + `needs ${needed} bytes of data, ${there} are there`)
  const data = decode(bytes.subarray(start), element, size, little)
  if (data === null) return E.left(`${element} values beyond 2^53; save them as int32 or uint32`)
  return E.right({ shape, element, data: fortran && shape.length > 1 ? rowMajor(data, shape) : data })
}

/** An array to be written: one of the program's dtypes. */
export type Outgoing = { readonly shape: readonly number[]; readonly dtype: DType; readonly data: ArrayLike<number> }

/** The bytes of a version 1 .npy file, its data aligned to 64 bytes as NumPy does. */
export const printNpy = ({ shape, dtype, data }: Outgoing): Uint8Array => {
  const dims = shape.length === 1 ? `${shape[0] ?? 0},` : shape.join(', ')
  const dictionary = `{'descr': '${codeOf[dtype]}', 'fortran_order': False, 'shape': (${dims}), }`
  const padding = (64 - ((10 + dictionary.length + 1) % 64)) % 64
  const header = new TextEncoder().encode(`${dictionary}${' '.repeat(padding)}\n`)
  const content = encode(dtype, data)
  const bytes = new Uint8Array(10 + header.length + content.length)
  bytes.set([...magic, 1, 0, header.length & 255, header.length >> 8])
  bytes.set(header, 10)
  bytes.set(content, 10 + header.length)
  return bytes
}
