/** Nests made at random: variables, branches, loops, whole numbers and numbers side by side. Numbers are small and whole. */
import type { Buffer } from '../../../compiler/schedule/kernel/kernel.ts'
import { builder } from '../../../compiler/schedule/nest/builder.ts'
import { type Local, type Nest, type Value, f32, i32 } from '../../../compiler/schedule/nest/nest.ts'

export const extent = 16

export const nestOf = (seed: number): Nest => {
  let state = (seed * 2654435761) >>> 0
  const below = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
  const b = builder(`nest ${seed}`)
  const i = b.param('i32', 'i')
  // JavaScript knows that what is read may be large, of what is counted alone it does not
  const zero = b.call('and', 'i32', b.load('i32', 0, i), i32(0))
  const read = (v: Value): Value => b.call('xor', 'i32', v, zero)
  const ints: Local[] = [0, 1].map(k => b.variable('i32', `n${k}`))
  const numbers: Local[] = [0, 1].map(k => b.variable('f32', `x${k}`))
  ints.forEach((local, k) => b.set(local, i32(k * 77)))
  numbers.forEach((local, k) => b.set(local, f32(k * 3)))
  const place = (v: Value): Value => b.call('and', 'i32', v, i32(15))
  const int = (known: readonly Value[], depth = 0): Value => {
    if (depth > 2) return pick(known)
    const some = (): Value => int(known, depth + 1)
    switch (below(12)) {
      case 0: return read(i32(below(2000) - 1000))
      case 1: return pick(ints)
      case 2: return b.load('i32', 0, place(some()))
      case 3: return b.call('select', 'i32', test(known, depth + 1), some(), some())
      case 4: return b.call(pick(['shl', 'shr'] as const), 'i32', some(), i32(below(31)))
      case 5: return b.call(pick(['min', 'max'] as const), 'i32', some(), some())
      case 6: return b.call(pick(['div', 'rem'] as const), 'i32', some(), i32(1 + below(9)))
      case 7: return b.call('convert', 'i32', number(known, depth + 1))
      default: return b.call(pick(['add', 'sub', 'mul', 'and', 'or', 'xor'] as const), 'i32', some(), some())
    }
  }
  /** Whole numbers below 2^20 or so. */
  const number = (known: readonly Value[], depth = 0): Value => {
    const some = (): Value => number(known, depth + 1)
    switch (depth > 2 ? below(3) : below(8)) {
      case 0: return f32(below(9) - 4)
      case 1: return pick(numbers)
      case 2: return b.load('f32', 1, place(pick(known)))
      case 3: return b.call('select', 'f32', test(known, depth + 1), some(), some())
      case 4: return b.call(pick(['min', 'max'] as const), 'f32', some(), some())
      case 5: return b.call('convert', 'f32', place(int(known, depth + 1)))
      case 6: return b.call('convert', 'f32', test(known, depth + 1))
      default: return b.call(pick(['add', 'sub'] as const), 'f32', some(), some())
    }
  }
  const test = (known: readonly Value[], depth: number): Value => {
    const fn = pick(['lt', 'le', 'eq', 'ne', 'ge', 'gt'] as const)
    const some = below(2) === 0 ? int : number
    const one = b.call(fn, 'bool', some(known, depth + 1), some(known, depth + 1))
    switch (depth > 1 ? 0 : below(5)) {
      case 1: return b.call(pick(['and', 'or', 'xor'] as const), 'bool', one, test(known, depth + 1))
      case 2: return b.call('not', 'bool', one)
      case 3: return b.call('lt', 'bool', b.call('bits', 'u32', int(known, depth + 1)), { kind: 'const', type: 'u32', value: 12 })
      default: return one
    }
  }
  const assign = (seen: readonly Value[]): void => (below(2) === 0 ? b.set(pick(ints), int(seen)) : b.set(pick(numbers), number(seen, 1)))
  const block = (known: readonly Value[], depth: number): void => {
    const seen = [...known]
    for (let n = 2 + below(2); n > 0; n -= 1)
      switch (below(depth < 2 ? 7 : 4)) {
        case 0: case 1: case 2: assign(seen); break
        case 3: seen.push(b.let(int(seen))); break
        case 4: b.branch(test(seen, 0), () => block(seen, depth + 1), () => (below(2) === 0 ? block(seen, depth + 1) : undefined)); break
        case 5: {
          const from = below(3) === 0 ? place(int(seen)) : i32(below(2))
          b.loop(pick(['i', 'j']), from, i32(2 + below(5)), 1 + below(2), k => block([...seen, read(k)], depth + 1))
          break
        }
        default: {
          const chosen = b.variable('f32', 'chosen')
          b.branch(test(seen, 0), () => b.set(chosen, number(seen, 1)), () => b.set(chosen, number(seen, 1)))
          b.settle(chosen)
          b.set(pick(numbers), chosen)
        }
      }
  }
  block([read(i)], 0)
  const sum = b.call('add', 'i32', b.call('add', 'i32', ints[0]!, ints[1]!), b.call('convert', 'i32', b.call('add', 'f32', numbers[0]!, numbers[1]!)))
  b.store(2, i, 0, sum)
  return b.finish(extent)
}

const aval = (dtype: 'i32' | 'f32') => ({ dtype, shape: [extent] })
export const buffers: readonly Buffer[] = [
  { id: 0, aval: aval('i32'), name: 'words', role: { kind: 'input', index: 0 } },
  { id: 1, aval: aval('f32'), name: 'numbers', role: { kind: 'input', index: 1 } },
  { id: 2, aval: aval('i32'), name: 'result', role: { kind: 'output', index: 0 } },
]
export const words = Int32Array.from({ length: extent }, (_, k) => (k % 3 === 0 ? k - 5 : Math.imul(k, 40503 * 65537)))
export const numbers = Float32Array.from({ length: extent }, (_, k) => (k * 7) % 13 - 6)
