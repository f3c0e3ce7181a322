/**
 * Transcendental functions in the loop-nest language, for f32 scalars and vectors alike, without tables or branches: range
 * reduction and polynomials. The worst errors that the test finds over the whole range of f32 (subnormal numbers, zeros,
 * infinities and NaN included), in units in the last place, with fused multiply-add / with multiplication and addition:
 *
 *     exp 1.01 / 0.98    expm1 1.43 / 1.52    log 0.80 / 0.80        log1p 2.00 / 2.00 (1.3 where the result is normal)
 *     tanh 1.84 / 1.95   sigmoid 1.95 / 1.95  softplus 1.67 / 1.91   rsqrt 1.46    powers -1 .. 4 by halves 1.9
 *
 * sigmoid and softplus give 0 where they are below e^-88 instead of ever smaller subnormal numbers, which are slow. sin and
 * cos are within 2 of the larger of the result and |x| 2^-24 up to |x| = 2^17. Other powers are exp(c log x).
 */
import type { Builder } from '../../schedule/builder.ts'
import { type Fn, type Value, constOf, i32, lanesOf, widened } from '../../schedule/nest.ts'
import type { Maths, Transcendental } from '../../schedule/operations.ts'

/** Arithmetic with constants lifted to the lanes of `like`. */
const arithmetic = (b: Builder, like: Value) => {
  const type = widened('f32', like.type)
  const int = widened('i32', like.type)
  const bool = widened('bool', like.type)
  type Operand = Value | number
  const f = (x: Operand): Value => (typeof x === 'number' ? constOf(type, x) : x)
  const n = (x: Operand): Value => (typeof x === 'number' ? constOf(int, x) : x)
  const two = (fn: Fn) => (x: Operand, y: Operand): Value => b.call(fn, type, f(x), f(y))
  const test = (fn: Fn) => (x: Operand, y: Operand): Value => b.call(fn, bool, f(x), f(y))
  const ints = (fn: Fn) => (x: Operand, y: Operand): Value => b.call(fn, int, n(x), n(y))
  const fma = (x: Operand, y: Operand, z: Operand): Value => b.call('fma', type, f(x), f(y), f(z))
  const bits = (x: Value): Value => b.call('bits', int, x)
  const unbits = (x: Value): Value => b.call('bits', type, x)
  return {
    f, fma, bits, unbits, add: two('add'), sub: two('sub'), mul: two('mul'), div: two('div'), max: two('max'), min: two('min'),
    /** c[0] + x * (c[1] + x * (...)) */
    poly: (x: Value, c: readonly number[]): Value => c.slice(0, -1).reduceRight<Value>((sum, k) => fma(x, sum, k), f(c[c.length - 1]!)),
    lt: test('lt'), le: test('le'), gt: test('gt'), eq: test('eq'), ne: test('ne'), ieq: (x: Value, y: number): Value => b.call('eq', bool, x, n(y)),
    select: (c: Value, x: Operand, y: Operand): Value => b.call('select', type, c, f(x), f(y)),
    toFloat: (x: Value): Value => b.call('convert', type, x),
    iadd: ints('add'), isub: ints('sub'), iand: ints('and'), ior: ints('or'), ixor: ints('xor'),
    shl: (x: Value, by: number): Value => b.call('shl', int, x, i32(by)),
    shr: (x: Value, by: number): Value => b.call('shr', int, x, i32(by)),
    abs: (x: Value): Value => b.call('abs', type, x),
    /** -|x| */
    below: (x: Value): Value => unbits(b.call('or', int, bits(x), n(signBit))),
    /** x with the sign of y as well: zero gets it, and all else has it already. */
    signOf: (x: Value, y: Value): Value => unbits(b.call('or', int, bits(x), b.call('and', int, bits(y), n(signBit)))),
    /** All bits set where a comparison holds. */
    mask: (x: Value): Value => (lanesOf(x.type) === 4 ? b.call('bits', int, x) : b.call('select', int, x, n(-1), n(0))),
  }
}
type Ops = ReturnType<typeof arithmetic>

const signBit = 0x80000000 | 0
const one = 0x3f800000
/** Added to a small number it rounds it to a whole one, which then stands in the low bits, too. */
const magic = 12582912
const ln2High = 0.693359375
const ln2Low = -2.12194440e-4

/** x = n * ln 2 + r with |r| <= ln 2 / 2; `bits` has n in its low bits. NaN stays in r. */
const reduced = (o: Ops, x: Value): { readonly n: Value; readonly bits: Value; readonly r: Value } => {
  const t = o.fma(x, Math.LOG2E, magic)
  const n = o.sub(t, magic)
  return { n, bits: o.bits(t), r: o.fma(n, -ln2Low, o.fma(n, -ln2High, x)) }
}

