/**
 * Reductions. A workgroup has `outputs` results by `lanes` threads for each: every lane takes each lanes-th term of its
 * result, and a tree in workgroup memory joins the lanes, or subgroups do (subgroups.ts) where a device has them. One lane
 * is a thread per result that adds on its own. Where even whole workgroups per result would leave most of the device idle,
 * the terms are cut into chunks, whose partial results a second dispatch joins. Threads beside each other read beside each
 * other: along the results where those are contiguous in what is read (column sums), along the terms otherwise (row sums).
 * The order of additions is fixed on a device: no atomics.
 */
import type { Names } from '../choose.ts'
import { type Reduce, accumulator, joined } from '../elementwise/reduce.ts'
import { collapse } from '../kernel/collapse.ts'
import { add, linear, scale, variable } from '../kernel/indexing.ts'
import type { Expr, Index, Kernel, Var } from '../kernel/kernel.ts'
import { loadsOf } from '../kernel/walk.ts'
import { divided, multiplied } from '../nest/builder.ts'
import { type Composite, decode, sizeOf } from '../nest/composite.ts'
import { type Dialect, perform } from '../nest/expression.ts'
import { bare, holdThroughout, operations, unrolledOperations } from '../nest/interior.ts'
import { type Span, type Vars, byStride, envOf, loops, roundDown, taps } from '../nest/loops.ts'
import { type Value, i32 } from '../nest/nest.ts'
import type { Alternatives, Dispatch, Dispatched, Shared } from './dispatch.ts'
import { sectors } from './product/sides.ts'
import { type Reads, type Shares, sharesFor } from './shares.ts'
import { joinSubgroups, subgroupMemory, suitSubgroups } from './subgroups.ts'
import { type Threads, openThreads } from './threads.ts'

export type Reducing = Kernel & { readonly reduction: Reduce }

/** The loops of a reduction, each group in the order in which neighbours lie closest together in what is read. */
type Layout = { readonly results: Composite; readonly terms: Composite }

const closest = (vars: readonly Var[], first: Index | undefined, value: Expr): Composite => {
  const orders = [first, ...loadsOf([value]).map(l => l.at)].map(at => byStride(vars, at))
  const cost = new Map(orders.map(order => [order, sectors(value, order, 32)]))
  return orders.reduce((best, order) => (cost.get(order)! < cost.get(best)! ? order : best))
}

const layoutOf = ({ vars, reduction, stores }: Reducing): Layout =>
  ({ results: closest(vars, stores[0]?.at, reduction.value), terms: closest(reduction.vars, undefined, reduction.value) })

/** What neighbours read, in sectors for each load. */
const readsOf = ({ reduction }: Reducing, { results, terms }: Layout): Reads => {
  const loads = Math.max(1, loadsOf([reduction.value]).length)
  const of = (vars: Composite) => (n: number): number => Math.max(1, sectors(reduction.value, vars, n)) / loads
  return { results: of(results), terms: of(terms) }
}

/** Visits the terms from, from + lanes, ... of a span for one lane: `body` gets the place of each, and which partial result takes it. */
const strided = ({ b }: Threads, lane: Value, lanes: number, wide: number, from: Value, to: Value, body: (place: Value, partial: number) => void): void => {
  const step = wide * lanes
  const count = b.call('sub', 'i32', to, from)
  const whole = wide === 1 ? from : b.call('add', 'i32', from, roundDown(b, count, step))
  if (wide > 1)
    b.loop('r', b.call('add', 'i32', from, lane), whole, step, r => {
      for (let i = 0; i < wide; i += 1) body(b.call('add', 'i32', r, i32(i * lanes)), i)
    })
  if (wide === 1 || count.kind !== 'const' || count.value % step !== 0) b.loop('r', b.call('add', 'i32', whole, lane), to, lanes, r => body(r, 0))
}

/** How many partial results a lane carries side by side. */
const chains = 4

/** A thread that has a result to itself: short sums unrolled, and without the checks of a window's bounds where all of it is inside. */
const alone = (scope: Threads, r: Reduce, terms: Composite, vars: Vars): Value => {
  const { b } = scope
  const inside = bare(r.value)
  const last = terms.slice(-1)
  const wide = sizeOf(terms) >= 2 * chains ? chains : 1
  const accs = Array.from({ length: wide }, () => accumulator(b, r, false))
  const run = (value: Expr, unroll: boolean): void => {
    const take = (here: Vars, i: number, copy: number): void => accs[i]!.take({ ...envOf(scope, here, null), copy }, value)
    if (unroll) taps(b, terms, vars, (here, step) => take(here, step % wide, step))
    else
      loops(b, terms.slice(0, -1), vars, here =>
        strided(scope, i32(0), 1, sizeOf(last) >= 2 * wide ? wide : 1, i32(0), i32(sizeOf(last)), (place, i) =>
          take(new Map([...here, ...decode(b, last, place)]), i, i)))
  }
  const small = sizeOf(terms) * operations(inside.expr) <= unrolledOperations
  if (inside.guards.length === 0) run(r.value, small)
  else b.branch(holdThroughout([envOf(scope, vars, null)], inside.guards, terms), () => run(inside.expr, small), () => run(r.value, false))
  return accs.map(acc => acc.read()).reduce((x, y) => b.let(joined(r.op, x, y)))
}

