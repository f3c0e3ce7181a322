/** Corners of the back end: functions without kernels, results that are parameters or one another, sizes 0 and 1, carries of every kind. */
import { test } from 'uvu'
import { builder, type Builder } from '../../compiler/ir/build.ts'
import type { Func, Id } from '../../compiler/ir/ir.ts'
import { at, range } from '../../compiler/ir/view.ts'
import { batch } from '../../compiler/transform/batch.ts'
import { valueAndGrad } from '../../compiler/transform/vjp.ts'
import type { Aval, DType } from '../../dsl/core/prim.ts'
import { randomArgs } from './arbitrary.ts'
import { check } from './backend.ts'

const t = (dtype: DType, ...shape: readonly number[]): Aval => ({ shape, dtype })
const f = (...shape: readonly number[]): Aval => t('f32', ...shape)
const made = (make: (b: Builder) => readonly Id[]): Func => {
  const b = builder()
  return b.finish(make(b))
}
const fill = (b: Builder, aval: Aval, value: number): Id => b.op('fill', [], { ...aval, value })

/** With and without the passes in front: fusion may not rely on what they tidy. */
const agrees = (name: string, func: Func, tolerance = 1e-6): void => {
  check(name, func, randomArgs(func, 3), tolerance)
  check(`${name}, without passes`, func, randomArgs(func, 4), tolerance, given => given)
}
const corner = (name: string, func: Func, tolerance?: number): void => test(name, () => agrees(name, func, tolerance))

corner('a result that is a parameter', made(b => [b.param(f(3), 'x')]))
corner('results that are one another', made(b => {
  const x = b.param(f(3), 'x')
  const y = b.op('neg', [x], {})
  return [x, y, y, x]
}))
corner('results that are views of results', made(b => {
  const y = b.op('neg', [b.param(f(3, 4), 'x')], {})
  const turned = b.op('transpose', [y], { perm: [1, 0] })
  return [y, turned, b.op('reshape', [turned], { shape: [12] }), b.op('slice', [y], { start: [0, 1], limit: [3, 2], step: [1, 1] })]
}))
corner('results that are constants', made(b => [
  fill(b, f(3), 2), b.op('literal', [], { ...t('i32', 2), data: [5, -7] }), b.op('literal', [], { ...t('bool', 2), data: [1, 0] }),
  b.op('literal', [], { ...t('u32', 2), data: [4294967295, 1] }), b.op('iota', [], { shape: [2, 3], dtype: 'u32', axis: 1 }),
]))
corner('no results at all', made(b => (b.param(f(3), 'x'), [])))
corner('scalars', made(b => {
  const x = b.param(f(), 'x')
  return [b.op('exp', [x], {}), x, b.op('add', [x, x], {})]
}))
corner('axes of size 1 everywhere', made(b => {
  const [x, y] = [b.param(f(1, 1, 1), 'x'), b.param(f(1, 1), 'y')]
  const product = b.op('contract', [x, y], { sizes: { i: 1, j: 1, k: 1, l: 1 }, a: ['i', 'j', 'k'], b: ['k', 'l'], out: ['l', 'i', 'j'] })
  return [product, b.op('sum', [x], { axes: [0, 1, 2] }), b.op('max', [x], { axes: [1] })]
}))
corner('reductions over everything', made(b => {
  const x = b.param(f(37, 53), 'x')
  return [b.op('sum', [x], { axes: [0, 1] }), b.op('max', [x], { axes: [0, 1] }), b.op('min', [x], { axes: [0] }), b.op('sum', [x], { axes: [] })]
}), 1e-5)
corner('sums over nothing', made(b => {
  const x = b.param(f(0, 3), 'x')
  const repeated = b.op('broadcast', [b.param(f(3), 'y')], { shape: [0, 3], axes: [1] })
  return [b.op('sum', [x], { axes: [0] }), b.op('sum', [x], { axes: [0, 1] }), b.op('neg', [x], {}), x, repeated, b.op('sum', [repeated], { axes: [0] })]
}))
corner('products over nothing', made(b => {
  const [x, y] = [b.param(f(3, 0), 'x'), b.param(f(0, 4), 'y')]
  return [b.op('contract', [x, y], { sizes: { i: 3, k: 0, j: 4 }, a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] })]
}))
corner('slices of no elements', made(b => {
  const x = b.param(f(3), 'x')
  const none = b.op('slice', [x], { start: [1], limit: [1], step: [1] })
  return [none, b.op('sum', [none], { axes: [0] }), b.op('concat', [none, x], { axis: 0 }), b.op('pad', [none], { low: [2], high: [1], interior: [0], value: 3 })]
}))
corner('a scan of no steps', made(b => {
  const [x, c] = [b.param(f(0, 3), 'x'), b.param(f(3), 'c')]
  const s = builder()
  const next = s.op('add', [s.param(f(3)), s.param(f(3))], {})
  return b.scan({ length: 0, reverse: false, consts: [], init: [c], xs: [x], body: s.finish([next, next]) })
}))
// a linear index that falls, cut across by a reshape: its quotients are of numbers that must not be negative
corner('flips between reshapes that cut across each other', made(b => {
  const x = b.param(f(7, 5), 'x')
  const flipped = b.op('flip', [b.op('reshape', [b.op('transpose', [x], { perm: [1, 0] })], { shape: [35] })], { axes: [0] })
  const places = b.param(t('i32', 9), 'places')
  const chosen = b.op('gather', [b.op('flip', [b.op('reshape', [flipped], { shape: [5, 7] })], { axes: [0] }), places], { axis: 1, batch: 0 })
  return [b.op('reshape', [flipped], { shape: [5, 7] }), b.op('gather', [flipped, places], { axis: 0, batch: 0 }), chosen]
}))

