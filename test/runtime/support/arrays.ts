/** Array files as NumPy writes them, for tests of data sets: any element type, pickles included. */
import { strToU8, zipSync } from 'fflate'
import { writeFileSync } from 'node:fs'
import { Refusal } from '../../../dsl/errors.ts'

/** An .npy image of `data`'s bytes; `descr` is NumPy's code of the element type. */
export const npy = (shape: readonly number[], data: Uint8Array | Int32Array | Float32Array | Float64Array, descr?: string, order = 'False'): Uint8Array => {
  const code = descr ?? (data instanceof Uint8Array ? '|u1' : data instanceof Int32Array ? '<i4' : data instanceof Float32Array ? '<f4' : '<f8')
  const text = `{'descr': '${code}', 'fortran_order': ${order}, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`
  const header = strToU8(`${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`)
  return Buffer.concat([Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8), header,
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength)])
}

export const ints = (...values: readonly number[]): Uint8Array => npy([values.length], Int32Array.from(values))

/** Writes an .npz archive, stored as numpy.savez does, or compressed. */
export const writeNpz = (path: string, arrays: Readonly<Record<string, Uint8Array>>, packed = false): string => {
  writeFileSync(path, zipSync(Object.fromEntries(Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes])), { level: packed ? 6 : 0 }))
  return path
}

/** What is refused. */
export const refusal = (f: () => unknown): Refusal => {
  try {
    f()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}
