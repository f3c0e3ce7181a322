/** Examples of every primitive: a total table, so that a new primitive without an example does not type-check. */
import { type Builder, builder } from '../../compiler/ir/build.ts'
import type { Func } from '../../compiler/ir/ir.ts'
import type { Attrs, Aval, DType, Prim } from '../../dsl/core/prim.ts'

/** `smooth`: differentiable at the values of `randomDense` (non-zero, between -1.5 and 1.5). `positive`: operand 0 is made positive first. */
export type Case<P extends Prim> = { readonly inputs: readonly Aval[]; readonly attrs: Attrs[P]; readonly smooth?: boolean; readonly positive?: boolean }

const t = (dtype: DType, ...shape: readonly number[]): Aval => ({ shape, dtype })
const f = (...shape: readonly number[]): Aval => t('f32', ...shape)

const unary = (options: { readonly smooth?: boolean; readonly positive?: boolean } = {}) => [
  { inputs: [f()], attrs: {}, ...options },
  { inputs: [f(2, 3)], attrs: {}, ...options },
]
const binary = (smooth: boolean) => [
  { inputs: [f(), f()], attrs: {}, smooth },
  { inputs: [f(2, 3), f(2, 3)], attrs: {}, smooth },
]
const compare = [{ inputs: [f(2, 3), f(2, 3)], attrs: {} }, { inputs: [t('i32', 4), t('i32', 4)], attrs: {} }]
const bits = [{ inputs: [t('bool', 3), t('bool', 3)], attrs: {} }, { inputs: [t('u32', 2, 2), t('u32', 2, 2)], attrs: {} }]
const reductions = (smooth: boolean) => [
  { inputs: [f(2, 3, 2)], attrs: { axes: [0, 2] }, smooth },
  { inputs: [f(2, 3)], attrs: { axes: [1] }, smooth },
  { inputs: [f(3)], attrs: { axes: [0] }, smooth },
  { inputs: [t('i32', 2, 3)], attrs: { axes: [0] } },
]
const window = (stride: number, dilation: number, pad: number, base: number, p = 'p', k = 'k') => ({ p, k, stride, dilation, pad, base })

