/**
 * Joins loops: two variables that every index uses only as `outer * size(inner) + inner` become one. Works on any kernel,
 * and is repeated until nothing joins, so that a contiguous tensor of any rank becomes one long loop.
 */
import type { Expr, Guard, Index, Kernel, Reduction, Store, Var } from './kernel.ts'
import { indicesOf, type Load } from './walk.ts'

/** Every index of a kernel. */
export const kernelIndices = (kernel: Pick<Kernel, 'reduction' | 'stores'>): readonly Index[] => {
  const all: Index[] = []
  const visit = indicesOf(i => all.push(i))
  const { reduction, stores } = kernel
  if (reduction !== null) (reduction.kind === 'product' ? [reduction.a, reduction.b] : [reduction.value]).forEach(visit)
  for (const s of stores) {
    all.push(s.at)
    for (const { atom } of s.at.terms) if (atom.kind !== 'var') visit({ kind: 'index', of: s.at, dtype: 'i32' })
    visit(s.value)
  }
  return all
}

/** Rewrites every index of an expression (and then every guard and load), keeping what is shared shared. */
export const mapIndices = (
  f: (index: Index) => Index, onGuard: (guard: Guard) => Guard = g => g, onLoad: (load: Load) => Load = e => e,
): ((expr: Expr) => Expr) => {
  const done = new Map<Expr, Expr>()
  const indices = new Map<Index, Index>()
  const index = (i: Index): Index => {
    const known = indices.get(i)
    if (known !== undefined) return known
    const inner: Index = {
      offset: i.offset,
      terms: i.terms.map(({ coef, atom }) => ({
        coef,
        atom: atom.kind === 'var' ? atom : atom.kind === 'value' ? { kind: 'value', expr: expr(atom.expr) } : { ...atom, of: index(atom.of) },
      })),
    }
    const out = f(inner)
    indices.set(i, out)
    return out
  }
  const guard = (g: Guard): Guard => onGuard({ ...g, of: index(g.of) })
  const once = (e: Expr): Expr => {
    switch (e.kind) {
      case 'const':
      case 'acc':
        return e
      case 'load':
        return onLoad({ ...e, at: index(e.at) })
      case 'index':
        return { ...e, of: index(e.of) }
      case 'op':
        return { ...e, args: e.args.map(expr) }
      case 'when':
        return { ...e, guards: e.guards.map(guard), then: expr(e.then), otherwise: expr(e.otherwise) }
      case 'random':
        return { ...e, key0: expr(e.key0), key1: expr(e.key1), of: index(e.of) }
    }
  }
  const expr = (e: Expr): Expr => {
    const known = done.get(e)
    if (known !== undefined) return known
    const out = once(e)
    done.set(e, out)
    return out
  }
  return expr
}

/** Rewrites every index of a kernel (guards and loads too); `f` maps one index whose inner indices are rewritten already. */
export const mapKernel = (kernel: Kernel, f: (index: Index) => Index, onGuard?: (guard: Guard) => Guard, onLoad?: (load: Load) => Load): Kernel => {
  const expr = mapIndices(f, onGuard, onLoad)
  const at = (i: Index): Index => {
    const e = expr({ kind: 'index', of: i, dtype: 'i32' })
    return e.kind === 'index' ? e.of : i
  }
  const { reduction } = kernel
  const stores = kernel.stores.map((s): Store => ({ buffer: s.buffer, at: at(s.at), value: expr(s.value) }))
  const mapped: Reduction | null =
    reduction === null ? null
    : reduction.kind === 'product' ? { ...reduction, a: expr(reduction.a), b: expr(reduction.b) }
    : { ...reduction, value: expr(reduction.value) }
  return { ...kernel, reduction: mapped, stores }
}

const coefOf = (index: Index, id: number): number => index.terms.find(t => t.atom.kind === 'var' && t.atom.id === id)?.coef ?? 0

/** Puts `replacement` in place of a variable in one index (not inside its quotients: those are rewritten on their own). */
const without = (index: Index, id: number): Index => ({ offset: index.offset, terms: index.terms.filter(t => !(t.atom.kind === 'var' && t.atom.id === id)) })

const joinable = (indices: readonly Index[], outer: Var, inner: Var): boolean => indices.every(i => coefOf(i, outer.id) === coefOf(i, inner.id) * inner.size)

const joinOnce = (kernel: Kernel, vars: readonly Var[], indices: readonly Index[]): { kernel: Kernel; vars: readonly Var[] } | null => {
  for (const outer of vars)
    for (const inner of vars) {
      if (outer === inner || !joinable(indices, outer, inner)) continue
      const joined: Var = { id: inner.id, size: outer.size * inner.size, name: `${outer.name}${inner.name}` }
      return { kernel: mapKernel(kernel, i => without(i, outer.id)), vars: vars.filter(v => v !== outer).map(v => (v === inner ? joined : v)) }
    }
  return null
}

/** Joins the variables of a kernel and those of its reduction, each among themselves; variables of size 1 disappear. */
export const collapse = (kernel: Kernel): Kernel => {
  const ones = new Set([...kernel.vars, ...(kernel.reduction?.vars ?? [])].filter(v => v.size === 1).map(v => v.id))
  const withoutOnes = (i: Index): Index => ({ offset: i.offset, terms: i.terms.filter(t => !(t.atom.kind === 'var' && ones.has(t.atom.id))) })
  let now = ones.size === 0 ? kernel : mapKernel(kernel, withoutOnes)
  let vars: readonly Var[] = kernel.vars.filter(v => v.size !== 1)
  let inner: readonly Var[] = (kernel.reduction?.vars ?? []).filter(v => v.size !== 1)
  for (;;) {
    const indices = kernelIndices(now)
    const outerStep = joinOnce(now, vars, indices)
    const innerStep = outerStep === null ? joinOnce(now, inner, indices) : null
    if (outerStep !== null) [now, vars] = [outerStep.kernel, outerStep.vars]
    else if (innerStep !== null) [now, inner] = [innerStep.kernel, innerStep.vars]
    else break
  }
  return { ...now, vars, reduction: now.reduction === null ? null : { ...now.reduction, vars: inner } }
}
