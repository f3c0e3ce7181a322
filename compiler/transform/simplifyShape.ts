/**
 * The part of `simplify` that is about shapes: shape operations compose, fills stay fills, and operations that only move
 * or add axes of size 1 are reshapes.
 */
import type { Attrs, Prim } from '../../dsl/core/prim.ts'
import type { Builder } from '../ir/build.ts'
import type { Id } from '../ir/ir.ts'
import { at, count, range } from '../ir/view.ts'
import { defines, filled, type Rule, type Site } from './rewrite.ts'

const only = (site: Site): Id => at(site.inputs, 0)

/** The fill of another shape, where the operand is a fill. */
const refill = (b: Builder, id: Id, shape: readonly number[]): Id | null => {
  const value = filled(b, id)
  return value === null ? null : b.op('fill', [], { shape, dtype: b.aval(id).dtype, value })
}

const without = (shape: readonly number[], axes: readonly number[]): readonly number[] => shape.filter((_, i) => !axes.includes(i))

const reshape: Rule<'reshape'> = (site, { shape }) => {
  const { b } = site
  const inner = defines(b, only(site), 'reshape')
  if (inner !== null) return b.op('reshape', [at(inner.inputs, 0)], { shape })
  const literal = defines(b, only(site), 'literal')
  if (literal !== null) return b.op('literal', [], { ...literal.attrs, shape })
  return refill(b, only(site), shape)
}

const transpose: Rule<'transpose'> = (site, { perm }) => {
  const { b } = site
  const { shape } = b.aval(only(site))
  const inner = defines(b, only(site), 'transpose')
  if (inner !== null) return b.op('transpose', [at(inner.inputs, 0)], { perm: perm.map(axis => at(inner.attrs.perm, axis)) })
  const long = perm.filter(axis => shape[axis] !== 1)
  if (long.every((axis, i) => i === 0 || axis > at(long, i - 1))) return b.op('reshape', [only(site)], { shape: perm.map(axis => at(shape, axis)) })
  return refill(b, only(site), perm.map(axis => at(shape, axis)))
}

const broadcast: Rule<'broadcast'> = (site, { shape, axes }) => {
  const { b } = site
  const x = only(site)
  if (count(shape) === count(b.aval(x).shape)) return b.op('reshape', [x], { shape })
  const inner = defines(b, x, 'broadcast')
  if (inner !== null) return b.op('broadcast', [at(inner.inputs, 0)], { shape, axes: inner.attrs.axes.map(axis => at(axes, axis)) })
  return refill(b, x, shape)
}

const slice: Rule<'slice'> = (site, { start, limit, step }) => {
  const { b } = site
  const x = only(site)
  const inner = defines(b, x, 'slice')
  if (inner !== null) {
    const from = start.map((s, i) => at(inner.attrs.start, i) + s * at(inner.attrs.step, i))
    const by = step.map((s, i) => s * at(inner.attrs.step, i))
    const sizes = start.map((s, i) => Math.ceil((at(limit, i) - s) / at(step, i)))
    return b.op('slice', [at(inner.inputs, 0)], {
      start: from,
      limit: from.map((f, i) => (at(sizes, i) === 0 ? f : f + (at(sizes, i) - 1) * at(by, i) + 1)),
      step: by,
    })
  }
  const padded = defines(b, x, 'pad')
  if (padded !== null) {
    // within the operand of the pad
    const source = b.aval(at(padded.inputs, 0)).shape
    const { low, interior } = padded.attrs
    const from = start.map((s, i) => s - at(low, i))
    const to = limit.map((l, i) => l - at(low, i))
    if (interior.every(n => n === 0) && from.every((f, i) => f >= 0 && at(to, i) <= at(source, i))) {
      return b.op('slice', [at(padded.inputs, 0)], { start: from, limit: to, step })
    }
  }
  const joined = defines(b, x, 'concat')
  if (joined !== null) {
    // within one piece
    const { axis } = joined.attrs
    const sizes = joined.inputs.map(id => at(b.aval(id).shape, axis))
    const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((n, size) => n + size, 0))
    const piece = ends.findIndex((end, i) => at(start, axis) >= end - at(sizes, i) && at(limit, axis) <= end)
    if (piece >= 0) {
      const before = at(ends, piece) - at(sizes, piece)
      return b.op('slice', [at(joined.inputs, piece)], {
        start: start.with(axis, at(start, axis) - before),
        limit: limit.with(axis, at(limit, axis) - before),
        step,
      })
    }
  }
  return refill(b, x, start.map((s, i) => Math.ceil((at(limit, i) - s) / at(step, i))))
}

const pad: Rule<'pad'> = (site, { low, high, interior, value }) => {
  const { b } = site
  const x = only(site)
  const inner = defines(b, x, 'pad')
  if (inner !== null && Object.is(inner.attrs.value, value) && [...interior, ...inner.attrs.interior].every(n => n === 0)) {
    return b.op('pad', [at(inner.inputs, 0)], {
      low: low.map((n, i) => n + at(inner.attrs.low, i)),
      high: high.map((n, i) => n + at(inner.attrs.high, i)),
      interior,
      value,
    })
  }
  if (filled(b, x) !== value) return null
  const { shape } = b.aval(x)
  return refill(b, x, shape.map((size, i) => at(low, i) + at(high, i) + size + Math.max(0, size - 1) * at(interior, i)))
}

