/** The start of both stages: sizes, numbers of parameters, and what starts at which values. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { aval, withDims } from '../../dsl/core/apply.ts'
import { key, leaves, toArray, type Any } from '../../dsl/index.ts'
import { initLstm } from '../../dsl/nn/index.ts'
import { tiny, configs, type Sizes } from '../../models/vdsm/config.ts'
import * as mugFrames from '../../models/vdsm/paper-mug/frames.ts'
import * as mugVideo from '../../models/vdsm/paper-mug/video.ts'
import * as spritesFrames from '../../models/vdsm/paper-sprites/frames.ts'
import * as spritesVideo from '../../models/vdsm/paper-sprites/video.ts'
import * as smallFrames from '../../models/vdsm/small/frames.ts'
import * as smallVideo from '../../models/vdsm/small/video.ts'
import * as longFrames from '../../models/vdsm/small-16/frames.ts'
import * as longVideo from '../../models/vdsm/small-16/video.ts'
import * as frames from '../../models/vdsm/tiny/frames.ts'
import * as video from '../../models/vdsm/tiny/video.ts'
import { cases } from './fixtures/cases.ts'
import { count, rows } from './fixtures/trees.ts'

const one = frames.init.call(key(1)).params
const two = video.init.call(key(2)).params

/** Numbers of parameters by sizes: stage 1, and what stage 2 adds to it. */
const inFrames = (s: Sizes): number => {
  const encoder = 16 * (3 * s.C1 + s.C1 * s.C2 + s.C2 * s.C3 + s.C3 * s.C4 + s.C4 * s.F) + s.C1 + s.C2 + s.C3 + s.C4 + s.F + (s.F + 1) * s.E
  const heads = 2 * (s.E + 1) * s.S + 2 * (s.F + 1) * s.Z
  const expert = 16 * ((s.S + s.Z) * s.G1 + s.G1 * s.G2 + s.G2 * s.G3 + s.G3 * s.G4 + s.G4 * 3) + s.G1 + s.G2 + s.G3 + s.G4 + 3
  return encoder + heads + s.S * expert + 2 * s.S
}
const inVideo = (s: Sizes): number => {
  const lstm = (inputs: number): number => 4 * s.H * (inputs + s.H + 2)
  const dynamics = (s.Z + 1) * 2 * s.H + s.L * 2 * lstm(2 * s.H) + 2 * (2 * s.L * s.H + 1) * s.D
  const sequence = 2 * (s.D + 1) * s.L * s.H + s.H + s.L * lstm(s.H)
  const combiner = (s.H + s.D + 1) * s.H + (s.Z + 1) * s.H + 2 * (s.H + 1) * s.Z + s.Z
  const transition = 2 * ((s.Z + s.D + 1) * s.R + (s.R + 1) * s.Z) + 2 * (s.Z + 1) * s.Z + (s.D + 1) * s.Z + s.Z
  return dynamics + sequence + combiner + transition + 2 * s.D
}

test('parameters number as documented', () => {
  assert.is(count(one), inFrames(tiny.sizes))
  assert.is(count(two), inVideo(tiny.sizes) + count(two.identity) + count(two.priorS))
  const millions = (n: number): number => Math.round(n / 1e5) / 10
  for (const [name, inOne, inTwo] of [['small', 2, 0.6], ['paper-sprites', 133.6, 26.2], ['paper-mug', 47.3, 26.2]] as const) {
    const { sizes } = configs[name]
    assert.equal([millions(inFrames(sizes)), millions(inVideo(sizes))], [inOne, inTwo], name)
  }
})

/** Those of a tensor that starts at one value. */
const values = (t: Any): readonly number[] => [...new Set(toArray(t).map(v => Math.round(v * 1e12) / 1e12))]
/** What softplus takes to x. */
const under = (x: number): number => Math.round(Math.log(Math.expm1(x)) * 1e12) / 1e12
const meanSquare = (t: Any): number => toArray(t).reduce((sum, v) => sum + v * v, 0) / toArray(t).length

