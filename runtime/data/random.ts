/**
 * The host's random numbers: Threefry as a counter-based stream, addressed by a path of integers. The same path gives the
 * same numbers on every machine and in any order of asking, so a batch is a function of (seed, step) and nothing else.
 */
import { threefry2x32 } from '../../dsl/core/threefry.ts'

/** A stream of random numbers; `below(n)` is unbiased in [0, n), `uniform` lies in [0, 1) with 32 bits. */
export type Stream = {
  readonly bits: () => number
  readonly uniform: () => number
  readonly below: (n: number) => number
}

type Words = readonly [number, number]

const TWO32 = 2 ** 32

const block = (key: Words, x0: number, x1: number): Words => {
  const out = new Uint32Array(2)
  threefry2x32(key[0], key[1], x0, x1, out)
  return [out[0] ?? 0, out[1] ?? 0]
}

/** The key of a path: each number is folded in as a counter under the key so far. Numbers are integers in [0, 2^53). */
export const keyOf = (...path: readonly number[]): Words =>
  path.reduce<Words>((key, n) => block(key, Math.floor(n / TWO32) >>> 0, n >>> 0), [0, 0])

/** The stream at a path, e.g. `stream(seed, purpose, step, group)`. */
export const stream = (...path: readonly number[]): Stream => {
  const key = keyOf(...path)
  let counter = 0
  let spare: number | undefined
  const bits = (): number => {
    if (spare !== undefined) {
      const word = spare
      spare = undefined
      return word
    }
    const [first, second] = block(key, 0, counter++)
    spare = second
    return first
  }
  const below = (n: number): number => {
    const limit = TWO32 - (TWO32 % n)
    let word = bits()
    while (word >= limit) word = bits()
    return word % n
  }
  return { bits, uniform: () => bits() / TWO32, below }
}

/** Standard normal numbers (Box and Muller). */
export const normals = (n: number, s: Stream): Float32Array => {
  const out = new Float32Array(n)
  for (let i = 0; i < n; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - s.uniform()))
    const angle = 2 * Math.PI * s.uniform()
    out[i] = radius * Math.cos(angle)
    if (i + 1 < n) out[i + 1] = radius * Math.sin(angle)
  }
  return out
}

/** A random permutation of `items` (Fisher and Yates), drawn from `s`. */
export const shuffled = <A>(items: readonly A[], s: Stream): readonly A[] => {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i--) {
    const j = s.below(i + 1)
    const held = out[i] as A
    out[i] = out[j] as A
    out[j] = held
  }
  return out
}

/** What a stream or key is for; the first number of its path after the seed, so that no two uses share numbers. */
export const PURPOSE = { split: 1, batch: 2, sequences: 3, start: 4, step: 5, pictures: 6, evaluate: 7, stage: 8, infer: 9 } as const
