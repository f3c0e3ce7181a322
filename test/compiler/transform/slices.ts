/** Compares a batched function with the function itself on slices. */
import type { Dense } from '../../../dsl/core/dense.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { at, count, range } from '../../../compiler/ir/view.ts'
import { batch } from '../../../compiler/transform/batch.ts'
import { difference, randomDense } from '../arbitrary.ts'

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
