/**
 * Tensors under differentiation. A tape belongs to one running `differentiate`; a tracked tensor wraps a value that
 * depends on what that call differentiates by. Nested calls nest: the value wrapped may itself be tracked by a tape
 * further out, and each primitive is recorded once on every tape that it concerns. This is what keeps the derivatives
 * of nested calls apart.
 */
import type { Attrs, Prim } from './prim.ts'
import type { Dense } from './dense.ts'

/** A tensor at run time. */
export type Value = Dense | Tracked

/** One primitive applied: its inputs and output as the levels further out see them, and their places on this tape (-1: not on it). */
export type Recorded = {
  readonly [P in Prim]: {
    readonly prim: P
    readonly attrs: Attrs[P]
    readonly inputs: readonly Value[]
    readonly parents: readonly number[]
    readonly output: Value
    readonly place: number
  }
}[Prim]

/** Grows while its `differentiate` runs, then closes. Outer tapes have lower levels. */
export type Tape = { readonly level: number; readonly records: Recorded[]; places: number; open: boolean }

/** Told apart from every other object by this key, which nothing else holds. */
const mark = Symbol('tracked')

export type Tracked = { readonly [mark]: true; readonly tape: Tape; readonly value: Value; readonly place: number }

/** Puts a value on a tape, at a new place. */
export const track = (tape: Tape, value: Value): Tracked => ({ [mark]: true, tape, value, place: tape.places++ })

export const isTracked = (x: unknown): x is Tracked => typeof x === 'object' && x !== null && mark in x
