/** Every differentiable primitive's gradient, and the gradient of that gradient, against central differences. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Attrs, Prim } from '../../../dsl/core/prim.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import type { Call } from '../../../dsl/core/apply.ts'
import { op } from '../../../dsl/core/apply.ts'
import { dense } from '../../../dsl/core/dense.ts'
import { differentiate } from '../../../dsl/core/tape.ts'
import { checkGradient, near, random, spaced, values, weigh } from './support.ts'

/** Inputs and attributes at which a primitive is checked; 'none': it has no gradient. */
type Case<P extends Prim> = { readonly xs: readonly Dense[]; readonly attrs: Attrs[P]; readonly fixed?: readonly Dense[] }
const at = <P extends Prim>(attrs: Attrs[P], ...xs: readonly Dense[]): Case<P> => ({ xs, attrs })

const any = random([2, 3], 1)
const positive = random([2, 3], 2, 0.3, 2)
const apart = spaced([2, 3], 3)
const other = spaced([2, 3], 4, 0.13)
const cube = random([2, 3, 4], 5)
const flags = dense([2, 3], [1, 0, 0, 1, 1, 0], 'bool')

const cases: { readonly [P in Prim]: readonly Case<P>[] | 'none' } = {
  fill: 'none',
  literal: 'none',
  iota: 'none',
  randomBits: 'none',
  not: 'none',
  stopGradient: 'none',
  sign: 'none',
  floor: 'none',
  and: 'none',
  or: 'none',
  xor: 'none',
  shl: 'none',
  shr: 'none',
  eq: 'none',
  ne: 'none',
  lt: 'none',
  le: 'none',
  gt: 'none',
  ge: 'none',

  neg: [at({}, any)],
  abs: [at({}, apart)],
  exp: [at({}, any)],
  log: [at({}, positive)],
  log1p: [at({}, positive)],
  expm1: [at({}, any)],
  sqrt: [at({}, positive)],
  rsqrt: [at({}, positive)],
  sin: [at({}, any)],
  cos: [at({}, any)],
  tanh: [at({}, any)],
  sigmoid: [at({}, any)],
  softplus: [at({}, any), at({}, random([4], 6, -20, 20))],
  pow: [0, 1, 2, 3, 4, -1, -0.5, 0.5, 2.7].map(exponent => ({ xs: [exponent >= 0 && Number.isInteger(exponent) ? any : positive], attrs: { exponent } })),
  cast: [at({ dtype: 'f32' }, any)],
  add: [at({}, any, other)],
  sub: [at({}, any, other)],
  mul: [at({}, any, other)],
  div: [at({}, any, positive)],
  maximum: [at({}, apart, other)],
  minimum: [at({}, apart, other)],
  select: [{ xs: [any, other], attrs: {}, fixed: [flags] }],

  reshape: [at({ shape: [3, 2] }, any), at({ shape: [6] }, any), at({ shape: [] }, random([1, 1], 7))],
  transpose: [at({ perm: [1, 0] }, any), at({ perm: [2, 0, 1] }, cube), at({ perm: [1, 2, 0] }, cube)],
  broadcast: [at({ shape: [2, 3], axes: [] }, random([], 8)), at({ shape: [2, 4, 3], axes: [0, 2] }, any), at({ shape: [2, 3], axes: [0, 1] }, any)],
  concat: [at({ axis: 0 }, any, random([1, 3], 9)), at({ axis: 1 }, any, random([2, 1], 10), other), at({ axis: 1 }, any)],
  slice: [at({ start: [0, 1, 0], limit: [2, 3, 4], step: [1, 1, 2] }, cube), at({ start: [1, 0, 1], limit: [2, 3, 4], step: [1, 2, 3] }, cube)],
  pad: [at({ low: [1, 0], high: [0, 2], interior: [0, 0], value: 0.5 }, any), at({ low: [0, 2], high: [1, 0], interior: [2, 1], value: 0 }, any)],
  flip: [at({ axes: [1] }, cube), at({ axes: [0, 2] }, cube)],
  gather: [
    { xs: [cube], attrs: { axis: 1, batch: 0 }, fixed: [dense([4], [2, 0, 0, 9], 'i32')] },
    { xs: [cube], attrs: { axis: 2, batch: 1 }, fixed: [dense([2, 3], [3, -1, 1, 1, 2, 1], 'i32')] },
    { xs: [any], attrs: { axis: 0, batch: 0 }, fixed: [dense([], [1], 'i32')] },
    { xs: [cube], attrs: { axis: 0, batch: 0 }, fixed: [dense([2, 2], [1, 1, 0, 1], 'i32')] },
  ],

  sum: [at({ axes: [0, 2] }, cube), at({ axes: [1] }, cube), at({ axes: [] }, any)],
  max: [at({ axes: [0, 1, 2] }, spaced([2, 3, 4], 11)), at({ axes: [1] }, spaced([2, 3, 4], 12)), at({ axes: [] }, apart)],
  min: [at({ axes: [0, 2] }, spaced([2, 3, 4], 13)), at({ axes: [0] }, apart)],
  contract: [
    at({ sizes: { i: 2, j: 3, k: 4 }, a: ['i', 'j'], b: ['j', 'k'], out: ['i', 'k'] }, any, random([3, 4], 14)),
    at({ sizes: { i: 2, j: 3 }, a: ['i', 'j'], b: ['i'], out: ['j'] }, any, random([2], 15)),
  ],
}

