/**
 * The schedule of kernels without a product: element-wise loops, four elements at a time along the variable with unit
 * stride, and reductions, either four results at a time or with four partial results along the reduced variable.
 */
import { builder, type Builder } from './builder.ts'
import { collapse, kernelIndices } from './collapse.ts'
import { type Along, strideAlong, varsOf } from './dependence.ts'
import { type Dialect, type Env, lower, perform } from './expression.ts'
import { bare, holdThroughout, operations, unrolledOperations } from './interior.ts'
import type { Expr, Index, Kernel, Reduction, Var } from './kernel.ts'
import { type Fn, type Local, type Nest, type Scratch, type Value, constOf, i32, vectorOf, widened } from './nest.ts'

export type Scope = { readonly b: Builder; readonly dialect: Dialect; readonly lo: Local; readonly hi: Local; readonly own: Local; readonly vars: ReadonlyMap<number, Value> }

/** Opens a nest: its range, the thread's own memory, and one parameter per counter of the enclosing loops. */
export const open = (name: string, counters: readonly Var[], dialect: Dialect): Scope => {
  const b = builder(name)
  const lo = b.param('i32', 'lo')
  const hi = b.param('i32', 'hi')
  const own = b.param('i32', 'own')
  return { b, dialect, lo, hi, own, vars: new Map(counters.map(c => [c.id, b.param('i32', c.name)])) }
}

/** Visits every assignment of `vars`, the first slowest. */
type Loops = (b: Builder, vars: readonly Var[], scope: ReadonlyMap<number, Value>, body: (scope: ReadonlyMap<number, Value>, step: number) => void) => void
/** As loops; the step is always 0. */
export const loops: Loops = (b, vars, scope, body) => {
  const [first, ...rest] = vars
  if (first === undefined) return body(scope, 0)
  b.loop(first.name, i32(0), i32(first.size), 1, i => loops(b, rest, new Map([...scope, [first.id, i]]), body))
}

/** The same, unrolled: every step has a number of its own. */
const taps: Loops = (b, vars, scope, body) => {
  let step = 0
  const go = ([first, ...rest]: readonly Var[], inner: ReadonlyMap<number, Value>): void => {
    if (first === undefined) body(inner, ++step)
    else for (let i = 0; i < first.size; i += 1) go(rest, new Map([...inner, [first.id, i32(i)]]))
  }
  go(vars, scope)
}

/** A loop by fours over one variable, then one by one over what is left. `body` gets the variable to vectorise along, or null. */
const byFours = (b: Builder, v: Var, from: Value, to: Value, body: (i: Local, along: Along | null) => void): void => {
  const whole = to.kind === 'const' && from.kind === 'const' ? i32(to.value - (to.value % 4)) : b.call('and', 'i32', to, i32(-4))
  b.loop(v.name, from, whole, 4, i => body(i, { id: v.id, aligned: true }))
  if (v.size % 4 !== 0) b.loop(v.name, whole, to, 1, i => body(i, null))
}

/** The outermost loop runs over lo .. hi. Where there is only one loop, its parts are blocks of `block` elements. */
const block = 256

export const unitStrides = (indices: readonly Index[], v: Var): number => indices.filter(i => strideAlong(i, { id: v.id, aligned: true }) === 1).length
/** Indices that force work lane by lane. */
export const badStrides = (indices: readonly Index[], v: Var): number =>
  indices.filter(i => ![0, 1].includes(strideAlong(i, { id: v.id, aligned: true }) ?? 2)).length

/** Which variable to vectorise along: unit stride in the stores first, then in the loads; null if none is long enough. */
const innermost = (vars: readonly Var[], stores: readonly Index[], loads: readonly Index[]): Var | null => {
  const scored = vars
    .filter(v => v.size >= 4)
    .map(v => ({ v, score: 8 * unitStrides(stores, v) - 4 * badStrides(stores, v) + 2 * unitStrides(loads, v) - badStrides(loads, v) }))
    .sort((x, y) => y.score - x.score)
  return scored[0]?.v ?? null
}

