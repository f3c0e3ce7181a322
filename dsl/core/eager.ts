/**
 * The eager meaning of every primitive, in a total table: plain loops over row-major data, f32 computed in float64,
 * 32-bit integers wrapping modulo 2^32 (by what typed arrays do on a store). Shapes are checked by `infer` first.
 */
import type { Attrs, Aval, DType, Prim } from './prim.ts'
import type { Data, Dense } from './dense.ts'
import { allocate, count, offsets, stridesOf } from './dense.ts'
import { contract } from './eager-contract.ts'
import { infer } from './infer.ts'
import { stream } from './threefry.ts'

type Rule<P extends Prim> = (inputs: readonly Dense[], attrs: Attrs[P], out: Aval) => Data

const unary =
  (f: (x: number) => number) =>
  ([x]: readonly Dense[], _: unknown, out: Aval): Data => {
    const from = x!.data
    const to = allocate(out.dtype, from.length)
    for (let i = 0; i < from.length; i++) to[i] = f(from[i]!)
    return to
  }

/** `integer` serves i32, u32 and bool where it differs from the float meaning. */
const binary =
  (float: (a: number, b: number) => number, integer = float) =>
  ([a, b]: readonly Dense[], _: unknown, out: Aval): Data => {
    const [left, right] = [a!.data, b!.data]
    const f = a!.dtype === 'f32' ? float : integer
    const to = allocate(out.dtype, left.length)
    for (let i = 0; i < left.length; i++) to[i] = f(left[i]!, right[i]!)
    return to
  }

const compare = (f: (a: number, b: number) => boolean) => binary((a, b) => (f(a, b) ? 1 : 0))

/** Reads `x` at the given offsets. */
const take = (x: Dense, at: Int32Array): Data => {
  const from = x.data
  const to = allocate(x.dtype, at.length)
  for (let i = 0; i < at.length; i++) to[i] = from[at[i]!]!
  return to
}

/** Writes `x` to the given offsets. */
const put = (x: Dense, to: Data, at: Int32Array): void => {
  const from = x.data
  for (let i = 0; i < at.length; i++) to[at[i]!] = from[i]!
}

const sum = (terms: readonly number[]): number => terms.reduce((a, b) => a + b, 0)

const reduce =
  (start: Readonly<Record<DType, number>>, f: (a: number, b: number) => number) =>
  ([x]: readonly Dense[], { axes }: Attrs['sum'], out: Aval): Data => {
    const to = allocate(out.dtype, count(out.shape)).fill(start[out.dtype])
    const kept = stridesOf(out.shape)
    const strides = x!.shape.map((_, axis) => (axes.includes(axis) ? 0 : kept[axis - axes.filter(a => a < axis).length]!))
    const at = offsets(x!.shape, strides)
    for (let i = 0; i < at.length; i++) to[at[i]!] = f(to[at[i]!]!, x!.data[i]!)
    return to
  }

const truncated = (x: number, low: number, high: number): number => (Number.isNaN(x) ? 0 : Math.min(high, Math.max(low, Math.trunc(x))))

/** f32 to integers truncates toward zero and saturates, NaN gives 0; between integers the bits stay; anything but 0 is true. */
const casts: Readonly<Record<DType, (x: number, from: DType) => number>> = {
  f32: x => x,
  i32: (x, from) => (from === 'f32' ? truncated(x, -(2 ** 31), 2 ** 31 - 1) : x),
  u32: (x, from) => (from === 'f32' ? truncated(x, 0, 2 ** 32 - 1) : x),
  bool: x => (x === 0 ? 0 : 1),
}

