/**
 * Random numbers without state: every draw is a function of a key. A counter-based generator (Threefry-2x32, 20 rounds)
 * turns a key into bits, the same on every target; the rest is integer and floating-point arithmetic on these bits.
 * Use a key once: for a draw, or to `split` it. Two draws from one key are made of the same bits.
 */
import { op } from './core/apply.ts'
import { add, cast, gt, lt, mul, shr, sqrt, sub, log, neg, select, xor } from './ops/elementwise.ts'
import { expand, fill, sizes, typed } from './ops/border.ts'
import type { Box, LiteralDim, Wanted } from './ops/create.ts'
import type { Dim, Plain, Shape } from './shape.ts'
import type { Check, Scalar, Tensor } from './tensor.ts'

/** The source of random numbers: two words. */
export type Key = Tensor<[2], 'u32'>

/** f32 in a shape that the body does not know. */
type Floats = Tensor<Shape>

const pair = (high: number, low: number): Key => typed(op('literal', [], { shape: [2], dtype: 'u32', data: [high, low] }))

/** A key from a whole number in [0, 2^53). */
export const key = (seed: number): Key => pair(Math.floor(seed / 4294967296), seed % 4294967296)

/** n keys, independent of one another. */
export const split = <const N extends Dim, B extends Box = [N]>(key: Key, n: Check<LiteralDim<'split', B>, N>): Tensor<[N, 2], 'u32'> =>
  typed(op('randomBits', [key], { shape: [...sizes([n]), 2] }))

/**
 * The key of member i of a family, a step of a run or an item of a batch: i is a whole number in [0, 2^32). The key is
 * scrambled before and after i is mixed in, so that the families of neighbouring keys do not overlap.
 */
export const foldIn = (key: Key, i: number | Scalar<'u32'>): Key => {
  const index: Scalar<'u32'> = typeof i === 'number' ? typed(fill([], 'u32', i)) : i
  return randomBits(xor(add(randomBits(key, [2]), index), pair(0x9e3779b9, 0x85ebca6b)), [2])
}

/** 32 random bits per element. */
export const randomBits = <const S extends readonly Dim[]>(key: Key, shape: Wanted<'randomBits', S>): Tensor<Plain<S>, 'u32'> =>
  typed(op('randomBits', [key], { shape: sizes(shape) }))

/** Border: the upper 24 bits of each word as a whole number in [0, 2^24), exact in f32. */
const upper = (key: Key, shape: unknown): Floats => cast(shr(op<Tensor<Shape, 'u32'>>('randomBits', [key], { shape: sizes(shape) }), 8), 'f32')

/** Uniform on [0, 1): 2^24 equally likely multiples of 2^-24, exact in f32 and alike on every target. */
export const randomUniform = <const S extends readonly Dim[]>(key: Key, shape: Wanted<'randomUniform', S>): Tensor<Plain<S>> => typed(mul(upper(key, shape), 2 ** -24))

/** (a0 x + a1) x + a2 ... : coefficients from the highest power down. */
const polynomial = (x: Floats, [a0, a1, ...rest]: readonly [number, number, ...number[]]): Floats =>
  rest.reduce<Floats>((sum, a) => add(mul(sum, x), a), add(mul(x, a0), a1))

const inverse = (x: Floats): Floats => {
  const w = neg(log(mul(sub(1, x), add(1, x))))
  const central = polynomial(sub(w, 2.5), [
    2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941])
  const tail = polynomial(sub(sqrt(w), 3), [
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682])
  return mul(x, select(lt(w, 5), central, tail))
}

/**
 * The inverse of the error function on (-1, 1), after M. Giles, "Approximating the erfinv function" (2010), single
 * precision: two polynomials in w = -log(1 - x^2), one for w < 5 and one beyond. Relative error below 4e-7 in exact
 * arithmetic up to |x| = 1 - 2^-24.
 */
export const erfInv = <S extends Shape>(x: Tensor<S>): Tensor<S> => typed(inverse(typed(x)))

/**
 * Standard normal: the inverse of its distribution function at 2^24 equally likely odd multiples of 2^-24 in (-1, 1).
 * Values lie within +-5.42 (a true normal leaves that range once in 17 million draws) and are never exactly 0. No sine or
 * cosine is involved, so all targets agree to rounding.
 */
export const randomNormal = <const S extends readonly Dim[]>(key: Key, shape: Wanted<'randomNormal', S>): Tensor<Plain<S>> =>
  typed(mul(inverse(mul(sub(mul(upper(key, shape), 2), 2 ** 24 - 1), 2 ** -24)), Math.SQRT2))

/** True with probability p, one for all elements. */
export const randomBernoulli = <const S extends readonly Dim[]>(key: Key, p: number | Scalar, shape: Wanted<'randomBernoulli', S>): Tensor<Plain<S>, 'bool'> =>
  typed(gt(typed<Floats>(expand(p, sizes(shape), 'f32')), mul(upper(key, shape), 2 ** -24)))