for (const [prim, list] of Object.entries(cases) as [Prim, readonly Case<Prim>[] | 'none'][]) {
  if (list === 'none') continue
  list.forEach(({ xs, attrs, fixed = [] }, i) =>
    test(`gradient of ${prim}, case ${i}`, () => {
      // Fixed inputs of select come first, those of gather last.
      const inputs = (moving: readonly object[]) => (prim === 'select' ? [...fixed, ...moving] : [...moving, ...fixed])
      checkGradient(moving => op(...([prim, inputs(moving), attrs] as unknown as Call)), xs, `${prim} ${JSON.stringify(attrs)}`)
    }),
  )
}

const gradient = (f: (x: object) => object, x: Dense): readonly number[] => values(differentiate(([y]) => f(y!), [x]).grads[0]!)
const total = (x: object): object => op('sum', [x], { axes: [0] })

test('what has no gradient gives zeros', () => {
  const x = dense([3], [-1.5, 0.2, 2.5])
  for (const prim of ['sign', 'floor', 'stopGradient'] as const)
    assert.equal(
      gradient(y => total(op(prim, [y], {})), x),
      [0, 0, 0],
      prim,
    )
  assert.equal(
    gradient(y => total(op('cast', [op('gt', [y, y], {})], { dtype: 'f32' })), x),
    [0, 0, 0],
  )
  assert.equal(
    gradient(y => total(op('cast', [op('cast', [y], { dtype: 'i32' })], { dtype: 'f32' })), x),
    [0, 0, 0],
  )
  assert.equal(
    gradient(() => dense([], [3]), x),
    [0, 0, 0],
  )
})

test('ties: halves for maximum and minimum, equal parts for max and min', () => {
  const x = dense([4], [2, 1, 2, 2])
  const same = dense([4], [2, 1, 2, 2])
  assert.equal(
    gradient(y => total(op('maximum', [y, same], {})), x),
    [0.5, 0.5, 0.5, 0.5],
  )
  assert.equal(
    gradient(y => total(op('minimum', [y, y], {})), x),
    [1, 1, 1, 1],
  )
  assert.equal(
    gradient(y => op('max', [y], { axes: [0] }), x),
    [1 / 3, 0, 1 / 3, 1 / 3],
  )
  assert.equal(
    gradient(y => op('min', [y], { axes: [0] }), x),
    [0, 1, 0, 0],
  )
})

test('select hides what is not chosen, also where that is not finite', () => {
  const x = dense([2], [4, 9])
  const f = (y: object) => total(op('select', [dense([2], [1, 0], 'bool'), op('sqrt', [y], {}), dense([2], [NaN, Infinity])], {}))
  assert.equal(gradient(f, x), [0.25, 0])
})

test('pow at zero', () => {
  assert.equal(
    gradient(y => total(op('pow', [y], { exponent: 2 })), dense([2], [0, -3])),
    [0, -6],
  )
  assert.equal(
    gradient(y => total(op('pow', [y], { exponent: 1 })), dense([1], [0])),
    [1],
  )
})

test('an input used many times gathers all its parts', () => {
  const x = random([5], 20)
  checkGradient(([y]) => op('mul', [op('mul', [y!, y!], {}), op('exp', [y!], {})], {}), [x], 'x^2 exp x')
})

test('gradients of third order', () => {
  // f = sum w sin x, by x three times: -w cos x
  const x = random([3], 21)
  const weight = random([3], 22)
  const f = (y: object): object => total(op('mul', [weight, op('sin', [y], {})], {}))
  const once =
    (g: (y: object) => object) =>
    (y: object): object =>
      total(differentiate(([z]) => g(z!), [y]).grads[0]!)
  const third = differentiate(([y]) => once(once(f))(y!), [x]).grads[0]!
  near(third, op('neg', [op('mul', [weight, op('cos', [x], {})], {})], {}), 1e-14)
})

test('nested derivatives are kept apart', () => {
  // d/dx (x * d/dy (x + y)) = 1: an inner tape that confused x with y would say 2
  const x = dense([], [3])
  const inner = (outer: object): object => differentiate(([y]) => op('add', [outer, y!], {}), [dense([], [1])]).grads[0]!
  assert.equal(
    gradient(y => op('mul', [y, inner(y)], {}), x),
    [1],
  )
  // d/dx (x * d/dy (x * y)) = 2 x
  const product = (outer: object): object => differentiate(([y]) => op('mul', [outer, y!], {}), [dense([], [1])]).grads[0]!
  assert.equal(
    gradient(y => op('mul', [y, product(y)], {}), x),
    [6],
  )
})

test('aux passes through, seen from outside the tape', () => {
  const x = random([3], 23)
  const { value, aux, grads } = differentiate(([y]) => [weigh(y!, 1), op('exp', [y!], {}), dense([1], [5])], [x])
  near(aux[0]!, op('exp', [x], {}), 0)
  assert.equal(values(aux[1]!), [5])
  near(value, weigh(x, 1), 0)
  near(grads[0]!, random([3], 1001), 0)
  // and its own derivative is taken further out
  const outer = gradient(y => total(differentiate(([z]) => [weigh(z!, 1), op('mul', [z!, z!], {})], [y]).aux[0]!), x)
  near(dense([3], outer), op('add', [x, x], {}), 1e-15)
})

test('refusals: a loss that is no scalar, an argument that is no f32, a tensor used after its tape', () => {
  assert.throws(() => differentiate(([y]) => y!, [any]), /grad: the loss must be an f32 scalar, and is f32\[2, 3\]/)
  assert.throws(() => differentiate(() => dense([], [1]), [flags]), /grad: cannot differentiate by argument 0, bool\[2, 3\]: only f32/)
  const kept: object[] = []
  differentiate(
    ([y]) => {
      kept.push(y!)
      return weigh(y!, 1)
    },
    [any],
  )
  assert.throws(() => op('neg', [kept[0]!], {}), /used after its gradient was taken/)
})

test.run()