/** The reduced value of one result, as far as one lane of several has it: the terms of a span, or all. */
const shared = (
  scope: Threads, r: Reduce, terms: Composite, vars: Vars, lane: Value, lanes: number, span: Span | null, run: (body: () => void) => void,
): Value => {
  const { b } = scope
  // loops over the outer variables, as far as the inner ones keep the lanes busy; with a span the terms count as one
  let outer = 0
  while (span === null && outer + 1 < terms.length && sizeOf(terms.slice(outer + 1)) >= 8 * lanes) outer += 1
  const inner = terms.slice(outer)
  const size = sizeOf(inner)
  const wide = size >= 2 * chains * lanes ? chains : 1
  const accs = Array.from({ length: wide }, () => accumulator(b, r, false))
  run(() =>
    loops(b, terms.slice(0, outer), vars, here =>
      strided(scope, lane, lanes, wide, span?.from ?? i32(0), span?.to ?? i32(size), (place, i) =>
        accs[i]!.take({ ...envOf(scope, new Map([...here, ...decode(b, inner, place)]), null), copy: i }, r.value))))
  return accs.map(acc => acc.read()).reduce((x, y) => b.let(joined(r.op, x, y)))
}

/** Joins the values of all lanes of each result: the thread whose lane is 0 gets it. Every thread of the group comes here. */
const tree = ({ b, thread }: Threads, r: Reduce, space: number, lane: Value, lanes: number, stride: number, value: Value): Value => {
  b.changes(space)
  const total = b.variable(r.dtype, 'total')
  b.set(total, value)
  b.store(space, thread, 0, total)
  let left = lanes
  while (left > 1) {
    const by = left % 4 === 0 ? 4 : 2
    const kept = left / by
    b.barrier()
    b.branch(b.call('lt', 'bool', lane, i32(kept)), () => {
      for (let i = 1; i < by; i += 1) b.set(total, joined(r.op, total, b.load(r.dtype, space, thread, i * kept * stride)))
      // lanes that are kept write below all that is read here
      if (kept > 1) b.store(space, thread, 0, total)
    })
    left = kept
  }
  b.settle(total)
  return total
}

/** Terms of a chunk: whole turns of all lanes. */
const chunkOf = (terms: number, lanes: number, chunks: number): number => Math.ceil(terms / chunks / (chains * lanes)) * chains * lanes
/** Chunks that have any terms. */
const filled = (terms: number, shares: Shares): Shares =>
  ({ ...shares, chunks: shares.chunks === 1 ? 1 : Math.ceil(terms / chunkOf(terms, shares.lanes, shares.chunks)) })

/** What all dispatches of a kernel are made for; `subgroups`: devices that have them. */
type Given = { readonly counters: readonly Var[]; readonly dialect: Dialect; readonly names: Names; readonly subgroups: boolean }