/** 2^n: nothing for n = -127, infinity for n = 128. */
const power2 = (o: Ops, bits: Value): Value => o.unbits(o.iadd(o.shl(bits, 23), one))

/** (expm1(r) - r) / r^2 for |r| <= ln 2 / 2, so that expm1 is within 1.4e-8 of itself (all coefficients are minimax fits of our own). */
const expm1Tail = [0.4999999701976776, 0.1666654497385025, 0.04166744649410248, 0.008366432972252369, 0.0013869787799194455]
const expm1Small = (o: Ops, r: Value): Value => o.fma(o.mul(r, r), o.poly(r, expm1Tail), r)

/** exp of what does not exceed 88: results below 2^-126 may come as 0. */
const expDown = (o: Ops, x: Value): Value => {
  const { bits, r } = reduced(o, o.max(x, -88))
  const s = power2(o, bits)
  return o.fma(s, expm1Small(o, r), s)
}

const exp = (o: Ops, x: Value): Value => {
  const { bits, r } = reduced(o, o.max(o.min(x, 89), -104))
  // 2^n in two factors, so that both the largest and the subnormal results come out
  const half = o.shl(o.shr(bits, 1), 23)
  const [s, t] = [o.unbits(o.iadd(half, one)), o.unbits(o.iadd(o.isub(o.shl(bits, 23), half), one))]
  return o.mul(o.fma(s, expm1Small(o, r), s), t)
}

/** 2^n * expm1(r) + (2^n - 1), with half of 2^n so that n = 128 does not overflow. */
const expm1 = (o: Ops, x: Value): Value => {
  const { bits, r } = reduced(o, o.max(o.min(x, 89), -20))
  const half = o.unbits(o.iadd(o.shl(bits, 23), one - 0x800000))
  const value = o.fma(half, expm1Small(o, r), o.sub(half, 0.5))
  return o.signOf(o.add(value, value), x)
}

/** (log(1 + f) - f + f^2 / 2) / f^3 for 1 + f in [sqrt(1/2), sqrt(2)] so that the logarithm is within 6e-9 of itself. */
const logTail = [
  0.3333333134651184, -0.250008225440979, 0.2000124603509903, -0.16623300313949585, 0.1420138031244278, -0.13160529732704163, 0.12764184176921844,
  -0.07636425644159317,
]
/** k * ln 2 + log(1 + f) */
const logSum = (o: Ops, k: Value, f: Value): Value => {
  const z = o.mul(f, f)
  const tail = o.fma(o.mul(f, z), o.poly(f, logTail), o.mul(k, ln2Low))
  return o.fma(k, ln2High, o.add(f, o.fma(-0.5, z, tail)))
}

/** The bits of u minus those of sqrt(1/2) have the k of u = 2^k * m, m in [sqrt(1/2), sqrt(2)), above bit 23, for positive normal u. */
const sqrtHalf = 0x3f3504f3
/** The logarithm's edges: `value` for positive u, but -inf at 0, NaN below, and u itself where it is infinite or NaN. */
const logEdges = (o: Ops, u: Value, value: Value): Value => {
  const above = o.select(o.lt(u, Infinity), value, u)
  // all bits set are a NaN
  return o.select(o.eq(u, 0), -Infinity, o.unbits(o.ior(o.bits(above), o.mask(o.lt(u, 0)))))
}

const log = (o: Ops, x: Value): Value => {
  const small = o.lt(x, 1.1754943508222875e-38)
  const offset = o.isub(o.bits(o.select(small, o.mul(x, 8388608), x)), sqrtHalf)
  const m = o.unbits(o.iadd(o.iand(offset, 0x007fffff), sqrtHalf))
  const k = o.sub(o.toFloat(o.shr(offset, 23)), o.select(small, 23, 0))
  return logEdges(o, x, logSum(o, k, o.sub(m, 1)))
}

/** With k from u = 1 + x, f = x * 2^-k + (2^-k - 1) has one rounding: what u has lost is not missing. */
const log1p = (o: Ops, x: Value): Value => {
  const u = o.add(x, 1)
  const k = o.shr(o.isub(o.bits(u), sqrtHalf), 23)
  // four times 2^-k, which is a normal number for k = 128, too
  const s = o.unbits(o.isub(one + 0x1000000, o.shl(k, 23)))
  const f = o.fma(o.mul(x, 0.25), s, o.fma(s, 0.25, -1))
  return o.signOf(logEdges(o, u, logSum(o, o.toFloat(k), f)), x)
}

