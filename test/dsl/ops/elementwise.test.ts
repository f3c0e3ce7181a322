/** Element-wise operations and reductions against plain arithmetic on arrays. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  abs, add, and, argMax, cast, clamp, cos, div, eq, exp, expm1, floor, full, ge, gt, le, leakyRelu, log, log1p, logSumExp, lt, max, maximum, mean, min, minimum, mul, ne, neg, not, or, pow, relu,
  rsqrt, select, shl, shr, sigmoid, sign, sin, softmax, softplus, sqrt, square, sub, sum, tanh, tensor, toArray, xor, grad, item, stopGradient, zerosLike, onesLike,
} from '../../../dsl/index.ts'
import type { Any, Vec } from '../../../dsl/index.ts'
import { near, noise, range } from './near.ts'

const xs = noise(6)
const ys = noise(6, 2)
const x = tensor([2, 3], xs)
const y = tensor([2, 3], ys)
const positive = add(abs(x), 0.5)
const ps = xs.map(v => Math.abs(v) + 0.5)

test('arithmetic of two tensors, of a number and of a scalar with a tensor', () => {
  const s = full([], 3)
  const cases: readonly (readonly [(a: never, b: never) => Any, (a: number, b: number) => number])[] = [
    [add, (a, b) => a + b], [sub, (a, b) => a - b], [mul, (a, b) => a * b], [div, (a, b) => a / b], [maximum, Math.max], [minimum, Math.min],
    [eq, (a, b) => +(a === b)], [ne, (a, b) => +(a !== b)], [lt, (a, b) => +(a < b)], [le, (a, b) => +(a <= b)], [gt, (a, b) => +(a > b)], [ge, (a, b) => +(a >= b)],
  ]
  cases.forEach(([f, g]) => {
    near(f(x as never, y as never), [2, 3], xs.map((v, i) => g(v, ys[i]!)))
    near(f(x as never, x as never), [2, 3], xs.map(v => g(v, v)))
    near(f(x as never, 3 as never), [2, 3], xs.map(v => g(v, 3)))
    near(f(3 as never, x as never), [2, 3], xs.map(v => g(3, v)))
    near(f(x as never, s as never), [2, 3], xs.map(v => g(v, 3)))
    near(f(s as never, x as never), [2, 3], xs.map(v => g(3, v)))
    near(f(2 as never, 3 as never), [], [g(2, 3)])
  })
})

test('functions of one tensor', () => {
  near(neg(x), [2, 3], xs.map(v => -v))
  near(sign(x), [2, 3], xs.map(Math.sign))
  near(floor(mul(x, 5)), [2, 3], xs.map(v => Math.floor(v * 5)))
  near(exp(x), [2, 3], xs.map(Math.exp))
  near(log(positive), [2, 3], ps.map(Math.log))
  near(log1p(positive), [2, 3], ps.map(Math.log1p))
  near(expm1(x), [2, 3], xs.map(Math.expm1))
  near(sqrt(positive), [2, 3], ps.map(Math.sqrt))
  near(rsqrt(positive), [2, 3], ps.map(v => 1 / Math.sqrt(v)))
  near(square(x), [2, 3], xs.map(v => v * v))
  near(sin(x), [2, 3], xs.map(Math.sin))
  near(cos(x), [2, 3], xs.map(Math.cos))
  near(pow(positive, 2.5), [2, 3], ps.map(v => v ** 2.5))
  near(tanh(x), [2, 3], xs.map(Math.tanh))
  near(sigmoid(x), [2, 3], xs.map(v => 1 / (1 + Math.exp(-v))))
  near(softplus(x), [2, 3], xs.map(v => Math.log1p(Math.exp(v))))
  near(relu(x), [2, 3], xs.map(v => Math.max(v, 0)))
  near(leakyRelu(x), [2, 3], xs.map(v => (v > 0 ? v : 0.01 * v)))
  near(leakyRelu(x, 0.2), [2, 3], xs.map(v => (v > 0 ? v : 0.2 * v)))
  near(clamp(x, -0.2, 0.3), [2, 3], xs.map(v => Math.min(Math.max(v, -0.2), 0.3)))
  near(zerosLike(x), [2, 3], xs.map(() => 0))
  near(onesLike(x), [2, 3], xs.map(() => 1))
})

test('truth values, integers, select and cast', () => {
  const up = gt(x, 0)
  near(not(up), [2, 3], xs.map(v => +!(v > 0)))
  near(and(up, lt(y, 0)), [2, 3], xs.map((v, i) => +(v > 0 && ys[i]! < 0)))
  near(or(up, lt(y, 0)), [2, 3], xs.map((v, i) => +(v > 0 || ys[i]! < 0)))
  near(select(up, x, y), [2, 3], xs.map((v, i) => (v > 0 ? v : ys[i]!)))
  near(select(up, 1, y), [2, 3], xs.map((v, i) => (v > 0 ? 1 : ys[i]!)))
  near(select(up, 1, 2), [2, 3], xs.map(v => (v > 0 ? 1 : 2)))
  near(select(gt(full([], 1), 0), x, 0), [2, 3], xs)
  const bits = tensor([3], [5, 6, 0x80000000], 'u32')
  near(xor(bits, 3), [3], [6, 5, 0x80000003])
  near(shl(bits, 1), [3], [10, 12, 0])
  near(shr(bits, 1), [3], [2, 3, 0x40000000])
  near(cast(mul(x, 10), 'i32'), [2, 3], xs.map(v => Math.trunc(v * 10)).map(v => v + 0))
  assert.is(item(sum(cast(up, 'f32'))), xs.filter(v => v > 0).length)
})

test('reductions over one axis, several and all', () => {
  const vs = noise(24, 3)
  const t = tensor([2, 3, 4], vs)
  const at = (i: number, j: number, k: number): number => vs[(i * 3 + j) * 4 + k]!
  const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
  near(sum(t), [], [total(vs)])
  near(sum(t, 1), [2, 4], range(2).flatMap(i => range(4).map(k => total(range(3).map(j => at(i, j, k))))))
  near(sum(t, [0, 2]), [3], range(3).map(j => total(range(2).flatMap(i => range(4).map(k => at(i, j, k))))))
  near(sum(t, [2, 0]), [3], toArray(sum(t, [0, 2])))
  near(mean(t, [0, 2]), [3], toArray(sum(t, [0, 2])).map(v => v / 8))
  near(mean(t), [], [total(vs) / 24])
  near(max(t, 2), [2, 3], range(2).flatMap(i => range(3).map(j => Math.max(...range(4).map(k => at(i, j, k))))))
  near(min(t, 0), [3, 4], range(3).flatMap(j => range(4).map(k => Math.min(at(0, j, k), at(1, j, k)))))
  near(logSumExp(t, 1), [2, 4], range(2).flatMap(i => range(4).map(k => Math.log(total(range(3).map(j => Math.exp(at(i, j, k))))))))
  near(argMax(t, 1), [2, 4], range(2).flatMap(i => range(4).map(k => range(3).reduce((best, j) => (at(i, j, k) > at(i, best, k) ? j : best), 0))))
  near(argMax(tensor([4], [1, 7, 7, 2]), 0), [], [1])
  near(softmax(t), [2, 3, 4], range(2).flatMap(i => range(3).flatMap(j => range(4).map(k => Math.exp(at(i, j, k)) / total(range(4).map(q => Math.exp(at(i, j, q))))))))
  near(sum(softmax(t, 0), 0), [3, 4], range(12).map(() => 1))
})

test('softmax and logSumExp of large numbers stay finite, and their gradients are exact', () => {
  const big = tensor([3], [1000, 1001, 999])
  const e = [Math.exp(-1), 1, Math.exp(-2)]
  const z = e[0]! + e[1]! + e[2]!
  near(softmax(big), [3], e.map(v => v / z))
  near(logSumExp(big), [], [1001 + Math.log(z)])
  near(grad((v: Vec<3>) => logSumExp(v))(big), [3], e.map(v => v / z))
  near(grad((v: Vec<3>) => sum(mul(v, stopGradient(v))))(big), [3], [1000, 1001, 999])
})

test.run()
