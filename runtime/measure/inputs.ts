/** Seeded random values for a program's inputs, where only its speed is of interest. */
import type { Executable } from '../executor.ts'
import { sizeOfShape, type Slot } from '../manifest.ts'

/** Numbers uniform in [0, 1), by seed: a plain linear congruential step with a scrambled output. */
export const uniform = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    let x = Math.imul(state ^ (state >>> 16), 0x45d9f3b)
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b)
    return ((x ^ (x >>> 16)) >>> 8) / 2 ** 24
  }
}

/** Random values of a kind that most programs can live with: real numbers in [0, 0.1), small indices, any bits. */
const randomArray = (slot: Slot, next: () => number): Float64Array => {
  const size = sizeOfShape(slot.shape)
  switch (slot.dtype) {
    case 'f32': return Float64Array.from({ length: size }, () => 0.1 * next())
    case 'i32': return Float64Array.from({ length: size }, () => Math.floor(4 * next()))
    case 'u32': return Float64Array.from({ length: size }, () => Math.floor(2 ** 32 * next()))
    case 'bool': return Float64Array.from({ length: size }, () => (next() < 0.5 ? 0 : 1))
  }
}

/** Gives every input random values. */
export const fillInputs = (executable: Executable, seed: number): void => {
  const next = uniform(seed)
  executable.program.inputs.forEach(slot => executable.set(slot.path, randomArray(slot, next)))
}
