/**
 * From the tensor IR to kernels: decides what is stored (decide.ts), which stored values share a kernel (group.ts), and
 * writes each kernel as expressions (express.ts). Scans become loops over the kernels of their bodies, which read
 * slices of the stacked inputs and write slices of the stacked outputs in place. Last, where the target has caches to
 * make use of, kernels that follow from each other row by row are gathered (rows.ts).
 */
import type { Aval } from '../../dsl/core/prim.ts'
import { refuse } from '../../dsl/errors.ts'
import type { Func, Id, Op, Origin, Program, Scan } from '../ir/ir.ts'
import { add, indexing, linear, scale, shift, variable, zero } from '../schedule/kernel/indexing.ts'
import type { Buffer, Expr, Index, Kernel, Plan, Reduction, Step, Store, Var } from '../schedule/kernel/kernel.ts'
import { carries } from './carries.ts'
import { decide } from './decide.ts'
import { Misaligned, express, type Held, type Scope } from './express.ts'
import { inPlace } from './inplace.ts'
import { group, readsOf, type Root } from './group.ts'
import { masks } from './masks.ts'
import { narrow } from './narrow.ts'
import { rows } from './rows.ts'

/** A buffer, or one slice of it. */
type Place = { readonly buffer: number; readonly offset: Index }

const numel = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

const originsOf = (scope: Scope, root: Root): readonly Origin[] => {
  const op = scope.ops.get(root.id)
  return op === undefined ? [] : [op.origin]
}

/** A sum or contraction over no elements. (A maximum of none is refused where it is made.) */
const sumsNothing = (op: Op, aval: (id: Id) => Aval): boolean =>
  op.prim === 'contract' ? Object.entries(op.attrs.sizes).some(([label, size]) => size === 0 && !op.attrs.out.includes(label))
  : op.prim === 'sum' ? op.attrs.axes.some(axis => aval(op.inputs[0]!).shape[axis] === 0)
  : false

const word = (text: string): string => text.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '')