/** Carries that swap, that are ys, and ys that are slices, constants or one another; the results again as views. */
const swapping = (reverse: boolean): Func => made(b => {
  const [x, c, k] = [b.param(f(5, 6), 'x'), b.param(f(6), 'c'), b.param(f(6), 'k')]
  const s = builder()
  const [constant, left, right, slice] = [s.param(f(6)), s.param(f(6)), s.param(f(6)), s.param(f(6))]
  const next = s.op('add', [right, slice], {})
  const body = s.finish([next, s.op('mul', [left, constant], {}), next, left, slice, constant, next])
  const ids = b.scan({ length: 5, reverse, consts: [k], init: [c, c], xs: [x], body })
  return [...ids, c, k, at(ids, 2), b.op('reshape', [at(ids, 2)], { shape: [30] })]
})
const nested = made(b => {
  const [x, c] = [b.param(f(3, 4, 5), 'x'), b.param(f(5), 'c')]
  const [outer, inner] = [builder(), builder()]
  const [carry, rows] = [outer.param(f(5)), outer.param(f(4, 5))]
  const [constant, now, row] = [inner.param(f(5)), inner.param(f(5)), inner.param(f(5))]
  const next = inner.op('tanh', [inner.op('add', [inner.op('mul', [now, constant], {}), row], {})], {})
  const ids = outer.scan({ length: 4, reverse: true, consts: [carry], init: [carry], xs: [rows], body: inner.finish([next, next, now]) })
  const last = outer.op('sub', [at(ids, 0), carry], {})
  return b.scan({ length: 3, reverse: false, consts: [], init: [c], xs: [x], body: outer.finish([last, at(ids, 1), at(ids, 0), at(ids, 2), last]) })
})
/** The sum of the sines of all results, in front of them. */
const asLoss = (func: Func): Func => made(b => {
  const results = b.inline(func, func.params.map(p => b.param(p.aval, p.path)))
  const sums = results.map(id => b.op('sum', [b.op('sin', [id], {})], { axes: range(b.aval(id).shape.length) }))
  return [sums.reduce((x, y) => b.op('add', [x, y], {})), ...results]
})
const gradient = (func: Func): Func => valueAndGrad(asLoss(func), func.params.map((_, i) => i))

for (const [name, func] of [['carries that swap', swapping(false)], ['carries that swap, reversed', swapping(true)], ['a scan in a scan', nested]] as const) {
  corner(name, func)
  corner(`${name}: gradient`, gradient(func), 1e-4)
  corner(`${name}: vmap of the gradient`, batch(gradient(func), func.params.map((_, i) => i % 2 === 0), 3), 1e-4)
  corner(`${name}: gradient of the gradient`, valueAndGrad(asLoss(gradient(func)), [0]), 3e-3)
  corner(`${name}: vmap of all`, batch(func, func.params.map(() => true), 7))
}
corner('carries that only change places', made(b => {
  const s = builder()
  const [x, y] = [s.param(f(4)), s.param(f(4))]
  return b.scan({ length: 3, reverse: false, consts: [], init: [b.param(f(4), 'x'), b.param(f(4), 'y')], xs: [], body: s.finish([y, x, x, y]) })
}))
corner('one value as constant, carry and sequence', made(b => {
  const x = b.param(f(3, 3), 'x')
  const s = builder()
  const [constant, carry, slice] = [s.param(f(3, 3)), s.param(f(3, 3)), s.param(f(3))]
  const product = s.op('contract', [constant, slice], { sizes: { i: 3, j: 3 }, a: ['i', 'j'], b: ['j'], out: ['i'] })
  const next = s.op('add', [carry, s.op('broadcast', [product], { shape: [3, 3], axes: [0] })], {})
  return [...b.scan({ length: 3, reverse: false, consts: [x], init: [x], xs: [x], body: s.finish([next, product, carry]) }), x]
}))

const bits = made(b => {
  const r = b.op('randomBits', [b.param(t('u32', 2), 'key')], { shape: [7, 9] })
  const high = b.op('cast', [b.op('gt', [r, fill(b, t('u32', 7, 9), 2147483648)], {})], { dtype: 'i32' })
  const unit = b.op('cast', [b.op('shr', [r, fill(b, t('u32', 7, 9), 8)], {})], { dtype: 'f32' })
  return [r, unit, b.op('transpose', [r], { perm: [1, 0] }), b.op('sum', [high], { axes: [0] }), b.op('max', [r], { axes: [0, 1] })]
})
corner('random bits with several readers', bits)
corner('random bits of many keys', batch(bits, [true], 5))
corner('a key that is carried', made(b => {
  const s = builder()
  const key = s.param(t('u32', 2))
  const drawn = s.op('randomBits', [key], { shape: [5, 4] })
  const isHigh = s.op('gt', [drawn, fill(s, t('u32', 5, 4), 4e9)], {})
  const body = s.finish([s.op('randomBits', [key], { shape: [2] }), drawn, isHigh, s.op('max', [drawn], { axes: [0, 1] })])
  return b.scan({ length: 4, reverse: true, consts: [], init: [b.param(t('u32', 2), 'key')], xs: [], body })
}))

test.run()
