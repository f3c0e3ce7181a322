/** What evaluation computes besides probes: splits, features, facts of posteriors, and its tables. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { normals, stream } from '../../runtime/data/random.ts'
import { clipOf, meanOverTime } from '../../runtime/evaluate/embed.ts'
import { choose } from '../../runtime/evaluate/evaluate.ts'
import { centred, factsOf, klOf } from '../../runtime/evaluate/facts.ts'
import { startShares } from '../../runtime/evaluate/progress.ts'
import { sizeFor } from '../../runtime/evaluate/probes.ts'
import { heldOutOf, partition, sample } from '../../runtime/evaluate/split.ts'
import { columns, spreadOf } from '../../runtime/evaluate/table.ts'
import { draws, locations, momentsOf, pickGaussians, whitened, whiteningOf, type Gaussians } from '../../runtime/evaluate/vectors.ts'

const near = (a: number, b: number, tolerance: number, what = ''): void => assert.ok(Math.abs(a - b) <= tolerance, `${what} ${a} is not ${b}`)
const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

test('no identity stands in both parts where identities are held out', () => {
  const identity = Int32Array.from({ length: 500 }, (_, i) => (i * 7) % 40)
  for (const seed of [0, 1, 2]) {
    const { train, validation } = partition(identity, 'identities', seed)
    const [a, b] = [train, validation].map(rows => new Set(rows.map(row => identity[row]))) as [Set<number>, Set<number>]
    assert.equal([...b].filter(each => a.has(each)), [])
    assert.is(b.size, 6)
    assert.equal([...train, ...validation].sort((p, q) => p - q), upTo(500))
  }
  assert.not.equal(partition(identity, 'identities', 0), partition(identity, 'identities', 1))
})

test('sequences are parted where takes are held out, or identities are too few to spare one', () => {
  for (const [identity, heldOut] of [[new Int32Array(100), 'takes'], [Int32Array.from({ length: 100 }, (_, i) => i % 3), 'identities']] as const) {
    const { train, validation } = partition(identity, heldOut, 0)
    assert.is(validation.length, 15)
    assert.equal([...train, ...validation].sort((p, q) => p - q), upTo(100))
  }
})

test('what a data set holds out is seen from its identities', () => {
  assert.is(heldOutOf(pendulum()), 'takes')
  const strict = pendulum({ holdOut: 'identities' })
  assert.is(heldOutOf(strict), 'identities')
  const seen = (split: 'train' | 'heldOut') => new Set(upTo(strict.sequences[split]).map(index => strict.labels(split, index).identity))
  assert.equal([...seen('train')].filter(each => seen('heldOut').has(each)), [])
})

test('a sample has no sequence twice, and is all there is where that is less', () => {
  assert.equal(sample(5, 9, 0), [0, 1, 2, 3, 4])
  const some = sample(1000, 100, 3)
  assert.is(new Set(some).size, 100)
  assert.equal(some, sample(1000, 100, 3))
  assert.not.equal(some, sample(1000, 100, 4))
})

test('the clip of a sequence is the same at every call, and somewhere in it', () => {
  const data = pendulum()
  const [a, b] = [clipOf(data, 'heldOut', 5, 4, 0), clipOf(data, 'heldOut', 5, 4, 0)]
  assert.equal(a, b)
  const whole = data.clip('heldOut', 5, 16).x
  const starts = upTo(13).filter(start => whole.subarray(start * 12288, (start + 4) * 12288).every((v, i) => v === a.x[i]))
  assert.ok(starts.length > 0)
  assert.is(new Set(upTo(20).map(index => clipOf(data, 'heldOut', index, 16, 0).x.length)).size, 1)
})

test('the divergence of a Gaussian from another, against an integral', () => {
  const density = (x: number, m: number, d: number): number => Math.exp(-0.5 * ((x - m) / d) ** 2) / (d * Math.sqrt(2 * Math.PI))
  let sum = 0
  for (let x = -8; x < 8; x += 1e-3) sum += 1e-3 * density(x, 0.3, 0.5) * Math.log(density(x, 0.3, 0.5) / density(x, -0.2, 1.4))
  near(klOf(0.3, 0.25, -0.2, 1.4), sum, 1e-4)
  near(klOf(-0.2, 1.96, -0.2, 1.4), 0, 1e-12)
})

test('facts: posteriors that are the prior cost nothing; one that says everything fills its dimension', () => {
  const width = 2
  const count = 4000
  const where = normals(count, stream(1))
  const made: Gaussians = {
    count, width,
    loc: Float32Array.from({ length: count * width }, (_, i) => (i % 2 === 0 ? 0 : (where[i >> 1] as number) * Math.sqrt(0.99))),
    scale: Float32Array.from({ length: count * width }, (_, i) => (i % 2 === 0 ? 1 : 0.1)),
  }
  const facts = factsOf(made, centred(width))
  assert.is(facts.dimensions, 2)
  assert.is(facts.active, 1)
  // E KL(N(l, 0.01) || N(0, 1)) = (0.01 + E l^2 - 1 - log 0.01) / 2 with E l^2 = 0.99; 4000 draws say it to 0.02.
  near(facts.kl, -0.5 * Math.log(0.01), 0.03)
  near(facts.gap, 0, 2e-3)
  near(facts.information, facts.kl - facts.gap, 1e-12)
  assert.is(factsOf({ ...made, count: 2, loc: made.loc.subarray(0, 4), scale: made.scale.subarray(0, 4) }, centred(width)).information <= Math.log(2), true)
  // Under a prior that lies elsewhere the mixture is far from it, and the gap says how far: (3 / 1)^2 / 2 a dimension.
  near(factsOf(made, { loc: [3, 3], scale: [1, 1] }).gap, 9, 0.2)
})

test('the mean of poses over time is a Gaussian of their mean and a smaller scale', () => {
  const { loc, scale } = meanOverTime([1, 10, 3, 20], [2, 0.5, 2, 0.5], 2)
  assert.equal([...loc], [2, 15])
  near(scale[0] as number, Math.SQRT2, 1e-12)
  near(scale[1] as number, 0.5 / Math.SQRT2, 1e-12)
})

test('draws lie around their locations as far as the scale says', () => {
  const gaussians: Gaussians = { count: 3, width: 2, loc: Float32Array.of(0, 100, 1, 200, 2, 300), scale: Float32Array.of(1, 0, 1, 0, 1, 0) }
  const rows = draws(gaussians, Int32Array.of(7, 8, 9), 2000, stream(4))
  assert.is(rows.count, 6000)
  assert.equal([...rows.label.subarray(0, 6)], [7, 8, 9, 7, 8, 9])
  const column = (row: number, j: number): readonly number[] => upTo(2000).map(k => rows.x[(3 * k + row) * 2 + j] as number)
  for (const row of [0, 1, 2]) {
    // 2000 draws: their mean is known to 0.022, their deviation to 0.016; five of each.
    near(spreadOf(column(row, 0)).mean, row, 0.11)
    near(spreadOf(column(row, 0)).deviation, 1, 0.08)
    assert.ok(column(row, 1).every(v => v === 100 * (row + 1)))
  }
  assert.equal(pickGaussians(gaussians, [2, 0]).loc, Float32Array.of(2, 300, 0, 100))
})

test('whitened features have mean 0, variance 1 and no correlation; what does not vary is zero', () => {
  const count = 500
  const noise = normals(2 * count, stream(5))
  const x = Float32Array.from({ length: 3 * count }, (_, i) => {
    const [a, b] = [noise[2 * Math.floor(i / 3)] as number, noise[2 * Math.floor(i / 3) + 1] as number]
    return i % 3 === 0 ? 1000 + a : i % 3 === 1 ? 1e-3 * (a + 0.1 * b) : 5
  })
  const rows = { count, width: 3, x, label: new Int32Array(count) }
  const done = whitened(rows, whiteningOf(rows), 4)
  assert.is(done.width, 4)
  const { mean, deviation } = momentsOf(done.x, 4)
  for (const j of [0, 1]) {
    near(mean[j] as number, 0, 1e-3)
    near(deviation[j] as number, 1, 1e-2)
  }
  near(upTo(count).reduce((sum, row) => sum + ((done.x[4 * row] as number) * (done.x[4 * row + 1] as number)) / count, 0), 0, 1e-2)
  assert.ok(done.x.every((v, i) => i % 4 < 2 || v === 0))
})

test('factors that no probe can be trained for are named, with the reason', () => {
  const data = { factors: ['colour', 'digit', 'shape', 'size', 'grain'].map((name, i) => ({ name, values: upTo(i === 1 ? 100 : 4).map(String) })), actions: [] }
  const test = { colour: Int32Array.of(0, 0, 1, 0), digit: Int32Array.of(1, 2, 3, 4), shape: Int32Array.of(2, 2, 2, 2), size: Int32Array.of(0, 1, 0, 1),
    grain: Int32Array.of(0, -1, 0, 1) }
  const train = { ...test, size: Int32Array.of(2, 3, 3, 3) }
  const { factors, skipped } = choose(data, test, train, 64)
  assert.equal(factors, [{ name: 'colour', classes: 4, chance: 0.75 }])
  assert.equal(skipped.map(({ name }) => name), ['digit', 'shape', 'size', 'grain'])
  assert.match(skipped[0]?.why ?? '', /100 values, the probes take 64/)
  assert.match(skipped[1]?.why ?? '', /one value of it only/)
  assert.match(skipped[2]?.why ?? '', /no value of the held-out sequences is in the training split/)
  assert.match(skipped[3]?.why ?? '', /no value of it/)
})

test('progress: a line every so often, with the share and the time left', () => {
  const lines: string[] = []
  const clock = { now: 0 }
  const { add, stop } = startShares({ write: text => lines.push(text) }, 1000, () => clock.now)
  for (const [time, share] of [[400, 0.1], [1000, 0.1], [1500, 0.2], [4000, 0.4], [6000, 0.3]] as const) {
    clock.now = time
    add(share, 'encoding')
  }
  stop()
  assert.equal(lines, ['20%  4s left  encoding\n', '80%  1s left  encoding\n', '100%  0s left  encoding\n'])
})

test('the smaller probes are taken where all fits them', () => {
  assert.equal([[24, 9], [32, 16], [33, 2], [2, 17], [50, 100]].map(([features = 0, classes = 0]) => sizeFor(features, classes)),
    ['small', 'small', 'large', 'large', 'large'])
})

test('rows of features keep their labels; columns stand under one another', () => {
  const rows = locations({ count: 2, width: 1, loc: Float32Array.of(1, 2), scale: Float32Array.of(1, 1) }, Int32Array.of(3, 4))
  assert.equal([...rows.label, ...rows.x], [3, 4, 1, 2])
  assert.is(columns([['', 'chance', 's'], ['hair (8)', '12.5', '7']]), '          chance  s\nhair (8)    12.5  7')
  assert.equal(spreadOf([2, 4]), { mean: 3, deviation: Math.SQRT2 })
  assert.equal(spreadOf([5]), { mean: 5, deviation: 0 })
})

test.run()
