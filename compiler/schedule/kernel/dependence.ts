/**
 * What an expression depends on: the variables it names, and how an index moves from lane to lane along one of them.
 */
import type { Atom, Expr, Index } from './kernel.ts'

/** The variable over whose four neighbours a lowering works. `aligned`: its first lane is always a multiple of 4. */
export type Along = { readonly id: number; readonly aligned: boolean }

const found = new WeakMap<object, ReadonlySet<number>>()
const remembered = (key: object, compute: () => ReadonlySet<number>): ReadonlySet<number> => {
  const known = found.get(key)
  if (known !== undefined) return known
  const set = compute()
  found.set(key, set)
  return set
}
const union = (...sets: readonly ReadonlySet<number>[]): ReadonlySet<number> => new Set(sets.flatMap(s => [...s]))

export const varsOfIndex = (index: Index): ReadonlySet<number> =>
  remembered(index, () => union(...index.terms.map(({ atom }) => varsOfAtom(atom))))
const varsOfAtom = (atom: Atom): ReadonlySet<number> =>
  atom.kind === 'var' ? new Set([atom.id]) : atom.kind === 'value' ? varsOf(atom.expr) : varsOfIndex(atom.of)

/** The variables (and loop counters) that an expression names. */
export const varsOf = (expr: Expr): ReadonlySet<number> =>
  remembered(expr, () => {
    switch (expr.kind) {
      case 'const':
      case 'acc':
        return new Set()
      case 'load':
        return varsOfIndex(expr.at)
      case 'index':
        return varsOfIndex(expr.of)
      case 'op':
        return union(...expr.args.map(varsOf))
      case 'when':
        return union(...expr.guards.map(g => varsOfIndex(g.of)), varsOf(expr.then), varsOf(expr.otherwise))
      case 'random':
        return union(varsOf(expr.key0), varsOf(expr.key1), varsOfIndex(expr.of))
    }
  })

/** How much an index grows from lane to lane; null where that is not one number. */
export const strideAlong = (index: Index, along: Along): number | null => {
  let sum = 0
  for (const { coef, atom } of index.terms) {
    const step = atomStride(atom, along)
    if (step === null) return null
    sum += coef * step
  }
  return sum
}
const atomStride = (atom: Atom, along: Along): number | null => {
  switch (atom.kind) {
    case 'var':
      return atom.id === along.id ? 1 : 0
    case 'value':
      return varsOf(atom.expr).has(along.id) ? null : 0
    case 'div':
    case 'mod': {
      const inner = strideAlong(atom.of, along)
      if (inner === 0 || inner === null) return inner
      const group = 4 * inner
      const whole =
        inner > 0 && along.aligned && atom.by % group === 0 && atom.of.offset % group === 0 &&
        atom.of.terms.every(t => t.coef % group === 0 || (t.atom.kind === 'var' && t.atom.id === along.id))
      return !whole ? null : atom.kind === 'div' ? 0 : inner
    }
  }
}
