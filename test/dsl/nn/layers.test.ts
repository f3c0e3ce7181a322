import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { key, randomNormal, tensor, toArray, type Tensor } from '../../../dsl/index.ts'
import { blurPool, centred, conv, convTranspose, defaultConv, defaultLinear, identityLinear, initConv, initConvT, initExpertsConvT, initLinear, kaimingNormal, kaimingUniform, leakyGain, linear } from '../../../dsl/nn/index.ts'

const all = (a: readonly number[], b: readonly number[], tolerance = 1e-10): void => {
  assert.is(a.length, b.length)
  a.forEach((x, i) => assert.ok(Math.abs(x - b[i]!) <= tolerance * Math.max(1, Math.abs(b[i]!)), `${i}: ${x} against ${b[i]}`))
}
const average = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length
const variance = (xs: readonly number[]): number => average(xs.map(x => x * x)) - average(xs) ** 2
const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

test('linear is weight x + bias', () => {
  all(toArray(linear({ weight: tensor([2, 3], [1, 2, 3, 4, 5, 6]), bias: tensor([2], [10, 20]) }, tensor([3], [1, 0, -1]))), [8, 18])
})

test('conv: every output pixel against the sum it stands for', () => {
  const p = { weight: randomNormal(key(1), [2, 3, 3, 3]), bias: tensor([2], [0.5, -0.5]) }
  const x = randomNormal(key(2), [3, 7, 6])
  const [w, xs] = [toArray(p.weight), toArray(x)]
  const read = (c: number, i: number, j: number): number => (i < 0 || j < 0 || i >= 7 || j >= 6 ? 0 : xs[(c * 7 + i) * 6 + j]!)
  // stride 2, padding 1: 4 x 3
  const want = range(2).flatMap(o => range(4).flatMap(i => range(3).map(j =>
    [0.5, -0.5][o]! + range(27).reduce((sum, k) => sum + w[o * 27 + k]! * read(Math.floor(k / 9), 2 * i - 1 + (Math.floor(k / 3) % 3), 2 * j - 1 + (k % 3)), 0))))
  const y: Tensor<[2, 4, 3]> = conv(p, x, { stride: 2, padding: 1 })
  all(toArray(y), want)
})

test('convTranspose: every input pixel adds a kernel', () => {
  const p = { weight: randomNormal(key(3), [2, 3, 4, 4]), bias: tensor([3], [1, 2, 3]) }
  const x = randomNormal(key(4), [2, 3, 3])
  const [w, xs] = [toArray(p.weight), toArray(x)]
  const want = range(3 * 36).map(at => [1, 2, 3][Math.floor(at / 36)]!)
  for (const [c, i, j, o, k, l] of range(2 * 9 * 3 * 16).map(n => [Math.floor(n / 432), Math.floor(n / 144) % 3, Math.floor(n / 48) % 3, Math.floor(n / 16) % 3, Math.floor(n / 4) % 4, n % 4] as const)) {
    const [row, column] = [2 * i + k - 1, 2 * j + l - 1]
    if (row >= 0 && column >= 0 && row < 6 && column < 6) want[o * 36 + row * 6 + column]! += xs[c * 9 + i * 3 + j]! * w[((c * 3 + o) * 4 + k) * 4 + l]!
  }
  const y: Tensor<[3, 6, 6]> = convTranspose(p, x, { stride: 2, padding: 1 })
  all(toArray(y), want)
})

