/**
 * The schedule of kernels without a product: element-wise loops, four elements at a time along the variable with unit
 * stride, and reductions, either four results at a time or with partial results along the reduced variable. Loops are cut
 * into parts for the threads; a reduction of few results goes in two stages.
 */
import { collapse, kernelIndices } from '../kernel/collapse.ts'
import { strideAlong } from '../kernel/dependence.ts'
import { type Dialect, type Env, lower, perform } from '../nest/expression.ts'
import { type Cut, cut, overParts, partsFor, slow, workOf } from '../nest/extent.ts'
import { bare } from '../nest/interior.ts'
import type { Expr, Index, Kernel, Var } from '../kernel/kernel.ts'
import { type Scope, type Span, type Vars, badStrides, byStride, envOf, grouped, innermost, open, roundDown, unitStrides, wholeOf } from '../nest/loops.ts'
import { type Nest, type Scheduled, i32 } from '../nest/nest.ts'
import { staged } from './partial.ts'
import { type Reduce, asReduce, reduced } from './reduce.ts'
import { heightOf, tile, turnable } from './transpose.ts'
import { walk } from '../kernel/walk.ts'

export { type Scope, badStrides, byStride, loops, open, unitStrides } from '../nest/loops.ts'

/** Elements of the inner loop of a transposition: one line of each row that it reads stays in a cache of eight ways. */
const strip = 8

/** How many groups of four results a reduction carries side by side: two cache lines, or one (extremes take two vectors each). */
const groupsFor = ({ op }: Reduce, size: number): number => (op === 'sum' && size >= 32 ? 8 : 4)

/** How many transcendental functions a kernel computes at each place. */
const slowSteps = ({ stores }: Kernel): number => {
  let n = 0
  walk(stores.map(s => s.value), e => {
    if (e.kind === 'op' && slow.has(e.prim)) n += 1
  })
  return n
}

/** How the loops of a kernel run: all in order of their strides, `along` as the innermost and in vectors, `across` next to it in narrow strips. */
type Order = { readonly vars: readonly Var[]; readonly along: Var | null; readonly across: Var | null; readonly wide: number }

const orderOf = (kernel: Kernel, reduction: Reduce | null): Order => {
  const stores = kernel.stores.map(s => s.at)
  const loads = kernelIndices({ ...kernel, reduction })
  const inner = innermost(kernel.vars, stores, loads)
  const within = reduction === null ? [] : kernelIndices({ reduction, stores: [] })
  const over = reduction === null ? null : innermost(reduction.vars, [], within)
  const alongResult =
    inner !== null && (over === null || over.size < 16 || badStrides(within, inner) === 0 || unitStrides(within, inner) > unitStrides(within, over))
  const along = reduction === null || alongResult ? inner : null
  const crossing = along === null || reduction !== null ? [] : loads.filter(i => (strideAlong(i, { id: along.id, aligned: true }) ?? 0) >= 16)
  const across = kernel.vars.find(v => v !== along && v.size >= 16 && unitStrides(crossing, v) > 0) ?? null
  const outer = byStride(kernel.vars.filter(v => v !== along && v !== across), stores[0])
  // a short row of windows lies inside its bounds only in parts
  const narrow = reduction !== null && bare(reduction.value).guards.length > 0 && (along?.size ?? 0) < 64
  const wide = narrow || along === null ? 1 : reduction !== null ? groupsFor(reduction, along.size) : slowSteps(kernel) > 1 ? 2 : 1
  return { vars: [...outer, ...(across === null ? [] : [across]), ...(along === null ? [] : [along])], along, across, wide }
}

/** Elements of `v` that a block of it has at least. */
const grainOf = ({ along, across, wide }: Order) => (v: Var): number => (v === across ? 4 : v !== along ? 1 : v.size >= 4 * wide ? 4 * wide : 4)

