/**
 * Lowers kernel expressions to values of a loop nest, for one element or for four neighbours along one variable. What
 * does not depend on that variable stays scalar; loads with stride 1 along it are vector loads; what cannot be a vector
 * (gathers, divisions that split a group, guards that hold for some lanes only) is computed lane by lane.
 */
import { type Builder, divided, multiplied } from './builder.ts'
import { type Along, strideAlong, varsOf, varsOfIndex } from '../kernel/dependence.ts'
import { flushed } from './flush.ts'
import type { Expr, Guard, Index } from '../kernel/kernel.ts'
import { type Type, type Value, apply, constOf, i32, lanesOf, vectorOf, widened } from './nest.ts'
import { type Maths, operation } from './operations.ts'
import { threefry } from './random.ts'

export type Dialect = {
  /** How much a position grows from one element to the next. */
  readonly unit: number
  readonly maths: Maths
}

export type Env = {
  readonly b: Builder
  readonly dialect: Dialect
  /** The value of every variable in scope. */
  readonly vars: ReadonlyMap<number, Value>
  readonly along: Along | null
  /** Lane by lane: the variable `along` counts `lane` more than its value. */
  readonly lane: number | null
  readonly acc: Value | null
  /** Tells apart environments that give one variable different values within one block. */
  readonly copy: number
  /** The variable `along` counts this much more than its value: several groups of lanes side by side. */
  readonly skip: number
}

let tags = 0
const ids = new WeakMap<object, number>()
const idOf = (x: object): number => {
  const known = ids.get(x)
  if (known !== undefined) return known
  tags += 1
  ids.set(x, tags)
  return tags
}

const shifted = (env: Env, id: number): number => (env.along?.id === id ? env.skip + (env.lane ?? 0) : 0)
const laneTag = ({ copy, skip, along, lane }: Env): string => `${copy}+${skip}${along === null ? 's' : lane === null ? `v${along.id}` : `l${along.id}.${lane}`}`

const levels = (env: Env, terms: readonly { value: Value; order: number }[]): Value =>
  [...terms].sort((a, c) => a.order - c.order).reduce<Value>((sum, { value }) => env.b.call('add', 'i32', sum, value), i32(0))

/** The value of an index times `scale`, without its constant, which comes beside it (in elements). */
const parts = (env: Env, index: Index, scale: number): { readonly sum: Value; readonly constant: number } => {
  let constant = index.offset
  const order = [...env.vars.keys()]
  const rank = (vars: ReadonlySet<number>): number => [...vars].reduce((r, id) => Math.max(r, order.indexOf(id)), -1)
  const terms: { value: Value; order: number }[] = []
  for (const { coef, atom } of index.terms) {
    const times = (value: Value): Value => multiplied(env.b, value, coef * scale)
    switch (atom.kind) {
      case 'var': {
        constant += coef * shifted(env, atom.id)
        const value = env.vars.get(atom.id)
        if (value === undefined) throw new RangeError(`variable ${atom.id} is not in scope`)
        if (value.kind === 'const') {
          constant += coef * value.value
          break
        }
        terms.push({ value: times(value), order: rank(new Set([atom.id])) })
        break
      }
      case 'div':
      case 'mod':
        terms.push({ value: times(divided(env.b, indexValue(env, atom.of), atom.kind, atom.by)), order: rank(varsOfIndex(atom.of)) })
        break
      case 'value':
        terms.push({ value: times(scalar(env, atom.expr)), order: rank(varsOf(atom.expr)) })
        break
    }
  }
  return { sum: levels(env, terms), constant }
}
/** The value of an index, an i32 (of the first lane, or of the lane of `env`). */
export const indexValue = (env: Env, index: Index): Value => {
  const { sum, constant } = parts(env, index, 1)
  return env.b.call('add', 'i32', sum, i32(constant))
}

/** Where an index points: a position, and an offset in elements to go with it. */
export const address = (env: Env, index: Index): { readonly at: Value; readonly offset: number } => {
  const { sum, constant } = parts(env, index, env.dialect.unit)
  if (index.terms.every(t => t.coef > 0)) return { at: sum, offset: constant }
  return { at: env.b.call('add', 'i32', sum, i32(constant * env.dialect.unit)), offset: 0 }
}

