/** The eager value of every primitive against an independent formula, index by index, and the corners: NaN, infinity, wrapping. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Attrs, DType, Prim } from '../../../dsl/core/prim.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import { count, dense, scalar } from '../../../dsl/core/dense.ts'
import { infer } from '../../../dsl/core/infer.ts'
import { threefry2x32 } from '../../../dsl/core/threefry.ts'
import { near, random, run } from './support.ts'

type Index = readonly number[]
type None = Attrs['neg']

/** Every index of a shape, the last axis fastest. */
const indices = (shape: readonly number[]): readonly Index[] =>
  shape.reduce<readonly Index[]>((all, size) => all.flatMap(index => Array.from({ length: size }, (_, i) => [...index, i])), [[]])

const same = (a: Index, b: Index): boolean => a.every((x, i) => x === b[i])
const get = (x: Dense, index: Index): number => x.data[indices(x.shape).findIndex(other => same(other, index))]!

/** An input list, the attributes, and what each element of the result must be. */
type Case<A> = {
  readonly xs: readonly Dense[]
  readonly attrs: A
  readonly shape: readonly number[]
  readonly dtype?: DType
  readonly want: (index: Index) => number
}

const x = random([2, 3], 1)
const y = random([2, 3], 2)
const positive = random([2, 3], 3, 0.1, 3)
const cube = random([2, 3, 4], 4)
const whole = random([2, 3], 5, -1000, 1000, 'i32')
const natural = random([2, 3], 6, 0, 2 ** 32, 'u32')
const natural2 = random([2, 3], 7, 0, 2 ** 32, 'u32')
const shifts = dense([2, 3], [0, 1, 7, 31, 32, 45], 'u32')
const flags = dense([2, 3], [1, 0, 0, 1, 1, 0], 'bool')
const flags2 = dense([2, 3], [1, 1, 0, 0, 1, 0], 'bool')
const like = (value: (index: Index) => number, dtype: DType = 'f32') => ({ shape: [2, 3], dtype, want: value })
const map = (f: (v: number) => number, from = x): Case<None> => ({ xs: [from], attrs: {}, ...like(index => f(get(from, index)), from.dtype) })
const zip = (f: (a: number, b: number) => number, a = x, b = y, dtype: DType = a.dtype): Case<None> => ({
  xs: [a, b],
  attrs: {},
  ...like(index => f(get(a, index), get(b, index)), dtype),
})
const modulo = (n: bigint, dtype: 'i32' | 'u32'): number => Number(dtype === 'u32' ? BigInt.asUintN(32, n) : BigInt.asIntN(32, n))
const wrap = (f: (a: bigint, b: bigint) => bigint, a: Dense, b: Dense): Case<None> =>
  zip((p, q) => modulo(f(BigInt(p), BigInt(q)), a.dtype === 'u32' ? 'u32' : 'i32'), a, b)
const big = dense([2, 3], [2 ** 31 - 1, -(2 ** 31), 65537, -65537, 123456789, -1], 'i32')
const truth = (f: (a: number, b: number) => boolean) => [
  zip((a, b) => Number(f(a, b)), x, y, 'bool'),
  zip((a, b) => Number(f(a, b)), whole, whole, 'bool'),
  zip((a, b) => Number(f(a, b)), natural, natural2, 'bool'),
]

const key = dense([2, 2], [1, 2, 3, 2 ** 32 - 1], 'u32')
const word = (k0: number, k1: number, i: number): number => {
  const out = new Uint32Array(2)
  threefry2x32(k0, k1, i, 0, out)
  return out[0]!
}
const gathered = dense([2, 2], [2, 0, -5, 7], 'i32')
const clamped = (index: Index): number => Math.max(0, Math.min(2, get(gathered, index)))

