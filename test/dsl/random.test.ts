import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { at, erfInv, foldIn, item, key, program, randomBernoulli, randomBits, randomNormal, randomUniform, split, tensor, toArray } from '../../dsl/index.ts'

const average = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length
const moment = (xs: readonly number[], k: number): number => average(xs.map(x => x ** k))

test('draws are functions of the key', () => {
  assert.equal(toArray(randomNormal(key(7), [5])), toArray(randomNormal(key(7), [5])))
  assert.not.equal(toArray(randomNormal(key(7), [5])), toArray(randomNormal(key(8), [5])))
  assert.equal(toArray(key(2 ** 32 * 3 + 9)), [3, 9])
})

test('split and foldIn give keys that are all different', () => {
  const keys = [...Array.from({ length: 20 }, (_, seed) => key(seed)), ...Array.from({ length: 20 }, (_, i) => foldIn(key(0), i)), ...Array.from({ length: 20 }, (_, i) => foldIn(key(1), i))]
  const words = [...keys.map(k => toArray(k).join()), ...[0, 1, 2].flatMap(seed => {
    const parts = toArray(split(key(seed), 10))
    return Array.from({ length: 10 }, (_, i) => `${parts[2 * i]},${parts[2 * i + 1]}`)
  })]
  assert.is(new Set(words).size, words.length)
})

test('foldIn takes a tensor as well as a number', () => {
  assert.equal(toArray(foldIn(key(3), tensor([], [11], 'u32'))), toArray(foldIn(key(3), 11)))
})

test('uniform: multiples of 2^-24 in [0, 1), with the moments of the uniform distribution', () => {
  const n = 20000
  const xs = toArray(randomUniform(key(1), [20000]))
  assert.ok(xs.every(x => x >= 0 && x < 1 && Number.isInteger(x * 2 ** 24)))
  // four standard errors
  assert.ok(Math.abs(average(xs) - 1 / 2) < 4 * Math.sqrt(1 / 12 / n))
  assert.ok(Math.abs(moment(xs, 2) - 1 / 3) < 4 * Math.sqrt(4 / 45 / n))
  const lag = average(xs.slice(1).map((x, i) => (x - 0.5) * (xs[i]! - 0.5)))
  assert.ok(Math.abs(lag) < 4 / 12 / Math.sqrt(n))
})

test('uniform comes from the upper 24 bits', () => {
  assert.equal(toArray(randomUniform(key(4), [9])), toArray(randomBits(key(4), [9])).map(b => Math.floor(b / 256) / 2 ** 24))
})

test('normal: four moments, and the range of its 2^24 values', () => {
  const n = 40000
  const xs = toArray(randomNormal(key(2), [200, 200]))
  assert.ok(Math.abs(average(xs)) < 4 / Math.sqrt(n))
  assert.ok(Math.abs(moment(xs, 2) - 1) < 4 * Math.sqrt(2 / n))
  assert.ok(Math.abs(moment(xs, 3)) < 4 * Math.sqrt(15 / n))
  assert.ok(Math.abs(moment(xs, 4) - 3) < 4 * Math.sqrt(96 / n))
  assert.ok(xs.every(x => x !== 0 && Math.abs(x) < 5.42))
})

/** erf by its Maclaurin series up to 3 and by its continued fraction beyond; 1 - erf for accuracy near 1. */
const erfc = (x: number): number => {
  if (x < 2.5) {
    let term = x
    let sum = x
    for (let n = 1; n < 200; n++) {
      term *= -x * x / n
      sum += term / (2 * n + 1)
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum
  }
  let fraction = x
  for (let k = 120; k >= 1; k--) fraction = x + k / 2 / fraction
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction
}

test('erfInv inverts erf to 4e-7 up to 1 - 2^-24', () => {
  const complements = [1, 0.9, 0.5, 0.1, 0.01, 0.0067, 1e-3, 1e-4, 1e-5, 1e-6, 2 ** -24]
  for (const c of complements.filter(c => c < 1)) {
    const y = item(erfInv(tensor([], [1 - c])))
    // Solve erfc(z) = c by Newton's method from the approximation.
    let z = y
    for (let i = 0; i < 20; i++) z -= (c - erfc(z)) / (2 / Math.sqrt(Math.PI) * Math.exp(-z * z))
    assert.ok(Math.abs(y / z - 1) < 4e-7, `1 - ${c}: ${y} against ${z}`)
    assert.is(item(erfInv(tensor([], [c - 1]))), -y)
  }
})

test('bernoulli holds with its probability', () => {
  const xs = toArray(randomBernoulli(key(3), 0.3, [20000]))
  assert.ok(xs.every(x => x === 0 || x === 1))
  assert.ok(Math.abs(average(xs) - 0.3) < 4 * Math.sqrt(0.21 / 20000))
})

test('names stand for sizes within a program', () => {
  const draw = program((k: ReturnType<typeof key>) => randomNormal(at(split(k, 2), 1), ['B', 'S']), { B: 2, S: 3 })
  assert.equal(toArray(draw.call(key(5))), toArray(randomNormal(at(split(key(5), 2), 1), [2, 3])))
})

test.run()
