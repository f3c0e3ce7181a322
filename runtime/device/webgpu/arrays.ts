/** Arrays of programs as the processor holds them on their way to the device and back: bool is a word per element there, a byte here. */
import type { AnyArray, View } from '../../executor.ts'
import { sizeOfShape, type Slot } from '../../manifest.ts'

/** Bytes of an array. */
export const bytesOf = (slot: Slot): number => 4 * sizeOfShape(slot.shape)

/** The first elements of a buffer. */
export const viewOf = (dtype: Slot['dtype'], buffer: ArrayBuffer, size: number): View => {
  switch (dtype) {
    case 'f32': return new Float32Array(buffer, 0, size)
    case 'i32': return new Int32Array(buffer, 0, size)
    case 'u32':
    case 'bool': return new Uint32Array(buffer, 0, size)
  }
}

/** What came back from the device. */
export const arrayOf = ({ dtype, shape }: Slot, buffer: ArrayBuffer): AnyArray => {
  const view = viewOf(dtype, buffer, sizeOfShape(shape))
  return dtype === 'bool' ? Uint8Array.from(view) : view
}
