/**
 * Threefry-2x32 with 20 rounds in the loop-nest language: the first word of the block with counter (i, 0), for one
 * counter or four. dsl/core/threefry.ts says what it must compute.
 */
import type { Builder } from './builder.ts'
import { type Value, apply, constOf, i32, lanesOf, vectorOf } from './nest.ts'

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const

/** The random word of `counter` (u32, scalar or vector) under the key (scalars, or vectors where the counter is one). */
export const threefry = (b: Builder, key0: Value, key1: Value, counter: Value): Value => {
  const wide = [key0, key1, counter].some(v => lanesOf(v.type) === 4)
  const type = wide ? vectorOf('u32') : 'u32'
  const like = (v: Value): Value => (wide ? b.splat(v) : v)
  const add = (x: Value, y: Value): Value => b.call('add', type, x, y)
  const keys = [like(key0), like(key1), b.call('xor', type, b.call('xor', type, like(key0), like(key1)), constOf(type, 0x1bd11bda))] as const
  const rotated = (x: Value, by: number): Value => b.let(apply('or', type, apply('shl', type, x, i32(by)), apply('shr', type, x, i32(32 - by))))
  let x0 = add(like(counter), keys[0])
  let x1 = keys[1]
  for (let round = 0; round < 20; round += 1) {
    x0 = add(x0, x1)
    x1 = b.call('xor', type, rotated(x1, rotations[(round % 8) as 0]), x0)
    if (round % 4 === 3) {
      const s = (round + 1) / 4
      x0 = add(x0, keys[(s % 3) as 0])
      x1 = add(x1, add(keys[((s + 1) % 3) as 0], constOf(type, s)))
    }
  }
  return x0
}