/** Whether 0 <= of < below and of is divisible, for one lane. */
const holds = (env: Env, guard: Guard): Value => {
  const { b } = env
  const value = indexValue(env, guard.of)
  const unsigned = b.call('bits', 'u32', value)
  const inside = b.call('lt', 'bool', unsigned, constOf('u32', guard.below))
  return guard.by === 1 ? inside : b.call('and', 'bool', inside, b.call('eq', 'bool', divided(b, value, 'mod', guard.by), i32(0)))
}
/** Whether all of some guards hold, for one lane. */
export const allHold = (env: Env, guards: readonly Guard[]): Value =>
  guards.map(g => holds(env, g)).reduce((x, y) => env.b.call('and', 'bool', x, y))

const alike = (b: Builder, values: readonly Value[]): readonly Value[] => (values.some(v => lanesOf(v.type) === 4) ? values.map(v => b.splat(v)) : values)

/** Runs one of two computations and brings the result out of the branch. */
const either = (env: Env, condition: Value, type: Type, then: () => Value, otherwise: () => Value): Value => {
  const { b } = env
  if (condition.kind === 'const') return condition.value !== 0 ? then() : otherwise()
  const result = b.variable(type, 'chosen')
  const into = (value: Value): void => b.set(result, lanesOf(type) === 4 ? b.splat(value) : value)
  b.branch(condition, () => into(then()), () => into(otherwise()))
  b.settle(result)
  return result
}

const gathered = (env: Env, type: Type, lane: (inner: Env) => Value): Value =>
  env.b.call('lanes', vectorOf(type), ...[0, 1, 2, 3].map(i => lane({ ...env, lane: i })))

const load = (env: Env, expr: Extract<Expr, { kind: 'load' }>): Value => {
  const { b, along } = env
  const stride = along === null || env.lane !== null ? 0 : strideAlong(expr.at, along)
  if (stride === null) return gathered(env, expr.dtype, inner => scalar(inner, expr))
  const { at, offset } = address(env, expr.at)
  const one = (i: number): Value => b.load(expr.dtype, expr.buffer, at, offset + i * stride)
  switch (stride) {
    case 0:
      return one(0)
    case 1:
      return b.load(vectorOf(expr.dtype), expr.buffer, at, offset)
    case -1: {
      const v = b.let({ kind: 'load', type: vectorOf(expr.dtype), space: expr.buffer, at: b.call('sub', 'i32', at, i32(3 * env.dialect.unit)), offset })
      return b.let({ kind: 'shuffle', type: vectorOf(expr.dtype), a: v, b: v, lanes: [3, 2, 1, 0] })
    }
    case 2: {
      // the second load begins at the last element but three: nothing beyond the fourth lane is read
      const type = vectorOf(expr.dtype)
      const [a, c] = [0, 3].map(i => b.load(type, expr.buffer, at, offset + i))
      return b.let({ kind: 'shuffle', type, a: a!, b: c!, lanes: [0, 2, 5, 7] })
    }
    default: {
      if (stride > 0) return b.call('lanes', vectorOf(expr.dtype), one(0), one(1), one(2), one(3))
      return gathered(env, expr.dtype, inner => scalar(inner, expr))
    }
  }
}

const positions = (env: Env, index: Index, dtype: Type): Value => {
  const { b, along } = env
  const stride = along === null || env.lane !== null ? 0 : strideAlong(index, along)
  const base = (e: Env): Value => indexValue(e, index)
  const ints = stride === null ? gathered(env, 'i32', base) : stride === 0 ? base(env) : b.call('add', 'i32x4', b.splat(base(env)), ramp(b, stride))
  const type = widened(dtype, ints.type)
  return type === ints.type ? ints : b.call('convert', type, ints)
}
const ramp = (b: Builder, stride: number): Value => b.let(apply('lanes', 'i32x4', i32(0), i32(stride), i32(2 * stride), i32(3 * stride)))