test('blurPool: binomial weights, zero padding, half the size', () => {
  const rows = { 2: [1, 1], 3: [1, 2, 1], 4: [1, 3, 3, 1], 5: [1, 4, 6, 4, 1] } as const
  const x = randomNormal(key(5), [2, 7, 6])
  const xs = toArray(x)
  const read = (c: number, i: number, j: number): number => (i < 0 || j < 0 || i >= 7 || j >= 6 ? 0 : xs[(c * 7 + i) * 6 + j]!)
  for (const taps of [2, 3, 4, 5] as const) {
    const low = Math.floor((taps - 1) / 2)
    const y: Tensor<[2, 4, 3]> = blurPool(x, { taps })
    all(toArray(y), range(2).flatMap(c => range(4).flatMap(i => range(3).map(j =>
      range(taps * taps).reduce((sum, k) => sum + (rows[taps][Math.floor(k / taps)]! * rows[taps][k % taps]! / 4 ** (taps - 1)) * read(c, 2 * i - low + Math.floor(k / taps), 2 * j - low + (k % taps)), 0)))))
  }
  const inner = toArray(blurPool(tensor([1, 9, 9], range(81).map(() => 3))))
  all([inner[6]!, inner[12]!], [3, 3]) // away from the border a constant stays
  const same: Tensor<[2, 7, 6]> = blurPool(x, { stride: 1 })
  assert.is(toArray(same).length, 84)
})

test('initialisers have the moments they promise', () => {
  const w = toArray(kaimingNormal(key(1), [100, 80], 80, 1.5))
  assert.ok(Math.abs(variance(w) / (1.5 ** 2 / 80) - 1) < 4 * Math.sqrt(2 / 8000))
  const u = toArray(kaimingUniform(key(2), [100, 80], 80, 1.5))
  assert.ok(Math.abs(variance(u) / (1.5 ** 2 / 80) - 1) < 4 * Math.sqrt(0.8 / 8000))
  assert.ok(u.every(x => Math.abs(x) <= 1.5 * Math.sqrt(3 / 80)))
  const l = initLinear(key(3), 80, 100, { gain: 1, bias: 0.25 })
  assert.ok(Math.abs(variance(toArray(l.weight)) * 80 - 1) < 4 * Math.sqrt(2 / 8000))
  assert.ok(toArray(l.bias).every(b => b === 0.25))
  const c = toArray(initConv(key(4), 16, 20, 4).weight)
  assert.ok(Math.abs(variance(c) * 256 / 2 - 1) < 4 * Math.sqrt(2 / c.length))
  const t = toArray(initConvT(key(5), 16, 20, 4, 2).weight)
  assert.ok(Math.abs(variance(t) * 64 / 2 - 1) < 4 * Math.sqrt(2 / t.length))
  assert.ok(Math.abs(leakyGain(0) - Math.SQRT2) < 1e-15 && leakyGain(1) === 1)
  for (const x of [...toArray(defaultLinear(key(6), 25, 8).weight), ...toArray(defaultLinear(key(6), 25, 8).bias)]) assert.ok(Math.abs(x) <= 0.2)
  for (const x of toArray(defaultConv(key(7), 4, 8, 5).weight)) assert.ok(Math.abs(x) <= 0.1)
  assert.equal(toArray(linear(identityLinear(3), tensor([3], [1, 2, 3]))), [1, 2, 3])
})

test('centred units ignore a constant', () => {
  const w = toArray(centred(randomNormal(key(8), [5, 3, 2, 2])))
  range(5).forEach(o => assert.ok(Math.abs(average(w.slice(o * 12, o * 12 + 12))) < 1e-15))
  const p = initLinear(key(9), 6, 4, { centred: true })
  const x = [0.5, -1, 2, 0, 1, 3]
  all(toArray(linear(p, tensor([6], x))), toArray(linear(p, tensor([6], x.map(v => v + 7)))))
})

test('experts share part of their variance, and their uniform blend is He-normal', () => {
  const [n, i, o] = [8, 12, 16] as const
  const { weight } = initExpertsConvT(key(10), n, i, o, 4, 2, 0.5)
  const w = toArray(weight)
  const each = w.length / n
  const blend = range(each).map(at => average(range(n).map(k => w[k * each + at]!)))
  assert.ok(Math.abs(variance(blend) * i * 4 / 2 - 1) < 4 * Math.sqrt(2 / each))
  const [a, b] = [w.slice(0, each), w.slice(each, 2 * each)]
  const correlation = average(a.map((x, k) => x * b[k]!)) / Math.sqrt(variance(a) * variance(b))
  assert.ok(Math.abs(correlation - 0.5) < 4 * 0.75 / Math.sqrt(each))
})

test.run()
