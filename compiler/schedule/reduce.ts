/** Reductions within a part: of one result, of four, or of several groups of four, with several partial results side by side. */
import { kernelIndices } from './collapse.ts'
import { strideAlong, varsOf } from './dependence.ts'
import { type Env, lower } from './expression.ts'
import { bare, holdThroughout, operations, unrolledOperations } from './interior.ts'
import type { Expr, Reduction } from './kernel.ts'
import { byStride, grouped, innermost, loops, taps, wholeOf } from './loops.ts'
import { type Fn, type Local, type Value, apply, constOf, lanesOf, vectorOf } from './nest.ts'

export type Reduce = Extract<Reduction, { kind: 'reduce' }>

const lowest = { f32: [-Infinity, Infinity], i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1], bool: [0, 1] } as const
const startOf = ({ op, dtype }: Reduce): Value => constOf(dtype, op === 'sum' ? 0 : lowest[dtype][op === 'max' ? 0 : 1])

/** Any reduction as (op, value). */
export const asReduce = (r: Reduction): Reduce =>
  r.kind === 'reduce' ? r : { kind: 'reduce', op: 'sum', vars: r.vars, dtype: 'f32', value: { kind: 'op', prim: 'mul', args: [r.a, r.b], dtype: 'f32' } }

/** Two partial results in one; the max and min of bools are or and and. */
const joined = (op: Reduce['op'], x: Value, y: Value): Value => {
  const bool = x.type === 'bool' || x.type === 'boolx4'
  const fn: Fn = bool ? (op === 'min' ? 'and' : 'or') : op === 'sum' ? 'add' : op
  return apply(fn, x.type, x, y)
}

/** acc = acc joined with the value; a sum of products adds as it multiplies. */
const accumulate = (env: Env, { op, value, dtype }: Reduce, acc: Local): void => {
  const { b } = env
  const like = (v: Value): Value => (lanesOf(acc.type) === 4 ? b.splat(v) : v)
  const factors = op === 'sum' && dtype === 'f32' && value.kind === 'op' && value.prim === 'mul' ? value.args.map(e => like(lower(env, e))) : null
  b.set(acc, factors === null ? joined(op, acc, like(lower(env, value))) : apply('fma', acc.type, factors[0]!, factors[1]!, acc))
}

/** Groups of four partial results of one sum that are carried side by side: additions take several turns of a loop. */
const chains = 4

/** One result, with partial results along the reduced variable that is contiguous in memory. */
const alongReduced = (env: Env, r: Reduce, inner: Reduce['vars'][number], order: Reduce['vars']): Value => {
  const { b } = env
  const wide = inner.size >= 8 * chains ? chains : 1
  const start = startOf(r)
  const single = b.variable(r.dtype, 'acc')
  const fours = Array.from({ length: wide }, () => b.variable(vectorOf(r.dtype), 'acc4'))
  b.set(single, start)
  for (const four of fours) b.set(four, b.splat(start))
  loops(b, order.filter(v => v !== inner), env.vars, vars =>
    grouped(b, inner, wholeOf(inner), wide, (i, groups) => {
      const here = { ...env, vars: new Map([...vars, [inner.id, i]]) }
      if (groups === 0) return accumulate(here, r, single)
      const along = { id: inner.id, aligned: true }
      for (let g = 0; g < groups; g += 1) accumulate({ ...here, along, skip: 4 * g }, r, fours[g]!)
    }),
  )
  for (const local of [single, ...fours]) b.settle(local)
  const [first, ...others] = fours
  const four = others.reduce<Value>((x, y) => b.let(joined(r.op, x, y)), first!)
  return [0, 1, 2, 3].reduce<Value>((x, lane) => b.let(joined(r.op, x, b.lane(four, lane))), single)
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
  const wide = env.along !== null && varsOf(r.value).has(env.along.id)
  const start = startOf(r)
  const accs = envs.map(() => b.variable(wide ? vectorOf(r.dtype) : r.dtype, 'acc'))
  for (const acc of accs) b.set(acc, wide ? b.splat(start) : start)
  const inside = bare(r.value)
  const run = (value: Expr, unroll: boolean): void =>
    (unroll ? taps : loops)(b, order, env.vars, (vars, step) => envs.forEach((e, i) => accumulate({ ...e, vars, copy: step }, { ...r, value }, accs[i]!)))
  const small = order.reduce((n, v) => n * v.size, envs.length * operations(inside.expr)) <= unrolledOperations
  const ends = envs.flatMap(e => (e.along === null ? [e] : [{ ...e, lane: 0 }, { ...e, lane: 3 }]))
  if (inside.guards.length === 0) run(r.value, small)
  else b.branch(holdThroughout(ends, inside.guards, r.vars), () => run(inside.expr, small), () => run(r.value, false))
  accs.forEach(b.settle)
  return accs
}