const when = (env: Env, expr: Extract<Expr, { kind: 'when' }>): Value => {
  const { along, lane, b } = env
  const scalarOnly = along === null || lane !== null
  const uniform = (g: Guard): boolean => scalarOnly || strideAlong(g.of, along) === 0
  const varying = expr.guards.filter(g => !uniform(g))
  const fixed = expr.guards.filter(uniform)
  const type: Type = scalarOnly || !varsOf(expr).has(along.id) ? expr.dtype : vectorOf(expr.dtype)
  const inner = (): Value => {
    if (varying.length === 0) return lower(env, expr.then)
    const lanes = (): Value => gathered(env, expr.dtype, e => scalar(e, { ...expr, guards: varying }))
    const interval = along !== null && varying.every(g => g.by === 1 && strideAlong(g.of, along) !== null)
    if (!interval) return lanes()
    // an index grows steadily from lane to lane: where the first and the last hold, all do; where both fail, on one side, none does
    const ends = varying.map(g => [0, 3].map(lane => holds({ ...env, lane }, g)))
    const both = ends.map(([first, last]) => b.call('and', 'bool', first!, last!))
    const neither = ends.flatMap(([first, last], i) => {
      const { of, below } = varying[i]!
      return below >= 3 * Math.abs(strideAlong(of, along) ?? Infinity) ? [b.call('not', 'bool', b.call('or', 'bool', first!, last!))] : []
    })
    const any = (values: readonly Value[], fn: 'and' | 'or'): Value => values.reduce((x, y) => b.call(fn, 'bool', x, y))
    const mixed = (): Value => (neither.length === 0 ? lanes() : either(env, any(neither, 'or'), type, () => lower(env, expr.otherwise), lanes))
    return either(env, any(both, 'and'), type, () => lower(env, expr.then), mixed)
  }
  return fixed.length === 0 ? inner() : either(env, allHold(env, fixed), type, inner, () => lower(env, expr.otherwise))
}

/** The value of an expression: a scalar where it is the same for all lanes (or one lane is asked for), else a vector. */
export const lower = (env: Env, expr: Expr): Value => {
  const key = `${laneTag(env)}:${idOf(expr)}`
  const known = env.b.recall(key)
  if (known !== undefined) return known
  const value = lowered(env, expr)
  env.b.remember(key, value)
  return value
}

/** x + y, by one fused operation where one of them is a product. */
const summed = (env: Env, args: readonly Expr[]): Value => {
  const [x, y] = args
  const product = [y!, x!].find(e => e.kind === 'op' && e.prim === 'mul')
  if (product?.kind !== 'op') return env.b.call('add', ...typed(alike(env.b, args.map(e => lower(env, e)))))
  const other = product === y ? x! : y!
  return env.b.call('fma', ...typed(alike(env.b, [...product.args, other].map(e => lower(env, e)))))
}
/** Operands with their type before them. */
const typed = (values: readonly Value[]): readonly [Type, ...Value[]] => [values[0]!.type, ...values]

const lowered = (env: Env, expr: Expr): Value => {
  switch (expr.kind) {
    case 'const':
      return constOf(expr.dtype, expr.value)
    case 'load':
      return load(env, expr)
    case 'index':
      return positions(env, expr.of, expr.dtype)
    case 'op':
      if (expr.prim === 'add' && expr.dtype === 'f32') return summed(env, expr.args)
      return operation(env.b, env.dialect.maths, expr.prim, alike(env.b, expr.args.map(e => lower(env, e))), expr.dtype, expr.exponent)
    case 'when':
      return when(env, expr)
    case 'random':
      return threefry(env.b, lower(env, expr.key0), lower(env, expr.key1), positions(env, expr.of, 'u32'))
    case 'acc': {
      if (env.acc === null) throw new RangeError('an accumulator outside of stores')
      return env.lane === null ? env.acc : env.b.lane(env.acc, env.lane)
    }
  }
}

const scalar = (env: Env, expr: Expr): Value => {
  const inner: Env = env.along !== null && env.lane === null ? { ...env, lane: 0 } : env
  return lower(inner, expr)
}

/** Performs stores: all values first, then all writes. */
export const perform = (env: Env, stores: readonly { readonly buffer: number; readonly at: Index; readonly value: Expr }[]): void => {
  const values = stores.map(s => flushed(env.b, s.value, lower(env, s.value)))
  stores.forEach((s, i) => {
    const { b, along } = env
    const value = values[i]!
    const stride = along === null || env.lane !== null ? 0 : strideAlong(s.at, along)
    const { at, offset } = address(env, s.at)
    if (along === null || env.lane !== null) b.store(s.buffer, at, offset, value)
    else if (stride === 1) b.store(s.buffer, at, offset, b.splat(value))
    else
      for (const lane of [0, 1, 2, 3]) {
        const to = address({ ...env, lane }, s.at)
        b.store(s.buffer, to.at, to.offset, b.lane(value, lane))
      }
  })
}