const cases: { readonly [P in Prim]: readonly Case<Attrs[P]>[] } = {
  fill: [
    { xs: [], attrs: { shape: [2, 2], dtype: 'f32', value: 0.25 }, shape: [2, 2], want: () => 0.25 },
    { xs: [], attrs: { shape: [], dtype: 'u32', value: 4e9 }, shape: [], dtype: 'u32', want: () => 4e9 },
  ],
  literal: [
    { xs: [], attrs: { shape: [2, 2], dtype: 'i32', data: [1, -2, 3, -4] }, shape: [2, 2], dtype: 'i32', want: ([i, j]) => [1, -2, 3, -4][2 * i! + j!]! },
  ],
  iota: [0, 1].map(axis => ({ xs: [], attrs: { shape: [2, 3], dtype: 'f32', axis }, shape: [2, 3], want: index => index[axis]! })),
  randomBits: [
    { xs: [key], attrs: { shape: [2, 3] }, shape: [2, 2, 3], dtype: 'u32', want: ([n, i, j]) => word(get(key, [n!, 0]), get(key, [n!, 1]), 3 * i! + j!) },
    { xs: [dense([2], [7, 8], 'u32')], attrs: { shape: [] }, shape: [], dtype: 'u32', want: () => word(7, 8, 0) },
  ],
  neg: [map(v => 0 - v), map(v => 0 - v, whole)],
  abs: [map(v => (v < 0 ? 0 - v : v)), map(v => (v < 0 ? 0 - v : v), whole)],
  sign: [map(v => Number(v > 0) - Number(v < 0)), map(v => Number(v > 0) - Number(v < 0), whole)],
  floor: [map(v => v - (((v % 1) + 1) % 1))],
  exp: [map(v => Math.E ** v)],
  log: [map(v => Math.log2(v) * Math.LN2, positive)],
  log1p: [map(v => Math.log(1 + v), positive)],
  expm1: [map(v => Math.exp(v) - 1)],
  sqrt: [map(v => v ** 0.5, positive)],
  rsqrt: [map(v => v ** -0.5, positive)],
  sin: [map(v => 2 * Math.sin(v / 2) * Math.cos(v / 2))],
  cos: [map(v => 1 - 2 * Math.sin(v / 2) ** 2)],
  tanh: [map(v => (Math.exp(2 * v) - 1) / (Math.exp(2 * v) + 1))],
  sigmoid: [map(v => (1 + Math.tanh(v / 2)) / 2)],
  softplus: [map(v => Math.log(1 + Math.exp(v)))],
  pow: [
    { xs: [x], attrs: { exponent: 3 }, ...like(index => get(x, index) * get(x, index) * get(x, index)) },
    { xs: [positive], attrs: { exponent: -1.5 }, ...like(index => Math.exp(-1.5 * Math.log(get(positive, index)))) },
  ],
  not: [map(v => (v === 0 ? 1 : 0), flags)],
  cast: [
    {
      xs: [random([2, 3], 8, -9, 9)],
      attrs: { dtype: 'i32' },
      ...like(
        index =>
          Number(
            get(random([2, 3], 8, -9, 9), index)
              .toFixed(20)
              .split('.')[0],
          ),
        'i32',
      ),
    },
    { xs: [natural], attrs: { dtype: 'i32' }, ...like(index => modulo(BigInt(get(natural, index)), 'i32'), 'i32') },
    { xs: [whole], attrs: { dtype: 'u32' }, ...like(index => modulo(BigInt(get(whole, index)), 'u32'), 'u32') },
    { xs: [natural], attrs: { dtype: 'f32' }, ...like(index => get(natural, index)) },
    { xs: [flags], attrs: { dtype: 'f32' }, ...like(index => get(flags, index)) },
    { xs: [whole], attrs: { dtype: 'bool' }, ...like(index => (get(whole, index) === 0 ? 0 : 1), 'bool') },
  ],
  stopGradient: [map(v => v), map(v => v, natural)],
  add: [zip((a, b) => a + b), wrap((a, b) => a + b, natural, natural2), wrap((a, b) => a + b, big, whole), wrap((a, b) => a + b, big, big)],
  sub: [zip((a, b) => a - b), wrap((a, b) => a - b, natural, natural2), wrap((a, b) => a - b, whole, big)],
  mul: [zip((a, b) => a * b), wrap((a, b) => a * b, natural, natural2), wrap((a, b) => a * b, big, big)],
  div: [zip((a, b) => a / b)],
  maximum: [zip((a, b) => (a > b ? a : b)), zip((a, b) => (a > b ? a : b), natural, natural2)],
  minimum: [zip((a, b) => (a < b ? a : b)), zip((a, b) => (a < b ? a : b), big, whole)],
  and: [zip((a, b) => a * b, flags, flags2), wrap((a, b) => a & b, natural, natural2), wrap((a, b) => a & b, big, whole)],
  or: [zip((a, b) => Math.max(a, b), flags, flags2), wrap((a, b) => a | b, natural, natural2)],
  xor: [zip((a, b) => Math.abs(a - b), flags, flags2), wrap((a, b) => a ^ b, natural, natural2), wrap((a, b) => a ^ b, big, whole)],
  shl: [wrap((a, n) => a << (n % 32n), natural, shifts), wrap((a, n) => a << (n % 32n), big, dense([2, 3], shifts.data, 'i32'))],
  shr: [wrap((a, n) => a >> (n % 32n), natural, shifts), wrap((a, n) => a >> (n % 32n), big, dense([2, 3], shifts.data, 'i32'))],
  eq: truth((a, b) => a === b),
  ne: truth((a, b) => a !== b),
  lt: truth((a, b) => a < b),
  le: truth((a, b) => a <= b),
  gt: truth((a, b) => a > b),
  ge: truth((a, b) => a >= b),
  select: [
    { xs: [flags, x, y], attrs: {}, ...like(index => get(get(flags, index) === 1 ? x : y, index)) },
    { xs: [flags2, natural, natural2], attrs: {}, ...like(index => get(get(flags2, index) === 1 ? natural : natural2, index), 'u32') },
  ],

  reshape: [
    {
      xs: [cube],
      attrs: { shape: [4, 6] },
      shape: [4, 6],
      want: ([i, j]) => get(cube, [Math.floor((6 * i! + j!) / 12), Math.floor((6 * i! + j!) / 4) % 3, (6 * i! + j!) % 4]),
    },
  ],
  transpose: [{ xs: [cube], attrs: { perm: [2, 0, 1] }, shape: [4, 2, 3], want: ([i, j, k]) => get(cube, [j!, k!, i!]) }],
  broadcast: [
    { xs: [x], attrs: { shape: [2, 4, 3], axes: [0, 2] }, shape: [2, 4, 3], want: ([i, , k]) => get(x, [i!, k!]) },
    { xs: [scalar(3)], attrs: { shape: [2], axes: [] }, shape: [2], want: () => 3 },
  ],
  concat: [
    {
      xs: [x, random([2, 2], 9), y],
      attrs: { axis: 1 },
      shape: [2, 8],
      want: ([i, j]) => (j! < 3 ? get(x, [i!, j!]) : j! < 5 ? get(random([2, 2], 9), [i!, j! - 3]) : get(y, [i!, j! - 5])),
    },
    { xs: [flags, flags2], attrs: { axis: 0 }, shape: [4, 3], dtype: 'bool', want: ([i, j]) => (i! < 2 ? get(flags, [i!, j!]) : get(flags2, [i! - 2, j!])) },
  ],
  slice: [
    { xs: [cube], attrs: { start: [1, 0, 1], limit: [2, 3, 4], step: [1, 2, 2] }, shape: [1, 2, 2], want: ([, j, k]) => get(cube, [1, 2 * j!, 1 + 2 * k!]) },
  ],
  pad: [
    {
      xs: [x],
      attrs: { low: [1, 0], high: [0, 2], interior: [1, 2], value: 9 },
      shape: [4, 9],
      want: ([i, j]) => ((i === 1 || i === 3) && j! % 3 === 0 && j! <= 6 ? get(x, [(i - 1) / 2, j! / 3]) : 9),
    },
  ],
  flip: [{ xs: [cube], attrs: { axes: [0, 2] }, shape: [2, 3, 4], want: ([i, j, k]) => get(cube, [1 - i!, j!, 3 - k!]) }],
  gather: [
    { xs: [cube, gathered], attrs: { axis: 1, batch: 0 }, shape: [2, 2, 2, 4], want: ([n, i, j, k]) => get(cube, [n!, clamped([i!, j!]), k!]) },
    { xs: [cube, gathered], attrs: { axis: 1, batch: 1 }, shape: [2, 2, 4], want: ([n, i, k]) => get(cube, [n!, clamped([n!, i!]), k!]) },
    {
      xs: [cube, gathered],
      attrs: { axis: 2, batch: 1 },
      shape: [2, 3, 2],
      want: ([n, i, j]) => get(cube, [n!, i!, Math.max(0, Math.min(3, get(gathered, [n!, j!])))]),
    },
    { xs: [natural, scalar(1, 'i32')], attrs: { axis: 0, batch: 0 }, shape: [3], dtype: 'u32', want: ([j]) => get(natural, [1, j!]) },
  ],
  sum: [
    { xs: [cube], attrs: { axes: [0, 2] }, shape: [3], want: ([j]) => indices([2, 4]).reduce((s, [i, k]) => s + get(cube, [i!, j!, k!]), 0) },
    {
      xs: [natural],
      attrs: { axes: [0, 1] },
      shape: [],
      dtype: 'u32',
      want: () =>
        modulo(
          [...natural.data].reduce((s, v) => s + BigInt(v), 0n),
          'u32',
        ),
    },
    { xs: [x], attrs: { axes: [] }, shape: [2, 3], want: index => get(x, index) },
  ],
  max: [
    { xs: [cube], attrs: { axes: [1] }, shape: [2, 4], want: ([i, k]) => [0, 1, 2].map(j => get(cube, [i!, j, k!])).sort((a, b) => b - a)[0]! },
    { xs: [whole], attrs: { axes: [0, 1] }, shape: [], dtype: 'i32', want: () => [...whole.data].sort((a, b) => b - a)[0]! },
  ],
  min: [
    { xs: [cube], attrs: { axes: [0, 1, 2] }, shape: [], want: () => [...cube.data].sort((a, b) => a - b)[0]! },
    { xs: [natural], attrs: { axes: [0] }, shape: [3], dtype: 'u32', want: ([j]) => Math.min(get(natural, [0, j!]), get(natural, [1, j!])) },
  ],
  contract: [
    {
      xs: [x, random([3, 4], 10)],
      attrs: { sizes: { i: 2, j: 3, k: 4 }, a: ['i', 'j'], b: ['j', 'k'], out: ['k', 'i'] },
      shape: [4, 2],
      want: ([k, i]) => [0, 1, 2].reduce((s, j) => s + get(x, [i!, j]) * get(random([3, 4], 10), [j, k!]), 0),
    },
  ],
}

