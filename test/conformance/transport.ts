/** What a suite, its child processes and its pages hand to each other: arrays as text, exact to the bit. No module of Node is used here. */
import type { DType } from '../../dsl/core/prim.ts'

/** The 4-byte words of an array, in base 64: f32 as its bits, bool as 0 or 1. */
export type Packed = string

type Words = Float32Array | Int32Array | Uint32Array

const words = (values: ArrayLike<number>, dtype: DType): Words => {
  switch (dtype) {
    case 'f32': return Float32Array.from(values)
    case 'i32': return Int32Array.from(values)
    case 'u32':
    case 'bool': return Uint32Array.from(values)
  }
}

export const pack = (values: ArrayLike<number>, dtype: DType): Packed => {
  const { buffer } = words(values, dtype)
  return btoa(Array.from(new Uint8Array(buffer), byte => String.fromCharCode(byte)).join(''))
}

export const unpack = (packed: Packed, dtype: DType): Words => {
  const { buffer } = Uint8Array.from(atob(packed), letter => letter.charCodeAt(0))
  switch (dtype) {
    case 'f32': return new Float32Array(buffer)
    case 'i32': return new Int32Array(buffer)
    case 'u32':
    case 'bool': return new Uint32Array(buffer)
  }
}

/** A program of the build, and what it is run on; `steps` runs follow each other, the outputs below `feed` going back to the inputs of that path. */
export type Task = {
  readonly id: string
  readonly inputs: Readonly<Record<string, Packed>>
  readonly steps?: { readonly count: number; readonly feed: string }
}

/** Outputs by path: of one run, or after the last of several. */
export type Outputs = Readonly<Record<string, Packed>>
export type Answer = { readonly id: string; readonly outputs: Outputs } | { readonly id: string; readonly problem: string }
