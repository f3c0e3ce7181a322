/**
 * Reductions. A workgroup has `outputs` results by `lanes` threads for each: every lane takes each lanes-th term of its
 * result, and a tree in workgroup memory joins the lanes. One lane is a thread per result that adds on its own. Where even
 * whole workgroups per result would leave most of the device idle, the terms are cut into chunks, whose partial results a
 * second dispatch joins. Threads beside each other read beside each other: along the results where those are contiguous in
 * what is read (column sums), along the terms otherwise (row sums). The order of additions is fixed: no atomics.
 */
import type { Names } from '../choose.ts'
import { type Reduce, accumulator, joined } from '../elementwise/reduce.ts'
import { collapse, kernelIndices } from '../kernel/collapse.ts'
import { add, linear, scale, variable } from '../kernel/indexing.ts'
import type { Kernel, Var } from '../kernel/kernel.ts'
import { divided, multiplied } from '../nest/builder.ts'
import { type Composite, decode, sizeOf } from '../nest/composite.ts'
import { type Dialect, perform } from '../nest/expression.ts'
import { type Vars, byStride, envOf, loops, roundDown, unitStrides } from '../nest/loops.ts'
import { type Value, i32 } from '../nest/nest.ts'
import type { Dispatch, Dispatched } from './dispatch.ts'
import { type Threads, openThreads, powerAbove, processors } from './threads.ts'

export type Reducing = Kernel & { readonly reduction: Reduce }

/** The loops of a reduction, each group with the contiguous variable last; `across`: what is read is contiguous along the results. */
type Layout = { readonly results: Composite; readonly terms: Composite; readonly across: boolean }

const layoutOf = ({ vars, reduction, stores }: Reducing): Layout => {
  const loads = kernelIndices({ reduction, stores: [] })
  const most = (all: readonly Var[]): { readonly v: Var | null; readonly count: number } =>
    all.reduce<{ v: Var | null; count: number }>((best, v) => (unitStrides(loads, v) > best.count ? { v, count: unitStrides(loads, v) } : best), { v: null, count: 0 })
  const [out, over] = [most(vars), most(reduction.vars)]
  const across = out.count > over.count || (out.count === over.count && (out.v?.size ?? 0) > (over.v?.size ?? 0))
  const last = (all: readonly Var[], v: Var | null): Composite => (v === null ? all : [...all.filter(x => x !== v), v])
  const lead = loads.find(i => reduction.vars.some(v => unitStrides([i], v) > 0)) ?? loads[0]
  return { results: last(byStride(vars, stores[0]?.at), across ? out.v : null), terms: last(byStride(reduction.vars, lead), over.v), across }
}

/** How the work is shared out: `outputs` times `lanes` threads make a workgroup; `chunks` of the terms are on their own. */
export type Shares = { readonly outputs: number; readonly lanes: number; readonly chunks: number }

/**
 * Nanoseconds: of a turn of a loop, with four loads under way; of one level of a tree; of a dispatch. Bytes moved in one. All are
 * of a large device, and rough: they have to tell few long sums from many short ones.
 */
const [turn, level, launch, bandwidth] = [100, 80, 3000, 2500]
/** Threads that run at one time. */
const running = processors * 2048

/**
 * Roughly the nanoseconds that a reduction takes. Memory comes in sectors of eight elements: where neighbouring threads read
 * fewer than eight beside each other (along the results if `across`, along the terms if not), the rest is read in vain.
 */
const timeOf = (results: number, terms: number, across: boolean, { outputs, lanes, chunks }: Shares): number => {
  const turns = Math.ceil(terms / (lanes * chunks))
  const waves = Math.max(1, (results * lanes * chunks) / running)
  const spread = across ? Math.min(8, results) / Math.min(8, results, outputs) : Math.min(8, terms) / Math.min(8, terms, lanes)
  const reading = Math.max(turns * turn * waves, (4 * results * terms * spread) / bandwidth)
  const joining = chunks === 1 ? 0 : launch + Math.ceil(chunks / 32) * turn + (4 * results * chunks) / bandwidth
  return reading + Math.log2(lanes) * level + joining
}