/** Visits every place of a part: `body` gets one environment per group of results beside each other. */
const overPlaces = (
  scope: Scope, kernel: Kernel, { vars, along, across, wide }: Order, { heads, tail }: Cut, here: Vars, span: Span | null, body: (envs: readonly Env[]) => void,
): void => {
  const { b } = scope
  const spanOf = (v: Var): Span => (span !== null && tail?.v === v ? span : wholeOf(v))
  const row = (vs: Vars, { from, to }: Span): void => {
    if (along === null) return body([envOf(scope, vs, null)])
    grouped(b, along, { from, to }, wide, (i, count) => {
      const inner = new Map([...vs, [along.id, i]])
      body(count === 0 ? [envOf(scope, inner, null)] : Array.from({ length: count }, (_, g) => envOf(scope, inner, { id: along.id, aligned: true }, 4 * g)))
    })
  }
  const tiles = (vs: Vars, v: Var, j: Var): void => {
    const [{ from, to }, columns] = [spanOf(v), i32(j.size - (j.size % 4))]
    const rows = roundDown(b, to, 4)
    const height = heightOf(kernel, v)
    b.loop('strip', from, rows, height, start => {
      const end = b.call('min', 'i32', b.call('add', 'i32', start, i32(height)), rows)
      b.loop(j.name, i32(0), columns, 4, y => b.loop(v.name, start, end, 4, x => tile(scope, kernel, j, y, v, x, vs)))
    })
    if (j.size % 4 !== 0) b.loop(v.name, from, rows, 1, x => row(new Map([...vs, [v.id, x]]), { from: columns, to: i32(j.size) }))
    if (v.size % 4 !== 0) b.loop(v.name, rows, to, 1, x => row(new Map([...vs, [v.id, x]]), wholeOf(j)))
  }
  const strips = (vs: Vars, v: Var): void => {
    if (along === null) return
    if (turnable(kernel, along, v)) return tiles(vs, v, along)
    b.loop('strip', i32(0), i32(along.size), strip, from => {
      const to = b.call('min', 'i32', b.call('add', 'i32', from, i32(strip)), i32(along.size))
      b.loop(v.name, spanOf(v).from, spanOf(v).to, 1, i => row(new Map([...vs, [v.id, i]]), { from, to }))
    })
  }
  const go = (vs: Vars, [v, ...rest]: readonly Var[]): void => {
    if (v === undefined || v === along) return row(vs, v === undefined ? { from: i32(0), to: i32(1) } : spanOf(v))
    if (v === across) return strips(vs, v)
    b.loop(v.name, spanOf(v).from, spanOf(v).to, 1, i => go(new Map([...vs, [v.id, i]]), rest))
  }
  go(here, vars.filter(v => !heads.includes(v)))
}

/**
 * Computes values for several groups step by step, each step for all of them: functions one after the other are longer
 * chains than the machine looks ahead, chains side by side fill it. Branches are left to those who ask for their values.
 */
const abreast = (envs: readonly Env[], values: readonly Expr[]): void => {
  const seen = new Set<Expr>()
  const visit = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    if (e.kind === 'op') e.args.forEach(visit)
    envs.forEach(env => lower(env, e))
  }
  values.forEach(visit)
}

/** A kernel as one nest. A strip goes over its whole line, so that the line is never cut. */
const nestOf = (kernel: Kernel, counters: readonly Var[], dialect: Dialect): Nest => {
  const reduction = kernel.reduction === null ? null : asReduce(kernel.reduction)
  const scope = open(kernel.name, counters, dialect)
  const order = orderOf(kernel, reduction)
  const cuttable = order.across === null ? order.vars : order.vars.filter(v => v !== order.along)
  const parts = cut(cuttable, grainOf(order), partsFor(workOf(kernel.vars, reduction, kernel.stores)))
  overParts(scope, parts, (here, span) =>
    overPlaces(scope, kernel, order, parts, here, span, envs => {
      const accs = reduction === null ? [] : reduced(envs, reduction)
      if (reduction === null && envs.length > 1) abreast(envs, kernel.stores.map(s => s.value))
      envs.forEach((env, i) => perform({ ...env, acc: accs[i] ?? null }, kernel.stores))
    }),
  )
  return scope.b.finish(parts.extent)
}

/** Fewer independent results than this do not keep many threads busy. */
const fewParts = 16

/** Schedules any kernel; `counters` are those of the enclosing loops, from the outside in. Its scratch, if any, is numbered `space`. */
export const elementwise = (given: Kernel, counters: readonly Var[], dialect: Dialect, space: number): Scheduled => {
  const kernel = collapse({ ...given, reduction: given.reduction === null ? null : asReduce(given.reduction) })
  const { reduction } = kernel
  if (reduction === null || reduction.kind !== 'reduce') return { nests: [nestOf(kernel, counters, dialect)], scratch: [] }
  const order = orderOf(kernel, reduction)
  const available = kernel.vars.reduce((n, v) => n * Math.ceil(v.size / grainOf(order)(v)), 1)
  const wanted = partsFor(workOf(kernel.vars, reduction, kernel.stores))
  if (available >= Math.min(fewParts, wanted)) return { nests: [nestOf(kernel, counters, dialect)], scratch: [] }
  const loads = kernelIndices({ reduction, stores: [] })
  const along = (i: Index, v: Var): boolean => strideAlong(i, { id: v.id, aligned: true }) === 1
  const steps = byStride(reduction.vars, loads.find(i => reduction.vars.some(v => along(i, v))) ?? loads[0])
  const all = [...counters, ...kernel.vars, ...reduction.vars]
  const lastId = Math.max(...all.map(v => v.id))
  const sizes = (id: number): number => all.find(v => v.id === id)?.size ?? 1
  const stages = staged({ ...kernel, reduction, vars: order.vars }, steps, Math.ceil(wanted / available), space, lastId, sizes)
  const kernels = [...stages.partial, stages.whole].map(collapse)
  const work = kernels.map(k => workOf(k.vars, k.reduction === null ? null : asReduce(k.reduction), k.stores))
  return {
    nests: kernels.map(k => nestOf(k, counters, dialect)),
    scratch: [{ space, bytes: 4 * stages.elements, each: 'kernel' }],
    shares: work.map(w => w / work.reduce((n, x) => n + x, 0)),
  }
}
