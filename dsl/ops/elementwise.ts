/**
 * Element-wise operations. Operands have one shape; a number or a scalar tensor takes the shape of its partner. Nothing
 * else broadcasts: use `broadcast` or `vmap`.
 */
import { aval, op } from '../core/apply.ts'
import type { DType } from '../core/prim.ts'
import type { Any, Check, DTypeOf, Describe, IsScalar, KnownDims, Scalar, ShapeOf, Tensor, Then } from '../tensor.ts'
import type { Clash, Same } from '../shape.ts'
import { expand, fill, meet, operand, shapeOf, typed, untyped } from './border.ts'
import type { Operand } from './border.ts'

export type { Operand } from './border.ts'

// ---- the types of operands ---------------------------------------------------------------------------------------
/** null where two operands meet in one shape and element type, otherwise the message. */
type Meet<Op extends string, A, B> =
  [A] extends [number] ? null : [B] extends [number] ? null : Same<A, B> extends true ? null
  : Same<DTypeOf<A>, DTypeOf<B>> extends true
    ? Same<ShapeOf<A>, ShapeOf<B>> extends true ? null
      : IsScalar<A> extends true ? null : IsScalar<B> extends true ? null
      : `${Op}: left is ${Describe<A>}, right is ${Describe<B>}${Clash<ShapeOf<A>, ShapeOf<B>>}`
  : `${Op}: left is ${Describe<A>}, right is ${Describe<B>} [${DTypeOf<A>} != ${DTypeOf<B>}]`

/** null where X is a number, or a tensor of numbers whose dims are known. */
type Numeric<Op extends string, X> = [X] extends [number] ? null : [DTypeOf<X>] extends ['bool'] ? `${Op}: operand is ${Describe<X>}; cast it to a number type first` : KnownDims<Op, X>
type Arithmetic<Op extends string, A, B> = Then<Numeric<Op, B>, Meet<Op, A, B>>
/** null where X is a number, or a tensor whose dims are known. */
type Comparable<Op extends string, X> = [X] extends [number] ? null : KnownDims<Op, X>
type Equality<Op extends string, A, B> = Then<Comparable<Op, B>, Meet<Op, A, B>>
/** null where X holds bits. */
type Logic<Op extends string, X> = [DTypeOf<X>] extends ['f32'] ? `${Op}: operand is ${Describe<X>}; compare it first, e.g. gt(x, 0)` : KnownDims<Op, X>
/** null where X holds f32. */
export type Float<Op extends string, X> = [DTypeOf<X>] extends ['f32'] ? KnownDims<Op, X> : `${Op}: input is ${Describe<X>}; cast it to f32 first`
type Signed<Op extends string, X> = [DTypeOf<X>] extends ['f32' | 'i32'] ? KnownDims<Op, X> : `${Op}: input is ${Describe<X>}; cast it to f32 or i32 first`

/** The tensor that two operands meet in. */
export type Joined<A, B> = [A] extends [number] ? ([B] extends [number] ? Scalar : B) : [B] extends [number] ? A : Same<A, B> extends true ? A : IsScalar<A> extends true ? B : A

// ---- two operands ------------------------------------------------------------------------------------------------
type Arith = 'add' | 'sub' | 'mul' | 'div' | 'maximum' | 'minimum'
type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'
type Bits = 'and' | 'or' | 'xor' | 'shl' | 'shr'
const binary = (prim: Arith | Comparison | Bits, a: Operand, b: Operand): Any => {
  const { shape, dtype } = meet(a, b)
  return op(prim, [expand(a, shape, dtype), expand(b, shape, dtype)], {})
}

/** a + b */
export const add = <A extends Operand, B extends Operand>(a: Check<Numeric<'add', A>, A>, b: Check<Arithmetic<'add', A, B>, B>): Joined<A, B> =>
  typed(binary('add', operand(a), operand(b)))
/** a - b */
export const sub = <A extends Operand, B extends Operand>(a: Check<Numeric<'sub', A>, A>, b: Check<Arithmetic<'sub', A, B>, B>): Joined<A, B> =>
  typed(binary('sub', operand(a), operand(b)))
/** a * b, element by element; `matmul`, `dot` and `contract` sum. */
export const mul = <A extends Operand, B extends Operand>(a: Check<Numeric<'mul', A>, A>, b: Check<Arithmetic<'mul', A, B>, B>): Joined<A, B> =>
  typed(binary('mul', operand(a), operand(b)))
/** a / b */
export const div = <A extends Operand, B extends Operand>(a: Check<Numeric<'div', A>, A>, b: Check<Arithmetic<'div', A, B>, B>): Joined<A, B> =>
  typed(binary('div', operand(a), operand(b)))
/** The larger of a and b, element by element; `max` reduces. */
export const maximum = <A extends Operand, B extends Operand>(a: Check<Numeric<'maximum', A>, A>, b: Check<Arithmetic<'maximum', A, B>, B>): Joined<A, B> =>
  typed(binary('maximum', operand(a), operand(b)))
