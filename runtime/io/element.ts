/**
 * The element types that array files hold, and their values as numbers. Files know more types than programs: everything
 * is read exactly first, and fitted to a program's dtypes afterwards, where the ranges can be checked.
 */
import type { DType } from '../../dsl/core/prim.ts'

export type Element =
  | 'float16' | 'bfloat16' | 'float32' | 'float64'
  | 'int8' | 'int16' | 'int32' | 'int64'
  | 'uint8' | 'uint16' | 'uint32' | 'uint64'
  | 'bool'

export type Values = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array

/** An array as a file holds it: row-major values, exact (64-bit integers beyond 2^53 are refused when they are read). */
export type FileArray = { readonly shape: readonly number[]; readonly element: Element; readonly data: Values }

export const bytesOf: Readonly<Record<Element, number>> = {
  float16: 2, bfloat16: 2, float32: 4, float64: 8, int8: 1, int16: 2, int32: 4, int64: 8, uint8: 1, uint16: 2, uint32: 4, uint64: 8, bool: 1,
}

export const familyOf: Readonly<Record<Element, 'float' | 'integer' | 'bool'>> = {
  float16: 'float', bfloat16: 'float', float32: 'float', float64: 'float',
  int8: 'integer', int16: 'integer', int32: 'integer', int64: 'integer',
  uint8: 'integer', uint16: 'integer', uint32: 'integer', uint64: 'integer',
  bool: 'bool',
}

/** How a program's dtype is called in files. */
export const elementOf: Readonly<Record<DType, Element>> = { f32: 'float32', i32: 'int32', u32: 'uint32', bool: 'bool' }

/** IEEE 754 binary16 from its bits. */
export const half = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const word = new DataView(new ArrayBuffer(4))

/** bfloat16 from its bits: the upper half of a float32. */
export const bfloat = (bits: number): number => {
  word.setUint32(0, bits << 16)
  return word.getFloat32(0)
}

type Reader = { readonly make: (size: number) => Values; readonly at: (view: DataView, offset: number, little: boolean) => number }

const readers: Readonly<Record<Element, Reader>> = {
  float16: { make: n => new Float32Array(n), at: (v, o, le) => half(v.getUint16(o, le)) },
  bfloat16: { make: n => new Float32Array(n), at: (v, o, le) => bfloat(v.getUint16(o, le)) },
  float32: { make: n => new Float32Array(n), at: (v, o, le) => v.getFloat32(o, le) },
  float64: { make: n => new Float64Array(n), at: (v, o, le) => v.getFloat64(o, le) },
  int8: { make: n => new Int32Array(n), at: (v, o) => v.getInt8(o) },
  int16: { make: n => new Int32Array(n), at: (v, o, le) => v.getInt16(o, le) },
  int32: { make: n => new Int32Array(n), at: (v, o, le) => v.getInt32(o, le) },
  int64: { make: n => new Float64Array(n), at: (v, o, le) => exact(v.getBigInt64(o, le)) },
  uint8: { make: n => new Uint8Array(n), at: (v, o) => v.getUint8(o) },
  uint16: { make: n => new Uint32Array(n), at: (v, o, le) => v.getUint16(o, le) },
  uint32: { make: n => new Uint32Array(n), at: (v, o, le) => v.getUint32(o, le) },
  uint64: { make: n => new Float64Array(n), at: (v, o, le) => exact(v.getBigUint64(o, le)) },
  bool: { make: n => new Uint8Array(n), at: (v, o) => (v.getUint8(o) === 0 ? 0 : 1) },
}

/** A 64-bit integer as a number; NaN where a number cannot hold it, which `decode` reports. */
const exact = (value: bigint): number => (Number.isSafeInteger(Number(value)) ? Number(value) : NaN)

const hostIsLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** The elements in `bytes` (whose length must be that of `size` elements), or null where a 64-bit integer is beyond 2^53. */
export const decode = (bytes: Uint8Array, element: Element, size: number, little = true): Values | null => {
  const reader = readers[element]
  const out = reader.make(size)
  const native = element === 'float32' || element === 'int32' || element === 'uint32' || element === 'float64' || element === 'uint8'
  if (native && (little === hostIsLittle || element === 'uint8')) {
    new Uint8Array(out.buffer).set(bytes)
    return out
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const step = bytesOf[element]
  for (let i = 0; i < size; i++) out[i] = reader.at(view, i * step, little)
  return (element === 'int64' || element === 'uint64') && out.some(Number.isNaN) ? null : out
}

/** Little-endian bytes of an array of one of the program's dtypes. */
export const encode = (dtype: DType, data: ArrayLike<number>): Uint8Array => {
  const made = dtype === 'f32' ? new Float32Array(data) : dtype === 'i32' ? new Int32Array(data) : dtype === 'u32' ? new Uint32Array(data)
    : Uint8Array.from(data, x => (x === 0 ? 0 : 1))
  const bytes = new Uint8Array(made.buffer)
  if (!hostIsLittle && dtype !== 'bool') for (let i = 0; i < bytes.length; i += 4) bytes.subarray(i, i + 4).reverse()
  return bytes
}
