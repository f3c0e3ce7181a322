/** Threefry-2x32-20 against its published known answers, and the stream that `randomBits` makes of it. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { dense } from '../../../dsl/core/dense.ts'
import { stream, threefry2x32 } from '../../../dsl/core/threefry.ts'
import { run } from './support.ts'

const block = (k0: number, k1: number, x0: number, x1: number): readonly string[] => {
  const out = new Uint32Array(2)
  threefry2x32(k0, k1, x0, x1, out)
  return [...out].map(word => word.toString(16).padStart(8, '0'))
}

test('known answers', () => {
  assert.equal(block(0, 0, 0, 0), ['6b200159', '99ba4efe'])
  assert.equal(block(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), ['1cb996fc', 'bb002be7'])
  assert.equal(block(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3), ['c4923a9c', '483df7a0'])
})

test('element i is the first word of counter (i, 0); a shorter draw is the beginning of a longer one', () => {
  const words = run('randomBits', [dense([2], [0, 0], 'u32')], { shape: [3] }).data
  assert.is(words[0], 0x6b200159)
  assert.equal(
    [...words],
    [0, 1, 2].map(i => parseInt(block(0, 0, i, 0)[0]!, 16)),
  )
  assert.equal([...stream(5, 6, 100)].slice(0, 7), [...stream(5, 6, 7)])
})

test('a batch of keys draws for each key by itself', () => {
  const keys = dense([2, 2], [1, 2, 3, 4], 'u32')
  assert.equal([...run('randomBits', [keys], { shape: [4] }).data], [...stream(1, 2, 4), ...stream(3, 4, 4)])
})

test('the bits look fair: mean, and each bit set half the time', () => {
  const n = 20000
  const words = stream(2024, 11, n)
  for (let bit = 0; bit < 32; bit++) {
    const set = words.reduce((sum, word) => sum + ((word >>> bit) & 1), 0)
    assert.ok(Math.abs(set - n / 2) < 4.5 * Math.sqrt(n / 4), `bit ${bit}: ${set} of ${n}`) // 4.5 standard deviations
  }
  assert.is(new Set(words).size > n - 5, true)
})

test.run()
