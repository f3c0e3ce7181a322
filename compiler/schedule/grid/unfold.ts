/**
 * Sums over positions of which only those count where another operand's stride fits (weight gradients of transposed
 * convolutions): runs over the multiples of the stride instead, so that the divided position is the step itself and the
 * other operand is read in windows that are strided forwards. Independent of any target.
 */
import { mapChoices, relaxed } from '../kernel/choices.ts'
import { mapIndices } from '../kernel/collapse.ts'
import { varsOf, varsOfIndex } from '../kernel/dependence.ts'
import { add, indexing, scale, substitute, variable } from '../kernel/indexing.ts'
import type { Expr, Guard, Index, Kernel, Var } from '../kernel/kernel.ts'
import { simplified, zeroOutside } from '../kernel/phases.ts'

/** Without the checks that always hold. */
const checked = (expr: Expr, holds: (g: Guard) => boolean): Expr =>
  mapChoices(expr, (e, visit) => relaxed(e, e.guards.filter(g => !holds(g)), visit))

/** The same kernel, summed over multiples of the stride where that leaves no step out. */
export const unfolded = (kernel: Kernel, fresh: () => number, counter: (id: number) => number): Kernel => {
  const { reduction } = kernel
  if (reduction === null || reduction.kind !== 'product') return kernel
  for (const [strided, other] of [[reduction.a, reduction.b], [reduction.b, reduction.a]] as const)
    for (const guard of zeroOutside(strided).filter(g => g.by > 1))
      for (const step of reduction.vars) {
        const coef = guard.of.terms.find(t => t.atom.kind === 'var' && t.atom.id === step.id)?.coef ?? 0
        const size = Math.ceil(guard.below / guard.by)
        if (Math.abs(coef) !== 1 || size * guard.by > step.size + guard.by) continue
        const to: Var = { id: fresh(), size, name: step.name }
        const all = [...kernel.vars, ...reduction.vars, to]
        const algebra = indexing(id => all.find(v => v.id === id)?.size ?? counter(id))
        const rest: Index = { offset: guard.of.offset, terms: guard.of.terms.filter(t => !(t.atom.kind === 'var' && t.atom.id === step.id)) }
        // guard.of = coef * step + rest = by * to
        const at = scale(variable(to), guard.by * coef)
        const place = add(at, scale(rest, -coef))
        const inside = (g: Guard): boolean => {
          const { min, max } = algebra.range(g.of)
          return g.by === 1 && min >= 0 && max < g.below
        }
        const moved = (e: Expr): Expr => checked(mapIndices(i => substitute(algebra, i, id => (id === step.id ? place : undefined)), simplified)(e), inside)
        const now = moved(strided)
        // what the strided operand reads must lie inside by its own checks
        if ([...varsOfIndex(rest)].some(id => varsOf(now).has(id))) continue
        const zero: Expr = { kind: 'const', value: 0, dtype: 'f32' }
        const a: Expr = { kind: 'when', guards: [{ of: place, below: step.size, by: 1 }], then: moved(other), otherwise: zero, dtype: 'f32' }
        const next: Kernel = { ...kernel, reduction: { ...reduction, vars: reduction.vars.map(v => (v === step ? to : v)), a, b: now } }
        return unfolded(next, fresh, counter)
      }
  return kernel
}