/** The shares that take least time by the estimate above. */
export const sharesFor = (results: number, terms: number, across: boolean): Shares => {
  const powers = (from: number, to: number): readonly number[] => (from > to ? [] : [from, ...powers(2 * from, to)])
  const options = powers(1, Math.min(256, powerAbove(terms))).flatMap(lanes => {
    const most = Math.min(256 / lanes, powerAbove(results))
    const outputs = lanes === 1 ? [results >= 2 * 256 * processors ? 256 : 64] : across ? powers(1, most) : [most]
    const chunks = lanes === 1 ? [1] : [1, ...powers(2, Math.min(1024, Math.floor(terms / (lanes * 8))))]
    return outputs.flatMap(o => (o * lanes < 32 && o < most ? [] : chunks.map((c): Shares => ({ outputs: o, lanes, chunks: c }))))
  })
  return options.reduce((best, s) => (timeOf(results, terms, across, s) < timeOf(results, terms, across, best) ? s : best))
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

/** The reduced value of one result, as far as one lane has it: the terms of a span, or all. */
const serial = (scope: Threads, r: Reduce, terms: Composite, vars: Vars, lane: Value, lanes: number, span: { from: Value; to: Value } | null, run: (body: () => void) => void): Value => {
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
  let left = lanes
  while (left > 1) {
    const by = left % 4 === 0 ? 4 : 2
    const kept = left / by
    b.store(space, thread, 0, total)
    b.barrier()
    b.branch(b.call('lt', 'bool', lane, i32(kept)), () => {
      for (let i = 1; i < by; i += 1) b.set(total, joined(r.op, total, b.load(r.dtype, space, thread, i * kept * stride)))
    })
    // what was read is not written before all have read it
    if (kept > 1) b.barrier()
    left = kept
  }
  b.settle(total)
  return total
}

/** Terms of a chunk: whole turns of all lanes. */
const chunkOf = (terms: number, lanes: number, chunks: number): number => Math.ceil(terms / chunks / (chains * lanes)) * chains * lanes
/** Chunks that have any terms. */
const filled = (terms: number, { outputs, lanes, chunks }: Shares): Shares =>
  ({ outputs, lanes, chunks: chunks === 1 ? 1 : Math.ceil(terms / chunkOf(terms, lanes, chunks)) })

/** One dispatch: the reductions of a kernel by given shares. `done` stores a result, given its place and its chunk. */
const dispatchOf = (
  kernel: Reducing, layout: Layout, { outputs, lanes, chunks }: Shares, counters: readonly Var[], dialect: Dialect, names: Names, name: string,
  done: (scope: Threads, vars: Vars, place: Value, chunk: Value, acc: Value) => void,
): Dispatch => {
  const { results, terms, across } = layout
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
  const sum = (run: (body: () => void) => void): Value => serial(scope, kernel.reduction, terms, vars, lane, lanes, span, run)
  const [space, stride] = [names.space(1), across ? outputs : 1]
  if (lanes === 1) guarded(inside, () => done(scope, vars, place, chunk, sum(body => body())))
  else {
    const acc = tree(scope, kernel.reduction, space, lane, lanes, stride, sum(body => guarded(inside, body)))
    const first = b.call('eq', 'bool', lane, i32(0))
    guarded(inside === null ? first : b.call('and', 'bool', first, inside), () => done(scope, vars, place, chunk, acc))
  }
  const threads = outputs * lanes
  return {
    nest: b.finish(groups * chunks), threads, quads: new Set(),
    shared: lanes === 1 ? [] : [{ space, type: kernel.reduction.dtype, elements: threads }],
  }
}

/** Schedules a reduction; `wished` takes the place of the shares that are estimated to be best. */
export const reduce = (given: Reducing, counters: readonly Var[], dialect: Dialect, names: Names, wished?: Shares): Dispatched => {
  const flat = collapse(given)
  const kernel: Reducing = { ...flat, reduction: flat.reduction as Reduce } // collapsing keeps the kind of a reduction
  const layout = layoutOf(kernel)
  const { results, terms, across } = layout
  const shares = filled(sizeOf(terms), wished ?? sharesFor(sizeOf(results), sizeOf(terms), across))
  const whole = (k: Reducing, l: Layout, s: Shares, name: string): Dispatch =>
    dispatchOf(k, l, s, counters, dialect, names, name, (scope, vars, _place, _chunk, acc) => perform({ ...envOf(scope, vars, null), acc }, k.stores))
  if (shares.chunks === 1) return { dispatches: [whole(kernel, layout, shares, kernel.name)], scratch: [] }
  const [space, count] = [names.space(1), sizeOf(results)]
  const partial = dispatchOf(kernel, layout, shares, counters, dialect, names, `${kernel.name}_partial`, ({ b }, _vars, place, chunk, acc) =>
    b.store(space, b.call('add', 'i32', multiplied(b, chunk, count), place), 0, acc))
  const each: Var = { id: names.variable(), size: shares.chunks, name: 'chunk' }
  const at = add(scale(variable(each), count), linear(results.map(variable), results.map(v => v.size)))
  const joining: Reducing = { ...kernel, reduction: { ...kernel.reduction, vars: [each], value: { kind: 'load', buffer: space, at, dtype: kernel.reduction.dtype } } }
  const last: Layout = { results, terms: [each], across: true }
  return {
    dispatches: [partial, whole(joining, last, { ...sharesFor(count, shares.chunks, true), chunks: 1 }, kernel.name)],
    scratch: [{ space, bytes: 4 * count * shares.chunks, each: 'kernel' }],
  }
}
