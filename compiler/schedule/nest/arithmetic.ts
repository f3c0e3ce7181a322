/** Arithmetic on f32 and its bits for scalars and vectors alike: what functions of one number are written in. */
import type { Builder } from './builder.ts'
import { type Fn, type Value, constOf, i32, lanesOf, widened } from './nest.ts'

const signBit = 0x80000000 | 0

/** Arithmetic with constants lifted to the lanes of `like`. */
export const arithmetic = (b: Builder, like: Value) => {
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
export type Ops = ReturnType<typeof arithmetic>
