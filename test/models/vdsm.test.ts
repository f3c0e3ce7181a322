import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { full, item, key, leaves, randomNormal, randomUniform, split, at, tensor, toArray, type Any } from '../../dsl/index.ts'
import { aval, withDims } from '../../dsl/core/apply.ts'
import { tiny as config, small as smallConfig, paper as paperConfig, type Sizes } from '../../models/vdsm/config.ts'
import { blended, mixture } from '../../models/vdsm/decoder.ts'
import * as paper from '../../models/vdsm/paper.ts'
import { programs } from '../../models/vdsm/programs.ts'
import * as small from '../../models/vdsm/small.ts'
import * as tiny from '../../models/vdsm/tiny.ts'

const near = (a: number, b: number, tolerance = 1e-9): void => assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${a} against ${b}`)
const scalar = (v: number) => full([], v)
const schedule = { learningRate: scalar(2e-3), temperature: scalar(1.5), lambdaS: scalar(0.3), lambdaZ: scalar(4) }
const state = tiny.init.call(key(1))
const x = randomUniform(key(2), [2, 2, 3, 64, 64])
const eps = { s: randomNormal(key(3), [2, 2]), z: randomNormal(key(4), [2, 2, 3]) }

test('the loss is the weighted sum of its parts, per frame', () => {
  const [loss, m] = tiny.loss.call(state.params, x, eps, schedule)
  near(item(loss), item(m.loss))
  near(item(loss), -item(m.logLikelihood) + 4 * item(m.klZ) + (0.3 * item(m.klS)) / 2)
})

test('the parts against sums written out from encodings and decoded means', () => {
  const q = tiny.encode.call(state.params, x)
  const [sLoc, sScale, zLoc, zScale] = [q.s.loc, q.s.scale, q.z.loc, q.z.scale].map(t => toArray(t)) as [number[], number[], number[], number[]]
  const s = sLoc.map((m, i) => m + sScale[i]! * toArray(eps.s)[i]!)
  const z = zLoc.map((m, i) => m + zScale[i]! * toArray(eps.z)[i]!)
  const means = toArray(tiny.decode.call(state.params, tensor([2, 2], s), tensor([2, 2, 3], z), schedule.temperature))
  const logLikelihood = toArray(x).reduce((sum, v, i) => sum + v * Math.log(means[i]!) + (1 - v) * Math.log(1 - means[i]!), 0)
  const kl = (loc: number[], scale: number[]): number => loc.reduce((sum, m, i) => sum + 0.5 * (m * m + scale[i]! ** 2 - 1) - Math.log(scale[i]!), 0)
  const [, m] = tiny.loss.call(state.params, x, eps, schedule)
  near(item(m.logLikelihood), logLikelihood / 4)
  near(item(m.klS), kl(sLoc, sScale) / 2)
  near(item(m.klZ), kl(zLoc, zScale) / 4)
  const e = tiny.evaluate.call(state.params, x, eps, schedule.temperature)
  near(item(e.elbo), item(m.logLikelihood) - item(m.klZ) - item(m.klS) / 2)
  near(item(e.bitsPerDim), -item(e.elbo) / (12288 * Math.LN2))
})

/** The tree with element `i` of leaf `n` moved by d. */
const moved = <T>(tree: T, n: number, i: number, d: number): T => {
  const count = { n: -1 }
  const walk = (t: unknown): unknown => {
    if (leaves(t).length === 1 && leaves(t)[0] === t) {
      count.n++
      return count.n === n ? tensor(aval(t as Any).shape as never, toArray(t as Any).map((v, k) => (k === i ? v + d : v))) : t
    }
    return Object.fromEntries(Object.entries(t as object).map(([k, v]) => [k, walk(v)]))
  }
  return walk(tree) as T
}

test('gradients of all parts of the model against differences', () => {
  const { grad } = tiny.gradient.call(state.params, x, eps, schedule)
  const grads = leaves(grad).map(g => toArray(g))
  assert.is(grads.length, leaves(state.params).length)
  // The steepest element of every third tensor: first encoder layers, heads, bank.
  for (let n = 0; n < grads.length; n += 3) {
    const g = grads[n]!
    const i = g.reduce((best, v, k) => (Math.abs(v) > Math.abs(g[best]!) ? k : best), 0)
    const h = 1e-5
    const value = (d: number): number => item(tiny.loss.call(moved(state.params, n, i, d), x, eps, schedule)[0])
    const numeric = (value(h) - value(-h)) / (2 * h)
    assert.ok(Math.abs(g[i]! - numeric) < 2e-5 * Math.max(1, Math.abs(numeric)), `tensor ${n} element ${i}: ${g[i]} against ${numeric}`)
  }
})

test('a training step is reproducible, lowers the loss on its batch, and counts', () => {
  const run = (steps: number) => Array.from({ length: steps }).reduce<{ state: typeof state; losses: number[] }>(({ state, losses }, _, i) => {
    const next = tiny.trainStep.call(state, x, key(7), schedule)
    return { state: next.state, losses: [...losses, item(next.metrics.loss)] }
  }, { state, losses: [] })
  const a = run(6)
  assert.equal(a.losses, run(6).losses)
  assert.ok(a.losses.slice(1).every((v, i) => v < a.losses[i]!), a.losses.join(' '))
  assert.is(item(a.state.optimizer.count), 6)
})

test('the noise of a training step comes from its key, s and z apart', () => {
  const keys = split(key(7), 2)
  const noise = { s: randomNormal(at(keys, 0), [2, 2]), z: randomNormal(at(keys, 1), [2, 2, 3]) }
  const [loss] = tiny.loss.call(state.params, x, noise, schedule)
  near(item(tiny.trainStep.call(state, x, key(7), schedule).metrics.loss), item(loss))
})

test('s of a group does not depend on the order of its frames, z follows it', () => {
  const frames = toArray(x)
  const swapped = tensor([2, 2, 3, 64, 64], [...frames.slice(12288, 24576), ...frames.slice(0, 12288), ...frames.slice(24576)])
  const [a, b] = [tiny.encode.call(state.params, x), tiny.encode.call(state.params, swapped)]
  toArray(a.s.loc).forEach((v, i) => near(toArray(b.s.loc)[i]!, v, 1e-12))
  const order = [3, 4, 5, 0, 1, 2, 6, 7, 8, 9, 10, 11]
  assert.equal(toArray(b.z.loc), order.map(i => toArray(a.z.loc)[i]!))
})

test('reconstructions decode the means of the encodings', () => {
  const q = tiny.encode.call(state.params, x)
  assert.equal(toArray(tiny.reconstruct.call(state.params, x, scalar(2))), toArray(tiny.decode.call(state.params, q.s.loc, q.z.loc, scalar(2))))
})

test('a sharp mixture picks one expert, a flat one averages them', () => {
  const bank = state.params.bank as never
  const weights = toArray(state.params.bank.layer5.bias)
  const own = (s: readonly number[], temperature: number) => withDims(config.sizes, () => mixture(tensor([2], s) as never, scalar(temperature)))
  toArray(own([1, 0], 1000)).forEach((v, i) => near(v, [1, 0][i]!))
  toArray(own([1, 0], 0)).forEach(v => near(v, 0.5))
  const blend = toArray(blended(bank, tensor([2], [0.25, 0.75]) as never).layer5.bias)
  blend.forEach((v, i) => near(v, 0.25 * weights[i]! + 0.75 * weights[3 + i]!))
})

test('options change what they name', () => {
  const build = (changed: Partial<(typeof config)['options']> | object) => programs({ ...config.options, ...changed })
  const value = (p: ReturnType<typeof programs>, params: unknown = state.params) => withDims(config.sizes, () => {
    const [, m] = p.loss(params as never, x as never, eps as never, schedule)
    return [item(m.logLikelihood), item(m.klS), item(m.klZ)] as const
  })
  const base = value(build({}))
  assert.is.not(value(build({ decoderInput: 'mixture' }))[0], base[0])
  near(value(build({ staticMean: 'head' }))[1], base[1]) // locations are linear in the embedding, and scales start constant
  const { identity } = state.params.guide
  const sloped = { ...state.params, guide: { ...state.params.guide, identity: { ...identity, scale: { ...identity.scale, weight: randomNormal(key(9), [2, 5]) } } } }
  assert.is.not(value(build({ staticMean: 'head' }), sloped)[1], value(build({}), sloped)[1])
  const narrow = value(build({ priorS: 'varianceOverS' }))
  assert.is(narrow[0], base[0])
  // Against N(0, 1/2): log(sp) falls by log(2)/2 for each of 2 dims, the squares double.
  const q = tiny.encode.call(state.params, x)
  const squares = toArray(q.s.loc).reduce((sum, m, i) => sum + m * m + toArray(q.s.scale)[i]! ** 2, 0) / 2
  near(narrow[1] - base[1], squares / 2 - Math.log(2))
})

test('programs and parameters number as documented', () => {
  const count = (tree: unknown): number => leaves(tree).reduce((n, t) => n + aval(t).shape.reduce((a, b) => a * b, 1), 0)
  const expected = (s: Sizes): number => {
    const encoder = 16 * (3 * s.C1 + s.C1 * s.C2 + s.C2 * s.C3 + s.C3 * s.C4 + s.C4 * s.F) + s.C1 + s.C2 + s.C3 + s.C4 + s.F + (s.F + 1) * s.E
    const heads = 2 * (s.E + 1) * s.S + 2 * (s.F + 1) * s.Z
    const expert = 16 * ((s.S + s.Z) * s.G1 + s.G1 * s.G2 + s.G2 * s.G3 + s.G3 * s.G4 + s.G4 * 3) + s.G1 + s.G2 + s.G3 + s.G4 + 3
    return encoder + heads + s.S * expert
  }
  assert.is(count(state.params), expected(config.sizes))
  assert.is(Math.round(expected(smallConfig.sizes) / 1e5), 20) // 2.0 million
  assert.is(Math.round(expected(paperConfig.sizes) / 1e6), 134)
  const names = ['decode', 'encode', 'evaluate', 'gradient', 'init', 'loss', 'reconstruct', 'trainStep']
  for (const programs of [tiny, small, paper]) assert.equal(Object.keys(programs).toSorted(), names)
})

test.run()