const rules: { readonly [P in Prim]: Rule<P> } = {
  fill: (_, { value }, out) => allocate(out.dtype, count(out.shape)).fill(value),
  literal: (_, { data }, out) => {
    const to = allocate(out.dtype, data.length)
    to.set(data)
    return to
  },
  iota: (_, { axis }, out) => {
    const at = offsets(
      out.shape,
      out.shape.map((__, i) => (i === axis ? 1 : 0)),
    )
    const to = allocate(out.dtype, at.length)
    to.set(at)
    return to
  },
  randomBits: ([key], { shape }, out) => {
    const each = count(shape)
    const to = new Uint32Array(count(out.shape))
    for (let i = 0; i < key!.data.length / 2; i++) to.set(stream(key!.data[2 * i]!, key!.data[2 * i + 1]!, each), i * each)
    return to
  },

  neg: unary(x => -x),
  abs: unary(Math.abs),
  sign: unary(Math.sign),
  floor: unary(Math.floor),
  exp: unary(Math.exp),
  log: unary(Math.log),
  log1p: unary(Math.log1p),
  expm1: unary(Math.expm1),
  sqrt: unary(Math.sqrt),
  rsqrt: unary(x => 1 / Math.sqrt(x)),
  sin: unary(Math.sin),
  cos: unary(Math.cos),
  tanh: unary(Math.tanh),
  sigmoid: unary(x => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))),
  softplus: unary(x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  pow: (inputs, { exponent }, out) => unary(x => x ** exponent)(inputs, {}, out),
  not: unary(x => 1 - x),
  cast: (inputs, { dtype }, out) => {
    const [to, from] = [casts[dtype], inputs[0]!.dtype]
    return unary(x => to(x, from))(inputs, {}, out)
  },
  stopGradient: ([x]) => x!.data,

  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: binary((a, b) => a * b, Math.imul),
  div: binary((a, b) => a / b),
  maximum: binary((a, b) => Math.max(a, b)),
  minimum: binary((a, b) => Math.min(a, b)),
  and: binary((a, b) => a & b),
  or: binary((a, b) => a | b),
  xor: binary((a, b) => a ^ b),
  shl: binary((a, b) => a << b),
  shr: (inputs, attrs, out) => binary(out.dtype === 'u32' ? (a, b) => a >>> b : (a, b) => a >> b)(inputs, attrs, out),
  eq: compare((a, b) => a === b),
  ne: compare((a, b) => a !== b),
  lt: compare((a, b) => a < b),
  le: compare((a, b) => a <= b),
  gt: compare((a, b) => a > b),
  ge: compare((a, b) => a >= b),
  select: ([cond, a, b], _, out) => {
    const to = allocate(out.dtype, cond!.data.length)
    for (let i = 0; i < to.length; i++) to[i] = cond!.data[i] === 0 ? b!.data[i]! : a!.data[i]!
    return to
  },

  reshape: ([x]) => x!.data,
  transpose: ([x], { perm }, out) => {
    const strides = stridesOf(x!.shape)
    return take(
      x!,
      offsets(
        out.shape,
        perm.map(axis => strides[axis]!),
      ),
    )
  },
  broadcast: ([x], { axes }, out) => {
    const strides = stridesOf(x!.shape)
    return take(
      x!,
      offsets(
        out.shape,
        out.shape.map((_, axis) => (axes.includes(axis) ? strides[axes.indexOf(axis)]! : 0)),
      ),
    )
  },
  concat: (inputs, { axis }, out) => {
    const to = allocate(out.dtype, count(out.shape))
    const strides = stridesOf(out.shape)
    inputs.forEach((x, i) => put(x, to, offsets(x.shape, strides, sum(inputs.slice(0, i).map(y => y.shape[axis]!)) * strides[axis]!)))
    return to
  },
  slice: ([x], { start, step }, out) => {
    const strides = stridesOf(x!.shape)
    return take(
      x!,
      offsets(
        out.shape,
        strides.map((stride, axis) => stride * step[axis]!),
        sum(strides.map((stride, axis) => stride * start[axis]!)),
      ),
    )
  },
  pad: ([x], { low, interior, value }, out) => {
    const to = allocate(out.dtype, count(out.shape)).fill(value)
    const strides = stridesOf(out.shape)
    put(
      x!,
      to,
      offsets(
        x!.shape,
        strides.map((stride, axis) => stride * (interior[axis]! + 1)),
        sum(strides.map((stride, axis) => stride * low[axis]!)),
      ),
    )
    return to
  },
  flip: ([x], { axes }) => {
    const strides = stridesOf(x!.shape)
    const last = sum(axes.map(axis => strides[axis]! * (x!.shape[axis]! - 1)))
    return take(
      x!,
      offsets(
        x!.shape,
        strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
        last,
      ),
    )
  },
  gather: ([x, indices], { axis, batch }, out) => {
    const [xs, is] = [stridesOf(x!.shape), stridesOf(indices!.shape)]
    const rank = indices!.shape.length - batch // axes of the output that count in the indices
    const fromX = offsets(
      out.shape,
      out.shape.map((_, i) => (i < axis ? xs[i]! : i < axis + rank ? 0 : xs[i - rank + 1]!)),
    )
    const fromIndices = offsets(
      out.shape,
      out.shape.map((_, i) => (i < batch ? is[i]! : i >= axis && i < axis + rank ? is[i - axis + batch]! : 0)),
    )
    const last = x!.shape[axis]! - 1
    return take(
      x!,
      fromX.map((offset, i) => offset + Math.min(last, Math.max(0, indices!.data[fromIndices[i]!]!)) * xs[axis]!),
    )
  },

  sum: reduce({ f32: 0, i32: 0, u32: 0, bool: 0 }, (a, b) => a + b),
  max: reduce({ f32: -Infinity, i32: -(2 ** 31), u32: 0, bool: 0 }, (a, b) => Math.max(a, b)),
  min: reduce({ f32: Infinity, i32: 2 ** 31 - 1, u32: 2 ** 32 - 1, bool: 1 }, (a, b) => Math.min(a, b)),
  contract: ([a, b], spec, out) => contract(a!, b!, spec, count(out.shape)),
}

/** The value of `prim` on eager tensors; throws a `Refusal` of kind 'shape' where they do not fit. */
export const evaluate = <P extends Prim>(prim: P, inputs: readonly Dense[], attrs: Attrs[P]): Dense => {
  const out = infer(prim, inputs, attrs)
  return { shape: out.shape, dtype: out.dtype, data: rules[prim](inputs, attrs, out) }
}
