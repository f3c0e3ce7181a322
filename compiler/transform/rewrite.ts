/**
 * Rewrites a function instruction by instruction, bodies of scans included: the frame of the local passes.
 */
import type { Prim, Attrs } from '../../dsl/core/prim.ts'
import { type Builder, builder, renaming } from '../ir/build.ts'
import type { Func, Id, Op, Scan } from '../ir/ir.ts'
import { at, used } from '../ir/view.ts'

/** What a rule sees: the builder, the new ids of the operands, and how often each operand is read in the old function. */
export type Site = { readonly b: Builder; readonly inputs: readonly Id[]; readonly uses: (operand: number) => number }

/** One primitive's rule in a table of rules: the value that replaces the op, or null. */
export type Rule<P extends Prim> = (site: Site, attrs: Attrs[P]) => Id | null

/** The value that replaces an op, or null to keep the op. */
export type OpRule = (site: Site, op: Op) => Id | null

/** The values that replace the results of a scan (its ids already new, its body already rewritten), or null to keep it. */
export type ScanRule = (b: Builder, scan: Scan) => readonly Id[] | null

export const rewrite = (func: Func, opRule: OpRule, scanRule: ScanRule = () => null): Func => {
  const b = builder()
  const names = new Map<Id, Id>()
  func.params.forEach(param => names.set(param.id, b.param(param.aval, param.path)))
  const to = renaming(names)
  const reads = new Map<Id, number>()
  for (const id of [...func.insts.flatMap(used), ...func.results]) reads.set(id, (reads.get(id) ?? 0) + 1)
  for (const inst of func.insts) {
    b.within(inst.origin, () => {
      if (inst.kind === 'op') {
        const inputs = inst.inputs.map(to)
        const made = opRule({ b, inputs, uses: operand => reads.get(at(inst.inputs, operand)) ?? 0 }, inst)
        names.set(inst.id, made ?? b.copy(inst, inputs))
      } else {
        const body = rewrite(inst.body, opRule, scanRule)
        const scan: Scan = { ...inst, consts: inst.consts.map(to), init: inst.init.map(to), xs: inst.xs.map(to), body }
        const made = scanRule(b, scan) ?? b.scan(scan, inst.origin)
        inst.ids.forEach((id, i) => names.set(id, at(made, i)))
      }
    })
  }
  return b.finish(func.results.map(to))
}

/** The definition of a value, if it is an application of `prim`. */
export const defines = <P extends Prim>(b: Builder, id: Id, prim: P): { readonly inputs: readonly Id[]; readonly attrs: Attrs[P] } | null => {
  const op = b.definition(id)
  // the test on `prim` gives the type of attrs; the union cannot see it for a generic P
  return op !== undefined && op.prim === prim ? { inputs: op.inputs, attrs: op.attrs as unknown as Attrs[P] } : null
}

/** The one value of all elements, where a fill says so. */
export const filled = (b: Builder, id: Id): number | null => defines(b, id, 'fill')?.attrs.value ?? null
