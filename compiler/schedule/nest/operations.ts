/**
 * Every element-wise primitive in terms of the loop-nest language. Operands come with equal lanes, so each rule serves
 * scalars and vectors alike. Transcendental functions are the target's (`Maths`).
 */
import type { DType, Elementwise } from '../../../dsl/core/prim.ts'
import type { Builder } from './builder.ts'
import { type Fn, type Type, type Value, constOf, i32, lanesOf, scalarOf, widened } from './nest.ts'

export const transcendental = ['exp', 'log', 'log1p', 'expm1', 'sin', 'cos', 'tanh', 'sigmoid', 'softplus'] as const
export type Transcendental = (typeof transcendental)[number]

/** How a target computes transcendental functions of f32 (scalar or vector). */
export type Maths = {
  readonly call: (b: Builder, fn: Transcendental, x: Value) => Value
  readonly pow: (b: Builder, x: Value, exponent: number) => Value
}

const binary = (fn: Fn) => (b: Builder, [x, y]: readonly Value[]): Value => b.call(fn, x!.type, x!, y!)
const compare = (fn: Fn) => (b: Builder, [x, y]: readonly Value[]): Value => b.call(fn, widened('bool', x!.type), x!, y!)

const signed = (b: Builder, x: Value): Value => {
  const zero = constOf(x.type, 0)
  const bool = widened('bool', x.type)
  const negative = b.call('select', x.type, b.call('lt', bool, x, zero), constOf(x.type, -1), x)
  return b.call('select', x.type, b.call('gt', bool, x, zero), constOf(x.type, 1), negative)
}

/** Lane by lane: what vectors of integers cannot do at once. */
const unrolled = (b: Builder, x: Value, y: Value, f: (x: Value, y: Value) => Value): Value =>
  lanesOf(x.type) === 1 ? f(x, y) : b.call('lanes', x.type, ...[0, 1, 2, 3].map(i => f(b.lane(x, i), b.lane(y, i))))

/** Shifts count modulo 32; a vector shifts all lanes by one count. */
const shift = (b: Builder, fn: 'shl' | 'shr', x: Value, y: Value): Value =>
  y.kind === 'const'
    ? b.call(fn, x.type, x, i32(y.value & 31))
    : unrolled(b, x, y, (p, q) => b.call(fn, p.type, p, b.call('and', 'i32', b.call('bits', 'i32', q), i32(31))))

const integer = (x: Value): boolean => scalarOf(x.type) !== 'f32'

/** Applies a primitive; `dtype` is that of the result, `exponent` the one of pow. */
export const operation = (b: Builder, maths: Maths, prim: Elementwise, args: readonly Value[], dtype: DType, exponent?: number): Value => {
  const x = args[0]!
  const type: Type = widened(dtype, x.type)
  switch (prim) {
    case 'stopGradient':
      return x
    case 'neg':
      return integer(x) ? b.call('sub', type, constOf(type, 0), x) : b.call('neg', type, x)
    case 'abs':
      return b.call('abs', type, x)
    case 'sign':
      return signed(b, x)
    case 'floor':
      return integer(x) ? x : b.call('floor', type, x)
    case 'sqrt':
      return b.call('sqrt', type, x)
    case 'rsqrt':
      return b.call('div', type, constOf(type, 1), b.call('sqrt', type, x))
    case 'exp':
    case 'log':
    case 'log1p':
    case 'expm1':
    case 'sin':
    case 'cos':
    case 'tanh':
    case 'sigmoid':
    case 'softplus':
      return maths.call(b, prim, x)
    case 'pow':
      return maths.pow(b, x, exponent ?? 1)
    case 'not':
      return b.call('not', type, x)
    case 'cast':
      return x.type === type ? x : b.call('convert', type, x)
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
      return binary(prim)(b, args)
    case 'maximum':
      return binary('max')(b, args)
    case 'minimum':
      return binary('min')(b, args)
    case 'and':
    case 'or':
    case 'xor':
      return binary(prim)(b, args)
    case 'shl':
    case 'shr':
      return shift(b, prim, x, args[1]!)
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return compare(prim)(b, args)
    case 'select':
      return b.call('select', type, x, args[1]!, args[2]!)
  }
}
