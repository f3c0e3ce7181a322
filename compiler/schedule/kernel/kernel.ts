/**
 * Kernels before scheduling: what each fused kernel computes, as expressions over loop variables, with no word of order,
 * tiles, vectors or threads. `fuse/` makes them from the tensor IR; each target's schedule turns them into
 * loop nests. A program is a `Plan`: buffers, and steps over them.
 */
import type { Aval, DType, Elementwise } from '../../../dsl/core/prim.ts'
import type { Origin } from '../../ir/ir.ts'

/** A loop variable, counting 0 .. size-1. Ids are unique within a plan. */
export type Var = { readonly id: number; readonly size: number; readonly name: string }

/** offset + sum of coef * atom, in elements. Terms are unique by atom, no coef is 0. */
export type Index = { readonly offset: number; readonly terms: readonly Term[] }
export type Term = { readonly coef: number; readonly atom: Atom }
export type Atom =
  | { readonly kind: 'var'; readonly id: number }
  /** floor(of / by), of >= 0 */
  | { readonly kind: 'div'; readonly of: Index; readonly by: number }
  /** of mod by, of >= 0 */
  | { readonly kind: 'mod'; readonly of: Index; readonly by: number }
  /** An i32 value computed by an expression (gather). */
  | { readonly kind: 'value'; readonly expr: Expr }

/** 0 <= of < below, and of divisible by `by`. */
export type Guard = { readonly of: Index; readonly below: number; readonly by: number }

export type Expr =
  | { readonly kind: 'const'; readonly value: number; readonly dtype: DType }
  /** The element of a buffer at a linear offset (row-major). */
  | { readonly kind: 'load'; readonly buffer: number; readonly at: Index; readonly dtype: DType }
  /** The value of an index (iota). */
  | { readonly kind: 'index'; readonly of: Index; readonly dtype: DType }
  | { readonly kind: 'op'; readonly prim: Elementwise; readonly args: readonly Expr[]; readonly dtype: DType; readonly exponent?: number }
  /** `then` where all guards hold, otherwise `otherwise`. Loads within `then` may be out of bounds where a guard fails: never perform them there. */
  | { readonly kind: 'when'; readonly guards: readonly Guard[]; readonly then: Expr; readonly otherwise: Expr; readonly dtype: DType }
  /** One word of Threefry-2x32-20 under (key0, key1): the word of counter `of`, as dsl/core/threefry.ts defines it. */
  | { readonly kind: 'random'; readonly key0: Expr; readonly key1: Expr; readonly of: Index; readonly count: number; readonly dtype: 'u32' }
  /** The reduced value; only within `stores` of a kernel with a reduction. */
  | { readonly kind: 'acc'; readonly dtype: DType }

export type Reduction =
  /** acc = op over all `vars` of `value`. */
  | { readonly kind: 'reduce'; readonly op: 'sum' | 'max' | 'min'; readonly vars: readonly Var[]; readonly value: Expr; readonly dtype: DType }
  /** acc = sum over all `vars` of a * b. Which variables occur in a, b or both says which are rows, columns, batches. */
  | { readonly kind: 'product'; readonly vars: readonly Var[]; readonly a: Expr; readonly b: Expr; readonly dtype: 'f32' }

export type Store = { readonly buffer: number; readonly at: Index; readonly value: Expr }

/**
 * For every assignment of `vars` (all independent, parallel): acc = the reduction, then perform the stores in order.
 * Every store covers its buffer (or, inside a loop, its slice) exactly once, or its own part of a buffer that several
 * stores, of one kernel or of many, fill together. No kernel reads a buffer that it writes, other than element-wise in
 * place: a load with the same index as the store to the same buffer, in that store or in an earlier one.
 * Index expressions may also name the counters of the enclosing `Loop`s.
 */
export type Kernel = {
  readonly kind: 'kernel'
  readonly name: string
  readonly vars: readonly Var[]
  readonly reduction: Reduction | null
  readonly stores: readonly Store[]
  readonly origins: readonly Origin[]
}

/**
 * Runs steps for counter = 0 .. size-1, in order. A reversed scan writes size-1-counter in its indices. The turns of an
 * `independent` loop have nothing to do with each other: none touches what another writes, and threads may share them.
 */
export type Loop = { readonly kind: 'loop'; readonly counter: Var; readonly independent?: true; readonly steps: readonly Step[] }

/** Copies `from` whole into `to` (same size). */
export type Copy = { readonly kind: 'copy'; readonly from: number; readonly to: number }

export type Step = Kernel | Loop | Copy

export type Buffer = {
  readonly id: number
  readonly aval: Aval
  readonly name: string
  /** An input or output of the program (index into its parameters or results), a constant with its data, or scratch. */
  readonly role:
    | { readonly kind: 'input'; readonly index: number }
    /** `over`: it takes the place of that buffer, an input, which the steps write in its stead. */
    | { readonly kind: 'output'; readonly index: number; readonly over?: number }
    | { readonly kind: 'constant'; readonly data: readonly number[] }
    | { readonly kind: 'scratch' }
}

/** bool is stored as one 4-byte word, 0 or 1; every dtype takes 4 bytes an element. Buffers are indexed by id. */
export type Plan = { readonly buffers: readonly Buffer[]; readonly steps: readonly Step[] }
