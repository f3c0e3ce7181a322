/**
 * The shape and element type of every primitive's result: one rule each, in a total table. Both meanings of the language,
 * eager and compiled, go through these rules, so what one refuses the other refuses, in the same words: the operation,
 * the shapes, the numbers that clash.
 */
import type { Attrs, Aval, DType, Prim } from './prim.ts'
import { count, showAval, showShape } from './dense.ts'
import { contraction } from './infer-contract.ts'
import { check, described, list, no, wants } from './infer-check.ts'

type Rule<P extends Prim> = (inputs: readonly Aval[], attrs: Attrs[P], prim: P) => Aval

const floats = ['f32'] as const
const signed = ['f32', 'i32'] as const
const integers = ['i32', 'u32'] as const
const numbers = ['f32', 'i32', 'u32'] as const
const bits = ['bool', 'i32', 'u32'] as const
const all = ['f32', 'i32', 'u32', 'bool'] as const

const one = (prim: Prim, inputs: readonly Aval[], allowed: readonly DType[]): Aval => {
  const [x] = wants(prim, inputs, 1)
  check.dtype(prim, x!, allowed)
  return x!
}

const two = (prim: Prim, inputs: readonly Aval[], allowed: readonly DType[]): Aval => {
  const [a, b] = wants(prim, inputs, 2)
  check.dtype(prim, a!, allowed)
  check.alike(prim, a!, b!)
  return a!
}

const unary =
  (allowed: readonly DType[]) =>
  (inputs: readonly Aval[], _: unknown, prim: Prim): Aval =>
    one(prim, inputs, allowed)
const binary =
  (allowed: readonly DType[]) =>
  (inputs: readonly Aval[], _: unknown, prim: Prim): Aval =>
    two(prim, inputs, allowed)
const comparison =
  (allowed: readonly DType[]) =>
  (inputs: readonly Aval[], _: unknown, prim: Prim): Aval => ({ shape: two(prim, inputs, allowed).shape, dtype: 'bool' })

const reduction = (inputs: readonly Aval[], { axes }: Attrs['sum'], prim: 'sum' | 'max' | 'min'): Aval => {
  const x = one(prim, inputs, numbers)
  check.axes(prim, x, axes)
  const empty = axes.find(axis => x.shape[axis] === 0)
  if (prim !== 'sum' && empty !== undefined) no(prim, `${showAval(x)} has no elements along axis ${empty}`)
  return { shape: x.shape.filter((_, axis) => !axes.includes(axis)), dtype: x.dtype }
}

const value = (prim: Prim, dtype: DType, x: number): void => {
  const fits = dtype === 'f32' || (Number.isInteger(x) && (dtype === 'i32' ? x === (x | 0) : dtype === 'u32' ? x === x >>> 0 : x === 0 || x === 1))
  if (!fits) no(prim, `${x} is not a value of ${dtype}`)
}

