/**
 * Devices give a kernel few storage buffers. Kernels that touch more are rewritten into several, one after the other:
 *
 * 1. Stores go into groups that touch few buffers each. What a store reads, no earlier group may have written.
 * 2. A reduction that the stores leave no room for keeps its result in a buffer of its own, which they read.
 * 3. A value that reads too many buffers on its own is computed in parts: subexpressions are stored first, each over those
 *    loop variables that it depends on, and only where its guards let it be computed.
 */
import { refuse } from '../../../dsl/errors.ts'
import { varsOf } from '../kernel/dependence.ts'
import { indexKey, linear, variable, zero } from '../kernel/indexing.ts'
import type { Buffer, Expr, Guard, Index, Kernel, Plan, Reduction, Step, Store, Var } from '../kernel/kernel.ts'
import { loadsOf } from '../kernel/walk.ts'
import { mostBuffers } from './dispatch.ts'

/** The most buffers that a kernel may touch: a reduction leaves one to what its schedule keeps in between. */
export const mostOf = ({ reduction }: Pick<Kernel, 'reduction'>): number => (reduction === null ? mostBuffers : mostBuffers - 1)

type Ids = ReadonlySet<number>
const union = (...sets: readonly Ids[]): Ids => new Set(sets.flatMap(s => [...s]))

const read = new WeakMap<Expr, Ids>()
/** The buffers that an expression reads. */
const readsOf = (e: Expr): Ids => {
  const known = read.get(e)
  if (known !== undefined) return known
  const found = new Set(loadsOf([e]).map(l => l.buffer))
  read.set(e, found)
  return found
}
const readsOfIndex = (of: Index): Ids => readsOf({ kind: 'index', of, dtype: 'i32' })
const readsOfStore = (s: Store): Ids => union(readsOf(s.value), readsOfIndex(s.at))
const touchedByStore = (s: Store): Ids => union(readsOfStore(s), new Set([s.buffer]))
const operandsOf = (r: Reduction | null): readonly Expr[] => (r === null ? [] : r.kind === 'product' ? [r.a, r.b] : [r.value])

/** The buffers that a kernel reads and writes. */
export const buffersOf = ({ reduction, stores }: Pick<Kernel, 'reduction' | 'stores'>): Ids => union(...operandsOf(reduction).map(readsOf), ...stores.map(touchedByStore))