for (const [prim, list] of Object.entries(cases) as [Prim, readonly Case<Attrs[Prim]>[]][]) {
  test(`value of ${prim}`, () => {
    list.forEach(({ xs, attrs, shape, dtype = 'f32', want }, i) => {
      const result = run(prim, xs, attrs)
      near(result, dense(shape, indices(shape).map(want), dtype), 4e-16 * 8, `${prim}, case ${i},`)
      assert.equal(infer(prim, xs, attrs), { shape: result.shape, dtype: result.dtype })
      assert.is(result.data.length, count(result.shape))
    })
  })
}

const special = dense([7], [NaN, Infinity, -Infinity, 0, -0, 1e300, -1e300])
const ones = (n: number): Dense => dense([n], new Array<number>(n).fill(1))
const of = (prim: Prim & ('sign' | 'sigmoid' | 'softplus' | 'tanh' | 'exp' | 'abs' | 'log' | 'rsqrt' | 'expm1'), value: number): number =>
  run(prim, [scalar(value)], {}).data[0]!

test('corners of the element-wise functions', () => {
  assert.equal([of('sign', 0), of('sign', -Infinity), of('sign', NaN)], [0, -1, NaN])
  assert.equal([of('sigmoid', -1e4), of('sigmoid', 1e4), of('sigmoid', 0), of('sigmoid', -Infinity), of('sigmoid', Infinity)], [0, 1, 0.5, 0, 1])
  assert.is(of('sigmoid', -700), Math.exp(-700)) // no cancellation far out
  assert.equal([of('softplus', -1e4), of('softplus', 1e4), of('softplus', Infinity), of('softplus', -Infinity)], [0, 1e4, Infinity, 0])
  assert.is(of('softplus', -700), Math.exp(-700))
  assert.is(of('softplus', 0), Math.LN2)
  assert.equal([of('tanh', 1e4), of('tanh', -1e4)], [1, -1])
  assert.equal([of('log', 0), of('rsqrt', 0)], [-Infinity, Infinity])
  assert.ok(Number.isNaN(of('sigmoid', NaN)) && Number.isNaN(of('softplus', NaN)) && Number.isNaN(of('log', -1)))
})

