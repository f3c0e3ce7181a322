/**
 * The part of `simplify` that is about contractions: what only renames or repeats elements of an operand becomes part of
 * its labels, a label of one operand alone is summed first, labels of size 1 go, and so do windows that do not slide and sums over
 * padding.
 */
import type { Contraction, Dimension } from '../../dsl/core/prim.ts'
import type { Id } from '../ir/ir.ts'
import { at, range } from '../ir/view.ts'
import { defines, type Rule, type Site } from './rewrite.ts'

const labelsOf = (d: Dimension): readonly string[] => (typeof d === 'string' ? [d] : [d.p, d.k])

/** A contraction with its operands. */
type Form = { readonly attrs: Contraction; readonly inputs: readonly [Id, Id] }
type Side = 'a' | 'b'

const sideOf = (form: Form, side: Side): { readonly id: Id; readonly dims: readonly Dimension[]; readonly others: ReadonlySet<string> } => ({
  id: form.inputs[side === 'a' ? 0 : 1],
  dims: form.attrs[side],
  others: new Set(form.attrs[side === 'a' ? 'b' : 'a'].flatMap(labelsOf)),
})

/** The form with another operand on one side. */
const replace = (form: Form, side: Side, id: Id, dims: readonly Dimension[]): Form => ({
  attrs: { ...form.attrs, [side]: dims },
  inputs: side === 'a' ? [id, form.inputs[1]] : [form.inputs[0], id],
})

/** transpose(x): the labels of x, in its order. */
const untranspose = ({ b }: Site, form: Form, side: Side): Form | null => {
  const { id, dims } = sideOf(form, side)
  const moved = defines(b, id, 'transpose')
  if (moved === null) return null
  const { perm } = moved.attrs
  return replace(form, side, at(moved.inputs, 0), range(perm.length).map(axis => at(dims, perm.indexOf(axis))))
}

/** broadcast(x): the labels of repeated axes go, if the other operand has them too. */
const unbroadcast = ({ b }: Site, form: Form, side: Side): Form | null => {
  const { id, dims, others } = sideOf(form, side)
  const repeated = defines(b, id, 'broadcast')
  if (repeated === null) return null
  const { axes } = repeated.attrs
  const goes = dims.filter((_, axis) => !axes.includes(axis))
  if (!goes.every(d => typeof d === 'string' && others.has(d))) return null
  return replace(form, side, at(repeated.inputs, 0), axes.map(axis => at(dims, axis)))
}

/** Labels that occur in one operand alone, and not in the result: summed first. */
const sumFirst = ({ b }: Site, form: Form, side: Side): Form | null => {
  const { id, dims, others } = sideOf(form, side)
  const inWindows = new Set(dims.filter(d => typeof d !== 'string').flatMap(labelsOf))
  const lonely = (d: Dimension): boolean => typeof d === 'string' && !others.has(d) && !form.attrs.out.includes(d) && !inWindows.has(d)
  const axes = range(dims.length).filter(axis => lonely(at(dims, axis)))
  if (axes.length === 0) return null
  return replace(form, side, b.op('sum', [id], { axes }), dims.filter(d => !lonely(d)))
}

/** Plain labels of size 1, which no window uses: the operand without those axes. */
const dropOnes = ({ b }: Site, form: Form, side: Side): Form | null => {
  const { id, dims } = sideOf(form, side)
  const { sizes } = form.attrs
  const inWindows = new Set([...form.attrs.a, ...form.attrs.b].filter(d => typeof d !== 'string').flatMap(labelsOf))
  const one = (d: Dimension): boolean => typeof d === 'string' && sizes[d] === 1 && !inWindows.has(d)
  if (!dims.some(one)) return null
  const { shape } = b.aval(id)
  return replace(form, side, b.op('reshape', [id], { shape: shape.filter((_, axis) => !one(at(dims, axis))) }), dims.filter(d => !one(d)))
}

const labelsOfBoth = ({ attrs }: Form): readonly string[] => [...attrs.a, ...attrs.b].flatMap(labelsOf)

/** A window that slides nowhere - one position that sees the whole axis, or a kernel of one element - is a plain label. */
const standStill = ({ b }: Site, form: Form, side: Side): Form | null => {
  const { id, dims } = sideOf(form, side)
  const { sizes } = form.attrs
  const { shape } = b.aval(id)
  const still = (d: Dimension, axis: number): Dimension => {
    if (typeof d === 'string' || d.base !== 1 || d.pad !== 0) return d
    if (sizes[d.p] === 1 && d.dilation === 1 && sizes[d.k] === shape[axis]) return d.k
    return sizes[d.k] === 1 && d.stride === 1 && sizes[d.p] === shape[axis] ? d.p : d
  }
  const made = dims.map(still)
  return made.some((d, axis) => d !== dims[axis]) ? replace(form, side, id, made) : null
}

