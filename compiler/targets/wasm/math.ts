/**
 * Transcendental functions in the loop-nest language, for f32 scalars and vectors alike, without tables: range reduction
 * and polynomials. Stated errors (in units in the last place, over all finite inputs whose result is normal) stand at each function and are checked by a test.
 */
import type { Builder } from '../../schedule/builder.ts'
import { type Fn, type Value, constOf, i32, widened } from '../../schedule/nest.ts'
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
  const [add, sub, mul, div] = [two('add'), two('sub'), two('mul'), two('div')]
  /** c[0] + x * (c[1] + x * (...)) */
  const poly = (x: Value, c: readonly number[]): Value => c.slice(0, -1).reduceRight<Value>((sum, k) => add(k, mul(x, sum)), f(c[c.length - 1]!))
  return {
    add, sub, mul, div, poly, f,
    max: two('max'), min: two('min'), lt: test('lt'), gt: test('gt'), ge: test('ge'), le: test('le'), ne: test('ne'), eq: test('eq'),
    abs: (x: Value): Value => b.call('abs', type, x),
    nearest: (x: Value): Value => b.call('nearest', type, x),
    select: (c: Value, x: Operand, y: Operand): Value => b.call('select', type, c, f(x), f(y)),
    or: (x: Value, y: Value): Value => b.call('or', bool, x, y),
    toInt: (x: Value): Value => b.call('convert', int, x),
    toFloat: (x: Value): Value => b.call('convert', type, x),
    bits: (x: Value): Value => b.call('bits', int, x),
    unbits: (x: Value): Value => b.call('bits', type, x),
    iadd: (x: Operand, y: Operand): Value => b.call('add', int, n(x), n(y)),
    isub: (x: Operand, y: Operand): Value => b.call('sub', int, n(x), n(y)),
    iand: (x: Operand, y: Operand): Value => b.call('and', int, n(x), n(y)),
    ior: (x: Operand, y: Operand): Value => b.call('or', int, n(x), n(y)),
    ixor: (x: Operand, y: Operand): Value => b.call('xor', int, n(x), n(y)),
    ieq: (x: Operand, y: Operand): Value => b.call('eq', bool, n(x), n(y)),
    shl: (x: Value, by: number): Value => b.call('shl', int, x, i32(by)),
    shr: (x: Value, by: number): Value => b.call('shr', int, x, i32(by)),
  }
}
type Ops = ReturnType<typeof arithmetic>

const ln2High = 0.693359375
const ln2Low = -2.12194440e-4

/** 2 to the power of an integer in -126 .. 127, by its bits. */
const power2 = (o: Ops, n: Value): Value => o.unbits(o.shl(o.iadd(n, 127), 23))

/** x = n * ln 2 + r with |r| <= ln 2 / 2. */
const reduced = (o: Ops, x: Value): { n: Value; r: Value } => {
  const n = o.nearest(o.mul(x, Math.LOG2E))
  return { n, r: o.sub(o.sub(x, o.mul(n, ln2High)), o.mul(n, ln2Low)) }
}

/** (exp(r) - 1 - r) / r^2 on |r| <= 0.35: its Taylor series, nudged at the end. */
const expTail = [0.5, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040]

/** 1 ulp; subnormal results to half a unit of theirs. */
const exp = (o: Ops, x: Value): Value => {
  const bounded = o.min(o.max(x, -104), 89)
  const { n, r } = reduced(o, bounded)
  const p = o.add(1, o.add(r, o.mul(o.mul(r, r), o.poly(r, expTail))))
  // in two factors, so that both the largest and the subnormal results come out
  const whole = o.toInt(n)
  const half = o.shr(whole, 1)
  return o.mul(o.mul(p, power2(o, half)), power2(o, o.isub(whole, half)))
}

/** 2 ulp: the polynomial for small x; otherwise 2^n * expm1(r) + (2^n - 1). */
const expm1 = (o: Ops, x: Value): Value => {
  const bounded = o.min(o.max(x, -20), 89)
  const { n, r } = reduced(o, bounded)
  const e = o.add(r, o.mul(o.mul(r, r), o.poly(r, expTail)))
  const whole = o.toInt(n)
  // half of 2^n, so that n = 128 does not overflow
  const half = power2(o, o.isub(whole, 1))
  const scaled = o.mul(2, o.add(o.mul(half, e), o.sub(half, 0.5)))
  // zero keeps its sign
  return o.select(o.eq(x, 0), x, scaled)
}

/** log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)], as f - f^2/2 + s * (f^2/2 + R(s^2)), s = f / (2 + f) (after Ng, fdlibm). */
const logParts = (o: Ops, f: Value): { s: Value; half: Value; tail: Value } => {
  const s = o.div(f, o.add(2, f))
  const z = o.mul(s, s)
  const tail = o.mul(z, o.poly(z, [0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841]))
  return { s, half: o.mul(0.5, o.mul(f, f)), tail }
}
const logJoin = (o: Ops, f: Value, k: Value, c: Value | null): Value => {
  const { s, half, tail } = logParts(o, f)
  const low = c === null ? o.mul(k, 9.0580006145e-6) : o.add(c, o.mul(k, 9.0580006145e-6))
  const inner = o.sub(o.sub(half, o.add(o.mul(s, o.add(half, tail)), low)), f)
  return o.sub(o.mul(k, 0.69313812256), inner)
}

