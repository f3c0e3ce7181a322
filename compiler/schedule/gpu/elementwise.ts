/**
 * Kernels without a reduction: one thread for every element, or for four neighbours along the variable with unit stride
 * where all that is read and written along it comes in aligned vectors. Consecutive threads take consecutive elements of
 * the first store, so that their accesses are joined.
 */
import { collapse } from '../kernel/collapse.ts'
import { strideAlong, varsOfIndex } from '../kernel/dependence.ts'
import { type Dialect, perform } from '../nest/expression.ts'
import { decode, sizeOf } from '../nest/composite.ts'
import { multiplied } from '../nest/builder.ts'
import { byStride, envOf, innermost } from '../nest/loops.ts'
import { i32 } from '../nest/nest.ts'
import type { Index, Kernel, Var } from '../kernel/kernel.ts'
import { expressions, loadsOf, walk } from '../kernel/walk.ts'
import type { Dispatch, Dispatched } from './dispatch.ts'
import { openThreads, placeOf, processors } from './threads.ts'

/** Fewer elements than this are better spread over more threads than taken in fours. */
const manyElements = 2 ** 16

/** Whether an index is a multiple of four wherever the variable is one. */
export const multiple = (index: Index, v: Var): boolean =>
  index.offset % 4 === 0 &&
  index.terms.every(({ coef, atom }) =>
    coef % 4 === 0 || (atom.kind === 'var' ? atom.id === v.id : atom.kind === 'mod' && atom.by % 4 === 0 && multiple(atom.of, v)))

/** The buffers that a kernel reads and writes in vectors along a variable; null where something along it is no aligned vector. */
export const quadsAlong = (kernel: Kernel, v: Var): ReadonlySet<number> | null => {
  if (v.size % 4 !== 0) return null
  const along = { id: v.id, aligned: true }
  const quad = (at: Index): boolean => strideAlong(at, along) === 1 && multiple(at, v)
  const loads = loadsOf(expressions(kernel))
  const still = (at: Index): boolean => !varsOfIndex(at).has(v.id)
  const single = new Set(loads.filter(l => still(l.at)).map(l => l.buffer))
  const fits = loads.every(l => still(l.at) || (quad(l.at) && !single.has(l.buffer))) && kernel.stores.every(s => quad(s.at) && !single.has(s.buffer))
  let smooth = true
  walk(expressions(kernel), e => {
    // checks that differ between neighbours, and numbers that do not grow evenly, would be computed one by one
    if (e.kind === 'when') smooth &&= e.guards.every(g => strideAlong(g.of, along) === 0)
    if (e.kind === 'index' || e.kind === 'random') smooth &&= strideAlong(e.of, along) !== null
  })
  if (!fits || !smooth) return null
  return new Set([...loads.filter(l => !still(l.at)).map(l => l.buffer), ...kernel.stores.map(s => s.buffer)])
}

/** Threads of a group for so many places: small groups where large ones would not reach every processor. */
export const threadsFor = (places: number): number => [256, 128].find(n => places >= 2 * n * processors) ?? 64

/** Schedules a kernel without a reduction. */
export const elementwise = (given: Kernel, counters: readonly Var[], dialect: Dialect): Dispatched => {
  const kernel = collapse(given)
  const stores = kernel.stores.map(s => s.at)
  const last = innermost(kernel.vars, stores, loadsOf(expressions(kernel)).map(l => l.at))
  const order = [...byStride(kernel.vars.filter(v => v !== last), stores[0]), ...(last === null ? [] : [last])]
  const quads = last !== null && sizeOf(order) >= manyElements ? quadsAlong(kernel, last) : null
  const counted = quads === null ? order : order.map(v => (v === last ? { ...v, size: v.size / 4 } : v))
  const places = sizeOf(counted)
  const threads = threadsFor(places)
  const scope = openThreads(kernel.name, counters, dialect)
  const { b } = scope
  const place = placeOf(scope, threads)
  const body = (): void => {
    const found = new Map([...scope.vars, ...decode(b, counted, place)])
    if (quads === null || last === null) return perform(envOf(scope, found, null), kernel.stores)
    perform(envOf(scope, new Map([...found, [last.id, multiplied(b, found.get(last.id)!, 4)]]), { id: last.id, aligned: true }), kernel.stores)
  }
  if (places % threads === 0) body()
  else b.branch(b.call('lt', 'bool', place, i32(places)), body)
  const dispatch: Dispatch = { nest: b.finish(Math.ceil(places / threads)), threads, shared: [], quads: quads ?? new Set() }
  return { dispatches: [dispatch], scratch: [] }
}