export const cases: { readonly [P in Prim]: readonly Case<P>[] } = {
  fill: [{ inputs: [], attrs: { shape: [2, 3], dtype: 'f32', value: 1.5 } }],
  literal: [{ inputs: [], attrs: { shape: [2], dtype: 'i32', data: [4, -1] } }],
  iota: [{ inputs: [], attrs: { shape: [2, 3], dtype: 'f32', axis: 1 } }],
  randomBits: [{ inputs: [t('u32', 2)], attrs: { shape: [2, 3] } }, { inputs: [t('u32', 3, 2)], attrs: { shape: [] } }],
  neg: unary({ smooth: true }),
  abs: unary({ smooth: true }),
  sign: unary({ smooth: true }),
  floor: unary(),
  exp: unary({ smooth: true }),
  log: unary({ smooth: true, positive: true }),
  log1p: unary({ smooth: true, positive: true }),
  expm1: unary({ smooth: true }),
  sqrt: unary({ smooth: true, positive: true }),
  rsqrt: unary({ smooth: true, positive: true }),
  sin: unary({ smooth: true }),
  cos: unary({ smooth: true }),
  tanh: unary({ smooth: true }),
  sigmoid: unary({ smooth: true }),
  softplus: unary({ smooth: true }),
  pow: [
    { inputs: [f(2, 3)], attrs: { exponent: 2.5 }, smooth: true, positive: true },
    { inputs: [f(3)], attrs: { exponent: 3 }, smooth: true },
    { inputs: [f(3)], attrs: { exponent: -1 }, smooth: true },
    { inputs: [f(3)], attrs: { exponent: 0 }, smooth: true },
  ],
  not: [{ inputs: [t('bool', 2, 3)], attrs: {} }],
  cast: [{ inputs: [t('i32', 3)], attrs: { dtype: 'f32' } }, { inputs: [f(2, 2)], attrs: { dtype: 'i32' } }, { inputs: [t('bool', 2)], attrs: { dtype: 'f32' } }],
  stopGradient: unary(),
  add: binary(true),
  sub: binary(true),
  mul: binary(true),
  div: binary(true),
  maximum: binary(true),
  minimum: binary(true),
  and: bits,
  or: bits,
  xor: bits,
  shl: [{ inputs: [t('u32', 4), t('u32', 4)], attrs: {} }],
  shr: [{ inputs: [t('u32', 4), t('u32', 4)], attrs: {} }, { inputs: [t('i32', 4), t('i32', 4)], attrs: {} }],
  eq: compare,
  ne: compare,
  lt: compare,
  le: compare,
  gt: compare,
  ge: compare,
  select: [{ inputs: [t('bool', 2, 3), f(2, 3), f(2, 3)], attrs: {}, smooth: true }, { inputs: [t('bool'), t('i32'), t('i32')], attrs: {} }],
  reshape: [{ inputs: [f(2, 3)], attrs: { shape: [3, 1, 2] }, smooth: true }, { inputs: [f(1)], attrs: { shape: [] }, smooth: true }],
  transpose: [{ inputs: [f(2, 3, 4)], attrs: { perm: [2, 0, 1] }, smooth: true }, { inputs: [f(2, 3)], attrs: { perm: [1, 0] }, smooth: true }],
  broadcast: [
    { inputs: [f(3)], attrs: { shape: [2, 3, 2], axes: [1] }, smooth: true },
    { inputs: [f()], attrs: { shape: [2, 2], axes: [] }, smooth: true },
    { inputs: [f(2, 3)], attrs: { shape: [2, 3, 2], axes: [0, 1] }, smooth: true },
  ],
  concat: [{ inputs: [f(2, 3), f(2, 1), f(2, 2)], attrs: { axis: 1 }, smooth: true }, { inputs: [f(2), f(3)], attrs: { axis: 0 }, smooth: true }],
  slice: [
    { inputs: [f(4, 5)], attrs: { start: [1, 0], limit: [3, 5], step: [1, 2] }, smooth: true },
    { inputs: [f(7)], attrs: { start: [1], limit: [6], step: [3] }, smooth: true },
  ],
  pad: [
    { inputs: [f(2, 3)], attrs: { low: [1, 0], high: [0, 2], interior: [0, 1], value: 0.5 }, smooth: true },
    { inputs: [f(3)], attrs: { low: [0], high: [0], interior: [2], value: 0 }, smooth: true },
  ],
  flip: [{ inputs: [f(2, 3)], attrs: { axes: [1] }, smooth: true }, { inputs: [f(2, 3)], attrs: { axes: [0, 1] }, smooth: true }],
  gather: [
    { inputs: [f(4, 3), t('i32', 2)], attrs: { axis: 0, batch: 0 }, smooth: true },
    { inputs: [f(2, 4, 3), t('i32', 2, 2)], attrs: { axis: 1, batch: 0 }, smooth: true },
    { inputs: [f(2, 4, 3), t('i32', 2, 3)], attrs: { axis: 1, batch: 1 }, smooth: true },
    { inputs: [f(2, 3, 4), t('i32', 2)], attrs: { axis: 2, batch: 1 }, smooth: true },
    { inputs: [f(4), t('i32')], attrs: { axis: 0, batch: 0 }, smooth: true },
  ],
  sum: reductions(true),
  max: reductions(true),
  min: reductions(true),
  contract: [
    { inputs: [f(2, 3), f(3, 4)], attrs: { sizes: { i: 2, k: 3, j: 4 }, a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] }, smooth: true },
    { inputs: [f(3, 2, 3), f(3, 4)], attrs: { sizes: { n: 3, i: 2, k: 3, j: 4 }, a: ['n', 'i', 'k'], b: ['n', 'j'], out: ['j', 'n'] }, smooth: true },
    // a strided, padded convolution: [c, 7] with [o, c, 3]
    {
      inputs: [f(2, 7), f(3, 2, 3)],
      attrs: { sizes: { c: 2, o: 3, p: 4, k: 3 }, a: ['c', window(2, 1, 1, 1)], b: ['o', 'c', 'k'], out: ['o', 'p'] },
      smooth: true,
    },
    // a transposed one, dilated
    {
      inputs: [f(2, 3), f(2, 3)],
      attrs: { sizes: { c: 2, p: 6, k: 3 }, a: ['c', window(1, 2, 1, 2)], b: ['c', 'k'], out: ['p'] },
      smooth: true,
    },
    // two windows over one operand
    {
      inputs: [f(4, 5), f(2, 2)],
      attrs: { sizes: { p: 3, k: 2, q: 2, l: 2 }, a: [window(1, 1, 0, 1), window(2, 1, 0, 1, 'q', 'l')], b: ['k', 'l'], out: ['q', 'p'] },
      smooth: true,
    },
  ],
}

export const prims = Object.keys(cases) as readonly Prim[] // the keys of the total table

/** A function that applies the primitive to its parameters; a positive operand is 0.2 + x * x. */
export const caseFunc = <P extends Prim>(prim: P, { inputs, attrs, positive }: Case<P>): Func => {
  const b = builder()
  const ids = inputs.map((aval, i) => b.param(aval, `x${i}`))
  const made = ids.map((id, i) => (positive === true && i === 0 ? square(b, id) : id))
  return b.finish([b.op(prim, made, attrs)])
}

const square = (b: Builder, id: number): number => b.op('add', [b.op('mul', [id, id], {}), b.op('fill', [], { ...b.aval(id), value: 0.2 })], {})

/** Every case as a function. */
export const caseFuncs = (keep: (c: Case<Prim>) => boolean = () => true): readonly { readonly name: string; readonly func: Func }[] =>
  prims.flatMap(prim => (cases[prim] as readonly Case<Prim>[]).filter(keep).map((c, i) => ({ name: `${prim} ${i}`, func: caseFunc(prim, c) })))

