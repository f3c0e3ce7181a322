/**
 * Values that read many buffers, computed in parts: a subexpression becomes a load of a buffer that a kernel of its own has filled,
 * over those loop variables that it depends on, and only where its guards let it be computed.
 */
import { refuse } from '../../../dsl/errors.ts'
import { varsOf } from '../kernel/dependence.ts'
import { indexKey } from '../kernel/indexing.ts'
import type { Expr, Guard, Index, Var } from '../kernel/kernel.ts'
import { loadsOf } from '../kernel/walk.ts'
import { mostBuffers } from './dispatch.ts'

export type Ids = ReadonlySet<number>
export const union = (...sets: readonly Ids[]): Ids => new Set(sets.flatMap(s => [...s]))

const read = new WeakMap<Expr, Ids>()
/** The buffers that an expression reads. */
export const readsOf = (e: Expr): Ids => {
  const known = read.get(e)
  if (known !== undefined) return known
  const found = new Set(loadsOf([e]).map(l => l.buffer))
  read.set(e, found)
  return found
}
export const readsOfIndex = (of: Index): Ids => readsOf({ kind: 'index', of, dtype: 'i32' })
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
export type Keep = (value: Expr, vars: readonly Var[], what: string) => Expr

/** Rewrites values of one kernel to read few buffers; what they share is stored once. `room`: the most buffers that a kernel that stores a part may read. */
export const fitter = (vars: readonly Var[], keep: Keep, room = mostBuffers - 1) => {
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
      // guards of the conditions may read buffers, too: what is stored includes them
      const parted = readsOf(under(within, best.at)).size > room ? fit(best.at, room, within) : best.at
      e = best.put(parted === best.at ? stored(best.at, within) : parted)
    }
    done.set(given, e)
    return e
  }
  return { fit: (e: Expr, most: number): Expr => fit(e, most, []), stored: (e: Expr): Expr => stored(e, []) }
}
