/**
 * Transcendental functions in the loop-nest language, for f32 scalars and vectors alike, without tables or branches: range
 * reduction and polynomials. The worst errors that the test finds over the whole range of f32 (subnormal numbers, zeros,
 * infinities and NaN included), in units in the last place, with fused multiply-add / with multiplication and addition:
 *
 *     exp 1.01 / 0.98    expm1 1.43 / 1.52    log 0.80 / 0.80        log1p 1.32 / 1.32 (2.00 below 2^-124)
 *     tanh 1.84 / 1.95   sigmoid 2.28 / 2.28  softplus 1.67 / 1.91   rsqrt 1.46    powers -1 .. 4 by halves 1.9
 *
 * sigmoid and softplus give 0 where they are below e^-88 instead of ever smaller subnormal numbers, which are slow. sin and
 * cos are within 2 of the larger of the result and |x| 2^-24 up to |x| = 2^17. Other powers c
 * have 1.4 up to |c| = 10 and about |c| / 10 beyond (5.8 for 64).
 */
import type { Builder } from './builder.ts'
import type { Value } from './nest.ts'
import type { Maths, Transcendental } from './operations.ts'
import { type Ops, arithmetic } from './arithmetic.ts'

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

/** exp(x + more) for a small `more`. */
const scaledExp = (o: Ops, x: Value, more: Value | null): Value => {
  const { bits, r } = reduced(o, o.max(o.min(x, 89), -104))
  // 2^n in two factors, so that both the largest and the subnormal results come out
  const half = o.shl(o.shr(bits, 1), 23)
  const [s, t] = [o.unbits(o.iadd(half, one)), o.unbits(o.iadd(o.isub(o.shl(bits, 23), half), one))]
  return o.mul(o.fma(s, expm1Small(o, more === null ? r : o.add(r, more)), s), t)
}
const exp = (o: Ops, x: Value): Value => scaledExp(o, x, null)

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

/** x = 2^k * m with m in [sqrt(1/2), sqrt(2)), for finite x > 0. */
const exponentAndMantissa = (o: Ops, x: Value): { readonly k: Value; readonly m: Value } => {
  const small = o.lt(x, 1.1754943508222875e-38)
  const offset = o.isub(o.bits(o.select(small, o.mul(x, 8388608), x)), sqrtHalf)
  const m = o.unbits(o.iadd(o.iand(offset, 0x007fffff), sqrtHalf))
  return { k: o.sub(o.toFloat(o.shr(offset, 23)), o.select(small, 23, 0)), m }
}

const log = (o: Ops, x: Value): Value => {
  const { k, m } = exponentAndMantissa(o, x)
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

/** 1 / (1 + 2^n exp(r)), where infinity gives 0: exp(r) is positive, so that an infinite 2^n meets no other infinity. */
const sigmoid = (o: Ops, x: Value): Value => {
  const { bits, r } = reduced(o, o.sub(0, o.min(o.max(x, -89), 88)))
  return o.div(1, o.fma(power2(o, bits), o.add(expm1Small(o, r), 1), 1))
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

const word = new DataView(new ArrayBuffer(4))
/** The same of a constant. */
const upperOf = (x: number): number => {
  word.setFloat32(0, x)
  word.setInt32(0, word.getInt32(0) & ~0xfff)
  return word.getFloat32(0)
}

/** x to the power of a whole number by squaring. */
const wholePower = (o: Ops, x: Value, n: number): Value => {
  if (n === 0) return o.f(1)
  if (n === 1) return x
  const half = wholePower(o, x, Math.floor(n / 2))
  const square = o.mul(half, half)
  return n % 2 === 1 ? o.mul(square, x) : square
}

/** The upper twelve bits: products of two such numbers are exact. */
const upper = (o: Ops, x: Value): Value => o.unbits(o.iand(o.bits(x), ~0xfff))

/** x + y for |x| >= |y| or x = 0, and what rounding took from it. */
const twoSum = (o: Ops, x: Value, y: Value): { readonly sum: Value; readonly rest: Value } => {
  const sum = o.add(x, y)
  return { sum, rest: o.add(o.sub(x, sum), y) }
}

/** exp(c log a) for a >= 0, with the logarithm and its multiple in two numbers each. */
const generalPower = (o: Ops, a: Value, c: number): Value => {
  const { k, m } = exponentAndMantissa(o, a)
  const f = o.sub(m, 1)
  const high = upper(o, f)
  const low = o.sub(f, high)
  // f - f^2 / 2 + f^3 P(f), where the square of the upper bits is exact
  const first = twoSum(o, f, o.mul(-0.5, o.mul(high, high)))
  const tail = o.sub(o.mul(o.mul(f, o.mul(f, f)), o.poly(f, logTail)), o.mul(low, o.fma(0.5, low, high)))
  const whole = twoSum(o, o.mul(k, ln2High), first.sum)
  const log = twoSum(o, whole.sum, o.fma(k, ln2Low, o.add(tail, o.add(first.rest, whole.rest))))
  const c1 = upperOf(c)
  const head = upper(o, log.sum)
  const rest = o.fma(c1, o.sub(log.sum, head), o.fma(c - c1, log.sum, o.mul(c, log.rest)))
  const y = twoSum(o, o.mul(c1, head), rest)
  return scaledExp(o, y.sum, y.rest)
}

/** Small powers by multiplication and roots, others by logarithm and exponential; those that are no whole numbers are NaN below 0. */
const pow = (b: Builder, x: Value, exponent: number): Value => {
  const o = arithmetic(b, x)
  const twice = Math.abs(exponent) * 2
  if (Number.isInteger(twice) && twice <= 8) {
    const whole = wholePower(o, x, Math.floor(twice / 2))
    const value = twice % 2 === 1 ? (twice === 1 ? b.call('sqrt', x.type, x) : o.mul(whole, b.call('sqrt', x.type, x))) : whole
    return exponent < 0 ? o.div(1, value) : value
  }
  const a = o.abs(x)
  const edge = exponent > 0 ? a : o.div(1, a)
  const value = o.select(o.lt(a, Infinity), o.select(o.eq(a, 0), edge, generalPower(o, a, exponent)), edge)
  if (!Number.isInteger(exponent)) return o.select(o.lt(x, 0), NaN, value)
  return exponent % 2 === 0 ? value : o.signOf(value, x)
}

export const maths: Maths = { call: (b, fn, x) => rules[fn](arithmetic(b, x), x), pow }
