/**
 * Stores whose places are quotients and remainders of their variables, as a reshape in between leaves them. The variables that a quotient or
 * remainder counts as one number are replaced by its digits, as far as they matter to the place, which then is a plain sum.
 */
import { mapKernel } from '../kernel/collapse.ts'
import { add, indexing, scale, substitute, variable, zero } from '../kernel/indexing.ts'
import type { Atom, Index, Kernel, Var } from '../kernel/kernel.ts'
import type { Fresh } from './fresh.ts'

/** A number that variables count together, the last one fastest. */
type Number = readonly Var[]
const stridesOf = (vars: Number): readonly number[] => vars.map((_, k) => vars.slice(k + 1).reduce((n, v) => n * v.size, 1))

/** The sum of variables in an index as one number that they count: null where it is none. */
const counted = (index: Index, vars: readonly Var[]): Number | null => {
  const terms = index.terms.map(({ coef, atom }) => ({ coef, v: atom.kind === 'var' ? vars.find(v => v.id === atom.id) : undefined }))
  const own = terms.flatMap(({ coef, v }) => (v === undefined ? [] : [{ coef, v }])).sort((x, y) => y.coef - x.coef)
  if (own.length !== terms.length || index.offset !== 0) return null
  const all = own.map(t => t.v)
  const strides = stridesOf(all)
  return own.every((t, k) => t.coef === strides[k]) ? all : null
}

/** What the number is divided by to give this index, rounded down; null where it is no such quotient. */
const divisorOf = (index: Index, number: Number): number | null => {
  const [term, ...more] = index.terms
  if (index.offset === 0 && more.length === 0 && term?.coef === 1 && term.atom.kind === 'div') {
    const inner = divisorOf(term.atom.of, number)
    return inner === null ? null : inner * term.atom.by
  }
  const head = counted(index, number)
  if (head === null || head.some((v, k) => v !== number[k])) return null
  return stridesOf(number)[head.length - 1] ?? null
}

/** The innermost sum of variables that an atom divides. */
const innermost = (atom: Atom): Index | null => {
  if (atom.kind !== 'div' && atom.kind !== 'mod') return null
  const [term] = atom.of.terms
  return (term === undefined ? null : innermost(term.atom)) ?? atom.of
}

/** The kernel of one store, with a place that is a sum of variables wherever that can be. */
export const straightened = <K extends Kernel>(kernel: K, counters: readonly Var[], fresh: Fresh): K => {
  const at = kernel.stores[0]?.at ?? zero
  const bent = at.terms.flatMap(t => (t.atom.kind === 'div' || t.atom.kind === 'mod' ? [t.atom] : []))
  const number = bent.map(atom => counted(innermost(atom) ?? zero, kernel.vars) ?? []).toSorted((x, y) => y.length - x.length)[0] ?? []
  if (number.length === 0) return kernel
  const size = number.reduce((n, v) => n * v.size, 1)
  const linear = number.filter(v => at.terms.some(t => t.atom.kind === 'var' && t.atom.id === v.id))
  const cuts = [
    ...bent.flatMap(atom => {
      const divisor = divisorOf(atom.of, number)
      return divisor === null ? [] : [...(atom.kind === 'mod' ? [divisor] : []), divisor * atom.by]
    }),
    // a variable that the place names itself has its own digits
    ...number.flatMap((v, k) => (linear.includes(v) ? [stridesOf(number)[k]!, stridesOf(number)[k]! * v.size] : [])),
  ].filter(c => c > 1 && c < size)
  const strides = [...new Set([1, ...cuts])].toSorted((x, y) => y - x)
  if (strides.some((s, k) => (k === 0 ? size : strides[k - 1]!) % s !== 0)) return kernel
  const digits = strides.map((s, k) => fresh.variable((k === 0 ? size : strides[k - 1]!) / s, number[0]!.name))
  const whole = fresh.variable(size, number[0]!.name)
  const all = [...counters, ...kernel.vars, ...(kernel.reduction?.vars ?? []), whole, ...digits]
  const algebra = indexing(id => all.find(v => v.id === id)?.size ?? 1)
  // first by the whole number, whose quotients and remainders are put together again, then by its digits
  const byWhole = new Map(number.map((v, k) => {
    const above = algebra.div(variable(whole), stridesOf(number)[k]!)
    return [v.id, k === 0 ? above : algebra.mod(above, v.size)]
  }))
  const byDigits = digits.reduce<Index>((sum, d, k) => add(sum, scale(variable(d), strides[k]!)), zero)
  const counting = mapKernel(kernel, i => substitute(algebra, i, id => byWhole.get(id)))
  const mapped = mapKernel(counting, i => substitute(algebra, i, id => (id === whole.id ? byDigits : undefined)))
  return { ...kernel, ...mapped, vars: [...kernel.vars.filter(v => !number.includes(v)), ...digits] }
}
