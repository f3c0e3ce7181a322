/**
 * The door to the eager meaning: applies primitives to tensors, knows their shapes, and turns symbolic sizes into
 * numbers. `op`, `aval`, `isTensor` and `sizeOf` are what the typed functions of the language are made of; the compiler
 * gives the same four names its own meaning.
 */
import type { Attrs, Aval, Build, Prim } from './prim.ts'
import type { Dense } from './dense.ts'
import type { Recorded, Tape, Value } from './tracked.ts'
import { refuse } from '../errors.ts'
import { isDense } from './dense.ts'
import { evaluate } from './eager.ts'
import { isTracked, track } from './tracked.ts'

export { sizeOf, withDims } from './dims.ts'

/** A tensor of any shape and element type; typed tensors are assignable to it. */
export type Opaque = object

/** The primitives without attributes. */
type Plain = { readonly [P in Prim]: {} extends Attrs[P] ? P : never }[Prim]

/** A primitive with its inputs and static attributes. */
export type Call =
  | readonly [prim: Plain, inputs: readonly Opaque[], attrs: Readonly<Record<never, never>>]
  | { readonly [P in Exclude<Prim, Plain>]: readonly [prim: P, inputs: readonly Opaque[], attrs: Attrs[P]] }[Exclude<Prim, Plain>]

/** Whether a value is a tensor, and not a number, a record or an array of tensors. */
export const isTensor = (x: unknown): x is Opaque => isDense(x) || isTracked(x)

const described = (x: unknown): string => {
  if (x === null || x === undefined) return String(x)
  return Array.isArray(x) ? 'an array' : typeof x === 'object' ? 'a record' : `${typeof x} ${String(x)}`
}

// The border between opaque tensors and their representation.
const valueOf = (x: unknown): Value =>
  isDense(x) || isTracked(x) ? x : refuse({ kind: 'shape', operation: 'op', message: `expected a tensor, got ${described(x)}` })

/** The eager value of a tensor, out of every tape. */
export const toDense = (x: Opaque): Dense => {
  let value = valueOf(x)
  while (isTracked(value)) value = value.value
  return value
}

/** The shape and element type of a tensor. */
export const aval = (x: Opaque): Aval => {
  const { shape, dtype } = toDense(x)
  return { shape, dtype }
}

const apply = <P extends Prim>(prim: P, inputs: readonly Value[], attrs: Attrs[P]): Value => {
  const tape = inputs.reduce<Tape | null>((top, x) => (isTracked(x) && (top === null || x.tape.level > top.level) ? x.tape : top), null)
  if (tape === null) {
    // Every input is dense: none is tracked.
    return evaluate(prim, inputs as readonly Dense[], attrs)
  }
  if (!tape.open) return refuse({ kind: 'bug', where: prim, message: 'a tensor under differentiation was used after its gradient was taken' })
  const parents = inputs.map(x => (isTracked(x) && x.tape === tape ? x.place : -1))
  const values = inputs.map(x => (isTracked(x) && x.tape === tape ? x.value : x))
  const output = apply(prim, values, attrs)
  // Integers and truth values carry no gradient, nor does what is stopped: they leave the tape here.
  if (prim === 'stopGradient' || aval(output).dtype !== 'f32') return output
  const tracked = track(tape, output)
  // Correlated by P, which the type system does not follow into the union.
  tape.records.push({ prim, attrs, inputs: values, parents, output, place: tracked.place } as unknown as Recorded)
  return tracked
}

/** Eager primitives as the rules see them. */
export const eager: Build<Value> = { op: apply, aval }

/**
 * Applies a primitive to eager tensors: `op('add', [a, b], {})`. The result's type is the caller's claim, which the typed
 * functions of the language make. Refused (kind 'shape') where the inputs do not fit.
 */
export const op = <R extends Opaque = Opaque>(...[prim, inputs, attrs]: Call): R =>
  // Attributes fit the primitive by `Call`; R is a phantom type over the same representation.
  apply(prim, inputs.map(valueOf), attrs as Attrs[Prim]) as unknown as R
