/**
 * Entry points. `program(fn, config)` declares that `fn` is to be compiled, with every name in its shapes standing for a
 * number of the config. One source so serves every size.
 */
import { withDims } from './core/apply.ts'
import type { Any, Check, DTypeOf, ShapeOf, Tensor } from './tensor.ts'
import type { Names, Shape, Value } from './shape.ts'
import type { Listed, Static } from './tree.ts'

type Bound<S extends Shape, C> = { -readonly [K in keyof S]: Value<S[K], C> }
/** A tree with numbers for names. */
export type Bind<T, C> = T extends Any ? Tensor<Bound<ShapeOf<T>, C>, DTypeOf<T>> : T extends Static ? T : { [K in keyof T]: Bind<T[K], C> }
type BindAll<A extends readonly unknown[], C> = { [K in keyof A]: Bind<A[K], C> }

/** The dims of every tensor of a tree, as a union; '(any)' for a part that is any. */
type Dims<T> =
  0 extends 1 & T ? '(any)'
  : T extends Any ? ShapeOf<T>[number]
  : T extends Static ? never
  : { [K in keyof T]: Dims<T[K]> }[T extends readonly unknown[] ? number & keyof T : keyof T]
type Unknown<D, C> = Exclude<Names<D>, keyof C>
type Plain<C> = { [K in keyof C]: number extends C[K] ? K : never }[keyof C]
type Untold = 'program: a dimension of an argument or result is a plain number or string, not a literal'
type Unannotated = 'program: an argument or result is any, so nothing is known of it; annotate it: (x: Vec<3>) => ...'
type Fits<T, C> =
  Dims<T> extends infer D
    ? number extends D ? Untold : string extends D ? Untold : '(any)' extends D ? Unannotated
    : [Unknown<D, C>] extends [never]
      ? [Plain<C>] extends [never] ? null : `program: config ${Listed<Plain<C>>} is a plain number; declare the config 'as const'`
      : `program: the config has no dimension ${Listed<Unknown<D, C>>}`
  : never

/** How a program treats its memory; the meaning of `fn` is the same. */
export type Options = {
  /**
   * A path: compiled, the results below it may take the place of the arguments of the same paths, as a training step
   * replaces its state. A run then changes those inputs - to what it returns - and saves their memory and a copy.
   */
  readonly updates?: string
}

/** A declared entry point. */
export type Program<A extends readonly unknown[], R, C> = {
  /** Runs `fn` eagerly, in float64, under the config. */
  readonly call: (...args: BindAll<A, C>) => Bind<R, C>
  readonly fn: (...args: A) => R
  readonly config: C
  readonly options: Options
}

/** Declares an entry point; exported from a file under the compile root it becomes a program of that name. */
export const program = <A extends readonly unknown[], R, const C extends object = {}>(
  fn: Check<{} extends C ? Fits<[A, R], C> : null, (...args: A) => R>, config?: Check<Fits<[A, R], C>, C>, options: Options = {},
): Program<A, R, C> => {
  const run = fn as unknown as (...args: A) => R
  const bound = (config ?? {}) as C
  return {
    // The marked border: under the config, the names in A and R are the numbers of C.
    call: ((...args: A) => withDims(bound as Readonly<Record<string, unknown>>, () => run(...args))) as unknown as Program<A, R, C>['call'],
    fn: run,
    config: bound,
    options,
  }
}