const rules: { readonly [P in Prim]: Rule<P> } = {
  fill: (inputs, attrs, prim) => {
    wants(prim, inputs, 0)
    value(prim, attrs.dtype, attrs.value)
    return { shape: check.shape(prim, attrs.shape), dtype: attrs.dtype }
  },
  literal: (inputs, { shape, dtype, data }, prim) => {
    wants(prim, inputs, 0)
    check.shape(prim, shape)
    if (data.length !== count(shape)) no(prim, `shape ${showShape(shape)} has ${count(shape)} elements, got ${data.length} values`)
    data.forEach(x => value(prim, dtype, x))
    return { shape, dtype }
  },
  iota: (inputs, { shape, dtype, axis }, prim) => {
    wants(prim, inputs, 0)
    check.shape(prim, shape)
    check.axis(prim, { shape, dtype }, axis)
    return { shape, dtype }
  },
  randomBits: (inputs, { shape }, prim) => {
    const key = one(prim, inputs, ['u32'])
    if (key.shape.at(-1) !== 2) no(prim, `a key is u32[2] (or a batch u32[..., 2]), got ${showAval(key)}`)
    return { shape: [...key.shape.slice(0, -1), ...check.shape(prim, shape)], dtype: 'u32' }
  },

  neg: unary(signed),
  abs: unary(signed),
  sign: unary(signed),
  floor: unary(floats),
  exp: unary(floats),
  log: unary(floats),
  log1p: unary(floats),
  expm1: unary(floats),
  sqrt: unary(floats),
  rsqrt: unary(floats),
  sin: unary(floats),
  cos: unary(floats),
  tanh: unary(floats),
  sigmoid: unary(floats),
  softplus: unary(floats),
  pow: (inputs, { exponent }, prim) => {
    if (!Number.isFinite(exponent)) no(prim, `the exponent must be a finite number, got ${exponent}`)
    return one(prim, inputs, floats)
  },
  not: unary(['bool']),
  cast: (inputs, { dtype }, prim) => {
    if (!all.includes(dtype)) no(prim, `no such element type: ${String(dtype)}`)
    return { shape: one(prim, inputs, all).shape, dtype }
  },
  stopGradient: unary(all),

  add: binary(numbers),
  sub: binary(numbers),
  mul: binary(numbers),
  div: binary(floats),
  maximum: binary(numbers),
  minimum: binary(numbers),
  and: binary(bits),
  or: binary(bits),
  xor: binary(bits),
  shl: binary(integers),
  shr: binary(integers),
  eq: comparison(all),
  ne: comparison(all),
  lt: comparison(numbers),
  le: comparison(numbers),
  gt: comparison(numbers),
  ge: comparison(numbers),
  select: (inputs, _, prim) => {
    const [cond, a, b] = wants(prim, inputs, 3)
    if (cond!.dtype !== 'bool') no(prim, `the condition must be bool, got ${showAval(cond!)}`)
    check.alike(prim, a!, b!)
    check.sameShape(prim, cond!, a!, 'the condition is', 'the choices are')
    return a!
  },

  reshape: (inputs, { shape }, prim) => {
    const x = one(prim, inputs, all)
    check.shape(prim, shape)
    if (count(shape) !== count(x.shape)) {
      no(prim, `${showShape(x.shape)} has ${count(x.shape)} elements, ${showShape(shape)} has ${count(shape)} [${count(x.shape)} != ${count(shape)}]`)
    }
    return { shape, dtype: x.dtype }
  },
  transpose: (inputs, { perm }, prim) => {
    const x = one(prim, inputs, all)
    const whole = perm.length === x.shape.length && x.shape.every((_, axis) => perm.includes(axis))
    if (!whole) no(prim, `${showShape(perm)} is not an order of the ${x.shape.length} axes of ${showAval(x)}`)
    return { shape: perm.map(axis => x.shape[axis]!), dtype: x.dtype }
  },
  broadcast: (inputs, { shape, axes }, prim) => {
    const x = one(prim, inputs, all)
    check.shape(prim, shape)
    list(prim, 'axes', axes, x)
    check.axes(prim, { shape, dtype: x.dtype }, axes)
    axes.forEach((axis, i) => {
      if (shape[axis] !== x.shape[i]) {
        no(prim, `${showShape(x.shape)} to ${showShape(shape)}: axis ${i} becomes axis ${axis} [${x.shape[i]} != ${shape[axis]}]`)
      }
    })
    return { shape, dtype: x.dtype }
  },
  concat: (inputs, { axis }, prim) => {
    const first = inputs[0] ?? no(prim, 'takes at least one tensor')
    check.axis(prim, first, axis)
    for (const x of inputs) {
      check.sameDtype(prim, first, x)
      if (x.shape.length !== first.shape.length) no(prim, `left is ${described(first)}, right is ${described(x)}; they differ in rank`)
      x.shape.forEach((size, i) => {
        if (i !== axis && size !== first.shape[i]) {
          no(prim, `beyond axis ${axis} left is ${described(first)}, right is ${described(x)} [${first.shape[i]} != ${size}]`)
        }
      })
    }
    return { shape: first.shape.map((size, i) => (i === axis ? inputs.reduce((n, x) => n + x.shape[axis]!, 0) : size)), dtype: first.dtype }
  },
  slice: (inputs, { start, limit, step }, prim) => {
    const x = one(prim, inputs, all)
    list(prim, 'start', start, x)
    list(prim, 'limit', limit, x)
    list(prim, 'step', step, x)
    const shape = x.shape.map((size, axis) => {
      const [from, to, by] = [start[axis]!, limit[axis]!, step[axis]!]
      if (by < 1) no(prim, `step ${by} on axis ${axis} of ${showShape(x.shape)} must be 1 or more`)
      if (from < 0 || to > size || from > to) no(prim, `${from}..${to} on axis ${axis} of ${showShape(x.shape)} does not lie within 0..${size}`)
      return Math.ceil((to - from) / by)
    })
    return { shape, dtype: x.dtype }
  },
  pad: (inputs, { low, high, interior, value: fill }, prim) => {
    const x = one(prim, inputs, all)
    list(prim, 'low', low, x)
    list(prim, 'high', high, x)
    list(prim, 'interior', interior, x)
    value(prim, x.dtype, fill)
    const shape = x.shape.map((size, axis) => {
      const [before, after, between] = [low[axis]!, high[axis]!, interior[axis]!]
      if (before < 0 || after < 0 || between < 0) no(prim, `padding ${before}, ${after}, ${between} on axis ${axis} of ${showShape(x.shape)} is negative`)
      return before + after + size + Math.max(0, size - 1) * between
    })
    return { shape, dtype: x.dtype }
  },
  flip: (inputs, { axes }, prim) => {
    const x = one(prim, inputs, all)
    check.axes(prim, x, axes)
    return x
  },
  gather: (inputs, { axis, batch }, prim) => {
    const [x, indices] = wants(prim, inputs, 2)
    if (indices!.dtype !== 'i32') no(prim, `indices must be i32, got ${showAval(indices!)}`)
    check.axis(prim, x!, axis)
    if (!Number.isInteger(batch) || batch < 0 || batch > axis || batch > indices!.shape.length) {
      no(prim, `${batch} batch axes do not fit ${showAval(x!)} on axis ${axis} and indices ${showAval(indices!)}`)
    }
    for (let i = 0; i < batch; i++) {
      const [n, m] = [x!.shape[i], indices!.shape[i]]
      if (n !== m) no(prim, `${showShape(x!.shape)} and indices ${showShape(indices!.shape)} differ on batch axis ${i} [${n} != ${m}]`)
    }
    if (x!.shape[axis] === 0) no(prim, `${showAval(x!)} has no elements along axis ${axis}`)
    return { shape: [...x!.shape.slice(0, axis), ...indices!.shape.slice(batch), ...x!.shape.slice(axis + 1)], dtype: x!.dtype }
  },

  sum: reduction,
  max: reduction,
  min: reduction,
  contract: (inputs, attrs, prim) => {
    const [a, b] = wants(prim, inputs, 2)
    check.dtype(prim, a!, floats)
    check.dtype(prim, b!, floats)
    return contraction(a!, b!, attrs)
  },
}

/** The result of `prim` on `inputs`; throws a `Refusal` of kind 'shape' where they do not fit. */
export const infer = <P extends Prim>(prim: P, inputs: readonly Aval[], attrs: Attrs[P]): Aval => {
  // Nothing but the two fields: an input may be a whole tensor.
  const { shape, dtype } = rules[prim](inputs, attrs, prim)
  return { shape, dtype }
}