/** Loops in the order of the strides of the first store, largest first. */
export const byStride = (vars: readonly Var[], at: Index | undefined): readonly Var[] => {
  const coef = (v: Var): number => Math.abs(at?.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0)
  return [...vars].sort((x, y) => coef(y) - coef(x))
}

/** Elements of the inner loop of a transposition: one line of each row that it reads stays in a cache of eight ways. */
const strip = 8

/** How many groups of four results a reduction carries side by side: one cache line. */
const groups = 4

/** The parallel loops of a kernel, vectorised along `inner` where it is not null, `wide` of its groups at a time where they fit. */
const parallel = (scope: Scope, vars: readonly Var[], inner: Var | null, wide: 1 | 4, across: Var | null, body: (envs: readonly Env[]) => void): number => {
  const { b, dialect, lo, hi } = scope
  const env = (vs: ReadonlyMap<number, Value>, along: Along | null, skip = 0): Env => ({ b, dialect, vars: vs, along, lane: null, acc: null, copy: 0, skip })
  const outer = vars.filter(v => v !== inner)
  const lane = (vs: ReadonlyMap<number, Value>, from: Value, to: Value): void => {
    if (inner === null) return body([env(vs, null)])
    const single = (start: Value): void => byFours(b, inner, start, to, (i, along) => body([env(new Map([...vs, [inner.id, i]]), along)]))
    if (wide === 1 || inner.size < 4 * wide) return single(from)
    const whole = to.kind === 'const' ? i32(to.value - (to.value % (4 * wide))) : b.call('and', 'i32', to, i32(-4 * wide))
    b.loop(inner.name, from, whole, 4 * wide, i => {
      const here = new Map([...vs, [inner.id, i]])
      body(Array.from({ length: wide }, (_, g) => env(here, { id: inner.id, aligned: true }, 4 * g)))
    })
    if (inner.size % (4 * wide) !== 0) single(whole)
  }
  const [first, ...rest] = outer
  if (first !== undefined && across !== null && inner !== null) {
    // a transposition: narrow strips, so that the lines which one pass reads are still there for the next
    const strips = (vs: ReadonlyMap<number, Value>, from: Value, to: Value): void =>
      b.loop('strip', i32(0), i32(inner.size), strip, start => {
        const end = b.call('min', 'i32', b.call('add', 'i32', start, i32(strip)), i32(inner.size))
        b.loop(across.name, from, to, 1, i => lane(new Map([...vs, [across.id, i]]), start, end))
      })
    const others = outer.filter(v => v !== across)
    const [outermost, ...more] = others
    if (outermost === undefined) strips(scope.vars, lo, hi)
    else b.loop(outermost.name, lo, hi, 1, i => loops(b, more, new Map([...scope.vars, [outermost.id, i]]), vs => strips(vs, i32(0), i32(across.size))))
    return (outermost ?? across).size
  }
  if (first !== undefined) {
    b.loop(first.name, lo, hi, 1, i => loops(b, rest, new Map([...scope.vars, [first.id, i]]), vs => lane(vs, i32(0), i32(inner?.size ?? 1))))
    return first.size
  }
  if (inner === null) {
    lane(scope.vars, i32(0), i32(1))
    return 1
  }
  const end = b.call('min', 'i32', b.call('mul', 'i32', hi, i32(block)), i32(inner.size))
  lane(scope.vars, b.call('mul', 'i32', lo, i32(block)), end)
  return Math.ceil(inner.size / block)
}

type Combination = 'sum' | 'max' | 'min'
const lowest = { f32: [-Infinity, Infinity], i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1], bool: [0, 1] } as const
const startOf = (op: Combination, dtype: Expr['dtype']): number => (op === 'sum' ? 0 : lowest[dtype][op === 'max' ? 0 : 1])
const combine = (op: Combination): Fn => (op === 'sum' ? 'add' : op)

/** Any reduction as (op, value). */
const asReduce = (r: Reduction): Extract<Reduction, { kind: 'reduce' }> =>
  r.kind === 'reduce' ? r : { kind: 'reduce', op: 'sum', vars: r.vars, dtype: 'f32', value: { kind: 'op', prim: 'mul', args: [r.a, r.b], dtype: 'f32' } }

