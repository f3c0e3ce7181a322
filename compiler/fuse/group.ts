/**
 * Which stored values share a kernel. A kernel starts from one reduction or one element-wise value; element-wise values
 * that can be computed from what the kernel holds at its own position join it: epilogues of contractions, chains with
 * several results, and neighbours that read the same buffers. Order is kept: a group runs where its first member stood.
 */
import type { Aval } from '../../dsl/core/prim.ts'
import type { Id, Inst, Op, Scan } from '../ir/ir.ts'
import { roles } from './decide.ts'
import type { Scope } from './express.ts'

/** A value to be written: the definition of a stored value, a copy of any value into the place of a result, or into its part of a concatenation. */
export type Root =
  | { readonly kind: 'value'; readonly id: Id; readonly aval: Aval }
  | { readonly kind: 'result'; readonly id: Id; readonly index: number; readonly aval: Aval }
  | { readonly kind: 'part'; readonly id: Id; readonly aval: Aval; readonly of: Id; readonly axis: number; readonly from: number }

export type Group =
  | { readonly kind: 'kernel'; readonly roots: readonly Root[] }
  | { readonly kind: 'scan'; readonly scan: Scan }

const numel = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

/** Buffers (stored values, parameters, scan results, literals) that the expression of a root reads. */
export const readsOf = (scope: Scope, root: Root): ReadonlySet<Id> => {
  const found = new Set<Id>()
  const seen = new Set<Id>()
  const visit = (id: Id): void => {
    if (seen.has(id)) return
    seen.add(id)
    const op = scope.ops.get(id)
    if (op === undefined || scope.stored.has(id) || op.prim === 'literal') found.add(id)
    else op.inputs.forEach(visit)
  }
  if (root.kind === 'value') scope.ops.get(root.id)!.inputs.forEach(visit)
  else visit(root.id)
  return found
}

/** Most inputs of a concatenation that are written one by one, and the fewest elements of it: below, one kernel chooses among them. */
const mostParts = 8
const leastParted = 1024

/** The inputs of a stored concatenation as roots of their own, each written straight into its part; none where that is not worth it. */
export const partsOf = (scope: Scope, inst: Op): readonly Root[] => {
  if (inst.prim !== 'concat' || inst.inputs.length > mostParts || numel(inst.aval.shape) < leastParted) return []
  const { axis } = inst.attrs
  const shapes = inst.inputs.map(id => scope.shapes.get(id)!)
  const before = (i: number): number => shapes.slice(0, i).reduce((n, shape) => n + shape[axis]!, 0)
  return inst.inputs.map((id, i) => ({ kind: 'part', id, aval: { shape: shapes[i]!, dtype: inst.aval.dtype }, of: inst.id, axis, from: before(i) }))
}

/** How many kernels that read the same are tried for a value. */
const most = 8

/** Values of one kernel. */
const mostRoots = 12

/**
 * Groups in execution order. `fits(roots)` says whether the roots can share a kernel: it builds the expressions and
 * reports whether all positions agree. `results` are the results that need a copy of their own.
 */
export const group = (scope: Scope, results: readonly Root[], fits: (roots: readonly Root[]) => boolean): readonly Group[] => {
  const groups: { kind: 'kernel'; roots: Root[]; size: number; reduces: boolean }[] = []
  const order: ({ kind: 'kernel'; at: number } | { kind: 'scan'; scan: Scan })[] = []
  /** Position in `order` after which a value is available; parameters and literals: -1. */
  const ready = new Map<Id, number>()
  /** Positions of element-wise kernels that read a value of their own size or more, the latest last. */
  const readers = new Map<Id, number[]>()
  /** Positions of element-wise kernels by the number of their elements, the latest last. */
  const sized = new Map<number, number[]>()
  const numelOf = (id: Id): number => numel(scope.shapes.get(id)!)

  const joins = (root: Root, reads: ReadonlySet<Id>, at: number): void => {
    if (root.kind === 'value') ready.set(root.id, at)
    if (root.kind === 'part') ready.set(root.of, Math.max(ready.get(root.of) ?? -1, at))
    for (const id of reads) {
      if (numelOf(id) < numel(root.aval.shape)) continue
      const list = readers.get(id) ?? []
      readers.set(id, list.includes(at) ? list : [...list, at])
    }
  }

  const place = (root: Root, reduces: boolean): void => {
    const reads = readsOf(scope, root)
    const size = numel(root.aval.shape)
    const after = (except: number): number => Math.max(-1, ...[...reads].map(id => ready.get(id) ?? -1).filter(at => at !== except))
    const candidates: number[] = []
    if (!reduces) {
      const producers = [...new Set([...reads].map(id => ready.get(id) ?? -1))].filter(at => at >= 0).sort((a, b) => b - a)
      candidates.push(...producers)
      const neighbours = new Set([...reads].flatMap(id => readers.get(id)?.slice(-most) ?? []))
      candidates.push(...[...neighbours].filter(at => !producers.includes(at)).sort((a, b) => b - a).slice(0, most))
      // a mere copy goes along with anything of its size
      if (root.kind === 'result') candidates.push(...(sized.get(size) ?? []).slice(-most).filter(at => !candidates.includes(at)).reverse())
    }
    for (const at of candidates) {
      const entry = order[at]!
      if (entry.kind === 'scan') continue
      const g = groups[entry.at]!
      if (g.size !== size || g.roots.length >= mostRoots || after(at) >= at || !fits([...g.roots, root])) continue
      g.roots.push(root)
      joins(root, g.reduces ? new Set() : reads, at)
      return
    }
    order.push({ kind: 'kernel', at: groups.length })
    groups.push({ kind: 'kernel', roots: [root], size, reduces })
    joins(root, reduces ? new Set() : reads, order.length - 1)
    if (!reduces) sized.set(size, [...(sized.get(size) ?? []).slice(-most), order.length - 1])
  }

  const visit = (inst: Inst): void => {
    if (inst.kind === 'scan') {
      order.push({ kind: 'scan', scan: inst })
      for (const id of inst.ids) ready.set(id, order.length - 1)
    } else if (scope.stored.has(inst.id)) {
      const parts = partsOf(scope, inst)
      if (parts.length > 0) parts.forEach(part => place(part, false))
      else place({ kind: 'value', id: inst.id, aval: inst.aval }, roles[inst.prim] === 'reduction')
    }
  }
  scope.func.insts.forEach(visit)
  for (const root of results) place(root, false)
  return order.map(entry => (entry.kind === 'scan' ? entry : { kind: 'kernel', roots: groups[entry.at]!.roots }))
}
