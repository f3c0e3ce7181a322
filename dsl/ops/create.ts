/** Tensors from nothing: constants, counts, literals, and the way in and out for eager users. */
import { aval, op, toDense } from '../core/apply.ts'
import { refuse } from '../errors.ts'
import type { DType } from '../core/prim.ts'
import type { Any, Check, KnownDims, Result, ShapeOf, Tensor, Vec } from '../tensor.ts'
import type { Dim, LooseIn, Plain, Same, Shape, ShowLoose } from '../shape.ts'
import { fill, sizes, typed, untyped } from './border.ts'

/** null where every dim of a shape argument is one literal. */
export type Literals<Op extends string, S extends Shape> =
  Same<LooseIn<S>, [true]> extends true ? `${Op}: a dimension of ${ShowLoose<S>} is not one literal; take it from a config declared 'as const' or write its name` : null
/**
 * null where the size in a box is one literal, or a type parameter of a layer. The box is a type parameter of the operation,
 * `B extends Box = [N]`, which nothing infers: so the comparison waits for its use, and resolves there also for generic sizes.
 */
export type LiteralDim<Op extends string, B extends Box> =
  Same<LooseIn<B>, [true]> extends true
    ? number extends B[0] ? `${Op}: the size is a plain number; take it from a config declared 'as const' or write its name`
    : string extends B[0] ? `${Op}: the size is a plain string; write a name`
    : `${Op}: the size is one of several; write a literal`
  : null

/** A shape given as an argument: a list of literals or names. */
export type Wanted<Op extends string, S extends Shape> = Check<Literals<Op, S>, S>
/** A size in a tuple. */
export type Box = readonly [unknown]

/** Zeros: `zeros([3, 'Z'])`. */
export const zeros = <const S extends readonly Dim[]>(shape: Check<Literals<'zeros', S>, S>): Tensor<Plain<S>> => typed(fill(sizes(shape), 'f32', 0))
/** Ones. */
export const ones = <const S extends readonly Dim[]>(shape: Check<Literals<'ones', S>, S>): Tensor<Plain<S>> => typed(fill(sizes(shape), 'f32', 1))
/** One number in every place. */
export const full = <const S extends readonly Dim[]>(shape: Check<Literals<'full', S>, S>, value: number): Tensor<Plain<S>> =>
  typed(fill(sizes(shape), 'f32', value))
/** Zeros in the shape and element type of x. */
export const zerosLike = <X extends Any>(x: Check<KnownDims<'zerosLike', X>, X>): X => typed(fill(aval(untyped(x)).shape, aval(untyped(x)).dtype, 0))
/** Ones in the shape and element type of x. */
export const onesLike = <X extends Any>(x: Check<KnownDims<'onesLike', X>, X>): X => typed(fill(aval(untyped(x)).shape, aval(untyped(x)).dtype, 1))
/** 0, 1, ..., n - 1. */
export const iota = <const N extends Dim, B extends Box = [N]>(n: Check<LiteralDim<'iota', B>, N>): Vec<N, 'i32'> =>
  typed(op('iota', [], { shape: sizes([n]), dtype: 'i32', axis: 0 }))

type Nest = number | readonly Nest[]
type Nested<T> = T extends readonly [infer H, ...unknown[]] ? [T['length' & keyof T], ...Nested<H>] : T extends readonly [] ? [0] : []
/** Whether every branch has the shape S. */
type Even<T, S extends Shape> = S extends readonly [infer N, ...infer R] ? (T extends readonly unknown[] & { readonly length: N } ? (false extends { [K in keyof T]: Even<T[K], R> }[number] ? false : true) : false) : T extends number ? true : false
type Evenly<T> = number extends (T extends readonly unknown[] ? T['length'] : 0) ? 'constant: the array is not a literal' : Even<T, Nested<T>> extends true ? null : 'constant: rows of different lengths'

const flat = (x: Nest): readonly number[] => (Array.isArray(x) ? (x as readonly Nest[]).flatMap(flat) : [x as number])
const lengths = (x: Nest): readonly number[] => (Array.isArray(x) ? [x.length, ...(x.length === 0 ? [] : lengths((x as readonly Nest[])[0]!))] : [])

/** A tensor of literal numbers: `constant([[1, 2], [3, 4]])` is a `Tensor<[2, 2]>`. */
export const constant = <const T extends Nest>(values: Check<Evenly<T>, T>): Result<Nested<T>> =>
  typed(op('literal', [], { shape: lengths(values as Nest), dtype: 'f32', data: flat(values as Nest) }))

/** A tensor of a given shape from row-major data: the way in for eager users. */
export const tensor = <const S extends readonly Dim[], const D extends DType = 'f32'>(shape: Check<Literals<'tensor', S>, S>, data: Iterable<number>, dtype?: D): Tensor<Plain<S>, D> => {
  const dims = sizes(shape)
  const values = [...data]
  const expected = dims.reduce((n, d) => n * d, 1)
  return values.length === expected
    ? typed(op('literal', [], { shape: dims, dtype: dtype ?? 'f32', data: values }))
    : refuse({ kind: 'shape', operation: 'tensor', message: `shape [${dims.join(', ')}] has ${expected} elements, the data has ${values.length}` })
}

/** The values of an eager tensor, row-major. Not available inside compiled programs. */
export const toArray = (x: Any): readonly number[] => [...toDense(x).data]
/** The value of an eager scalar. Not available inside compiled programs. */
export const item = <X extends Any>(x: Check<OneValue<X>, X>): number => toDense(untyped(x)).data[0]!
type OneValue<X> = ShapeOf<X> extends readonly [] ? null : 'item: the tensor is not a scalar; use toArray'
