/**
 * Devices give a kernel few storage buffers. Kernels that touch more are rewritten into several, one after the other:
 *
 * 1. Stores go into groups that touch few buffers each. What a store reads, no earlier group may have written.
 * 2. A reduction that the stores leave no room for keeps its result in a buffer of its own, which they read.
 * 3. A value that reads too many buffers on its own is computed in parts (parts.ts).
 */
import { linear, variable, zero } from '../kernel/indexing.ts'
import type { Buffer, Expr, Kernel, Plan, Reduction, Step, Store } from '../kernel/kernel.ts'
import { replacing } from '../kernel/walk.ts'
import { mostBuffers } from './dispatch.ts'
import { type Ids, type Keep, fitter, readsOf, readsOfIndex, union } from './parts.ts'

/** The most buffers that a kernel may touch: a reduction leaves one to what its schedule keeps in between. */
export const mostOf = ({ reduction }: Pick<Kernel, 'reduction'>): number => (reduction === null ? mostBuffers : mostBuffers - 1)

const readsOfStore = (s: Store): Ids => union(readsOf(s.value), readsOfIndex(s.at))
const touchedByStore = (s: Store): Ids => union(readsOfStore(s), new Set([s.buffer]))
/** What a reduction is computed of. */
export const operandsOf = (r: Reduction | null): readonly Expr[] => (r === null ? [] : r.kind === 'product' ? [r.a, r.b] : [r.value])

/** The buffers that a kernel reads and writes. */
export const buffersOf = ({ reduction, stores }: Pick<Kernel, 'reduction' | 'stores'>): Ids =>
  union(...operandsOf(reduction).map(readsOf), ...stores.map(touchedByStore))

/** Whether an expression reads the reduced value. */
export const usesAcc = (root: Expr): boolean => {
  const seen = new Set<Expr>()
  const visit = (e: Expr): boolean => {
    if (seen.has(e)) return false
    seen.add(e)
    switch (e.kind) {
      case 'acc':
        return true
      case 'op':
        return e.args.some(visit)
      case 'when':
        return visit(e.then) || visit(e.otherwise)
      case 'random':
        return visit(e.key0) || visit(e.key1)
      case 'const':
      case 'load':
      case 'index':
        return false
    }
  }
  return visit(root)
}

/** An expression with another in place of the reduced value. */
export const withAcc = (by: Expr): ((e: Expr) => Expr) => replacing(e => (e.kind === 'acc' ? by : undefined))

/** Groups of stores, in an order in which no group reads what an earlier one has written; circles are one group. */
const ordered = (stores: readonly Store[]): readonly (readonly Store[])[] => {
  /** x has to be done no later than y. */
  const before = (x: Store, y: Store): boolean => x !== y && readsOfStore(x).has(y.buffer)
  const reaches = (from: Store, to: Store): boolean => {
    const seen = new Set<Store>()
    const go = (s: Store): boolean => stores.some(t => before(s, t) && (t === to || (!seen.has(t) && (seen.add(t), go(t)))))
    return go(from)
  }
  const groups = stores.reduce<readonly (readonly Store[])[]>((all, s) => {
    const i = all.findIndex(g => reaches(g[0]!, s) && reaches(s, g[0]!))
    return i < 0 ? [...all, [s]] : all.with(i, [...all[i]!, s])
  }, [])
  const sorted: (readonly Store[])[] = []
  let rest = groups
  while (rest.length > 0) {
    const free = rest.find(g => !rest.some(o => o !== g && o.some(x => g.some(y => before(x, y))))) ?? rest[0]!
    sorted.push(free)
    rest = rest.filter(g => g !== free)
  }
  return sorted
}

/** Neighbouring groups in one kernel as long as they touch few buffers. */
const joinedUp = (groups: readonly (readonly Store[])[]): readonly (readonly Store[])[] =>
  groups.reduce<readonly (readonly Store[])[]>((all, g) => {
    const last = all.at(-1)
    const together = [...(last ?? []), ...g]
    return last !== undefined && union(...together.map(touchedByStore)).size <= mostBuffers ? [...all.slice(0, -1), together] : [...all, g]
  }, [])