test('comparisons with NaN are false, ne true', () => {
  const nan = dense([2], [NaN, 1])
  const against = dense([2], [NaN, NaN])
  for (const prim of ['eq', 'lt', 'le', 'gt', 'ge'] as const) assert.equal([...run(prim, [nan, against], {}).data], [0, 0], prim)
  assert.equal([...run('ne', [nan, against], {}).data], [1, 1])
})

test('NaN passes through maximum, minimum, max, min; select passes over it', () => {
  for (const prim of ['maximum', 'minimum'] as const) assert.ok(Number.isNaN(run(prim, [special, ones(7)], {}).data[0]))
  for (const prim of ['max', 'min'] as const) assert.ok(Number.isNaN(run(prim, [special], { axes: [0] }).data[0]))
  const hidden = run('select', [dense([7], [0, 1, 1, 1, 1, 1, 1], 'bool'), special, ones(7)], {})
  assert.is(hidden.data[0], 1)
})

test('casts from f32 truncate toward zero and saturate', () => {
  const from = dense([9], [NaN, Infinity, -Infinity, 2.9, -2.9, 3e9, -3e9, 5e9, -0.5])
  assert.equal([...run('cast', [from], { dtype: 'i32' }).data], [0, 2 ** 31 - 1, -(2 ** 31), 2, -2, 2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 1, 0])
  assert.equal([...run('cast', [from], { dtype: 'u32' }).data], [0, 2 ** 32 - 1, 0, 2, 0, 3e9, 0, 2 ** 32 - 1, 0])
  assert.equal([...run('cast', [dense([4], [0, -0, 1e-300, NaN])], { dtype: 'bool' }).data], [0, 0, 1, 1])
})

test('empty tensors: shapes with a size of 0 go through', () => {
  const empty = dense([0, 3], [])
  assert.equal([...run('sum', [empty], { axes: [0] }).data], [0, 0, 0])
  assert.equal(run('transpose', [empty], { perm: [1, 0] }).shape, [3, 0])
  assert.equal([...run('concat', [empty, x], { axis: 0 }).data], [...x.data])
  assert.equal(run('slice', [x], { start: [1, 0], limit: [1, 3], step: [1, 1] }).shape, [0, 3])
  assert.equal([...run('pad', [empty], { low: [1, 0], high: [0, 0], interior: [3, 0], value: 2 }).data], [2, 2, 2])
  assert.equal([...run('contract', [empty, empty], { sizes: { i: 0, j: 3 }, a: ['i', 'j'], b: ['i', 'j'], out: ['j'] }).data], [0, 0, 0])
})

test.run()
