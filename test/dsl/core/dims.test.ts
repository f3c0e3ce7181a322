/** Symbolic sizes: what they mean, under which configuration, and what is refused. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import fc from 'fast-check'
import { sizeOf, withDims } from '../../../dsl/core/apply.ts'

const config = { Z: 8, D: 3, H: 10, T: 5, Batch_2: 4, name: 'tiny' }
const under = (dim: string | number): number => withDims(config, () => sizeOf(dim))

test('numbers, names and expressions', () => {
  for (const [dim, want] of [
    [7, 7],
    [0, 0],
    ['12', 12],
    ['Z', 8],
    ['Z+D', 11],
    ['2*H', 20],
    ['1+(T-1)', 5],
    ['T-1', 4],
    ['Z-D-1', 4],
    ['2*(Z+D)', 22],
    ['2*Z+D*T', 31],
    ['(T)', 5],
    [' Z + D ', 11],
    ['Batch_2*Z*2', 64],
    ['((Z-(D-1)))', 6],
  ] as const)
    assert.is(under(dim), want, String(dim))
})

test('an expression is worth what arithmetic says', () => {
  const sizes = fc.letrec<{ sum: string; atom: string }>(tie => ({
    sum: fc.oneof(
      { depthSize: 'small' },
      tie('atom'),
      fc.tuple(tie('sum'), fc.constantFrom('+', '*'), tie('atom')).map(parts => parts.join('')),
      tie('sum').map(text => `(${text})`),
    ),
    atom: fc.oneof(fc.constantFrom('Z', 'D', 'H', 'T'), fc.nat(50).map(String)),
  })).sum
  fc.assert(
    fc.property(sizes, text => {
      const numbers = text.replace(/[A-Z]/g, name => String(config[name as 'Z']))
      assert.is(under(text), Number(new Function(`return ${numbers}`)()))
    }),
    { numRuns: 200, seed: 4 },
  )
})

test('the configuration in force nests and is restored, also after an error', () => {
  withDims({ A: 1 }, () => {
    assert.is(sizeOf('A'), 1)
    assert.is(
      withDims({ A: 2 }, () => sizeOf('A+A')),
      4,
    )
    assert.throws(() => withDims({ B: 3 }, () => sizeOf('A')), /size 'A' names A, which the configuration does not define \(it has B\)/)
    assert.is(sizeOf('A'), 1)
  })
  assert.throws(() => sizeOf('A'), /\(it has no names\)/)
})

test('refusals name what is wrong', () => {
  assert.throws(() => under('Z+Q'), /size 'Z\+Q' names Q, which the configuration does not define \(it has Z, D, H, T, Batch_2\)/)
  assert.throws(() => under('name'), /names name, which/)
  assert.throws(() => under('toString'), /names toString, which/)
  assert.throws(() => under('D-Z'), /size 'D-Z' is -5: sizes are whole numbers, 0 or more/)
  assert.throws(() => under(1.5), /size is 1.5|size 1.5/)
  assert.throws(() => under(-1), /-1/)
  for (const text of ['', 'Z+', '(Z', 'Z)', 'Z Z', '2Z', 'Z/2', '*Z', '1.5', '-Z']) assert.throws(() => under(text), /is not a size/, text)
})

test.run()