test('an LSTM starts uniform within 1 / sqrt(hidden), its forget gates open', () => {
  const p = withDims({ I: 30, H: 25 }, () => initLstm(key(3), 'I', 'H'))
  assert.equal([p.weightIh, p.weightHh, p.biasIh, p.biasHh].map(t => aval(t).shape), [[100, 30], [100, 25], [100], [100]])
  for (const weight of [p.weightIh, p.weightHh]) {
    assert.ok(toArray(weight as Any).every(v => Math.abs(v) <= 1 / 5))
    // b^2 / 3 up to the standard error of 2,500 and more squares, of deviation 0.3 b^2
    assert.ok(Math.abs(meanSquare(weight as Any) - 1 / 75) < (4 * 0.3) / 25 / 50)
  }
  assert.equal(toArray(p.biasIh as Any), Array.from({ length: 100 }, (_, i) => (i >= 25 && i < 50 ? 1 : 0)))
  assert.equal(values(p.biasHh as Any), [0])
  assert.not.equal(toArray(p.weightIh as Any).slice(0, 25), toArray(p.weightHh as Any).slice(0, 25))
})

test('layers and directions start apart, each with its forget gates open', () => {
  const { forward, backward } = two.dynamics.layers
  for (const { weightIh, weightHh, biasIh } of [forward, backward, two.sequence.layers]) {
    const [first, second] = rows(toArray(weightIh), toArray(weightIh).length / 2)
    assert.not.equal(first, second)
    assert.not.equal(toArray(weightIh).slice(0, 8), toArray(weightHh).slice(0, 8))
    assert.equal(rows(toArray(biasIh), 4), [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
  }
  assert.not.equal(toArray(forward.weightIh), toArray(backward.weightIh))
  assert.equal([forward.weightIh, two.sequence.layers.weightIh, two.dynamics.head.loc.weight].map(t => aval(t).shape), [[2, 16, 8], [2, 16, 4], [2, 16]])
})

test('posteriors start as wide as the options say, whatever is seen; the transition starts by keeping', () => {
  const { start } = tiny.options
  for (const [{ scale }, wide] of [
    [one.identity, start.scaleS], [one.pose, start.scaleZ], [two.identity, start.scaleS], [two.dynamics.head, 0.5], [two.combiner.pose, 0.5],
  ] as const) {
    assert.equal(values(scale.weight), [0])
    assert.equal(values(scale.bias), [under(wide)])
  }
  for (const prior of [one.priorS, two.priorS, two.priorD]) assert.equal([values(prior.loc), values(prior.scale)], [[0], [under(1)]])
  assert.equal(toArray(two.transition.kept.weight), [1, 0, 0, 0, 1, 0, 0, 0, 1])
  for (const t of [two.transition.kept.bias, two.transition.drift.weight, two.transition.drift.bias, two.transition.start, two.combiner.start, two.sequence.start]) assert.equal(values(t), [0])
  assert.equal(values(two.transition.scale.bias), [under(0.5)])
})

test('a start depends on its key, and Adam starts from nothing', () => {
  for (const { init } of [frames, video]) {
    const [a, b, c] = [init.call(key(1)), init.call(key(1)), init.call(key(2))].map(state => leaves(state.params).map(t => toArray(t)))
    assert.equal(a, b)
    assert.not.equal(a, c)
    const { m, v, count } = init.call(key(1)).optimizer
    for (const t of [...leaves(m), ...leaves(v), count]) assert.equal(values(t), [0])
  }
})

test('the programs of every configuration', () => {
  const of = (stage: string) => Object.keys(cases).filter(name => name.startsWith(stage)).map(name => name.slice(stage.length + 1)).toSorted()
  for (const programs of [frames, smallFrames, longFrames, spritesFrames, mugFrames]) assert.equal(Object.keys(programs).toSorted(), of('frames'))
  for (const programs of [video, smallVideo, longVideo, spritesVideo, mugVideo]) assert.equal(Object.keys(programs).toSorted(), of('video'))
})

test.run()
