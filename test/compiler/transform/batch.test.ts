/** batch(f) equals f on each slice, stacked: for every primitive and for composed functions, scans included. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import fc from 'fast-check'
import type { Func } from '../../../compiler/ir/ir.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { arbitrarySample } from '../arbitrary.ts'
import { batchError } from './slices.ts'
import { caseFuncs } from '../cases.ts'

const close = (func: Func, mapped: readonly boolean[], size: number, seed: number): void => {
  const error = batchError(func, mapped, size, seed)
  // sums may run in another order: a few roundings of float64
  assert.ok(error < 1e-12, `differs by ${error}\n${printFunc(func)}`)
}

for (const { name, func } of caseFuncs()) {
  test(name, () => {
    // every subset of the operands
    for (let bits = 0; bits < 2 ** func.params.length; bits++) close(func, func.params.map((_, i) => ((bits >> i) & 1) === 1), 3, bits)
  })
}

test('random functions', () => {
  fc.assert(
    fc.property(arbitrarySample(), fc.nat(63), fc.integer({ min: 1, max: 3 }), fc.nat(999), ({ func }, bits, size, seed) => {
      close(func, func.params.map((_, i) => ((bits >> i) & 1) === 1), size, seed)
    }),
    { numRuns: 200, seed: 1 },
  )
})

test('random functions with scans', () => {
  fc.assert(
    fc.property(arbitrarySample({ scans: true }), fc.nat(63), fc.integer({ min: 1, max: 3 }), fc.nat(999), ({ func }, bits, size, seed) => {
      close(func, func.params.map((_, i) => ((bits >> i) & 1) === 1), size, seed)
    }),
    { numRuns: 200, seed: 2 },
  )
})

test.run()