/** One dispatch: the reductions of a kernel by given shares. `done` stores a result, given its place and its chunk. */
const dispatchOf = (
  kernel: Reducing, { results, terms }: Layout, shares: Shares, { counters, dialect, names, subgroups }: Given, name: string,
  done: (scope: Threads, vars: Vars, place: Value, chunk: Value, acc: Value) => void,
): Dispatch => {
  const { outputs, lanes, chunks, across } = shares
  const [count, length] = [sizeOf(results), sizeOf(terms)]
  const scope = openThreads(name, counters, dialect)
  const { b, group, thread } = scope
  const groups = Math.ceil(count / outputs)
  const within = chunks === 1 ? group : divided(b, group, 'div', chunks)
  const chunk = chunks === 1 ? i32(0) : divided(b, group, 'mod', chunks)
  const own = lanes === 1 ? thread : outputs === 1 ? i32(0) : across ? divided(b, thread, 'mod', outputs) : divided(b, thread, 'div', lanes)
  const lane = lanes === 1 ? i32(0) : outputs === 1 ? thread : across ? divided(b, thread, 'div', outputs) : divided(b, thread, 'mod', lanes)
  const place = b.call('add', 'i32', multiplied(b, within, outputs), own)
  const inside = count % outputs === 0 ? null : b.call('lt', 'bool', place, i32(count))
  const size = chunkOf(length, lanes, chunks)
  const from = multiplied(b, chunk, size)
  const span = chunks === 1 ? null : { from, to: b.call('min', 'i32', b.call('add', 'i32', from, i32(size)), i32(length)) }
  const vars = new Map([...scope.vars, ...decode(b, results, place)])
  const guarded = (condition: Value | null, body: () => void): void => (condition === null ? body() : b.branch(condition, body))
  const [threads, r] = [outputs * lanes, kernel.reduction]
  const nest = (memory: readonly Shared[]): Dispatch => ({ nest: b.finish(groups * chunks), threads, quads: new Set(), shared: memory })
  if (lanes === 1) {
    guarded(inside, () => done(scope, vars, place, chunk, alone(scope, r, terms, vars)))
    return nest([])
  }
  const space = names.space(2)
  const joint = subgroups && suitSubgroups(shares) ? joinSubgroups(scope, r, space, shares) : null
  const acc = shared(scope, r, terms, vars, lane, lanes, span, body => guarded(inside, body))
  const first = b.call('eq', 'bool', lane, i32(0))
  const ends = inside === null ? first : b.call('and', 'bool', first, inside)
  if (joint !== null) {
    joint(acc, ends, total => done(scope, vars, place, chunk, total))
    return nest(subgroupMemory(r, space, threads))
  }
  const total = tree(scope, r, space, lane, lanes, across ? outputs : 1, acc)
  guarded(ends, () => done(scope, vars, place, chunk, total))
  return nest([{ space, type: r.dtype, elements: threads, kept: 'full' }])
}

/** A reduction in the way that is given. */
const shareOut = (kernel: Reducing, layout: Layout, shares: Shares, given: Given): Dispatched => {
  const { results, terms } = layout
  const { names } = given
  const whole = (k: Reducing, l: Layout, s: Shares): Dispatch =>
    dispatchOf(k, l, s, given, k.name, (scope, vars, _place, _chunk, acc) => perform({ ...envOf(scope, vars, null), acc }, k.stores))
  const { chunks, ...way } = filled(sizeOf(terms), shares)
  if (chunks === 1) return { dispatches: [whole(kernel, layout, { ...way, chunks })], scratch: [] }
  const [space, count] = [names.space(1), sizeOf(results)]
  const partial = dispatchOf(kernel, layout, { ...way, chunks }, given, `${kernel.name}_partial`, ({ b }, _vars, place, chunk, acc) =>
    b.store(space, b.call('add', 'i32', multiplied(b, chunk, count), place), 0, acc))
  const each: Var = { id: names.variable(), size: chunks, name: 'chunk' }
  const at = add(scale(variable(each), count), linear(results.map(variable), results.map(v => v.size)))
  const value: Expr = { kind: 'load', buffer: space, at, dtype: kernel.reduction.dtype }
  const joining: Reducing = { ...kernel, reduction: { ...kernel.reduction, vars: [each], value } }
  const last: Layout = { results, terms: [each] }
  const [best] = sharesFor(count, chunks, readsOf(joining, last), false)
  return { dispatches: [partial, whole(joining, last, best)], scratch: [{ space, bytes: 4 * count * chunks, each: 'kernel' }] }
}

const prepared = (given: Reducing): { readonly kernel: Reducing; readonly layout: Layout } => {
  const flat = collapse(given)
  const kernel: Reducing = { ...flat, reduction: flat.reduction as Reduce } // collapsing keeps the kind of a reduction
  return { kernel, layout: layoutOf(kernel) }
}

/** Schedules a reduction in a given way; `subgroups`: where they suit it, lanes are joined by them. */
export const reduceBy = (given: Reducing, shares: Shares, counters: readonly Var[], dialect: Dialect, names: Names, subgroups = false): Dispatched => {
  const { kernel, layout } = prepared(given)
  return shareOut(kernel, layout, shares, { counters, dialect, names, subgroups })
}

/**
 * Schedules a reduction, in the ways that are estimated to be best, so many at most. In front of every way that subgroups suit stands the same
 * with them, for the devices that have them.
 */
export const reduce = (given: Reducing, counters: readonly Var[], dialect: Dialect, names: Names, most = Infinity): Alternatives => {
  const { kernel, layout } = prepared(given)
  const [best, ...others] = sharesFor(sizeOf(layout.results), sizeOf(layout.terms), readsOf(kernel, layout), true)
  const ways = (shares: Shares): Alternatives => {
    const way = (subgroups: boolean): Dispatched => shareOut(kernel, layout, shares, { counters, dialect, names, subgroups })
    return suitSubgroups(shares) ? [way(true), way(false)] : [way(false)]
  }
  return [...ways(best), ...others.slice(0, most - 1).flatMap(ways)]
}