/** How the bool max and min go: as or and and. */
const joined = (env: Env, op: Combination, x: Value, y: Value): Value => {
  const bool = x.type === 'bool' || x.type === 'boolx4'
  return env.b.let({ kind: 'apply', fn: bool ? (op === 'min' ? 'and' : 'or') : combine(op), type: x.type, args: [x, y] })
}

type Reduce = Extract<Reduction, { kind: 'reduce' }>
const accumulate = (env: Env, r: Reduce, acc: Local): void => {
  const { b } = env
  const value = lower(env, r.value)
  b.set(acc, joined(env, r.op, acc, widened(value.type, acc.type) === value.type ? value : b.splat(value)))
}

/** The reduced values at places beside each other (one result or four each), in one pass over the reduced variables. */
const reduced = (envs: readonly Env[], r: Reduce): readonly Value[] => {
  const [env] = envs
  if (env === undefined) return []
  const { b } = env
  const loads = kernelIndices({ reduction: r, stores: [] })
  const order = byStride(r.vars, loads.find(i => r.vars.some(v => strideAlong(i, { id: v.id, aligned: true }) === 1)) ?? loads[0])
  const inner = env.along === null ? innermost(r.vars, [], loads) : null
  const start = constOf(r.dtype, startOf(r.op, r.dtype))
  if (inner === null) {
    const wide = env.along !== null && varsOf(r.value).has(env.along.id)
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
  const acc = b.variable(r.dtype, 'acc')
  const four = b.variable(vectorOf(r.dtype), 'acc4')
  b.set(acc, start)
  b.set(four, b.splat(start))
  loops(b, order.filter(v => v !== inner), env.vars, vars =>
    byFours(b, inner, i32(0), i32(inner.size), (i, along) =>
      accumulate({ ...env, along, vars: new Map([...vars, [inner.id, i]]) }, r, along === null ? acc : four),
    ),
  )
  b.settle(four)
  b.settle(acc)
  return [[0, 1, 2, 3].map(i => b.lane(four, i)).reduce((x, y) => joined(env, r.op, x, y), acc)]
}

/** Schedules a kernel; `counters` are those of the enclosing loops, from the outside in. */
export const direct = (given: Kernel, counters: readonly Var[], dialect: Dialect): Nest => {
  const kernel = collapse({ ...given, reduction: given.reduction === null ? null : asReduce(given.reduction) })
  const scope = open(kernel.name, counters, dialect)
  const stores = kernel.stores.map(s => s.at)
  const loads = kernelIndices(kernel)
  const reduction = kernel.reduction === null ? null : asReduce(kernel.reduction)
  const inner = innermost(kernel.vars, stores, loads)
  const over = reduction === null ? null : innermost(reduction.vars, [], kernelIndices({ reduction, stores: [] }))
  const within = reduction === null ? [] : kernelIndices({ reduction, stores: [] })
  const alongResult =
    inner !== null && (over === null || over.size < 16 || badStrides(within, inner) === 0 || unitStrides(within, inner) > unitStrides(within, over))
  const along = reduction === null || alongResult ? inner : null
  const long = kernel.vars.filter(v => v !== along && v.size >= 16)
  const crossing = along === null || reduction !== null ? [] : loads.filter(i => (strideAlong(i, { id: along.id, aligned: true }) ?? 0) >= 16)
  const across = long.find(v => unitStrides(crossing, v) > 0) ?? null
  // a short row of windows lies inside its bounds only in parts
  const wide = reduction === null || (bare(reduction.value).guards.length > 0 && (along?.size ?? 0) < 64) ? 1 : groups
  const extent = parallel(scope, byStride(kernel.vars, stores[0]), along, wide, across, envs => {
    const accs = reduction === null ? [] : reduced(envs, reduction)
    envs.forEach((env, i) => perform({ ...env, acc: accs[i] ?? null }, kernel.stores))
  })
  return scope.b.finish(extent)
}

export const elementwise = (kernel: Kernel, counters: readonly Var[], dialect: Dialect, _space: number): { nests: readonly Nest[]; scratch: readonly Scratch[] } => ({ nests: [direct(kernel, counters, dialect)], scratch: [] })
