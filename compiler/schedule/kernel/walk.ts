/** Visiting the expressions of kernels, and the indices in them: every shared node once. */
import type { Expr, Index, Kernel } from './kernel.ts'

export type Load = Extract<Expr, { kind: 'load' }>

/** A visitor: calls `onExpr` and `onIndex` with everything below an expression, that itself included. */
const walker = (onExpr: (expr: Expr) => void, onIndex: (index: Index) => void): ((expr: Expr) => void) => {
  const seen = new Set<Expr>()
  const index = (i: Index): void => {
    onIndex(i)
    for (const { atom } of i.terms) {
      if (atom.kind === 'value') expr(atom.expr)
      else if (atom.kind !== 'var') index(atom.of)
    }
  }
  const expr = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    onExpr(e)
    switch (e.kind) {
      case 'const':
      case 'acc':
        return
      case 'load':
        return index(e.at)
      case 'index':
        return index(e.of)
      case 'op':
        return e.args.forEach(expr)
      case 'when':
        e.guards.forEach(g => index(g.of))
        expr(e.then)
        return expr(e.otherwise)
      case 'random':
        expr(e.key0)
        expr(e.key1)
        return index(e.of)
    }
  }
  return expr
}

/** Calls `visit` with every expression below these. */
export const walk = (roots: readonly Expr[], visit: (expr: Expr) => void): void => roots.forEach(walker(visit, () => undefined))

/** Calls `visit` with every index of the expressions that it is given. */
export const indicesOf = (visit: (index: Index) => void): ((expr: Expr) => void) => walker(() => undefined, visit)

/** The loads below these, each once. */
export const loadsOf = (roots: readonly Expr[]): readonly Load[] => {
  const loads: Load[] = []
  const visit = walker(e => {
    if (e.kind === 'load') loads.push(e)
  }, () => undefined)
  roots.forEach(visit)
  return loads
}

/** An expression with others in place of some of its own, which `by` names (places that are computed stay); what is shared stays shared. */
export const replacing = (by: (expr: Expr) => Expr | undefined): ((expr: Expr) => Expr) => {
  const done = new Map<Expr, Expr>()
  const below = (e: Expr): Expr => {
    switch (e.kind) {
      case 'op':
        return { ...e, args: e.args.map(visit) }
      case 'when':
        return { ...e, then: visit(e.then), otherwise: visit(e.otherwise) }
      case 'random':
        return { ...e, key0: visit(e.key0), key1: visit(e.key1) }
      case 'acc':
      case 'const':
      case 'load':
      case 'index':
        return e
    }
  }
  const visit = (e: Expr): Expr => {
    const known = done.get(e)
    if (known !== undefined) return known
    const out = by(e) ?? below(e)
    done.set(e, out)
    return out
  }
  return visit
}

/** The expressions of a kernel. */
export const expressions = ({ reduction, stores }: Pick<Kernel, 'reduction' | 'stores'>): readonly Expr[] => [
  ...(reduction === null ? [] : reduction.kind === 'product' ? [reduction.a, reduction.b] : [reduction.value]),
  ...stores.map(s => s.value),
]
