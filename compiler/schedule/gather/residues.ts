/**
 * Sums whose windows are strided backwards (transposed convolutions, input gradients of strided ones) have terms only where a position
 * is divisible by the stride. The window's variable is made to count just those: step = residue + modulus * (its new value), where the
 * residue follows from the row that is being computed. One loop serves all rows, with no divisibility left to check.
 */
import { mapKernel } from '../kernel/collapse.ts'
import { add, constant, indexKey, indexing, ofAtom, scale, substitute, variable } from '../kernel/indexing.ts'
import type { Expr, Guard, Index, Kernel, Reduction, Var } from '../kernel/kernel.ts'
import { simplified, zeroOutside } from '../kernel/phases.ts'
import type { Fresh } from './fresh.ts'

type Reduce = Extract<Reduction, { kind: 'reduce' }>
type Summing = Kernel & { readonly reduction: Reduce }
const residue = (a: number, by: number): number => ((a % by) + by) % by
const inverse = (a: number, by: number): number => Array.from({ length: by }, (_, i) => i).find(i => residue(a * i, by) === 1 % by) ?? 0
const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b))

/** The one reduction variable that a guard's divisibility depends on, all else being rows; null where there is none. */
const stepOf = (guard: Guard, steps: readonly Var[], rows: readonly Var[]): { readonly v: Var; readonly coef: number } | null => {
  const odd = guard.of.terms.filter(t => t.coef % guard.by !== 0)
  const vars = odd.map(({ coef, atom }) => ({ coef, v: atom.kind === 'var' ? [...steps, ...rows].find(v => v.id === atom.id) : undefined }))
  const [step, ...more] = vars.filter(({ v }) => v !== undefined && steps.includes(v))
  if (step?.v === undefined || more.length > 0 || vars.some(({ v }) => v === undefined) || gcd(step.coef, guard.by) !== 1) return null
  return { v: step.v, coef: step.coef }
}

/** The kernel, whose sum has no more terms than it needs. */
export const withoutResidues = (kernel: Summing, counters: readonly Var[], fresh: Fresh): Summing => {
  const { reduction, vars } = kernel
  if (reduction.op !== 'sum') return kernel
  const rows = [...vars, ...counters]
  for (const guard of zeroOutside(reduction.value)) {
    const step = guard.by > 1 ? stepOf(guard, reduction.vars, rows) : null
    if (step === null) continue
    const { by } = guard
    // coef * step = -(all else) modulo by
    const times = residue(-inverse(step.coef, by), by)
    const others = guard.of.terms.filter(t => t.coef % by !== 0 && !(t.atom.kind === 'var' && t.atom.id === step.v.id))
    const known: Index = { offset: residue(times * guard.of.offset, by), terms: others.map(t => ({ ...t, coef: residue(times * t.coef, by) })) }
    const inner = fresh.variable(Math.ceil(step.v.size / by), step.v.name)
    const algebra = indexing(id => (id === inner.id ? inner : [...rows, ...reduction.vars].find(v => v.id === id))?.size ?? 1)
    const rest = known.terms.length === 0 ? constant(residue(known.offset, by)) : ofAtom({ kind: 'mod', of: known, by })
    const quotient = ofAtom({ kind: 'div', of: known, by })
    const place = add(scale(variable(inner), by), rest)
    const key = indexKey(known)
    /** Where the residue makes a whole multiple of `by` out of the rest of an index, it is written as one. */
    const whole = (index: Index): Index => {
      const term = index.terms.find(t => t.atom.kind === 'mod' && t.atom.by === by && indexKey(t.atom.of) === key)
      if (term === undefined) return index
      const others: Index = { ...index, terms: index.terms.filter(t => t !== term) }
      const sum = add(others, scale(known, term.coef))
      return sum.offset % by === 0 && sum.terms.every(t => t.coef % by === 0) ? add(sum, scale(quotient, -by * term.coef)) : index
    }
    const replaced = mapKernel({ ...kernel, stores: [] }, i => whole(substitute(algebra, i, id => (id === step.v.id ? place : undefined))), simplified)
    const { value } = replaced.reduction as Reduce // rewriting keeps the kind of a reduction
    const { dtype } = value
    const inside: Expr = step.v.size % by === 0 ? value
      : { kind: 'when', guards: [{ of: place, below: step.v.size, by: 1 }], then: value, otherwise: { kind: 'const', value: 0, dtype }, dtype }
    const steps = reduction.vars.map(v => (v === step.v ? inner : v))
    return withoutResidues({ ...kernel, reduction: { ...reduction, value: inside, vars: steps } }, counters, fresh)
  }
  return kernel
}