const flip: Rule<'flip'> = (site, { axes }) => {
  const { b } = site
  const { shape } = b.aval(only(site))
  const long = axes.filter(axis => at(shape, axis) > 1)
  if (long.length < axes.length) return b.op('flip', [only(site)], { axes: long })
  const inner = defines(b, only(site), 'flip')
  if (inner !== null) {
    const once = range(shape.length).filter(axis => axes.includes(axis) !== inner.attrs.axes.includes(axis))
    return b.op('flip', [at(inner.inputs, 0)], { axes: once })
  }
  return refill(b, only(site), shape)
}

const concat: Rule<'concat'> = (site, { axis }) => {
  const { b, inputs } = site
  const full = inputs.filter(id => at(b.aval(id).shape, axis) > 0)
  if (full.length > 0 && full.length < inputs.length) return b.op('concat', full, { axis })
  const flat = full.flatMap(id => {
    const inner = defines(b, id, 'concat')
    return inner !== null && inner.attrs.axis === axis && site.uses(inputs.indexOf(id)) === 1 ? inner.inputs : [id]
  })
  if (flat.length > full.length) return b.op('concat', flat, { axis })
  const values = full.map(id => filled(b, id))
  const first = values[0]
  if (first === undefined || first === null || !values.every(v => Object.is(v, first))) return null
  const { shape } = b.aval(at(full, 0))
  return refill(b, at(full, 0), shape.with(axis, full.reduce((n, id) => n + at(b.aval(id).shape, axis), 0)))
}

const gather: Rule<'gather'> = ({ b, inputs }, { axis, batch }) => {
  const x = b.aval(at(inputs, 0)).shape
  return refill(b, at(inputs, 0), [...x.slice(0, axis), ...b.aval(at(inputs, 1)).shape.slice(batch), ...x.slice(axis + 1)])
}

/** Reductions: over axes of size 1 a reshape; of a reduction, one over both; of a transpose, one of its operand. */
const reduction =
  <P extends 'sum' | 'max' | 'min'>(prim: P): Rule<P> =>
  (site, attrs) => {
    const { b } = site
    const { axes } = attrs as Attrs['sum'] // the three have the same attributes
    const x = only(site)
    const { shape } = b.aval(x)
    const emit = (id: Id, over: readonly number[]): Id => b.op<'sum' | 'max' | 'min'>(prim, [id], { axes: over })
    if (axes.length > 0 && axes.every(axis => shape[axis] === 1)) return b.op('reshape', [x], { shape: without(shape, axes) })
    const inner = defines(b, x, prim as Prim)
    if (inner !== null && site.uses(0) === 1) {
      const innerAxes = (inner.attrs as Attrs['sum']).axes
      const left = without(range(b.aval(at(inner.inputs, 0)).shape.length), innerAxes)
      return emit(at(inner.inputs, 0), [...innerAxes, ...axes.map(axis => at(left, axis))].toSorted((p, q) => p - q))
    }
    const moved = defines(b, x, 'transpose')
    if (moved !== null) {
      const { perm } = moved.attrs
      const over = axes.map(axis => at(perm, axis)).toSorted((p, q) => p - q)
      const rest = without(perm, axes)
      const sorted = rest.toSorted((p, q) => p - q)
      return b.op('transpose', [emit(at(moved.inputs, 0), over)], { perm: rest.map(axis => sorted.indexOf(axis)) })
    }
    const repeated = defines(b, x, 'broadcast')
    if (repeated !== null) {
      // axes that only repeat: n times the operand, or the operand itself
      const source = at(repeated.inputs, 0)
      const over = repeated.attrs.axes.flatMap((axis, i) => (axes.includes(axis) ? [i] : []))
      const copies = axes.filter(axis => !repeated.attrs.axes.includes(axis)).reduce((n, axis) => n * at(shape, axis), 1)
      if (copies > 0 && axes.some(axis => !repeated.attrs.axes.includes(axis))) {
        const reduced = emit(source, over)
        const { shape: left, dtype } = b.aval(reduced)
        const times = prim !== 'sum' || copies === 1 ? reduced : b.op('mul', [reduced, b.op('fill', [], { shape: left, dtype, value: copies })], {})
        const kept = range(shape.length).filter(axis => !axes.includes(axis))
        return b.op('broadcast', [times], {
          shape: without(shape, axes),
          axes: repeated.attrs.axes.filter(axis => !axes.includes(axis)).map(axis => kept.indexOf(axis)),
        })
      }
    }
    const value = filled(b, x)
    const n = axes.reduce((m, axis) => m * at(shape, axis), 1)
    const isSafe = prim !== 'sum' || b.aval(x).dtype === 'f32'
    if (value === null || n === 0 || !isSafe) return null
    return b.op('fill', [], { shape: without(shape, axes), dtype: b.aval(x).dtype, value: prim === 'sum' ? n * value : value })
  }

export const shapeRules: { readonly [P in Prim]?: Rule<P> } = {
  reshape,
  transpose,
  broadcast,
  slice,
  pad,
  flip,
  concat,
  gather,
  sum: reduction('sum'),
  max: reduction('max'),
  min: reduction('min'),
}