/** u = 2^k * m with m in [sqrt(1/2), sqrt(2)), for positive normal u. */
const exponentAndMantissa = (o: Ops, u: Value): { k: Value; m: Value } => {
  const shifted = o.iadd(o.bits(u), 0x3f800000 - 0x3f3504f3)
  const k = o.isub(o.shr(shifted, 23), 127)
  const m = o.unbits(o.iadd(o.iand(shifted, 0x007fffff), 0x3f3504f3))
  return { k: o.toFloat(k), m }
}

/** 1 ulp; -inf at 0, NaN below. */
const log = (o: Ops, x: Value): Value => {
  const small = o.lt(x, 1.1754943508222875e-38)
  const { k, m } = exponentAndMantissa(o, o.select(small, o.mul(x, 8388608), x))
  const normal = logJoin(o, o.sub(m, 1), o.sub(k, o.select(small, 23, 0)), null)
  const edge = o.select(o.lt(x, 0), NaN, o.select(o.eq(x, 0), -Infinity, x))
  return o.select(o.or(o.or(o.le(x, 0), o.ne(x, x)), o.eq(x, Infinity)), edge, normal)
}

/** 2 ulp; -inf at -1, NaN below. */
const log1p = (o: Ops, x: Value): Value => {
  const u = o.add(1, x)
  const { k, m } = exponentAndMantissa(o, u)
  // what rounding took from 1 + x, relative to u; it vanishes for large x
  const lost = o.select(o.gt(u, 2), o.sub(1, o.sub(u, x)), o.sub(x, o.sub(u, 1)))
  const c = o.select(o.lt(k, 25), o.div(lost, u), 0)
  // near 0 there is no exponent to split off: f is x itself
  const direct = o.ieq(o.bits(k), 0)
  const normal = logJoin(o, o.select(direct, x, o.sub(m, 1)), k, o.select(direct, 0, c))
  const edge = o.select(o.lt(x, -1), NaN, o.select(o.eq(x, -1), -Infinity, x))
  const tiny = o.lt(o.abs(x), 2 ** -25)
  return o.select(o.or(o.or(o.le(x, -1), o.ne(x, x)), o.or(o.eq(x, Infinity), tiny)), edge, normal)
}

/** 2 ulp: with e = exp(-2|x|), by expm1: (1 - e) / (1 + e) below 0.6, 1 - 2e / (1 + e) above. */
const tanh = (o: Ops, x: Value): Value => {
  const a = o.abs(x)
  const e = expm1(o, o.mul(-2, a))
  const low = o.lt(a, 0.6)
  const q = o.div(o.select(low, o.sub(0, e), o.mul(2, o.add(1, e))), o.add(2, e))
  const positive = o.select(low, q, o.sub(1, q))
  const z = o.mul(x, x)
  // tanh x / x as a series in x^2, below 0.3
  const series = o.add(x, o.mul(o.mul(x, z), o.poly(z, [-1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925, 21844 / 6081075])))
  return o.select(o.lt(a, 0.3), series, o.select(o.lt(x, 0), o.sub(0, positive), positive))
}

/** 2.5 ulp: 1 / (1 + e) or e / (1 + e) with e = exp(-|x|). */
const sigmoid = (o: Ops, x: Value): Value => {
  const e = exp(o, o.sub(0, o.abs(x)))
  return o.div(o.select(o.ge(x, 0), 1, e), o.add(1, e))
}

/** 2 ulp: max(x, 0) + log(1 + e) with e = exp(-|x|) in (0, 1], so that the exponent of 1 + e is 0 or 1. */
const softplus = (o: Ops, x: Value): Value => {
  const e = exp(o, o.sub(0, o.abs(x)))
  const u = o.add(1, e)
  const large = o.gt(e, 0.41421356)
  // what rounding took from 1 + e, over u: 1 / u is 0.6 within 20 %, enough for a correction of half an ulp
  const c = o.select(large, o.mul(0.6, o.sub(e, o.sub(u, 1))), 0)
  const log = logJoin(o, o.select(large, o.sub(o.mul(0.5, u), 1), e), o.select(large, 1, 0), c)
  return o.add(o.max(x, 0), log)
}

/** 2 ulp of the larger of the result and |x| * 2^-24, for |x| <= 2^17; beyond, the reduction loses digits. */
const sinOrCos = (o: Ops, x: Value, quarter: number): Value => {
  const n = o.nearest(o.mul(x, 2 / Math.PI))
  // pi / 2 in four parts; the first two have 7 and 8 bits, so that their products with n are exact up to 2^16
  const parts = [1.5703125, 4.837512969970703e-4, 7.549533463017724e-8, 2.5632829192545614e-12]
  const r = parts.reduce<Value>((rest, part) => o.sub(rest, o.mul(n, part)), x)
  const q = o.iadd(o.toInt(n), quarter)
  const z = o.mul(r, r)
  const sine = o.add(r, o.mul(o.mul(r, z), o.poly(z, [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4])))
  const cosine = o.add(o.sub(1, o.mul(0.5, z)), o.mul(o.mul(z, z), o.poly(z, [4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5])))
  const odd = o.ieq(o.iand(q, 1), 1)
  const value = o.select(odd, cosine, sine)
  return o.select(o.ieq(o.iand(q, 2), 2), o.sub(0, value), value)
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

/** Exact powers by multiplication and roots; others by exp(c log x), whose error grows as |c log x| ulp. */
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
