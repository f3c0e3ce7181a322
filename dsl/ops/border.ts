/**
 * The marked border between the typed surface and the primitives. Inside it tensors are `Any`: `typed` states the type
 * that a composition of primitives has been argued to have, `untyped` forgets it, and numbers and scalars are lifted to
 * the shape of their partner explicitly, since primitives take operands of one shape.
 */
import { aval, isTensor, op, sizeOf } from '../core/apply.ts'
import type { DType } from '../core/prim.ts'
import type { Any } from '../tensor.ts'

/** A tensor, or a number that takes the shape and element type of its partner. */
export type Operand = number | Any

/** States the type of a result of primitives; the type is taken from the context. */
export const typed = <R>(x: Any): R => x as unknown as R // the marked border
/** Forgets the type of an argument, which may still be hidden behind a `Check`. */
export const untyped = (x: unknown): Any => x as Any // the marked border
/** An argument that is a number or a tensor. */
export const operand = (x: unknown): Operand => x as Operand // the marked border

/** The sizes of an argument that is a list of dims. */
export const sizes = (shape: unknown): readonly number[] => (shape as readonly (number | string)[]).map(sizeOf) // the marked border

export const shapeOf = (x: Any): readonly number[] => aval(x).shape
export const rankOf = (x: Any): number => aval(x).shape.length
/** 0, 1, ..., n - 1 */
export const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** A tensor of one value. */
export const fill = (shape: readonly number[], dtype: DType, value: number): Any => op('fill', [], { shape, dtype, value })

/** x, or its only value in every place of `shape`. */
export const expand = (x: Operand, shape: readonly number[], dtype: DType): Any =>
  isTensor(x) ? (shapeOf(untyped(x)).length === shape.length ? untyped(x) : op('broadcast', [untyped(x)], { shape, axes: [] })) : fill(shape, dtype, x as number)

/** The shape and element type that two operands meet in. */
export const meet = (a: Operand, b: Operand): { readonly shape: readonly number[]; readonly dtype: DType } =>
  !isTensor(a) ? (isTensor(b) ? aval(untyped(b)) : { shape: [], dtype: 'f32' })
  : !isTensor(b) ? aval(untyped(a))
  : rankOf(untyped(a)) === 0 ? aval(untyped(b)) : aval(untyped(a))

/** The axes of an argument that is one axis, several or absent (all). Ascending. */
export const axesOf = (x: Any, axes: unknown): readonly number[] =>
  axes === undefined ? range(rankOf(x)) : Array.isArray(axes) ? range(rankOf(x)).filter(i => (axes as readonly number[]).includes(i)) : [axes as number]

/** x with size-one axes put back at `axes` and repeated to `shape`: the inverse of a reduction's loss of axes. */
export const respread = (x: Any, shape: readonly number[], axes: readonly number[]): Any =>
  op('broadcast', [x], { shape, axes: range(shape.length).filter(i => !axes.includes(i)) })
