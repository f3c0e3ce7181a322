/** The start of both stages: sizes, numbers of parameters, and what starts at which values. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { key } from '../../dsl/index.ts'
import { tiny, configs, type Sizes } from '../../models/vdsm/config.ts'
import * as mugFrames from '../../models/vdsm/paper-mug/frames.ts'
import * as mugVideo from '../../models/vdsm/paper-mug/video.ts'
import * as spritesFrames from '../../models/vdsm/paper-sprites/frames.ts'
import * as spritesVideo from '../../models/vdsm/paper-sprites/video.ts'
import * as smallFrames from '../../models/vdsm/small/frames.ts'
import * as smallVideo from '../../models/vdsm/small/video.ts'
import * as frames from '../../models/vdsm/tiny/frames.ts'
import * as video from '../../models/vdsm/tiny/video.ts'
import { cases } from './fixtures/cases.ts'
import { count } from './fixtures/trees.ts'

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
  const sizes = Object.fromEntries(Object.entries(configs).map(([name, c]) => [name, [millions(inFrames(c.sizes)), millions(inVideo(c.sizes))]]))
  console.log(sizes)
})

test('the programs of every configuration', () => {
  const of = (stage: string) => Object.keys(cases).filter(name => name.startsWith(stage)).map(name => name.slice(stage.length + 1)).toSorted()
  for (const programs of [frames, smallFrames, spritesFrames, mugFrames]) assert.equal(Object.keys(programs).toSorted(), of('frames'))
  for (const programs of [video, smallVideo, spritesVideo, mugVideo]) assert.equal(Object.keys(programs).toSorted(), of('video'))
})

test.run()
