/**
 * Sums of tensors that are zero in different places: pad(x) + pad(y), as the gradients of slices meet, is the
 * concatenation of x and y (and of zeros where neither is).
 */
import type { Builder } from '../ir/build.ts'
import type { Id } from '../ir/ir.ts'
import { at, range } from '../ir/view.ts'
import { defines, filled } from './rewrite.ts'

/** A stretch of an axis: a tensor, or zeros. */
type Piece = { readonly id: Id | null; readonly size: number }

/** Most pieces of one tensor: each costs a choice where it is read. */
const mostPieces = 8

/** The axes along which a value is visibly in pieces, some of them zero. */
const axesOf = (b: Builder, id: Id): readonly number[] => {
  const padded = defines(b, id, 'pad')
  if (padded !== null) {
    const { low, high, interior, value } = padded.attrs
    const axes = range(low.length).filter(axis => at(low, axis) + at(high, axis) > 0)
    return axes.length === 1 && value === 0 && interior.every(n => n === 0) ? axes : []
  }
  const joined = defines(b, id, 'concat')
  return joined !== null && joined.inputs.some(part => filled(b, part) === 0) ? [joined.attrs.axis] : []
}

const piecesOf = (b: Builder, id: Id, axis: number): readonly Piece[] => {
  const size = (part: Id): number => at(b.aval(part).shape, axis)
  const padded = defines(b, id, 'pad')
  const joined = defines(b, id, 'concat')
  const pieces =
    padded !== null ? [{ id: null, size: at(padded.attrs.low, axis) }, { id: at(padded.inputs, 0), size: size(at(padded.inputs, 0)) }, { id: null, size: at(padded.attrs.high, axis) }]
    : joined === null ? [] : joined.inputs.map(part => ({ id: filled(b, part) === 0 ? null : part, size: size(part) }))
  return pieces.filter(piece => piece.size > 0)
}

/** The pieces of a sum; null where two that are not zero meet. */
const together = (left: readonly Piece[], right: readonly Piece[]): readonly Piece[] | null => {
  const [x, y] = [left[0], right[0]]
  if (x === undefined || y === undefined) return []
  const whole = x.id === null ? (y.id === null ? null : y) : y.id === null ? x : undefined
  if (whole === undefined) return null
  const size = whole?.size ?? Math.min(x.size, y.size)
  if (size > x.size || size > y.size) return null
  const rest = (pieces: readonly Piece[], first: Piece): readonly Piece[] => (first.size === size ? pieces.slice(1) : [{ ...first, size: first.size - size }, ...pieces.slice(1)])
  const more = together(rest(left, x), rest(right, y))
  if (more === null) return null
  const [next, ...others] = more
  return whole === null && next?.id === null ? [{ id: null, size: size + next.size }, ...others] : [whole ?? { id: null, size }, ...more]
}

/** The sum of two values as a concatenation or padding, where it is one. */
export const joinedSum = (b: Builder, x: Id, y: Id): Id | null => {
  const axes = axesOf(b, y)
  const axis = axesOf(b, x).find(a => axes.includes(a))
  if (axis === undefined) return null
  const pieces = together(piecesOf(b, x, axis), piecesOf(b, y, axis))
  if (pieces === null || pieces.length > mostPieces) return null
  const { shape, dtype } = b.aval(x)
  return b.op('concat', pieces.map(({ id, size }) => id ?? b.op('fill', [], { shape: shape.with(axis, size), dtype, value: 0 })), { axis })
}
