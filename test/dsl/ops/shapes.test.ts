/** Operations that rearrange, cut, join and multiply, against plain index arithmetic. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  at, broadcast, concat, constant, contract, dot, dropFirst, dropLast, first, flatten, flip, full, gather, iota, item, last, matmul, matvec, oneHot, ones, outer, pad, reshape, slice, stack,
  tensor, toArray, transpose, unstack, zeros,
} from '../../../dsl/index.ts'
import { near, noise, range } from './near.ts'

const vs = noise(24)
const t = tensor([2, 3, 4], vs)
const v = (i: number, j: number, k: number): number => vs[(i * 3 + j) * 4 + k]!

test('reshape, flatten, transpose and broadcast', () => {
  near(reshape(t, [4, 6]), [4, 6], vs)
  near(flatten(t), [24], vs)
  near(transpose(t), [4, 3, 2], range(4).flatMap(k => range(3).flatMap(j => range(2).map(i => v(i, j, k)))))
  near(transpose(t, [1, 0, 2]), [3, 2, 4], range(3).flatMap(j => range(2).flatMap(i => range(4).map(k => v(i, j, k)))))
  near(broadcast(constant([1, 2]), [3, 2]), [3, 2], [1, 2, 1, 2, 1, 2])
  near(broadcast(full([], 7), [2, 2]), [2, 2], [7, 7, 7, 7])
})

test('concat and stack', () => {
  near(concat(t, ones([1, 3, 4])), [3, 3, 4], [...vs, ...range(12).map(() => 1)])
  near(concat(t, zeros([2, 3, 1]), 2), [2, 3, 5], range(2).flatMap(i => range(3).flatMap(j => [...range(4).map(k => v(i, j, k)), 0])))
  near(stack([constant([1, 2]), constant([3, 4]), constant([5, 6])]), [3, 2], [1, 2, 3, 4, 5, 6])
  near(stack([full([], 1), full([], 2)]), [2], [1, 2])
})

test('slice, at, first, last, dropFirst, dropLast, unstack', () => {
  near(slice(t, 1, 1, 3), [2, 2, 4], range(2).flatMap(i => [1, 2].flatMap(j => range(4).map(k => v(i, j, k)))))
  near(slice(t, 2, 0, 4, 3), [2, 3, 2], range(2).flatMap(i => range(3).flatMap(j => [0, 3].map(k => v(i, j, k)))))
  near(at(t, 1), [3, 4], vs.slice(12))
  near(first(t), [3, 4], vs.slice(0, 12))
  near(last(t), [3, 4], vs.slice(12))
  near(dropFirst(t), [1, 3, 4], vs.slice(12))
  near(dropLast(t), [1, 3, 4], vs.slice(0, 12))
  assert.is(unstack(t).length, 2)
  near(unstack(t)[1]!, [3, 4], vs.slice(12))
})

test('pad, flip, oneHot, gather, iota and constant', () => {
  near(pad(constant([[1, 2], [3, 4]]), [[1, 0], [0, 2]], 9), [3, 4], [9, 9, 9, 9, 1, 2, 9, 9, 3, 4, 9, 9])
  near(flip(constant([[1, 2], [3, 4]]), 1), [2, 2], [2, 1, 4, 3])
  near(flip(constant([[1, 2], [3, 4]])), [2, 2], [4, 3, 2, 1])
  near(oneHot(tensor([3], [2, 0, 3], 'i32'), 3), [3, 3], [0, 0, 1, 1, 0, 0, 0, 0, 0])
  near(gather(constant([[1, 2], [3, 4], [5, 6]]), tensor([2], [2, 0], 'i32')), [2, 2], [5, 6, 1, 2])
  near(gather(t, tensor([2], [2, 0], 'i32'), 1), [2, 2, 4], range(2).flatMap(i => [2, 0].flatMap(j => range(4).map(k => v(i, j, k)))))
  near(iota(4), [4], [0, 1, 2, 3])
  assert.is(item(constant(3)), 3)
  assert.throws(() => tensor([2, 2], [1, 2, 3]), 'tensor: shape [2, 2] has 4 elements, the data has 3')
})

test('matmul, matvec, dot, outer and contract', () => {
  const [as, bs] = [noise(6, 4), noise(12, 5)]
  const [a, b] = [tensor([2, 3], as), tensor([3, 4], bs)]
  const total = (n: number, f: (k: number) => number): number => range(n).reduce((s, k) => s + f(k), 0)
  const product = range(2).flatMap(i => range(4).map(j => total(3, k => as[i * 3 + k]! * bs[k * 4 + j]!)))
  near(matmul(a, b), [2, 4], product)
  near(contract('ij,jk->ik', a, b), [2, 4], product)
  near(contract('ij,jk->ki', a, b), [4, 2], toArray(transpose(tensor([2, 4], product))))
  near(matvec(a, constant([1, 2, 3])), [2], range(2).map(i => total(3, k => as[i * 3 + k]! * (k + 1))))
  near(dot(constant([1, 2, 3]), constant([4, 5, 6])), [], [32])
  near(outer(constant([1, 2]), constant([3, 4, 5])), [2, 3], [3, 4, 5, 6, 8, 10])
  near(contract('bij,bij->b', t, t), [2], range(2).map(i => total(12, k => vs[i * 12 + k]! ** 2)))
  near(contract('i,j->ij', constant([1, 2]), constant([3, 4])), [2, 2], [3, 4, 6, 8])
})

test.run()
