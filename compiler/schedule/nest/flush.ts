/**
 * Subnormal numbers (below 2^-126) become 0 when they are stored: products with them take up to a hundred times as long, in
 * every kernel that reads them, and what decays, as the moments of an optimiser do, would stay there for ever. Sums and
 * products with constants make none to speak of, and are stored as they are.
 */
import type { Elementwise } from '../../../dsl/core/prim.ts'
import type { Builder } from './builder.ts'
import type { Expr } from '../kernel/kernel.ts'
import { type Value, constOf, lanesOf, widened } from './nest.ts'
import { walk } from '../kernel/walk.ts'

const shrinking: ReadonlySet<Elementwise> = new Set(['exp', 'pow', 'sigmoid', 'softplus'])
const constant = (e: Expr): boolean => e.kind === 'const'
const decays = (e: Expr): boolean =>
  e.kind === 'op' && e.prim === 'mul' && e.args.some(c => c.kind === 'const' && Math.abs(c.value) >= 0.5 && Math.abs(c.value) < 1)

/** Makes numbers near zero out of ordinary ones: exponentials, products and quotients of two computed values, sums over terms, averages that decay. */
const shrinks = (e: Expr): boolean => {
  if (e.kind === 'acc') return true
  if (e.kind !== 'op' || e.dtype !== 'f32') return false
  if (e.prim === 'mul') return !e.args.some(constant)
  if (e.prim === 'div') return !constant(e.args[1]!)
  if (e.prim === 'add') return e.args.some(decays) && !e.args.some(constant)
  return shrinking.has(e.prim)
}

/** The value of an expression as it is stored. */
export const flushed = (b: Builder, expr: Expr, value: Value): Value => {
  if (expr.dtype !== 'f32' || value.kind === 'const') return value
  let found = false
  walk([expr], e => {
    found ||= shrinks(e)
  })
  if (!found) return value
  const int = widened('i32', value.type)
  const bits = b.call('bits', int, value)
  const normal = b.call('gt', widened('bool', int), b.call('and', int, bits, constOf(int, 0x7f800000)), constOf(int, 0))
  if (lanesOf(int) === 1) return b.call('select', value.type, normal, value, constOf(value.type, 0))
  return b.call('bits', value.type, b.call('and', int, bits, b.call('bits', int, normal)))
}
