/**
 * The sum or extreme that one element of a gather computes for itself: short ones unrolled, and without the checks of a window's bounds
 * where all of it is inside; long ones in loops, with several partial results side by side.
 */
import { type Reduce, accumulator, joined } from '../elementwise/reduce.ts'
import type { Expr, Var } from '../kernel/kernel.ts'
import { type Env, lower } from '../nest/expression.ts'
import { bare, holdThroughout, operations, unrolledOperations } from '../nest/interior.ts'
import { byStride, loops, taps } from '../nest/loops.ts'
import { type Value, i32 } from '../nest/nest.ts'
import { loadsOf } from '../kernel/walk.ts'

const sizeOf = (vars: readonly Var[]): number => vars.reduce((n, v) => n * v.size, 1)

/** The reduced value at one place. */
export const total = (env: Env, r: Reduce): Value => {
  const { b } = env
  const terms = byStride(r.vars, loadsOf([r.value])[0]?.at)
  const acc = accumulator(b, r, false)
  const run = (value: Expr, unroll: boolean): void =>
    (unroll ? taps : loops)(b, terms, env.vars, (vars, step) => acc.take({ ...env, vars, copy: env.copy + step }, value))
  const inside = bare(r.value)
  const small = sizeOf(terms) * operations(inside.expr) <= unrolledOperations
  if (inside.guards.length === 0) run(r.value, small)
  else b.branch(holdThroughout([env], inside.guards, terms), () => run(inside.expr, small), () => run(r.value, false))
  return acc.read()
}
