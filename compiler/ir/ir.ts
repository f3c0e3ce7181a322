/**
 * The tensor IR: closed, pure functions in A-normal form. An instruction applies one primitive of `dsl/core/prim.ts`, or
 * runs a `scan`. `vmap` and `grad` do not exist here: the front end lowers the body of either to a `Func` first and then
 * applies the transformation (`transform/batch.ts`, `transform/vjp.ts`) to it.
 */
import type { Attrs, Aval, Prim } from '../../dsl/core/prim.ts'

/** Where an instruction comes from in the model's source, and the name the model gives the value ('' where it has none). */
export type Origin = { readonly file: string; readonly line: number; readonly column: number; readonly name: string }

/** A value, unique within its `Func`. */
export type Id = number

/** A parameter; `path` is its place in the argument tree, e.g. `params.encoder.conv1.weight`. */
export type Param = { readonly id: Id; readonly aval: Aval; readonly path: string }

export type Op = {
  [P in Prim]: {
    readonly kind: 'op'
    readonly prim: P
    readonly attrs: Attrs[P]
    readonly inputs: readonly Id[]
    readonly id: Id
    readonly aval: Aval
    readonly origin: Origin
  }
}[Prim]

/**
 * Runs `body` `length` times. Inputs: `consts` (the same in every step), `init` (initial carries), `xs` (leading axis of
 * size `length`, one slice a step, last first where `reverse`). Body parameters: [...consts, ...carries, ...slices]; body
 * results: [...next carries, ...ys]. Results `ids`: [...final carries, ...ys stacked on a new leading axis]; the y of the
 * step that consumed slice t lands at index t, also where `reverse`.
 */
export type Scan = {
  readonly kind: 'scan'
  readonly length: number
  readonly reverse: boolean
  readonly consts: readonly Id[]
  readonly init: readonly Id[]
  readonly xs: readonly Id[]
  readonly body: Func
  readonly ids: readonly Id[]
  readonly avals: readonly Aval[]
  readonly origin: Origin
}

export type Inst = Op | Scan

/** Closed: the body refers to its parameters and its own instructions only. */
export type Func = {
  readonly params: readonly Param[]
  readonly insts: readonly Inst[]
  readonly results: readonly Id[]
}

/** A lowered entry point: a function with the paths of its results. */
export type Program = {
  readonly name: string
  readonly file: string
  readonly line: number
  readonly config: Readonly<Record<string, number>>
  readonly func: Func
  /** One path per result of `func`, e.g. `params.encoder.conv1.weight` or `loss`; a program that returns one tensor has path ''. */
  readonly outputs: readonly string[]
  /** Results (by index) that may take the place of parameters (by index): their memory is one. */
  readonly updates: readonly (readonly [result: number, param: number])[]
}
