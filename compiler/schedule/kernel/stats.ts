/**
 * What a plan costs at least: floating-point operations, how long they take in units of multiply-adds, and bytes moved if
 * every kernel reads each element that it needs once and writes each of its own once. Copies between turns of a loop are
 * left out: another plan could do without them.
 */
import type { Elementwise } from '../../../dsl/core/prim.ts'
import { elementsRead, shareOf } from './footprint.ts'
import type { Expr, Guard, Index, Kernel, Plan, Step, Var } from './kernel.ts'
import { bytesOf } from '../memory.ts'
import { expressions, walk } from './walk.ts'

/** Of one run. */
type Cost = { readonly flops: number; readonly work: number; readonly bytes: number }

export type KernelStats = Cost & {
  readonly kernel: Kernel
  /** Top-level step of the plan. */
  readonly step: number
  /** Runs per call (more than 1 inside a loop). */
  readonly runs: number
}

const size = (vars: readonly { readonly size: number }[]): number => vars.reduce((n, v) => n * v.size, 1)

/** The guards of a product's operands: where one fails, the term is zero. */
const guardsOf = (roots: readonly Expr[]): readonly Guard[] => {
  const guards: Guard[] = []
  walk(roots, e => {
    if (e.kind === 'when' && e.otherwise.kind === 'const' && e.otherwise.value === 0) guards.push(...e.guards)
  })
  return guards
}

/**
 * How long one operation takes at least, in operations of a matrix product (where a multiply-add is two): those of short
 * SIMD polynomials for transcendental functions, the divider's throughput for quotients and roots. Low rather than high.
 */
const weights: { readonly [P in Elementwise]: number } = {
  stopGradient: 0, neg: 1, abs: 1, sign: 3, floor: 1, not: 1, cast: 1,
  add: 1, sub: 1, mul: 1, maximum: 1, minimum: 1, select: 1, and: 1, or: 1, xor: 1, shl: 1, shr: 1, eq: 1, ne: 1, lt: 1, le: 1, gt: 1, ge: 1,
  div: 8, sqrt: 8, rsqrt: 16, exp: 30, expm1: 34, log: 36, log1p: 40, tanh: 40, sigmoid: 38, softplus: 66, sin: 36, cos: 36, pow: 66,
}
/** Of one word of Threefry-2x32-20: half of twenty rounds of five operations and their keys. */
const randomWeight = 60

/** The variables that a value changes with, and the loads below it. */
type Sources = { readonly vars: ReadonlySet<number>; readonly loads: ReadonlySet<Expr> }

const sourcesOf = (kernel: Kernel): ((e: Expr) => Sources) => {
  const known = new Map<Expr, Sources>()
  const join = (all: readonly Sources[], ids: readonly number[] = [], loads: readonly Expr[] = []): Sources =>
    ({ vars: new Set([...all.flatMap(s => [...s.vars]), ...ids]), loads: new Set([...all.flatMap(s => [...s.loads]), ...loads]) })
  const ofIndex = (index: Index): Sources =>
    join(
      index.terms.flatMap(({ atom }) => (atom.kind === 'var' ? [] : [atom.kind === 'value' ? of(atom.expr) : ofIndex(atom.of)])),
      index.terms.flatMap(({ atom }) => (atom.kind === 'var' ? [atom.id] : [])),
    )
  const once = (e: Expr): Sources => {
    switch (e.kind) {
      case 'const':
        return join([])
      case 'acc':
        return join([], kernel.vars.map(v => v.id), [e])
      case 'load':
        return join([ofIndex(e.at)], [], [e])
      case 'index':
        return join([ofIndex(e.of)], [], [e])
      case 'op':
        return join(e.args.map(of))
      case 'when':
        return join([...e.guards.map(g => ofIndex(g.of)), of(e.then), of(e.otherwise)])
      case 'random':
        return join([of(e.key0), of(e.key1), ofIndex(e.of)], [], [e])
    }
  }
  const of = (e: Expr): Sources => {
    const found = known.get(e) ?? once(e)
    known.set(e, found)
    return found
  }
  return of
}

