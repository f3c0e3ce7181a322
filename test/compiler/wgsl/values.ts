/** Numbers that functions are tried on, and how far results may be from what they should be. */
import type { DType } from '../../../dsl/core/prim.ts'
import { ulp } from '../ulp.ts'
import type { Words } from './device.ts'

/** Of each type: zeros, ordinary, large and small numbers, and the edges of conversions. */
export const samples: { readonly [D in DType]: readonly number[] } = {
  f32: [
    0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3.5, 123.456, -7.25, 1e-30, -1e-30, 2 ** -126, 1e30, 3.4028234663852886e38, 16777217, 2147483520, 2147483648,
    -2147483648, -2147483904, 4294967040, 4294967296, Infinity, -Infinity, NaN,
  ].map(Math.fround),
  i32: [0, 1, -1, 2, 7, -7, 13, 1000003, -65536, 0x55555555, 16777217, 2147483647, -2147483648],
  u32: [0, 1, 2, 7, 13, 1000003, 65536, 0x55555555, 16777217, 2147483648, 4294967295],
  bool: [0, 1],
}

export const wordsFor = (type: DType, values: readonly number[]): Words =>
  type === 'f32' ? Float32Array.from(values) : type === 'i32' ? Int32Array.from(values) : Uint32Array.from(values)
export const valuesIn = (type: DType, words: Uint32Array): Words =>
  type === 'f32' ? new Float32Array(words.buffer) : type === 'i32' ? new Int32Array(words.buffer) : words

/**
 * How many units in the last place `got` is from `exact`; 0 where it is its nearest f32 to the bit, infinity where one of
 * them only is NaN or where the sign of a zero is another one. Differences up to `least` do not count.
 */
export const errorOf = (got: number, exact: number, least: number): number => {
  const rounded = Math.fround(exact)
  if (Object.is(got, rounded)) return 0
  if (Number.isNaN(got) || Number.isNaN(rounded)) return Infinity
  if (got === rounded) return exact === 0 ? Infinity : 0
  if (Math.abs(got - exact) <= least) return 0
  return Math.abs(got - exact) / ulp(exact)
}