/** (1 - e) / (1 + e) with e = exp(-2|x|) = s + s * m: numerator and denominator are rounded once each. */
const tanh = (o: Ops, x: Value): Value => {
  const down = o.max(o.below(x), -10)
  const { bits, r } = reduced(o, o.add(down, down))
  const s = power2(o, bits)
  const m = expm1Small(o, r)
  return o.signOf(o.abs(o.div(o.fma(s, m, o.sub(s, 1)), o.fma(s, m, o.add(s, 1)))), x)
}

/** 1 / (1 + exp(-x)), where infinity gives 0. */
const sigmoid = (o: Ops, x: Value): Value => {
  const { bits, r } = reduced(o, o.sub(0, o.min(o.max(x, -89), 88)))
  const s = power2(o, bits)
  return o.div(1, o.fma(s, expm1Small(o, r), o.add(s, 1)))
}

/** (log(1 + e) - e) / e^2 on 0 .. 1, so that the logarithm is within 5e-9 of itself. */
const softTail = [
  -0.4999993145465851, 0.333304762840271, -0.2495824694633484, 0.1969374567270279, -0.1535084992647171, 0.10673169046640396, -0.05759408697485924,
  0.02016826532781124, -0.0033106280025094748,
]
/** max(x, 0) + log(1 + e) with e = exp(-|x|) in 0 .. 1, where a polynomial is enough. */
const softplus = (o: Ops, x: Value): Value => {
  const e = expDown(o, o.below(x))
  return o.add(e, o.fma(o.mul(e, e), o.poly(e, softTail), o.max(x, 0)))
}

/** The reduction by parts of pi / 2 loses digits beyond 2^17. */
const sinOrCos = (o: Ops, x: Value, quarter: number): Value => {
  const t = o.fma(x, 2 / Math.PI, magic)
  const n = o.sub(t, magic)
  // pi / 2 in four parts; the first two have 7 and 8 bits, so that their products with n are exact up to 2^16
  const parts = [1.5703125, 4.837512969970703e-4, 7.549533463017724e-8, 2.5632829192545614e-12]
  const r = parts.reduce<Value>((rest, part) => o.fma(n, -part, rest), x)
  const q = o.iadd(o.bits(t), quarter)
  const z = o.mul(r, r)
  const sine = o.fma(o.mul(r, z), o.poly(z, [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4]), r)
  const cosine = o.fma(o.mul(z, z), o.poly(z, [4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5]), o.fma(-0.5, z, 1))
  const value = o.select(o.ieq(o.iand(q, 1), 1), cosine, sine)
  // the sign: bit 1 of q in place of bit 31
  return o.unbits(o.ixor(o.bits(value), o.shl(o.iand(q, 2), 30)))
}

const rules: { readonly [F in Transcendental]: (o: Ops, x: Value) => Value } = {
  exp, expm1, log, log1p, tanh, sigmoid, softplus,
  sin: (o, x) => sinOrCos(o, x, 0),
  cos: (o, x) => sinOrCos(o, x, 1),
}

/** x to the power of a whole number by squaring. */
const wholePower = (o: Ops, x: Value, n: number): Value => {
  if (n === 0) return o.f(1)
  if (n === 1) return x
  const half = wholePower(o, x, Math.floor(n / 2))
  const square = o.mul(half, half)
  return n % 2 === 1 ? o.mul(square, x) : square
}

/** Small powers by multiplication and roots; others by exp(c log x), whose error grows as |c log x| ulp. */
const pow = (b: Builder, x: Value, exponent: number): Value => {
  const o = arithmetic(b, x)
  const twice = Math.abs(exponent) * 2
  if (Number.isInteger(twice) && twice <= 64) {
    const whole = wholePower(o, x, Math.floor(twice / 2))
    const value = twice % 2 === 1 ? (twice === 1 ? b.call('sqrt', x.type, x) : o.mul(whole, b.call('sqrt', x.type, x))) : whole
    return exponent < 0 ? o.div(1, value) : value
  }
  const raised = exp(o, o.mul(exponent, log(o, o.abs(x))))
  const negative = Number.isInteger(exponent) ? (exponent % 2 === 0 ? raised : o.sub(0, raised)) : o.f(NaN)
  return o.select(o.lt(x, 0), negative, raised)
}

export const maths: Maths = { call: (b, fn, x) => rules[fn](arithmetic(b, x), x), pow }
