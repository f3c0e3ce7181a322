/** Arrays of programs on their way to textures and back: f32 as they are, bool as 0 and 1, whole numbers as two halves of 16 bits. */
import type { AnyArray, View } from '../../executor.ts'
import type { Slot } from '../../manifest.ts'

/** Writes elements, one texel or two each. Numbers are made i32 and u32 as JavaScript's arrays make them. */
export const writeArray = (dtype: Slot['dtype'], data: ArrayLike<number>, numbers: Float32Array): void => {
  switch (dtype) {
    case 'f32': return numbers.set(data)
    case 'bool': {
      for (let i = 0; i < data.length; i++) numbers[i] = data[i] === 0 ? 0 : 1
      return
    }
    case 'i32':
    case 'u32': {
      for (let i = 0; i < data.length; i++) {
        const word = data[i] ?? 0
        numbers[2 * i] = word & 0xffff
        numbers[2 * i + 1] = word >>> 16
      }
    }
  }
}

const wordsOf = <A extends Int32Array | Uint32Array>(words: A, numbers: Float32Array): A => {
  for (let i = 0; i < words.length; i++) words[i] = (numbers[2 * i] ?? 0) | ((numbers[2 * i + 1] ?? 0) << 16)
  return words
}

/** What came back from the device. */
export const readArray = (dtype: Slot['dtype'], numbers: Float32Array): AnyArray => {
  switch (dtype) {
    case 'f32': return numbers
    case 'bool': return Uint8Array.from(numbers)
    case 'i32': return wordsOf(new Int32Array(numbers.length / 2), numbers)
    case 'u32': return wordsOf(new Uint32Array(numbers.length / 2), numbers)
  }
}

/** What `fill` hands out to be written: words of the array's own kind. */
export const viewFor = (dtype: Slot['dtype'], elements: number): View => {
  switch (dtype) {
    case 'f32': return new Float32Array(elements)
    case 'i32': return new Int32Array(elements)
    case 'u32':
    case 'bool': return new Uint32Array(elements)
  }
}
