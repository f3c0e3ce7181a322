/**
 * Rows at a time: kernels that follow from each other row by row - the maximum of every row, the exponentials of what is
 * left, their sum, the quotients - would each go through all of memory. Here such kernels become one loop over blocks of
 * rows whose turns are independent of each other: what one kernel leaves of a block the next finds in the cache, and
 * threads take blocks without waiting in between. Nothing is said of softmax: what counts is which elements are touched.
 *
 * A kernel goes by rows if one of its variables cuts every large array that it touches into slices that lie one after the
 * other, and kernels go together if they cut the arrays that they pass on alike.
 */
import { collapse, kernelIndices, mapKernel } from '../schedule/kernel/collapse.ts'
import { partsFor, workOf } from '../schedule/nest/extent.ts'
import { add, indexing, scale, substitute, variable } from '../schedule/kernel/indexing.ts'
import type { Expr, Index, Kernel, Loop, Plan, Step, Var } from '../schedule/kernel/kernel.ts'
import { touches } from '../schedule/memory.ts'
import { asReduce } from '../schedule/elementwise/reduce.ts'
import { expressions, loadsOf } from '../schedule/kernel/walk.ts'

export type Limits = {
  /** The fewest elements of an array that is worth keeping in the cache between two kernels. */
  readonly passed: number
  /** Elements that the kernels touch of one block: half of a small first-level cache. */
  readonly block: number
  /** The most, where one row is as long: a share of the second-level cache. */
  readonly row: number
  /** The fewest elements of a block: calls take their time too. */
  readonly least: number
  /** The fewest blocks: threads are to have something to do. */
  readonly parts: number
}
const usual: Limits = { passed: 1 << 15, block: 12 << 10, row: 1 << 16, least: 1 << 9, parts: 32 }

/** How far ahead kernels are looked for. */
const window = 24
/** Kernels of one loop. */
const most = 16

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

/** One load or store of a kernel: so many elements from one value of its variable to the next, and the range of all that is added. */
type Access = { readonly buffer: number; readonly stride: number; readonly from: number; readonly to: number }

/** A kernel that might go by rows, along one of its variables; an index that is no plain sum of variables has stride NaN. */
type Member = { readonly kernel: Kernel; readonly along: Var; readonly accesses: readonly Access[]; readonly writes: ReadonlySet<number> }

const accessOf = (sizes: ReadonlyMap<number, number>, along: Var) => ({ buffer, at }: { readonly buffer: number; readonly at: Index }): Access => {
  let [stride, from, to] = [0, at.offset, at.offset]
  for (const { coef, atom } of at.terms) {
    const size = atom.kind === 'var' ? sizes.get(atom.id) : undefined
    if (atom.kind !== 'var' || size === undefined) return { buffer, stride: NaN, from: 0, to: 0 }
    if (atom.id === along.id) stride = coef
    else [from, to] = [from + Math.min(0, coef * (size - 1)), to + Math.max(0, coef * (size - 1))]
  }
  return { buffer, stride, from, to }
}

/** A sum of products whose factors both change with every variable is a sum like any other. */
const plain = (kernel: Kernel): Kernel | null => {
  const { reduction } = kernel
  if (reduction?.kind !== 'product') return kernel
  const indicesOf = (value: Expr): readonly Index[] => kernelIndices({ reduction: { ...asReduce(reduction), value }, stores: [] })
  const factors = [reduction.a, reduction.b].map(indicesOf)
  const names = (i: Index, v: Var): boolean => i.terms.some(t => t.atom.kind === 'var' && t.atom.id === v.id)
  return [...kernel.vars, ...reduction.vars].every(v => factors.every(f => f.some(i => names(i, v)))) ? { ...kernel, reduction: asReduce(reduction) } : null
}

/** A kernel along its outermost variable, if it has one that its stores agree upon. */
const memberOf = (step: Step): Member | null => {
  if (step.kind !== 'kernel') return null
  const suited = plain(step)
  if (suited === null) return null
  const kernel = collapse(suited)
  const coef = (v: Var): number => kernel.stores[0]?.at.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0
  const along = kernel.vars.reduce<Var | null>((best, v) => (best === null || coef(v) > coef(best) ? v : best), null)
  if (along === null) return null
  const sizes = new Map([...kernel.vars, ...(kernel.reduction?.vars ?? [])].map(v => [v.id, v.size]))
  const accesses = [...loadsOf(expressions(kernel)), ...kernel.stores].map(accessOf(sizes, along))
  return { kernel, along, accesses, writes: new Set(kernel.stores.map(s => s.buffer)) }
}

/** Elements of a slice of each array, where all members cut it alike into `rows` slices; null where they do not. */
const slices = (members: readonly Member[], rows: number, sizeOf: (buffer: number) => number, { row }: Limits): ReadonlyMap<number, number> | null => {
  const written = new Set(members.flatMap(m => [...m.writes]))
  const found = new Map<number, number>()
  for (const { along, accesses } of members)
    for (const { buffer, stride, from, to } of accesses) {
      const each = along.size / rows
      const slice = stride * each
      if (slice > 0 && from >= 0 && to + stride * (each - 1) < slice && (found.get(buffer) ?? slice) === slice) found.set(buffer, slice)
      // what all rows read may be anything, if it stays in the cache beside them
      else if (written.has(buffer) || found.has(buffer) || sizeOf(buffer) > row) return null
    }
  return found
}

