/**
 * Edges of an image, known before anything runs: an axis is cut where a bounds check on it alone begins or ceases to hold,
 * and within a cut such checks disappear from an expression.
 */
import { mapChoices, relaxed } from '../kernel/choices.ts'
import type { Expr, Guard, Var } from '../kernel/kernel.ts'
import { walk } from '../kernel/walk.ts'

/** The values of `v` for which a check holds, from <= v < to; null where it is not a plain bound on `v` alone. */
const interval = (guard: Guard, v: Var): Cut | null => {
  const [term, ...more] = guard.of.terms
  if (guard.by !== 1 || more.length > 0 || term === undefined || term.atom.kind !== 'var' || term.atom.id !== v.id) return null
  const { coef } = term
  const [low, high] = [-guard.of.offset / coef, (guard.below - guard.of.offset) / coef]
  return coef > 0 ? { from: Math.ceil(low), to: Math.ceil(high) } : { from: Math.floor(high) + 1, to: Math.floor(low) + 1 }
}

/** A run of an axis: from <= v < to. */
export type Cut = { readonly from: number; readonly to: number }

/** The runs of 0 .. size-1 in which every check on `v` alone holds throughout or nowhere. */
export const cuts = (expr: Expr, v: Var): readonly Cut[] => {
  const ends = new Set([0, v.size])
  walk([expr], e => {
    if (e.kind !== 'when') return
    for (const g of e.guards) {
      const holds = interval(g, v)
      if (holds === null) continue
      for (const end of [holds.from, holds.to]) if (end > 0 && end < v.size) ends.add(end)
    }
  })
  const sorted = [...ends].sort((a, b) => a - b)
  return sorted.slice(1).map((to, i) => ({ from: sorted[i]!, to }))
}

/** The expression within one run of `v`. */
export const within = (expr: Expr, v: Var, { from }: Cut): Expr => {
  const known = (g: Guard): boolean | null => {
    if (g.of.terms.length === 0) return g.of.offset >= 0 && g.of.offset < g.below && g.of.offset % g.by === 0
    const holds = interval(g, v)
    return holds === null ? null : holds.from <= from && from < holds.to
  }
  return mapChoices(expr, (e, settle) =>
    e.guards.some(g => known(g) === false) ? settle(e.otherwise) : relaxed(e, e.guards.filter(g => known(g) === null), settle))
}
