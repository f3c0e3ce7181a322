/** batch(f) equals f on each slice, stacked: for every primitive and for composed functions, scans included. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import fc from 'fast-check'
import type { Dense } from '../../../dsl/core/dense.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import { at, count, range } from '../../../compiler/ir/view.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { batch } from '../../../compiler/transform/batch.ts'
import { arbitrarySample, difference, randomDense } from '../arbitrary.ts'

const slab = (x: Dense, i: number): Dense => {
  const n = count(x.shape.slice(1))
  return { shape: x.shape.slice(1), dtype: x.dtype, data: x.data.slice(i * n, (i + 1) * n) }
}

/** The largest difference between the batched function and the function on slices. */
export const batchError = (func: Func, mapped: readonly boolean[], size: number, seed: number): number => {
  const batched = batch(func, mapped, size)
  verify(batched, 'batch')
  const args = func.params.map((p, i) => randomDense(at(mapped, i) ? { ...p.aval, shape: [size, ...p.aval.shape] } : p.aval, seed + i))
  const whole = interpret(batched, args)
  return Math.max(...range(size).map(i => {
    const part = interpret(func, args.map((x, j) => (at(mapped, j) ? slab(x, i) : x)))
    return difference(whole.map(x => slab(x, i)), part)
  }))
}

const close = (func: Func, mapped: readonly boolean[], size: number, seed: number): void => {
  const error = batchError(func, mapped, size, seed)
  // sums may run in another order: a few roundings of float64
  assert.ok(error < 1e-12, `differs by ${error}\n${printFunc(func)}`)
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