/** A kernel for one block of rows, counted by `block`. */
const within = ({ kernel, along }: Member, block: Var, fresh: () => number): Kernel => {
  const size = along.size / block.size
  const inner: Var = { id: fresh(), size, name: along.name }
  const all = [...kernel.vars, ...(kernel.reduction?.vars ?? []), block, inner]
  const algebra = indexing(id => all.find(v => v.id === id)?.size ?? Infinity)
  const index = add(scale(variable(block), size), variable(inner))
  const done = mapKernel(kernel, i => substitute(algebra, i, id => (id === along.id ? index : undefined)))
  return { ...done, vars: size === 1 ? kernel.vars.filter(v => v !== along) : kernel.vars.map(v => (v === along ? inner : v)) }
}

/** Nothing of it is a reduction that its schedule would cut up in turn. */
const whole = ({ vars, reduction, stores }: Kernel): boolean => reduction === null || partsFor(workOf(vars, asReduce(reduction), stores)) === 1

const divisors = (n: number): readonly number[] =>
  Array.from({ length: Math.floor(Math.sqrt(n)) }, (_, i) => i + 1).flatMap(d => (n % d === 0 ? [d, n / d] : [])).sort((a, b) => b - a)

/** How many rows make a block, best first: as many as the cache holds, whole vectors of them where that costs little. */
const blocksOf = (rows: number, row: number, { block, least, parts, row: longest }: Limits): readonly number[] => {
  const limit = Math.min(row > block ? 1 : Math.floor(block / row), Math.floor(rows / parts))
  const fitting = row > longest ? [] : divisors(rows).filter(n => n <= limit && n * row >= least)
  const even = (by: number): readonly number[] => fitting.filter(n => n % by === 0 && 4 * n >= limit)
  return [...new Set([...even(32), ...even(4), ...fitting])]
}

const rowsOf = (members: readonly Member[]): number => members.reduce((n, m) => gcd(m.along.size, n), 0)

/** The loop that members make together; null where they cannot. */
const loopOf = (members: readonly Member[], sizeOf: (buffer: number) => number, limits: Limits, fresh: () => number): Loop | null => {
  const rows = rowsOf(members)
  const found = slices(members, rows, sizeOf, limits)
  if (found === null) return null
  for (const size of blocksOf(rows, [...found.values()].reduce((n, s) => n + s, 0), limits)) {
    const counter: Var = { id: fresh(), size: rows / size, name: 'rows' }
    const steps = members.map(m => within(m, counter, fresh))
    if (steps.every(whole)) return { kind: 'loop', counter, independent: true, steps }
  }
  return null
}

const idsOf = (step: Step): readonly number[] => {
  switch (step.kind) {
    case 'copy':
      return []
    case 'kernel':
      return [...step.vars, ...(step.reduction?.vars ?? [])].map(v => v.id)
    case 'loop':
      return [step.counter.id, ...step.steps.flatMap(idsOf)]
  }
}

const remembered = <T>(f: (step: Step) => T): ((step: Step) => T) => {
  const known = new Map<Step, T>()
  return step => {
    if (!known.has(step)) known.set(step, f(step))
    return known.get(step) as T // has() says that it is there
  }
}

/** The plan with kernels that go by rows gathered into loops. */
export const rows = (plan: Plan, limits: Limits = usual): Plan => {
  let last = plan.steps.flatMap(idsOf).reduce((n, id) => Math.max(n, id), -1)
  const fresh = (): number => (last += 1)
  const sizeOf = (buffer: number): number => plan.buffers[buffer]!.aval.shape.reduce((n, s) => n * s, 1)
  const large = ({ accesses }: Member): ReadonlySet<number> => new Set(accesses.flatMap(a => (sizeOf(a.buffer) >= limits.passed ? [a.buffer] : [])))
  const touched = remembered(touches)
  const member = remembered(memberOf)
  const independent = (a: Step, b: Step): boolean => {
    const [x, y] = [touched(a), touched(b)]
    return [...x.writes].every(id => !y.reads.has(id) && !y.writes.has(id)) && [...y.writes].every(id => !x.reads.has(id))
  }
  /** The members that go with the first of some steps, and the places of their steps. */
  const gathered = (steps: readonly Step[]): { readonly loop: Loop; readonly at: readonly number[] } | null => {
    const first = steps[0] === undefined ? null : member(steps[0])
    if (first === null || large(first).size === 0) return null
    let [members, at, loop]: [readonly Member[], readonly number[], Loop | null] = [[first], [0], null]
    for (let i = 1; i < Math.min(steps.length, window) && members.length < most; i += 1) {
      const next = member(steps[i]!)
      if (next === null || !members.some(m => [...large(m)].some(id => large(next).has(id)))) continue
      if (!steps.slice(0, i).every((s, j) => at.includes(j) || independent(s, steps[i]!))) continue
      const more = loopOf([...members, next], sizeOf, limits, fresh)
      if (more !== null) [members, at, loop] = [[...members, next], [...at, i], more]
    }
    return loop === null ? null : { loop, at }
  }
  const inSteps = (steps: readonly Step[]): readonly Step[] => {
    const [first, ...rest] = steps
    if (first === undefined) return []
    if (first.kind === 'loop') return [first.independent === true ? first : { ...first, steps: inSteps(first.steps) }, ...inSteps(rest)]
    const found = gathered(steps)
    return found === null ? [first, ...inSteps(rest)] : [found.loop, ...inSteps(steps.filter((_, i) => !found.at.includes(i)))]
  }
  return { ...plan, steps: inSteps(plan.steps) }
}
