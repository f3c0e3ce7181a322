/**
 * Splits sums whose windows are strided backwards (input gradients of strided convolutions, transposed convolutions): of
 * all steps of such a sum only those count whose position is divisible by the stride, which would waste all but 1 in
 * stride^2 of the work. The kernel becomes one kernel per residue class of its rows (and columns), whose reduction runs
 * over the matching residues only, with no divisibility left to check. Independent of any target.
 */
import { mapKernel } from './collapse.ts'
import { indexing, scale, shift, substitute, variable } from './indexing.ts'
import type { Expr, Guard, Index, Kernel, Reduction, Var } from './kernel.ts'

/** Guards outside of which an expression is zero. */
export const zeroOutside = (e: Expr): readonly Guard[] => {
  switch (e.kind) {
    case 'when':
      return e.otherwise.kind === 'const' && e.otherwise.value === 0 ? [...e.guards, ...zeroOutside(e.then)] : []
    case 'op':
      return e.prim === 'mul' ? e.args.flatMap(zeroOutside) : e.prim === 'neg' || e.prim === 'stopGradient' ? zeroOutside(e.args[0]!) : []
    case 'const':
    case 'load':
    case 'index':
    case 'random':
    case 'acc':
      return []
  }
}
const guardsOf = (r: Reduction): readonly Guard[] =>
  r.kind === 'product' ? [...zeroOutside(r.a), ...zeroOutside(r.b)] : r.op === 'sum' ? zeroOutside(r.value) : []

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b))
const residue = (a: number, by: number): number => ((a % by) + by) % by

/** A variable restricted to `modulus * i + rest`. */
type Part = { readonly from: Var; readonly to: Var; readonly modulus: number; readonly rest: number }
const partSize = (v: Var, modulus: number, rest: number): number => Math.max(0, Math.ceil((v.size - rest) / modulus))

/** A guard that can be split: one row variable and one reduction variable at most, all else divisible. */
type Split = { readonly guard: Guard; readonly row: Var | null; readonly rowCoef: number; readonly step: Var | null; readonly stepCoef: number }

const splitOf = (kernel: Kernel, reduction: Reduction, guard: Guard): Split | null => {
  const odd = guard.of.terms.filter(t => t.coef % guard.by !== 0)
  const find = (vars: readonly Var[]) =>
    odd.flatMap(({ coef, atom }) => {
      const v = atom.kind === 'var' ? vars.find(x => x.id === atom.id) : undefined
      return v === undefined ? [] : [{ v, coef }]
    })
  const [rows, steps] = [find(kernel.vars), find(reduction.vars)]
  if (rows.length + steps.length !== odd.length || rows.length > 1 || steps.length > 1 || odd.length === 0) return null
  return { guard, row: rows[0]?.v ?? null, rowCoef: rows[0]?.coef ?? 0, step: steps[0]?.v ?? null, stepCoef: steps[0]?.coef ?? 0 }
}

/** With a position that is always divisible, the check disappears. */
export const simplified = (g: Guard): Guard => {
  const whole = g.by > 1 && g.of.offset % g.by === 0 && g.of.terms.every(t => t.coef % g.by === 0)
  if (!whole) return g
  return { of: { offset: g.of.offset / g.by, terms: g.of.terms.map(t => ({ coef: t.coef / g.by, atom: t.atom })) }, below: Math.ceil(g.below / g.by), by: 1 }
}

const restrict = (kernel: Kernel, parts: readonly Part[], sizes: (id: number) => number): Kernel => {
  const algebra = indexing(id => parts.find(p => p.to.id === id)?.to.size ?? sizes(id))
  const byId = new Map(parts.map(p => [p.from.id, shift(scale(variable(p.to), p.modulus), p.rest)]))
  // inner indices are rewritten already when a quotient is: substituting again finds nothing and simplifies
  const replaced = (i: Index): Index => substitute(algebra, i, id => byId.get(id))
  const next = (v: Var): Var => parts.find(p => p.from.id === v.id)?.to ?? v
  const done = mapKernel(kernel, replaced, simplified)
  return { ...done, vars: done.vars.map(next), reduction: done.reduction === null ? null : { ...done.reduction, vars: done.reduction.vars.map(next) } }
}

/** The sum of nothing. */
const empty = (kernel: Kernel): Kernel => {
  const done = new Map<Expr, Expr>()
  const zero = (e: Expr): Expr => {
    const known = done.get(e)
    if (known !== undefined) return known
    const out: Expr =
      e.kind === 'acc' ? { kind: 'const', value: 0, dtype: e.dtype }
      : e.kind === 'op' ? { ...e, args: e.args.map(zero) }
      : e.kind === 'when' ? { ...e, then: zero(e.then), otherwise: zero(e.otherwise) }
      : e
    done.set(e, out)
    return out
  }
  return { ...kernel, reduction: null, stores: kernel.stores.map(s => ({ ...s, value: zero(s.value) })) }
}

/** The kernels that together do what `kernel` does. `fresh` makes a variable id; `counter` gives the size of an enclosing loop. */
export const phases = (kernel: Kernel, fresh: () => number, counter: (id: number) => number): readonly Kernel[] => {
  const { reduction } = kernel
  if (reduction === null) return [kernel]
  const split = guardsOf(reduction).filter(g => g.by > 1).map(g => splitOf(kernel, reduction, g)).find(s => s !== null)
  if (split === undefined) return [kernel]
  const { guard, row, rowCoef, step, stepCoef } = split
  const by = guard.by
  const all = [...kernel.vars, ...reduction.vars]
  const sizes = (id: number): number => all.find(v => v.id === id)?.size ?? counter(id)
  const rowModulus = by / gcd(rowCoef, by)
  const stepModulus = by / gcd(stepCoef, by)
  const part = (v: Var, modulus: number, rest: number): Part => ({ from: v, to: { id: fresh(), size: partSize(v, modulus, rest), name: v.name }, modulus, rest })
  const residues = (modulus: number): readonly number[] => Array.from({ length: modulus }, (_, i) => i)
  return residues(row === null ? 1 : rowModulus).flatMap(rowRest => {
    if (row !== null && partSize(row, rowModulus, rowRest) === 0) return []
    const rows = row === null ? [] : [part(row, rowModulus, rowRest)]
    const stepRest = residues(step === null ? 1 : stepModulus).find(r => residue(guard.of.offset + rowCoef * rowRest + stepCoef * r, by) === 0)
    if (stepRest === undefined || (step !== null && partSize(step, stepModulus, stepRest) === 0)) return [empty(restrict(kernel, rows, sizes))]
    return phases(restrict(kernel, [...rows, ...(step === null ? [] : [part(step, stepModulus, stepRest)])], sizes), fresh, counter)
  })
}
