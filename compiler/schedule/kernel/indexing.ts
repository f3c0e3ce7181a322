/**
 * Algebra of index expressions: sums of integer multiples of loop variables, quotients and remainders. The constructors
 * keep a normal form (terms unique and sorted by atom, quotients and remainders removed where ranges allow), so that the
 * many reshapes, slices and transposes of a model cancel before any code is printed.
 */
import type { Atom, Expr, Index, Term, Var } from './kernel.ts'

export type Range = { readonly min: number; readonly max: number }

export type Indexing = {
  readonly range: (index: Index) => Range
  /** floor(index / by); the index must not be negative. */
  readonly div: (index: Index, by: number) => Index
  /** index mod by; the index must not be negative. */
  readonly mod: (index: Index, by: number) => Index
  /** One index per axis of `shape`, whose row-major position is `linear`. */
  readonly split: (linear: Index, shape: readonly number[]) => readonly Index[]
}

const exprIds = new WeakMap<Expr, number>()
let exprCount = 0
const exprId = (expr: Expr): number => {
  const known = exprIds.get(expr)
  if (known !== undefined) return known
  exprCount += 1
  exprIds.set(expr, exprCount)
  return exprCount
}

/** A text that is equal exactly where two atoms are. */
const atomKey = (atom: Atom): string => {
  switch (atom.kind) {
    case 'var':
      return `v${atom.id}`
    case 'div':
      return `(${indexKey(atom.of)})/${atom.by}`
    case 'mod':
      return `(${indexKey(atom.of)})%${atom.by}`
    case 'value':
      return `e${exprId(atom.expr)}`
  }
}

const keys = new WeakMap<Index, string>()
/** A text that is equal exactly where two indices are. */
export const indexKey = (index: Index): string => {
  const known = keys.get(index)
  if (known !== undefined) return known
  const key = `${index.terms.map(t => `${t.coef}*${atomKey(t.atom)}`).join('+')}+${index.offset}`
  keys.set(index, key)
  return key
}

export const constant = (offset: number): Index => ({ offset, terms: [] })
export const zero: Index = constant(0)
export const variable = (v: Var): Index => (v.size === 1 ? zero : { offset: 0, terms: [{ coef: 1, atom: { kind: 'var', id: v.id } }] })
export const ofAtom = (atom: Atom): Index => ({ offset: 0, terms: [{ coef: 1, atom }] })
export const scale = (index: Index, by: number): Index =>
  by === 0 ? zero : by === 1 ? index : { offset: index.offset * by, terms: index.terms.map(t => ({ coef: t.coef * by, atom: t.atom })) }
export const shift = (index: Index, by: number): Index => (by === 0 ? index : { offset: index.offset + by, terms: index.terms })
export const isConstant = (index: Index): boolean => index.terms.length === 0
export const equal = (a: Index, b: Index): boolean => a === b || indexKey(a) === indexKey(b)

const merge = (terms: readonly Term[]): readonly Term[] => {
  const byKey = new Map<string, Term>()
  for (const t of terms) {
    const key = atomKey(t.atom)
    const old = byKey.get(key)
    byKey.set(key, old === undefined ? t : { coef: old.coef + t.coef, atom: t.atom })
  }
  return [...byKey.entries()]
    .filter(([, t]) => t.coef !== 0)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, t]) => t)
}

/** The most that a computed index can be: it comes clamped, as minimum(.., size - 1). */
const bound = (expr: Expr): number => {
  const by = expr.kind === 'op' && expr.prim === 'minimum' ? expr.args[1] : undefined
  return by?.kind === 'const' ? by.value : Infinity
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b))
const floorMod = (a: number, by: number): number => ((a % by) + by) % by

