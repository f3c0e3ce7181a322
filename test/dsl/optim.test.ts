import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { adam, adamInit, adamW, clipByGlobalNorm, globalNorm, item, tensor, toArray } from '../../dsl/index.ts'

const near = (a: readonly number[], b: readonly number[], tolerance = 1e-12): void => {
  assert.is(a.length, b.length)
  a.forEach((x, i) => assert.ok(Math.abs(x - b[i]!) <= tolerance * Math.max(1, Math.abs(b[i]!)), `${i}: ${x} against ${b[i]}`))
}
const tree = (a: readonly number[], b: readonly number[]) => ({ layer: { weight: tensor([2, 2], a) }, list: [tensor([3], b)] as const })

test('global norm and clipping', () => {
  const g = tree([1, 2, -2, 0], [4, 0, 0])
  assert.is(item(globalNorm(g)), 5)
  const half = clipByGlobalNorm(g, 2.5)
  near(toArray(half.grads.layer.weight), [0.5, 1, -1, 0])
  near(toArray(half.grads.list[0]), [2, 0, 0])
  assert.is(item(half.norm), 5)
  near(toArray(clipByGlobalNorm(g, tensor([], [7])).grads.list[0]), [4, 0, 0])
  near(toArray(clipByGlobalNorm(tree([0, 0, 0, 0], [0, 0, 0]), 1).grads.list[0]), [0, 0, 0])
})

test('Adam follows the published algorithm, step by step', () => {
  const [b1, b2, lr, eps] = [0.8, 0.95, 0.01, 1e-6]
  const gradientAt = (x: number, t: number): number => Math.sin(3 * x + t)
  let x = [0.5, -1, 2]
  let m = [0, 0, 0]
  let v = [0, 0, 0]
  let params = { x: tensor([3], x) }
  let state = adamInit(params)
  for (let t = 1; t <= 25; t++) {
    const g = x.map(a => gradientAt(a, t))
    const next = adam(params, state, { x: tensor([3], g) }, { learningRate: lr, beta1: b1, beta2: b2, epsilon: eps })
    params = next.params
    state = next.state
    m = m.map((a, i) => b1 * a + (1 - b1) * g[i]!)
    v = v.map((a, i) => b2 * a + (1 - b2) * g[i]! ** 2)
    x = x.map((a, i) => a - (lr * (m[i]! / (1 - b1 ** t))) / (Math.sqrt(v[i]! / (1 - b2 ** t)) + eps))
    near(toArray(params.x), x, 1e-12)
  }
  assert.is(item(state.count), 25)
})

test('the first step moves every parameter by the learning rate against the sign of its gradient', () => {
  const params = { x: tensor([3], [1, 1, 1]) }
  const next = adam(params, adamInit(params), { x: tensor([3], [1e-3, -50, 7]) }, { learningRate: tensor([], [0.1]) })
  near(toArray(next.params.x), [0.9, 1.1, 0.9], 1e-5)
})

test('AdamW decays parameters beside the gradient step, not through it', () => {
  const params = { x: tensor([2], [2, -4]) }
  const grads = { x: tensor([2], [1, 1]) }
  const plain = adam(params, adamInit(params), grads, { learningRate: 0.1 })
  const decayed = adamW(params, adamInit(params), grads, { learningRate: 0.1, weightDecay: 0.5 })
  near(toArray(decayed.params.x), toArray(plain.params.x).map((x, i) => x - 0.1 * 0.5 * [2, -4][i]!))
  near(toArray(decayed.state.m.x), toArray(plain.state.m.x))
})

test.run()
