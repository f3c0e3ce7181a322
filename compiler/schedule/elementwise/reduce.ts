/** Reductions within a part: of one result, of four, or of several groups of four, with several partial results side by side. */
import type { Builder } from '../nest/builder.ts'
import { kernelIndices } from '../kernel/collapse.ts'
import { strideAlong, varsOf } from '../kernel/dependence.ts'
import { type Env, lower } from '../nest/expression.ts'
import { bare, holdThroughout, operations, unrolledOperations } from '../nest/interior.ts'
import type { Expr, Reduction, Var } from '../kernel/kernel.ts'
import { byStride, grouped, innermost, loops, taps, wholeOf } from '../nest/loops.ts'
import { type Fn, type Value, apply, constOf, vectorOf } from '../nest/nest.ts'

export type Reduce = Extract<Reduction, { kind: 'reduce' }>

const lowest = { f32: [-Infinity, Infinity], i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1], bool: [0, 1] } as const
const startOf = ({ op, dtype }: Reduce): Value => constOf(dtype, op === 'sum' ? 0 : lowest[dtype][op === 'max' ? 0 : 1])

/** Any reduction as (op, value). */
export const asReduce = (r: Reduction): Reduce =>
  r.kind === 'reduce' ? r : { kind: 'reduce', op: 'sum', vars: r.vars, dtype: 'f32', value: { kind: 'op', prim: 'mul', args: [r.a, r.b], dtype: 'f32' } }

/** Two partial results in one; the max and min of bools are or and and. */
export const joined = (op: Reduce['op'], x: Value, y: Value): Value => {
  const bool = x.type === 'bool' || x.type === 'boolx4'
  const fn: Fn = bool ? (op === 'min' ? 'and' : 'or') : op === 'sum' ? 'add' : op
  return apply(fn, x.type, x, y)
}

/** A partial result: `take` joins the value at a place to it, `read` is for when all are in. */
type Accumulator = { readonly take: (env: Env, value: Expr) => void; readonly read: () => Value }

/** The greatest or least of vectors of f32 by plain comparisons, with NaN seen to beside them: a third of the instructions. */
const extreme = (b: Builder, op: 'max' | 'min', start: Value): Accumulator => {
  const acc = b.variable('f32x4', 'acc')
  const nan = b.variable('boolx4', 'nan')
  b.set(acc, b.splat(start))
  b.set(nan, constOf('boolx4', 0))
  return {
    take: (env, value) => {
      const x = b.splat(lower(env, value))
      b.set(acc, apply('select', 'f32x4', op === 'max' ? apply('lt', 'boolx4', acc, x) : apply('lt', 'boolx4', x, acc), x, acc))
      b.set(nan, apply('or', 'boolx4', nan, apply('ne', 'boolx4', x, x)))
    },
    read: () => {
      for (const local of [acc, nan]) b.settle(local)
      return b.call('select', 'f32x4', nan, constOf('f32x4', NaN), acc)
    },
  }
}

/** Of one result, or of four. Sums of products add as they multiply. */
export const accumulator = (b: Builder, r: Reduce, four: boolean): Accumulator => {
  const { op, dtype } = r
  if (four && dtype === 'f32' && op !== 'sum') return extreme(b, op, startOf(r))
  const like = (v: Value): Value => (four ? b.splat(v) : v)
  const acc = b.variable(four ? vectorOf(dtype) : dtype, 'acc')
  b.set(acc, like(startOf(r)))
  return {
    take: (env, value) => {
      const product = op === 'sum' && dtype === 'f32' && value.kind === 'op' && value.prim === 'mul' ? value.args.map(e => like(lower(env, e))) : null
      b.set(acc, product === null ? joined(op, acc, like(lower(env, value))) : apply('fma', acc.type, product[0]!, product[1]!, acc))
    },
    read: () => {
      b.settle(acc)
      return acc
    },
  }
}

/** Groups of four partial results of one sum that are carried side by side: additions take several turns of a loop. */
const chains = 4

/** One result, with partial results along the reduced variable that is contiguous in memory. */
const alongReduced = (env: Env, r: Reduce, inner: Var, order: readonly Var[]): Value => {
  const { b } = env
  const wide = inner.size >= 8 * chains ? chains : 1
  const single = accumulator(b, r, false)
  const fours = Array.from({ length: wide }, () => accumulator(b, r, true))
  loops(b, order.filter(v => v !== inner), env.vars, vars =>
    grouped(b, inner, wholeOf(inner), wide, (i, groups) => {
      const here = { ...env, vars: new Map([...vars, [inner.id, i]]) }
      if (groups === 0) return single.take(here, r.value)
      const along = { id: inner.id, aligned: true }
      fours.slice(0, groups).forEach((four, g) => four.take({ ...here, along, skip: 4 * g }, r.value))
    }),
  )
  const four = fours.map(f => f.read()).reduce((x, y) => b.let(joined(r.op, x, y)))
  return [0, 1, 2, 3].reduce((x, lane) => b.let(joined(r.op, x, b.lane(four, lane))), single.read())
}

/** The reduced values at places beside each other (one result or four each), in one pass over the reduced variables. */
export const reduced = (envs: readonly Env[], r: Reduce): readonly Value[] => {
  const [env] = envs
  if (env === undefined) return []
  const { b } = env
  const loads = kernelIndices({ reduction: r, stores: [] })
  const order = byStride(r.vars, loads.find(i => r.vars.some(v => strideAlong(i, { id: v.id, aligned: true }) === 1)) ?? loads[0])
  const inner = env.along === null ? innermost(r.vars, [], loads) : null
  if (inner !== null) return [alongReduced(env, r, inner, order)]
  const accs = envs.map(e => accumulator(b, r, e.along !== null && varsOf(r.value).has(e.along.id)))
  const inside = bare(r.value)
  const run = (value: Expr, unroll: boolean): void =>
    (unroll ? taps : loops)(b, order, env.vars, (vars, step) => envs.forEach((e, i) => accs[i]!.take({ ...e, vars, copy: step }, value)))
  const small = order.reduce((n, v) => n * v.size, envs.length * operations(inside.expr)) <= unrolledOperations
  const ends = envs.flatMap(e => (e.along === null ? [e] : [{ ...e, lane: 0 }, { ...e, lane: 3 }]))
  if (inside.guards.length === 0) run(r.value, small)
  else b.branch(holdThroughout(ends, inside.guards, r.vars), () => run(inside.expr, small), () => run(r.value, false))
  return accs.map(acc => acc.read())
}