/**
 * What one run of a kernel costs; `counters` are those of the loops around it. `flops`: one operation with an f32 result -
 * addition, product, selection, transcendental - counts one; a product under a sum counts two. Terms that are zero by
 * divisibility count none; those beyond an image's border do count, as is the custom. An operation counts once for each
 * assignment of the variables that it depends on, and no oftener than its operands have different elements: windows that
 * overlap do not repeat what is applied to their elements. `work`: the least that the arithmetic takes: every operation,
 * also of integers, weighed by its time, and terms beyond the border left out. `bytes`: every element read and every one
 * written, once.
 */
export const costOf = (kernel: Kernel, plan: Plan, counters: readonly Var[] = []): Cost => {
  const before = costs.get(kernel)?.get(counters.length)
  if (before !== undefined) return before
  const cost = costed(kernel, plan, counters)
  costs.set(kernel, new Map([...(costs.get(kernel) ?? []), [counters.length, cost]]))
  return cost
}

/** Costs that are known: a kernel is one of one plan, within the same loops whenever they are named. */
const costs = new WeakMap<Kernel, ReadonlyMap<number, Cost>>()

const costed = (kernel: Kernel, plan: Plan, counters: readonly Var[]): Cost => {
  const read = elementsRead(kernel, id => bytesOf(plan.buffers[id]!) / 4, counters)
  const sources = sourcesOf(kernel)
  const vars = [...kernel.vars, ...(kernel.reduction?.vars ?? [])]
  const times = (e: Expr): number => {
    const { vars: ids, loads } = sources(e)
    const different = [...loads].reduce((n, load) => n * (load.kind === 'load' ? Math.max(1, read.get(load.buffer) ?? 1) : Infinity), 1)
    return Math.min(size(vars.filter(v => ids.has(v.id))), different)
  }
  const { reduction } = kernel
  const terms = reduction === null ? 0 : size(kernel.vars) * size(reduction.vars)
  const guards = reduction?.kind === 'product' ? guardsOf([reduction.a, reduction.b]) : []
  const each = reduction?.kind === 'product' ? 2 : 1
  let flops = (each * terms) / guards.reduce((n, g) => n * g.by, 1)
  let work = each * terms * shareOf(guards, vars)
  walk(expressions(kernel), e => {
    if (e.kind === 'random') work += randomWeight * times(e)
    if (e.kind !== 'op' || weights[e.prim] === 0) return
    const n = times(e)
    work += weights[e.prim] * n
    if (e.dtype === 'f32') flops += n
  })
  return { flops, work, bytes: 4 * ([...read.values()].reduce((n, m) => n + m, 0) + kernel.stores.length * size(kernel.vars)) }
}

export const statsOf = (plan: Plan): readonly KernelStats[] => {
  const visit = (step: Step, at: number, loops: readonly Var[]): readonly KernelStats[] => {
    switch (step.kind) {
      case 'copy':
        return []
      case 'loop':
        return step.steps.flatMap(s => visit(s, at, [...loops, step.counter]))
      case 'kernel':
        return [{ kernel: step, step: at, runs: size(loops), ...costOf(step, plan, loops) }]
    }
  }
  return plan.steps.flatMap((s, at) => visit(s, at, []))
}

/** How many kernels a call runs one after the other; blocks of rows that know nothing of each other are one. */
export const kernelsOf = (steps: readonly Step[]): number =>
  steps.reduce((n, step) => {
    switch (step.kind) {
      case 'copy':
        return n
      case 'kernel':
        return n + 1
      case 'loop':
        return n + (step.independent === true ? 1 : step.counter.size * kernelsOf(step.steps))
    }
  }, 0)

/** A rough guess at the nanoseconds of one run on one thread, for cutting work into parts: 20 GFLOP/s, 8 GB/s. */
export const nanoseconds = (kernel: Kernel, plan: Plan): number => {
  const { work, bytes } = costOf(kernel, plan)
  return Math.max(work / 20, bytes / 8)
}