const usesAcc = (root: Expr): boolean => {
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

/** An expression with another in place of the reduced value; what is shared stays shared. */
const withAcc = (by: Expr): ((e: Expr) => Expr) => {
  const done = new Map<Expr, Expr>()
  const visit = (e: Expr): Expr => {
    const known = done.get(e)
    if (known !== undefined) return known
    const out = ((): Expr => {
      switch (e.kind) {
        case 'acc':
          return by
        case 'op':
          return { ...e, args: e.args.map(visit) }
        case 'when':
          return { ...e, then: visit(e.then), otherwise: visit(e.otherwise) }
        case 'random':
          return { ...e, key0: visit(e.key0), key1: visit(e.key1) }
        case 'const':
        case 'load':
        case 'index':
          return e
      }
    })()
    done.set(e, out)
    return out
  }
  return visit
}

/** Whether an expression is reached: guards that all hold (`hold`), or not all of them. */
type Condition = { readonly guards: readonly Guard[]; readonly hold: boolean }
const keyOf = ({ guards, hold }: Condition): string => `${hold ? '+' : '-'}${guards.map(g => `${indexKey(g.of)}<${g.below}/${g.by}`).join('&')}`
/** A value where conditions hold, 0 elsewhere. */
const under = (conditions: readonly Condition[], value: Expr): Expr =>
  conditions.reduceRight<Expr>((inner, { guards, hold }) => {
    const nothing: Expr = { kind: 'const', value: 0, dtype: value.dtype }
    return { kind: 'when', guards, then: hold ? inner : nothing, otherwise: hold ? nothing : inner, dtype: value.dtype }
  }, value)

/** One way down from an expression: what is there, on what conditions beyond those of the expression, and how to put another in its place. */
type Child = { readonly at: Expr; readonly more: readonly Condition[]; readonly put: (e: Expr) => Expr }

const childrenOfIndex = (index: Index, more: readonly Condition[], put: (i: Index) => Expr): readonly Child[] =>
  index.terms.flatMap((term, n): readonly Child[] => {
    const { atom } = term
    const at = (next: typeof atom): Expr => put({ ...index, terms: index.terms.with(n, { ...term, atom: next }) })
    if (atom.kind === 'var') return []
    if (atom.kind === 'value') return [{ at: atom.expr, more, put: expr => at({ kind: 'value', expr }) }]
    return childrenOfIndex(atom.of, more, of => at({ ...atom, of }))
  })

const childrenOf = (e: Expr): readonly Child[] => {
  switch (e.kind) {
    case 'const':
    case 'acc':
      return []
    case 'load':
      return childrenOfIndex(e.at, [], at => ({ ...e, at }))
    case 'index':
      return childrenOfIndex(e.of, [], of => ({ ...e, of }))
    case 'op':
      return e.args.map((at, i) => ({ at, more: [], put: next => ({ ...e, args: e.args.with(i, next) }) }))
    case 'when':
      return [
        ...e.guards.flatMap((g, i) => childrenOfIndex(g.of, [], of => ({ ...e, guards: e.guards.with(i, { ...g, of }) }))),
        { at: e.then, more: [{ guards: e.guards, hold: true }], put: then => ({ ...e, then }) },
        { at: e.otherwise, more: [{ guards: e.guards, hold: false }], put: otherwise => ({ ...e, otherwise }) },
      ]
    case 'random':
      return [
        { at: e.key0, more: [], put: key0 => ({ ...e, key0 }) },
        { at: e.key1, more: [], put: key1 => ({ ...e, key1 }) },
        ...childrenOfIndex(e.of, [], of => ({ ...e, of })),
      ]
  }
}

/** Makes a scratch buffer over some variables, filled with a value by a kernel of its own: gives the load of it. */
type Keep = (value: Expr, vars: readonly Var[], what: string) => Expr

/** Rewrites values of one kernel to read few buffers; what they share is stored once. */
const fitter = (vars: readonly Var[], keep: Keep) => {
  const kept = new Map<Expr, { readonly keys: ReadonlySet<string>; readonly load: Expr }[]>()
  const fitted = new Map<string, Map<Expr, Expr>>()
  const stored = (e: Expr, conditions: readonly Condition[]): Expr => {
    const keys = new Set(conditions.map(keyOf))
    const known = kept.get(e)?.find(k => [...k.keys].every(key => keys.has(key)))
    if (known !== undefined) return known.load
    const value = under(conditions, e)
    const used = varsOf(value)
    const load = keep(value, vars.filter(v => used.has(v.id)), 'part')
    kept.set(e, [...(kept.get(e) ?? []), { keys, load }])
    return load
  }
  /** The expression, reading at most `most` buffers. */
  const fit = (given: Expr, most: number, conditions: readonly Condition[]): Expr => {
    if (readsOf(given).size <= most) return given
    const key = `${most}:${conditions.map(keyOf).join(';')}`
    const done = fitted.get(key) ?? new Map<Expr, Expr>()
    fitted.set(key, done)
    const known = done.get(given)
    if (known !== undefined) return known
    let e = given
    while (readsOf(e).size > most) {
      // the child that frees most buffers; of two, the one over fewer elements
      const children = childrenOf(e).filter(c => c.at.kind !== 'load' || childrenOf(c.at).length > 0)
      const size = (c: Child): number => vars.reduce((n, v) => (varsOf(c.at).has(v.id) ? n * v.size : n), 1)
      const left = (c: Child): number => readsOf(c.put({ kind: 'const', value: 0, dtype: c.at.dtype })).size
      const best = children.filter(c => readsOf(c.at).size > 1).sort((x, y) => left(x) - left(y) || size(x) - size(y))[0]
      if (best === undefined) return refuse({ kind: 'bug', where: 'split', message: `an expression over ${readsOf(e).size} buffers cannot be parted` })
      const within = [...conditions, ...best.more]
      const room = mostBuffers - 1
      // guards of the conditions may read buffers, too: what is stored includes them
      const parted = readsOf(under(within, best.at)).size > room ? fit(best.at, room, within) : best.at
      e = best.put(parted === best.at ? stored(best.at, within) : parted)
    }
    done.set(given, e)
    return e
  }
  return { fit: (e: Expr, most: number): Expr => fit(e, most, []), stored: (e: Expr): Expr => stored(e, []) }
}

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
  const after = joinedUp(ordered(free.flat())).map((g, i): Kernel => ({ ...kernel, name: i === 0 && reduction === null ? name : unique(name), reduction: null, stores: g }))
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
    steps.flatMap((s): readonly Step[] => (s.kind === 'kernel' ? parted(s, newBuffer, unique) : s.kind === 'loop' ? [{ ...s, steps: go(s.steps) }] : [s]))
  const steps = go(plan.steps)
  return { buffers, steps }
}