/** The kernels that together do what one does. */
const parted = (kernel: Kernel, newBuffer: (aval: Buffer['aval'], name: string) => number, unique: (name: string) => string): readonly Kernel[] => {
  if (buffersOf(kernel).size <= mostOf(kernel)) return [kernel]
  const before: Kernel[] = []
  const { name, vars } = kernel
  const keep: Keep = (value, over, what) => {
    const buffer = newBuffer({ shape: over.map(v => v.size), dtype: value.dtype }, `${name} ${what}`)
    const at = over.length === 0 ? zero : linear(over.map(variable), over.map(v => v.size))
    before.push({ ...kernel, name: unique(`${name}_${what}`), vars: over, reduction: null, stores: [{ buffer, at, value }] })
    return { kind: 'load', buffer, at, dtype: value.dtype }
  }
  let { reduction, stores } = kernel

  if (reduction !== null) {
    const all = [...vars, ...reduction.vars]
    const { fit } = fitter(all, keep)
    const room = mostOf(kernel) - 1
    if (union(...operandsOf(reduction).map(readsOf)).size > room) {
      if (reduction.kind === 'reduce') reduction = { ...reduction, value: fit(reduction.value, room) }
      else {
        // half of the room for each side of a product, and what the other leaves of its own
        const [a, b] = [readsOf(reduction.a).size, readsOf(reduction.b).size].map(n => Math.min(n, room / 2))
        reduction = { ...reduction, a: fit(reduction.a, room - b!), b: fit(reduction.b, room - a!) }
      }
    }
    const own = stores.filter(s => usesAcc(s.value))
    const rest = stores.filter(s => !own.includes(s))
    const early = rest.some(s => own.some(o => readsOfStore(s).has(o.buffer)))
    if (!early && buffersOf({ reduction, stores: own }).size <= mostOf(kernel)) {
      before.push({ ...kernel, reduction, stores: own })
      stores = rest
    } else {
      const over = vars
      const buffer = newBuffer({ shape: over.map(v => v.size), dtype: reduction.dtype }, `${name} reduced`)
      const at = over.length === 0 ? zero : linear(over.map(variable), over.map(v => v.size))
      before.push({ ...kernel, reduction, stores: [{ buffer, at, value: { kind: 'acc', dtype: reduction.dtype } }] })
      const put = withAcc({ kind: 'load', buffer, at, dtype: reduction.dtype })
      stores = stores.map(s => ({ ...s, value: put(s.value) }))
    }
  }

  const { fit, stored } = fitter(vars, keep)
  const fitting = (s: Store): Store => {
    // a place that is computed reads buffers, too
    const others = union(new Set([s.buffer]), readsOfIndex(s.at))
    return touchedByStore(s).size <= mostBuffers ? s : { ...s, value: fit(s.value, mostBuffers - others.size) }
  }
  // stores that read what the others write, in a circle, and do not fit together: all values come first
  const free = ordered(stores.map(fitting)).flatMap(g =>
    union(...g.map(touchedByStore)).size <= mostBuffers ? [g] : g.map(s => [{ ...s, value: stored(fit(s.value, mostBuffers - 1)) }]))
  const nameOf = (i: number): string => (i === 0 && reduction === null ? name : unique(name))
  const after = joinedUp(ordered(free.flat())).map((g, i): Kernel => ({ ...kernel, name: nameOf(i), reduction: null, stores: g }))
  return [...before, ...after]
}

/** A plan that does the same, none of whose kernels touches more buffers than a device gives it; the new ones are scratch. */
export const fewBuffers = (plan: Plan): Plan => {
  const buffers = [...plan.buffers]
  const taken = new Set<string>()
  const newBuffer = (aval: Buffer['aval'], name: string): number => {
    buffers.push({ id: buffers.length, aval, name, role: { kind: 'scratch' } })
    return buffers.length - 1
  }
  const unique = (name: string): string => {
    let n = 1
    while (taken.has(n === 1 ? name : `${name}_${n}`)) n += 1
    const found = n === 1 ? name : `${name}_${n}`
    taken.add(found)
    return found
  }
  const visit = (step: Step): void => (step.kind === 'loop' ? step.steps.forEach(visit) : step.kind === 'kernel' ? void taken.add(step.name) : undefined)
  plan.steps.forEach(visit)
  const go = (steps: readonly Step[]): readonly Step[] =>
    steps.flatMap((s): readonly Step[] => {
      if (s.kind === 'kernel') return parted(s, newBuffer, unique)
      return s.kind === 'loop' ? [{ ...s, steps: go(s.steps) }] : [s]
    })
  const steps = go(plan.steps)
  return { buffers, steps }
}