/** The smaller of a and b, element by element; `min` reduces. */
export const minimum = <A extends Operand, B extends Operand>(a: Check<Numeric<'minimum', A>, A>, b: Check<Arithmetic<'minimum', A, B>, B>): Joined<A, B> =>
  typed(binary('minimum', operand(a), operand(b)))

/** a = b */
export const eq = <A extends Operand, B extends Operand>(
  a: Check<Comparable<'eq', A>, A>, b: Check<Equality<'eq', A, B>, B>,
): Tensor<ShapeOf<Joined<A, B>>, 'bool'> =>
  typed(binary('eq', operand(a), operand(b)))
/** a != b */
export const ne = <A extends Operand, B extends Operand>(
  a: Check<Comparable<'ne', A>, A>, b: Check<Equality<'ne', A, B>, B>,
): Tensor<ShapeOf<Joined<A, B>>, 'bool'> =>
  typed(binary('ne', operand(a), operand(b)))
/** a < b */
export const lt = <A extends Operand, B extends Operand>(
  a: Check<Numeric<'lt', A>, A>, b: Check<Arithmetic<'lt', A, B>, B>,
): Tensor<ShapeOf<Joined<A, B>>, 'bool'> =>
  typed(binary('lt', operand(a), operand(b)))
/** a <= b */
export const le = <A extends Operand, B extends Operand>(
  a: Check<Numeric<'le', A>, A>, b: Check<Arithmetic<'le', A, B>, B>,
): Tensor<ShapeOf<Joined<A, B>>, 'bool'> =>
  typed(binary('le', operand(a), operand(b)))
/** a > b */
export const gt = <A extends Operand, B extends Operand>(
  a: Check<Numeric<'gt', A>, A>, b: Check<Arithmetic<'gt', A, B>, B>,
): Tensor<ShapeOf<Joined<A, B>>, 'bool'> =>
  typed(binary('gt', operand(a), operand(b)))
/** a >= b */
export const ge = <A extends Operand, B extends Operand>(
  a: Check<Numeric<'ge', A>, A>, b: Check<Arithmetic<'ge', A, B>, B>,
): Tensor<ShapeOf<Joined<A, B>>, 'bool'> =>
  typed(binary('ge', operand(a), operand(b)))

/** a and b, of truth values or of the bits of integers */
export const and = <A extends Any, B extends Operand>(a: Check<Logic<'and', A>, A>, b: Check<Equality<'and', A, B>, B>): Joined<A, B> =>
  typed(binary('and', operand(a), operand(b)))
/** a or b, of truth values or of the bits of integers */
export const or = <A extends Any, B extends Operand>(a: Check<Logic<'or', A>, A>, b: Check<Equality<'or', A, B>, B>): Joined<A, B> =>
  typed(binary('or', operand(a), operand(b)))
/** Exclusive or, of truth values or of the bits of integers. */
export const xor = <A extends Any, B extends Operand>(a: Check<Logic<'xor', A>, A>, b: Check<Equality<'xor', A, B>, B>): Joined<A, B> =>
  typed(binary('xor', operand(a), operand(b)))
/** The bits of integer a moved up by b places, modulo 32. */
export const shl = <A extends Any, B extends Operand>(a: Check<Logic<'shl', A>, A>, b: Check<Equality<'shl', A, B>, B>): Joined<A, B> =>
  typed(binary('shl', operand(a), operand(b)))
/** The bits of integer a moved down by b places, modulo 32; i32 keeps its sign. */
export const shr = <A extends Any, B extends Operand>(a: Check<Logic<'shr', A>, A>, b: Check<Equality<'shr', A, B>, B>): Joined<A, B> =>
  typed(binary('shr', operand(a), operand(b)))