/** The algebra over variables of known sizes. */
export const indexing = (sizeOf: (id: number) => number): Indexing => {
  const atomRange = (atom: Atom): Range => {
    switch (atom.kind) {
      case 'var':
        return { min: 0, max: sizeOf(atom.id) - 1 }
      case 'div': {
        const r = range(atom.of)
        return { min: Math.floor(r.min / atom.by), max: Math.floor(r.max / atom.by) }
      }
      case 'mod':
        return { min: 0, max: Math.min(atom.by - 1, Math.max(0, range(atom.of).max)) }
      case 'value':
        return { min: 0, max: bound(atom.expr) }
    }
  }
  const range = (index: Index): Range =>
    index.terms.reduce<Range>(
      (sum, { coef, atom }) => {
        const r = atomRange(atom)
        return coef > 0 ? { min: sum.min + coef * r.min, max: sum.max + coef * r.max } : { min: sum.min + coef * r.max, max: sum.max + coef * r.min }
      },
      { min: index.offset, max: index.offset },
    )

  /** index = by * quotient + rest, with as much as possible in the quotient that leaves rest >= 0: targets divide towards zero. */
  const peel = (index: Index, by: number): { quotient: Index; rest: Index } => {
    const whole = index.terms.filter(t => t.coef % by === 0).map(t => ({ coef: t.coef / by, atom: t.atom }))
    const rest = index.terms.filter(t => t.coef % by !== 0)
    const low = floorMod(index.offset, by)
    const { min } = range({ offset: low, terms: rest })
    const offset = min >= 0 || min === -Infinity ? low : low + by * Math.ceil(-min / by)
    return { quotient: { offset: (index.offset - offset) / by, terms: whole }, rest: { offset, terms: rest } }
  }
  /** rest = g * core + low with 0 <= low < g, where g divides by; the largest such g. */
  const shrink = (rest: Index, by: number): { g: number; core: Index; low: Index } => {
    const candidates = [...new Set(rest.terms.map(t => gcd(t.coef, by)))].filter(g => g > 1).sort((a, b) => b - a)
    for (const g of candidates) {
      const offset = floorMod(rest.offset, g)
      const low: Index = { offset, terms: rest.terms.filter(t => t.coef % g !== 0) }
      const r = range(low)
      if (r.min < 0 || r.max >= g) continue
      const high = rest.terms.filter(t => t.coef % g === 0).map(t => ({ coef: t.coef / g, atom: t.atom }))
      return { g, low, core: { offset: (rest.offset - offset) / g, terms: high } }
    }
    return { g: 1, low: zero, core: rest }
  }

  const div = (index: Index, by: number): Index => {
    if (by === 1) return index
    const { quotient, rest } = peel(index, by)
    const r = range(rest)
    if (r.min >= 0 && r.max < by) return quotient
    const { g, core } = shrink(rest, by)
    if (g > 1) return add(quotient, div(core, by / g))
    const only = core.terms[0]
    if (core.terms.length === 1 && core.offset === 0 && only !== undefined && only.coef === 1 && only.atom.kind === 'div')
      return add(quotient, div(only.atom.of, only.atom.by * by))
    return add(quotient, ofAtom({ kind: 'div', of: core, by }))
  }

  const mod = (index: Index, by: number): Index => {
    if (by === 1) return zero
    const { rest } = peel(index, by)
    const r = range(rest)
    if (r.min >= 0 && r.max < by) return rest
    const { g, core, low } = shrink(rest, by)
    if (g > 1) return add(scale(mod(core, by / g), g), low)
    return ofAtom({ kind: 'mod', of: core, by })
  }

  const split = (linear: Index, shape: readonly number[]): readonly Index[] => {
    const step = (rest: Index, axis: number): readonly Index[] => {
      if (axis < 0) return []
      const size = shape[axis]!
      const outer = shape.slice(0, axis).every(n => n === 1)
      return [...step(outer ? zero : div(rest, size), axis - 1), size === 1 ? zero : outer ? rest : mod(rest, size)]
    }
    return step(linear, shape.length - 1)
  }
  return { range, div, mod, split }
}

/** a + b, with quotients and remainders of one value recombined (exact without knowing any range). */
export const add = (a: Index, b: Index): Index => {
  if (isConstant(b)) return shift(a, b.offset)
  if (isConstant(a)) return shift(b, a.offset)
  const sum: Index = { offset: a.offset + b.offset, terms: merge([...a.terms, ...b.terms]) }
  return joined(sum)
}

/** c * (e mod n) + c * n * floor(e / n) = c * e, until nothing changes. */
const joined = (index: Index): Index => {
  for (const term of index.terms) {
    if (term.atom.kind !== 'mod') continue
    const { of, by } = term.atom
    const only = of.terms[0]
    const nested = of.terms.length === 1 && of.offset === 0 && only !== undefined && only.coef === 1 && only.atom.kind === 'div' ? only.atom : undefined
    const key = nested === undefined ? atomKey({ kind: 'div', of, by }) : atomKey({ kind: 'div', of: nested.of, by: nested.by * by })
    const partner = index.terms.find(t => atomKey(t.atom) === key)
    if (partner === undefined || partner.coef !== term.coef * by) continue
    const others = index.terms.filter(t => t !== term && t !== partner)
    return joined({
      offset: index.offset + term.coef * of.offset,
      terms: merge([...others, ...of.terms.map(t => ({ coef: t.coef * term.coef, atom: t.atom }))]),
    })
  }
  return index
}

/** Row-major position of one index per axis. */
export const linear = (indices: readonly Index[], shape: readonly number[]): Index =>
  indices.reduceRight<{ at: Index; stride: number }>(({ at, stride }, index, axis) => ({ at: add(at, scale(index, stride)), stride: stride * shape[axis]! }), { at: zero, stride: 1 }).at

/** Replaces variables: `by(id)` is the index to put in its place, or undefined to keep it. */
export const substitute = (algebra: Indexing, index: Index, by: (id: number) => Index | undefined, inside: (expr: Expr) => Expr = e => e): Index =>
  index.terms.reduce<Index>((sum, { coef, atom }) => {
    const replaced = (): Index => {
      switch (atom.kind) {
        case 'var':
          return by(atom.id) ?? ofAtom(atom)
        case 'div':
          return algebra.div(substitute(algebra, atom.of, by, inside), atom.by)
        case 'mod':
          return algebra.mod(substitute(algebra, atom.of, by, inside), atom.by)
        case 'value':
          return ofAtom({ kind: 'value', expr: inside(atom.expr) })
      }
    }
    return add(sum, scale(replaced(), coef))
  }, constant(index.offset))
