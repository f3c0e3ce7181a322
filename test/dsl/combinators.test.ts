/** vmap, scan, grad, trees and programs, eagerly. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add, concat, constant, dot, full, grad, item, matvec, mul, program, scan, sin, square, sub, sum, tanh, tensor, toArray, treeLeaves, treeMap, valueAndGrad, vmap, zeros,
} from '../../dsl/index.ts'
import type { Add, Scalar, Tensor, Vec } from '../../dsl/index.ts'
import { near, noise, range } from './ops/near.ts'

test('vmap runs over trees; what is closed over is shared; statics stay', () => {
  const w = constant([10, 20])
  const r = vmap({ a: constant([[1, 2], [3, 4], [5, 6]]), in: [constant([1, 2, 3])] as const, tag: 'k' as const }, x => ({ y: mul(x.a, w), z: x.in[0], tag: x.tag }))
  near(r.y, [3, 2], [10, 40, 30, 80, 50, 120])
  near(r.z, [3], [1, 2, 3])
  assert.is(r.tag, 'k')
  near(vmap(constant([[1, 2], [3, 4]]), x => vmap(x, y => add(y, 1))), [2, 2], [2, 3, 4, 5])
})

test('scan carries, stacks and reverses', () => {
  const xs = constant([1, 2, 3, 4])
  const [total, sums] = scan(full([], 0), xs, (c, x) => [add(c, x), add(c, x)])
  near(total, [], [10])
  near(sums, [4], [1, 3, 6, 10])
  const [, back] = scan(full([], 0), xs, (c, x) => [add(c, x), add(c, x)], { reverse: true })
  near(back, [4], [10, 9, 7, 4])
  const [{ p, q }, ys] = scan({ p: zeros([2]), q: full([], 1) }, { x: constant([[1, 2], [3, 4]]) }, (c, { x }) => [{ p: add(c.p, x), q: mul(c.q, 2) }, [x, c.q]])
  near(p, [2], [4, 6])
  near(q, [], [4])
  near(ys[0], [2, 2], [1, 2, 3, 4])
  near(ys[1], [2], [1, 2])
})

test('grad through scan and vmap agrees with central differences', () => {
  const loss = (p: { readonly w: Tensor<[2, 2]>; readonly b: Vec<2> }, xs: Tensor<[3, 2]>): Scalar => {
    const [h] = scan(zeros([2]), xs, (h, x) => [tanh(add(matvec(p.w, add(h, x)), p.b)), h])
    return add(sum(vmap(xs, x => dot(x, h))), sum(square(h)))
  }
  const [ws, bs] = [noise(4), noise(2, 2)]
  const xs = tensor([3, 2], noise(6, 3))
  const at = (values: readonly number[]): number => item(loss({ w: tensor([2, 2], values.slice(0, 4)), b: tensor([2], values.slice(4)) }, xs))
  const all = [...ws, ...bs]
  const { value, grad: g } = valueAndGrad(loss)({ w: tensor([2, 2], ws), b: tensor([2], bs) }, xs)
  assert.is(item(value), at(all))
  const h = 1e-5
  const numeric = range(6).map(i => (at(all.with(i, all[i]! + h)) - at(all.with(i, all[i]! - h))) / (2 * h))
  near(g.w, [2, 2], numeric.slice(0, 4), 1e-8)
  near(g.b, [2], numeric.slice(4), 1e-8)
})

test('what a loss returns beside the loss comes back; integers get zero gradients; grad nests', () => {
  const p = { x: constant([1, 2]), n: tensor([], [3], 'i32') }
  const { value: [loss, aux], grad: g } = valueAndGrad((q: typeof p) => [sum(square(q.x)), { doubled: mul(q.x, 2), k: 4 }])(p)
  near(loss, [], [5])
  near(aux.doubled, [2], [2, 4])
  assert.is(aux.k, 4)
  near(g.x, [2], [2, 4])
  near(g.n, [], [0])
  const third = grad((x: Scalar) => grad((y: Scalar) => grad((z: Scalar) => sin(z))(y))(x))
  near(third(full([], 0.7)), [], [-Math.cos(0.7)])
})

test('treeMap walks several trees at once, treeLeaves lists tensors', () => {
  const p = { a: constant([1, 2]), b: [constant([3]), { c: full([], 4) }] as const }
  const moved = treeMap((x, g) => sub(x, mul(0.5, g)), p, p)
  assert.equal(treeLeaves(moved).map(x => toArray(x)), [[0.5, 1], [1.5], [2]])
})

test('a program gives names their numbers; an unknown name is refused by name', () => {
  const join = (z: Vec<'Z'>, d: Vec<'D'>): Vec<Add<'Z', 'D'>> => add(concat(z, d), full(['Z+D'], 1))
  near(program(join, { Z: 2, D: 1 }).call(constant([1, 2]), constant([3])), [3], [2, 3, 4])
  const hidden = program(() => sum(zeros(['Q'])), { Z: 2 })
  assert.throws(() => hidden.call(), /Q/)
})

test.run()
