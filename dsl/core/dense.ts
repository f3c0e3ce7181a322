/**
 * Eager tensors: a shape, an element type and row-major data. Element type f32 is held in float64: the eager meaning is
 * the exact one that compiled kernels are measured against. Integers are 32 bits wide and wrap; bool is 0 or 1.
 */
import type { Aval, DType } from './prim.ts'
import { refuse } from '../errors.ts'

export type Data = Float64Array | Int32Array | Uint32Array | Uint8Array

/** `data` is row-major and has exactly as many elements as `shape` says; never write into it once the tensor is made. */
export type Dense = { readonly shape: readonly number[]; readonly dtype: DType; readonly data: Data }

/** The number of elements of a shape; 1 for a scalar. */
export const count = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1)

/** Row-major strides, in elements. */
export const stridesOf = (shape: readonly number[]): readonly number[] => {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}

/** The offset `base + sum of index[axis] * strides[axis]` of every index of `shape`, in row-major order. */
export const offsets = (shape: readonly number[], strides: readonly number[], base = 0): Int32Array => {
  const total = count(shape)
  const table = new Int32Array(total)
  if (total === 0) return table
  table[0] = base
  let filled = 1
  // Axis by axis from the last: what is filled is the block of the axes behind; copy it, moved by one stride each.
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!
    const stride = strides[axis]!
    for (let i = 1; i < size; i++) {
      const move = i * stride
      for (let j = 0; j < filled; j++) table[i * filled + j] = table[j]! + move
    }
    filled *= size
  }
  return table
}

/** Zeros (false for bool). */
export const allocate = (dtype: DType, length: number): Data => {
  switch (dtype) {
    case 'f32':
      return new Float64Array(length)
    case 'i32':
      return new Int32Array(length)
    case 'u32':
      return new Uint32Array(length)
    case 'bool':
      return new Uint8Array(length)
  }
}

/** A tensor of `dtype` (default f32) from row-major values; refused if their number does not fit the shape. */
export const dense = (shape: readonly number[], values: ArrayLike<number>, dtype: DType = 'f32'): Dense => {
  if (values.length !== count(shape)) {
    return refuse({ kind: 'shape', operation: 'tensor', message: `shape ${showShape(shape)} has ${count(shape)} elements, got ${values.length} values` })
  }
  const data = allocate(dtype, values.length)
  data.set(values)
  return { shape, dtype, data }
}

/** A tensor of no axes. */
export const scalar = (value: number, dtype: DType = 'f32'): Dense => dense([], [value], dtype)

/** A tensor of one repeated value. */
export const filled = (shape: readonly number[], value: number, dtype: DType = 'f32'): Dense => ({
  shape,
  dtype,
  data: allocate(dtype, count(shape)).fill(value),
})

const dtypes: Readonly<Record<DType, true>> = { f32: true, i32: true, u32: true, bool: true }

/** Whether a value is an eager tensor. */
export const isDense = (x: unknown): x is Dense => {
  if (typeof x !== 'object' || x === null || !('data' in x && 'shape' in x && 'dtype' in x)) return false
  return ArrayBuffer.isView(x.data) && Array.isArray(x.shape) && typeof x.dtype === 'string' && Object.hasOwn(dtypes, x.dtype)
}

/** `[3, 64, 64]`, as messages show it. */
export const showShape = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** `f32[3, 64, 64]`, as messages show it. */
export const showAval = (x: Aval): string => `${x.dtype}${showShape(x.shape)}`
