/**
 * Products of one value by several constants of a scan - the gates of a recurrent layer, given as matrices of their own -
 * become one product by the constants set side by side. That is done once, in front of the loop. It runs before
 * differentiation, so that the gradients come out merged as well.
 */
import type { Contraction, Dimension } from '../../dsl/core/prim.ts'
import { type Builder, builder, renaming, replay } from '../ir/build.ts'
import type { Func, Id, Op, Scan } from '../ir/ir.ts'
import { at, defined, partsOf } from '../ir/view.ts'
import { dce } from './dce.ts'
import { rewrite } from './rewrite.ts'

export const siblings = (func: Func): Func => rewrite(func, () => null, merge)

/** Steps that pay for setting constants side by side. */
const fewest = 4

type Product = Extract<Op, { prim: 'contract' }>
/** Products that differ only in the constant; `axis` of the constants, and `out` of the results, is where they are joined. */
type Family = { readonly weight: 0 | 1; readonly axis: number; readonly out: number; readonly members: readonly Product[] }

const dimsOf = (attrs: Contraction, side: 0 | 1): readonly Dimension[] => (side === 0 ? attrs.a : attrs.b)
const labelsOf = (d: Dimension): readonly string[] => (typeof d === 'string' ? [d] : [d.p, d.k])

/** The first label that the constant alone brings into the result. */
const ownLabel = (attrs: Contraction, weight: 0 | 1): string | undefined => {
  const others = new Set(dimsOf(attrs, weight === 0 ? 1 : 0).flatMap(labelsOf))
  return attrs.out.find(label => !others.has(label) && dimsOf(attrs, weight).includes(label))
}

/** A text that is the same for contractions that differ in the names of their labels only. */
const form = ({ sizes, a, b, out }: Contraction): string => {
  const names = new Map<string, number>()
  const name = (label: string): string => {
    if (!names.has(label)) names.set(label, names.size)
    return `${names.get(label)}:${sizes[label]}`
  }
  const dim = (d: Dimension): string => (typeof d === 'string' ? name(d) : JSON.stringify({ ...d, p: name(d.p), k: name(d.k) }))
  return [a.map(dim), b.map(dim), out.map(name)].join('|')
}

const familiesOf = (scan: Scan): readonly Family[] => {
  const { consts: constants, next } = partsOf(scan)
  const consts = new Set(constants.map(param => param.id))
  // what no carry needs can leave the loop, and is not tied to what stays
  const core = new Set(dce({ ...scan.body, results: next }).insts.flatMap(defined))
  const families = new Map<string, Family>()
  for (const inst of scan.body.insts) {
    if (inst.kind !== 'op' || inst.prim !== 'contract') continue
    const weight = ([0, 1] as const).find(side => consts.has(at(inst.inputs, side)) && !consts.has(at(inst.inputs, 1 - side)))
    const label = weight === undefined ? undefined : ownLabel(inst.attrs, weight)
    if (weight === undefined || label === undefined) continue
    const key = `${core.has(inst.id)} ${weight} ${at(inst.inputs, 1 - weight)} ${form(inst.attrs)}`
    const family = families.get(key) ?? { weight, axis: dimsOf(inst.attrs, weight).indexOf(label), out: inst.attrs.out.indexOf(label), members: [] }
    families.set(key, { ...family, members: [...family.members, inst] })
  }
  return [...families.values()].filter(family => new Set(family.members.map(m => at(m.inputs, family.weight))).size > 1)
}

const merge = (b: Builder, scan: Scan): readonly Id[] | null => {
  const families = scan.length < fewest ? [] : familiesOf(scan)
  if (families.length === 0) return null
  const { consts, carries, slices } = partsOf(scan)
  const outer = new Map(consts.map((param, i) => [param.id, at(scan.consts, i)]))
  const joined = families.map(({ weight, axis, members }) => b.op('concat', members.map(m => outer.get(at(m.inputs, weight)) ?? -1), { axis }))

  const inner = builder()
  const names = new Map<Id, Id>()
  const enter = (params: Func['params']): void => params.forEach(param => names.set(param.id, inner.param(param.aval, param.path)))
  enter(consts)
  const weights = joined.map(id => inner.param(b.aval(id)))
  enter(carries)
  enter(slices)
  const to = renaming(names)
  const emit = ({ weight, out, members }: Family, stack: Id): void => {
    const first = at(members, 0)
    const { attrs } = first
    const label = at(attrs.out, out)
    const size = attrs.sizes[label] ?? 0
    const other = to(at(first.inputs, 1 - weight))
    const product = inner.op('contract', weight === 0 ? [stack, other] : [other, stack], { ...attrs, sizes: { ...attrs.sizes, [label]: size * members.length } }, first.origin)
    const { shape } = inner.aval(product)
    members.forEach((member, i) => {
      const start = shape.map((_, axis) => (axis === out ? i * size : 0))
      const limit = shape.map((n, axis) => (axis === out ? (i + 1) * size : n))
      names.set(member.id, inner.op('slice', [product], { start, limit, step: shape.map(() => 1) }, member.origin))
    })
  }
  for (const inst of scan.body.insts) {
    const family = families.find(({ members }) => members.some(m => m === inst))
    if (family === undefined) replay(inner, { params: [], insts: [inst], results: [] }, names)
    else if (!defined(inst).every(id => names.has(id))) emit(family, at(weights, families.indexOf(family)))
  }
  return b.scan({ ...scan, consts: [...scan.consts, ...joined], body: inner.finish(scan.body.results.map(to)) }, scan.origin)
}