// ---- one operand -------------------------------------------------------------------------------------------------
/** -x */
export const neg = <X extends Any>(x: Check<Signed<'neg', X>, X>): X => typed(op('neg', [untyped(x)], {}))
/** |x| */
export const abs = <X extends Any>(x: Check<Signed<'abs', X>, X>): X => typed(op('abs', [untyped(x)], {}))
/** -1, 0 or 1 */
export const sign = <X extends Any>(x: Check<Signed<'sign', X>, X>): X => typed(op('sign', [untyped(x)], {}))
/** The largest whole number that is not above x. */
export const floor = <X extends Any>(x: Check<Float<'floor', X>, X>): X => typed(op('floor', [untyped(x)], {}))
/** e to the power x */
export const exp = <X extends Any>(x: Check<Float<'exp', X>, X>): X => typed(op('exp', [untyped(x)], {}))
/** Natural logarithm. */
export const log = <X extends Any>(x: Check<Float<'log', X>, X>): X => typed(op('log', [untyped(x)], {}))
/** log(1 + x), exact near 0 */
export const log1p = <X extends Any>(x: Check<Float<'log1p', X>, X>): X => typed(op('log1p', [untyped(x)], {}))
/** exp(x) - 1, exact near 0 */
export const expm1 = <X extends Any>(x: Check<Float<'expm1', X>, X>): X => typed(op('expm1', [untyped(x)], {}))
/** Square root. */
export const sqrt = <X extends Any>(x: Check<Float<'sqrt', X>, X>): X => typed(op('sqrt', [untyped(x)], {}))
/** 1 / sqrt(x) */
export const rsqrt = <X extends Any>(x: Check<Float<'rsqrt', X>, X>): X => typed(op('rsqrt', [untyped(x)], {}))
/** x * x */
export const square = <X extends Any>(x: Check<Numeric<'square', X>, X>): X => typed(op('mul', [untyped(x), untyped(x)], {}))
/** Sine of x in radians. */
export const sin = <X extends Any>(x: Check<Float<'sin', X>, X>): X => typed(op('sin', [untyped(x)], {}))
/** Cosine of x in radians. */
export const cos = <X extends Any>(x: Check<Float<'cos', X>, X>): X => typed(op('cos', [untyped(x)], {}))
/** x to the power of a fixed number. */
export const pow = <X extends Any>(x: Check<Float<'pow', X>, X>, exponent: number): X => typed(op('pow', [untyped(x)], { exponent }))
/** Hyperbolic tangent. */
export const tanh = <X extends Any>(x: Check<Float<'tanh', X>, X>): X => typed(op('tanh', [untyped(x)], {}))
/** 1 / (1 + exp(-x)) */
export const sigmoid = <X extends Any>(x: Check<Float<'sigmoid', X>, X>): X => typed(op('sigmoid', [untyped(x)], {}))
/** log(1 + exp(x)), stable */
export const softplus = <X extends Any>(x: Check<Float<'softplus', X>, X>): X => typed(op('softplus', [untyped(x)], {}))
/** Not, of truth values. */
export const not = <X extends Any>(x: Check<Bool<'not', X>, X>): X => typed(op('not', [untyped(x)], {}))
type Bool<Op extends string, X> = [DTypeOf<X>] extends ['bool'] ? KnownDims<Op, X> : `${Op}: input is ${Describe<X>}, not bool`
/** x in another element type; f32 to integers drops the fraction, bool gives 0 or 1. */
export const cast = <X extends Any, const D extends DType>(x: Check<KnownDims<'cast', X>, X>, dtype: D): Tensor<ShapeOf<X>, D> =>
  typed(op('cast', [untyped(x)], { dtype }))
/** x, taken as a constant by `grad`. */
export const stopGradient = <X extends Any>(x: Check<KnownDims<'stopGradient', X>, X>): X => typed(op('stopGradient', [untyped(x)], {}))

// ---- compositions ------------------------------------------------------------------------------------------------
/** x where it is positive, otherwise 0. */
export const relu = <X extends Any>(x: Check<Signed<'relu', X>, X>): X => typed(rectify(untyped(x), 0))
/** x where it is positive, otherwise slope * x. */
export const leakyRelu = <X extends Any>(x: Check<Float<'leakyRelu', X>, X>, slope = 0.01): X => typed(rectify(untyped(x), slope))
const rectify = (x: Any, slope: number): Any => {
  const { shape, dtype } = aval(x)
  const zero = fill(shape, dtype, 0)
  return op('select', [op('gt', [x, zero], {}), x, slope === 0 ? zero : op('mul', [x, fill(shape, dtype, slope)], {})], {})
}

/** x kept between lo and hi. */
export const clamp = <X extends Any>(x: Check<Numeric<'clamp', X>, X>, lo: number, hi: number): X =>
  typed(binary('minimum', binary('maximum', untyped(x), lo), hi))

type Selected<C, A, B> =
  [DTypeOf<C>] extends ['bool']
    ? Equality<'select', A, B> extends infer E ? ([E] extends [null] ? Chosen<C, Joined<A, B>> : E) : never
    : `select: the condition is ${Describe<C>}, not bool`
type Chosen<C, X> = Same<ShapeOf<C>, ShapeOf<X>> extends true ? null : IsScalar<C> extends true ? null : IsScalar<X> extends true ? null
  : `select: the condition is ${Describe<C>}, the choices are ${Describe<X>}${Clash<ShapeOf<C>, ShapeOf<X>>}`
/** The shape that the condition and the choices meet in. */
type Choice<C, X> = IsScalar<X> extends true ? Tensor<ShapeOf<C>, DTypeOf<X>> : X
/** a where cond is true, otherwise b. Number choices and scalar choices take the shape of the condition. */
export const select = <C extends Any, A extends Operand, B extends Operand>(cond: Check<Bool<'select', C>, C>, a: Check<Comparable<'select', A>, A>, b: Check<Selected<C, A, B>, B>): Choice<C, Joined<A, B>> => {
  const { shape: chosen, dtype } = meet(operand(a), operand(b))
  const c = untyped(cond)
  const shape = chosen.length === 0 ? shapeOf(c) : chosen
  return typed(op('select', [expand(c, shape, 'bool'), expand(operand(a), shape, dtype), expand(operand(b), shape, dtype)], {}))
}