/** A window over an axis of size 1 that reads it where p = k: one label for both, and the axis goes. */
const oneElement = ({ b }: Site, form: Form, side: Side): Form | null => {
  const { id, dims, others } = sideOf(form, side)
  const { sizes, out } = form.attrs
  const { shape } = b.aval(id)
  const counts = new Map<string, number>()
  for (const label of labelsOfBoth(form)) counts.set(label, (counts.get(label) ?? 0) + 1)
  const axis = dims.findIndex((d, i) => {
    if (typeof d === 'string' || shape[i] !== 1 || d.stride !== 1 || d.dilation !== -1 || d.pad !== 0 || sizes[d.p] !== sizes[d.k]) return false
    // exactly one of the two is in the other operand, as a plain label, and at most one in the result
    const plain = form.attrs[side === 'a' ? 'b' : 'a'].filter(x => x === d.p || x === d.k)
    const uses = (counts.get(d.p) ?? 0) + (counts.get(d.k) ?? 0)
    return plain.length === 1 && uses === 3 && others.has(String(plain[0])) && !(out.includes(d.p) && out.includes(d.k))
  })
  const window = dims[axis]
  if (window === undefined || typeof window === 'string') return null
  const rename = (label: string): string => (label === window.k ? window.p : label)
  const renameAll = (list: readonly Dimension[]): readonly Dimension[] => list.map(d => (typeof d === 'string' ? rename(d) : d))
  const reduced = b.op('reshape', [id], { shape: shape.toSpliced(axis, 1) })
  const attrs: Contraction = { sizes, a: renameAll(form.attrs.a), b: renameAll(form.attrs.b), out: out.map(rename) }
  return replace({ attrs, inputs: form.inputs }, side, reduced, renameAll(dims.toSpliced(axis, 1)))
}

/** Zeros around an operand, along labels that both have and that are summed: the other operand without what meets them. */
const unpad = ({ b }: Site, form: Form, side: Side): Form | null => {
  const { id, dims } = sideOf(form, side)
  const padded = defines(b, id, 'pad')
  if (padded === null || padded.attrs.value !== 0) return null
  const { low, high, interior } = padded.attrs
  const otherSide = side === 'a' ? 'b' : 'a'
  const other = sideOf(form, otherSide)
  const inWindows = new Set([...dims, ...other.dims].filter(d => typeof d !== 'string').flatMap(labelsOf))
  const goes = (d: Dimension, axis: number): d is string =>
    typeof d === 'string' && low[axis]! + high[axis]! > 0 && interior[axis] === 0 && other.dims.includes(d) && !form.attrs.out.includes(d) && !inWindows.has(d)
  const axes = range(dims.length).filter(axis => goes(at(dims, axis), axis))
  if (axes.length === 0) return null
  const inner = at(padded.inputs, 0)
  const [source, shape] = [b.aval(inner).shape, b.aval(other.id).shape]
  const kept = (list: readonly number[]): readonly number[] => list.map((n, axis) => (axes.includes(axis) ? 0 : n))
  const operand = b.op('pad', [inner], { low: kept(low), high: kept(high), interior, value: 0 })
  const axisOf = (i: number): number => axes.find(axis => dims[axis] === other.dims[i]) ?? -1
  const start = shape.map((_, i) => low[axisOf(i)] ?? 0)
  const limit = shape.map((size, i) => (axisOf(i) < 0 ? size : at(low, axisOf(i)) + at(source, axisOf(i))))
  const sizes = { ...form.attrs.sizes, ...Object.fromEntries(axes.map(axis => [String(dims[axis]), at(source, axis)])) }
  const sliced = b.op('slice', [other.id], { start, limit, step: shape.map(() => 1) })
  return replace(replace({ attrs: { ...form.attrs, sizes }, inputs: form.inputs }, side, operand, dims), otherSide, sliced, other.dims)
}

const steps = [unpad, untranspose, unbroadcast, standStill, oneElement, dropOnes, sumFirst] as const

const improve = (site: Site, form: Form): Form => {
  for (const step of steps) {
    for (const side of ['a', 'b'] as const) {
      const next = step(site, form, side)
      if (next !== null) return improve(site, next)
    }
  }
  return form
}

export const simplifyContract: Rule<'contract'> = (site, attrs) => {
  const start: Form = { attrs, inputs: [at(site.inputs, 0), at(site.inputs, 1)] }
  const form = improve(site, start)
  if (form === start) return null
  const present = new Set([...form.attrs.a, ...form.attrs.b].flatMap(labelsOf))
  const out = form.attrs.out.filter(label => present.has(label))
  const sizes = Object.fromEntries(Object.entries(form.attrs.sizes).filter(([label]) => present.has(label)))
  const made = site.b.op('contract', form.inputs, { sizes, a: form.attrs.a, b: form.attrs.b, out })
  // labels that went from the result have size 1
  return site.b.op('reshape', [made], { shape: attrs.out.map(label => attrs.sizes[label] ?? 1) })
}