/** The kernels of a function and where their results lie; `updates`: results that take the place of parameters where they can, as pairs of indices. */
export const kernels = (given: Func, updates: Program['updates'] = []): Plan => {
  const func = masks(narrow(given))
  const buffers: Buffer[] = []
  const varSizes: number[] = []
  const names = new Map<string, number>()
  const algebra = indexing(id => varSizes[id]!)
  const newVar = (size: number, name: string): Var => {
    varSizes.push(size)
    return { id: varSizes.length - 1, size, name }
  }
  const newBuffer = (aval: Aval, name: string, role: Buffer['role']): number => {
    buffers.push({ id: buffers.length, aval, name, role })
    return buffers.length - 1
  }
  const unique = (name: string): string => {
    const n = (names.get(name) ?? 0) + 1
    names.set(name, n)
    return n === 1 ? name : `${name}_${n}`
  }

  /** Steps of one function, given how its parameters are read and where its results go (null: a buffer is made on demand). */
  const lower = (f: Func, param: (index: number, indices: readonly Index[]) => Expr, targets: readonly Place[]): readonly Step[] => {
    const ops = new Map<Id, Op>()
    const avals = new Map<Id, Aval>()
    const params = new Map<Id, number>()
    f.params.forEach((p, i) => {
      params.set(p.id, i)
      avals.set(p.id, p.aval)
    })
    for (const inst of f.insts)
      if (inst.kind === 'op') {
        ops.set(inst.id, inst)
        avals.set(inst.id, inst.aval)
      } else inst.ids.forEach((id, i) => avals.set(id, inst.avals[i]!))

    const stored = decide(f)
    const places = new Map<Id, Place>()
    /** Stored values that some kernel loads, or that are results. */
    const wanted = new Set<Id>()
    // The first result that is exactly a stored value is written in place; every other result is a copy.
    const copies: Root[] = []
    f.results.forEach((id, index) => {
      if (stored.has(id) && !places.has(id)) {
        places.set(id, targets[index]!)
        wanted.add(id)
      } else copies.push({ kind: 'result', id, index, aval: avals.get(id)! })
    })

    const placeOf = (id: Id): Place => {
      const known = places.get(id)
      if (known !== undefined) return known
      const op = ops.get(id)
      const aval = avals.get(id)!
      const name = op === undefined ? 'carry' : op.origin.name === '' ? op.prim : op.origin.name
      const role: Buffer['role'] = op?.prim === 'literal' ? { kind: 'constant', data: op.attrs.data } : { kind: 'scratch' }
      const made: Place = { buffer: newBuffer(aval, name, role), offset: zero }
      places.set(id, made)
      return made
    }
    const scope: Scope = {
      func: f, ops, stored, shapes: new Map([...avals].map(([id, a]) => [id, a.shape])),
      read: (id, indices) => {
        const p = params.get(id)
        if (p !== undefined) return param(p, indices)
        wanted.add(id)
        const place = placeOf(id)
        const aval = avals.get(id)!
        return { kind: 'load', buffer: place.buffer, at: add(place.offset, linear(indices, aval.shape)), dtype: aval.dtype }
      },
    }
    // Trials must not mark values as wanted: they read through a scope of their own.
    const trial: Scope = { ...scope, read: (id, indices) => ({ kind: 'load', buffer: id, at: linear(indices, avals.get(id)!.shape), dtype: avals.get(id)!.dtype }) }

    const domain = (root: Root): { vars: readonly Var[]; at: Index; indices: readonly Index[] } => {
      const op = ops.get(root.id)
      const labels = root.kind === 'value' && op?.prim === 'contract' ? op.attrs.out : undefined
      const all = root.aval.shape.map((size, i) => newVar(size, labels?.[i] ?? `i${i}`))
      const indices = all.map(variable)
      return { vars: all.filter(v => v.size > 1), at: linear(indices, root.aval.shape), indices }
    }

    /** Where the element at a linear position of a root lies in the tensor that it is part of. */
    const within = (root: Root, at: Index): Index => {
      if (root.kind !== 'part') return at
      const indices = algebra.split(at, root.aval.shape)
      return linear(indices.with(root.axis, shift(indices[root.axis]!, root.from)), avals.get(root.of)!.shape)
    }
    /** The value that a root completes; null for a copy. */
    const makes = (root: Root): Id | null => (root.kind === 'value' ? root.id : root.kind === 'part' ? root.of : null)

    const build = (use: Scope, roots: readonly Root[]): Kernel => {
      const first = roots[0]!
      const { vars, at, indices } = domain(first)
      const values = new Map<Id, Expr>()
      const held: Held = { at, values }
      const ex = express(algebra, use, () => held)
      let reduction: Reduction | null = null
      const stores: Store[] = []
      roots.forEach((root, n) => {
        const op = ops.get(root.id)
        const value = ((): Expr => {
          if (root.kind !== 'value') return ex.element(root.id, algebra.split(at, root.aval.shape))
          if (n > 0 || op === undefined) return ex.definition(op!, algebra.split(at, root.aval.shape))
          if (sumsNothing(op, id => avals.get(id)!)) return { kind: 'const', value: 0, dtype: op.aval.dtype }
          if (op.prim === 'contract') {
            const summed = Object.entries(op.attrs.sizes).filter(([label]) => !op.attrs.out.includes(label)).map(([label, size]) => newVar(size, label))
            const byLabel = new Map<string, Index>(op.attrs.out.map((label, i) => [label, indices[i]!]))
            for (const v of summed) byLabel.set(v.name, variable(v))
            const label = (name: string): Index => byLabel.get(name)!
            const inputShape = (i: 0 | 1): readonly number[] => avals.get(op.inputs[i]!)!.shape
            reduction = {
              kind: 'product', vars: summed.filter(v => v.size > 1), dtype: 'f32',
              a: ex.operand(op.attrs, 0, op.inputs[0]!, inputShape(0), label),
              b: ex.operand(op.attrs, 1, op.inputs[1]!, inputShape(1), label),
            }
            return { kind: 'acc', dtype: 'f32' }
          }
          if (op.prim === 'sum' || op.prim === 'max' || op.prim === 'min') {
            const shape = avals.get(op.inputs[0]!)!.shape
            const axes = op.attrs.axes
            const summed = axes.map(axis => newVar(shape[axis]!, `r${axis}`))
            const kept = [...indices]
            const full = shape.map((_, axis) => (axes.includes(axis) ? variable(summed[axes.indexOf(axis)]!) : kept.shift()!))
            reduction = { kind: 'reduce', op: op.prim, vars: summed.filter(v => v.size > 1), value: ex.element(op.inputs[0]!, full), dtype: op.aval.dtype }
            return { kind: 'acc', dtype: op.aval.dtype }
          }
          return ex.definition(op, indices)
        })()
        if (root.kind === 'value') values.set(root.id, value)
        const place = root.kind === 'value' ? places.get(root.id) : root.kind === 'part' ? places.get(root.of) : targets[root.index]
        stores.push({ buffer: place?.buffer ?? -1, at: add(place?.offset ?? zero, within(root, at)), value })
      })
      const named = [...roots].reverse().map(r => ops.get(r.id)?.origin.name ?? '').find(n => n !== '') ?? ''
      const verb = ops.get(first.id)?.prim ?? 'copy'
      const name = word(named === '' ? verb : `${named}_${verb}`)
      return { kind: 'kernel', name, vars, reduction, stores, origins: roots.flatMap(r => originsOf(scope, r)) }
    }

    const fits = (roots: readonly Root[]): boolean => {
      try {
        build(trial, roots)
        return true
      } catch (error) {
        if (error instanceof Misaligned) return false
        throw error
      }
    }

    const steps: (readonly Step[])[] = []
    for (const g of [...group(scope, copies, fits)].reverse()) {
      if (g.kind === 'scan') {
        if (g.scan.ids.some(id => wanted.has(id))) steps.push(loop(g.scan, scope, avals, placeOf))
        continue
      }
      const kept = g.roots.filter(r => r.kind === 'result' || wanted.has(makes(r)!))
      if (kept.length === 0 || numel(g.roots[0]!.aval.shape) === 0) continue
      // A root that nobody reads from memory stays where later ones are computed from it; the first always does.
      const needed = g.roots.reduceRight<readonly Root[]>(
        (later, r, i) => (i === 0 || kept.includes(r) || (r.kind === 'value' && later.some(l => readsOf(scope, l).has(r.id))) ? [r, ...later] : later),
        [],
      )
      for (const r of kept) if (r.kind !== 'result') placeOf(makes(r)!)
      const kernel = build(scope, needed)
      const live = kernel.stores.filter((_, i) => kept.includes(needed[i]!))
      steps.push([{ ...kernel, name: unique(kernel.name), stores: live }])
    }
    return steps.reverse().flat()
  }

  const loop = (scan: Scan, scope: Scope, avals: ReadonlyMap<Id, Aval>, placeOf: (id: Id) => Place): readonly Step[] => {
    const counter = newVar(scan.length, 't')
    const t = scan.reverse ? shift(scale(variable(counter), -1), scan.length - 1) : variable(counter)
    const nothing = (): Held | null => null
    const outer = express(algebra, scope, nothing)
    const carries = scan.init.length
    const next = scan.init.map((_, i): Place => {
      const aval = scan.avals[i]!
      return { buffer: newBuffer(aval, 'next', { kind: 'scratch' }), offset: zero }
    })
    const current = scan.init.map((_, i) => placeOf(scan.ids[i]!))
    const stacked = scan.ids.slice(carries).map((id, i): Place => {
      const place = placeOf(id)
      return { buffer: place.buffer, offset: add(place.offset, scale(t, numel(scan.avals[carries + i]!.shape) / scan.length)) }
    })
    const read = (index: number, indices: readonly Index[]): Expr => {
      if (index < scan.consts.length) return outer.element(scan.consts[index]!, indices)
      const c = index - scan.consts.length
      if (c < carries) {
        const aval = scan.avals[c]!
        return { kind: 'load', buffer: current[c]!.buffer, at: add(current[c]!.offset, linear(indices, aval.shape)), dtype: aval.dtype }
      }
      return outer.element(scan.xs[c - carries]!, [t, ...indices])
    }
    const body = lower(scan.body, read, [...next, ...stacked])
    const start = scan.init.map((id, i): Step => {
      const aval = scan.avals[i]!
      const all = aval.shape.map((size, axis) => newVar(size, `i${axis}`))
      const indices = all.map(variable)
      const store: Store = { buffer: current[i]!.buffer, at: add(current[i]!.offset, linear(indices, aval.shape)), value: outer.element(id, indices) }
      return { kind: 'kernel', name: unique('carry'), vars: all.filter(v => v.size > 1), reduction: null, stores: [store], origins: [scan.origin] }
    })
    const advance = next.map((place, i): Step => ({ kind: 'copy', from: place.buffer, to: current[i]!.buffer }))
    return scan.length === 0 ? start : [...start, { kind: 'loop', counter, steps: [...body, ...advance] }]
  }

  const inputs = func.params.map((p, index) => newBuffer(p.aval, p.path, { kind: 'input', index }))
  const avalOf = new Map<Id, Aval>(func.params.map(p => [p.id, p.aval]))
  for (const inst of func.insts)
    if (inst.kind === 'op') avalOf.set(inst.id, inst.aval)
    else inst.ids.forEach((id, i) => avalOf.set(id, inst.avals[i]!))
  const outputs = func.results.map((id, index): Place => {
    const aval = avalOf.get(id) ?? refuse({ kind: 'bug', where: 'fuse', message: `result %${id} is not defined` })
    return { buffer: newBuffer(aval, `result ${index}`, { kind: 'output', index }), offset: zero }
  })
  const steps = lower(
    func,
    (index, indices) => {
      const { aval } = func.params[index]!
      return { kind: 'load', buffer: inputs[index]!, at: linear(indices, aval.shape), dtype: aval.dtype }
    },
    outputs,
  )
  return inPlace(carries({ buffers, steps }), new Map(updates.map(([result, param]) => [outputs[result]!.buffer, inputs[param]!])))
}

/** The same for a processor with caches: kernels that follow from each other row by row are gathered. */
export const plan = (func: Func, updates: Program['updates'] = []): Plan => rows(kernels(func, updates))
