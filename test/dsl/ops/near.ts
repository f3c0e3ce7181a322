/** Comparison of tensors with expected numbers. */
import * as assert from 'uvu/assert'
import { aval } from '../../../dsl/core/apply.ts'
import { toArray } from '../../../dsl/index.ts'
import type { Any } from '../../../dsl/index.ts'

/** Equal shape, and every element within `tolerance` of what is expected, relative to its size where that is above 1. */
export const near = (x: Any, shape: readonly number[], expected: readonly number[], tolerance = 1e-12): void => {
  assert.equal(aval(x).shape, shape)
  const found = toArray(x)
  assert.is(found.length, expected.length)
  const worst = found.findIndex((v, i) => !(Math.abs(v - expected[i]!) <= tolerance * Math.max(1, Math.abs(expected[i]!))))
  if (worst >= 0) assert.unreachable(`element ${worst} is ${found[worst]}, expected ${expected[worst]}`)
}

/** n numbers that look random, between -1 and 1; the same in every run. */
export const noise = (n: number, seed = 1): readonly number[] => Array.from({ length: n }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453 % 1)
export const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)
