import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { geometric, halfCosine, schedules, through, valuesAt, type Curve } from '../../models/vdsm/schedules.ts'

const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-12 * Math.max(1, Math.abs(b)), `${a} against ${b}`)
type Anchors = readonly (readonly [progress: number, values: Readonly<Record<string, number>>])[]
const passes = (curves: Readonly<Record<string, Curve>>, anchors: Anchors): void => {
  for (const [progress, wanted] of anchors) for (const [name, value] of Object.entries(wanted)) near(curves[name]!(progress), value)
}

/** Whether a curve never falls (1) or never rises (-1) between two progresses. */
const goes = (direction: 1 | -1, curve: Curve, from = 0, to = 1): void => {
  const values = Array.from({ length: 201 }, (_, i) => curve(from + ((to - from) * i) / 200))
  assert.ok(values.slice(1).every((v, i) => direction * (v - values[i]!) >= -1e-15), values.join(' '))
}

test('small, stage 1', () => {
  passes(schedules.small.frames, [
    [0, { learningRate: 2e-3, temperature: 1, lambdaS: 0.1, lambdaZ: 10 }],
    [1 / 6, { lambdaS: 0.3 }],
    [0.2, { lambdaZ: Math.sqrt(10) }],
    [0.5, { learningRate: 1.15e-3, temperature: 1, lambdaS: 0.5, lambdaZ: 1 }],
    [0.75, { temperature: 3.5 }],
    [1, { learningRate: 3e-4, temperature: 6, lambdaS: 0.5, lambdaZ: 1 }],
  ])
})

test('small, stage 2: at the temperature that stage 1 ended with', () => {
  passes(schedules.small.video, [
    [0, { learningRate: 2e-3, temperature: 6, lambdaS: 0.1, lambdaD: 0.1, lambdaZ: 0.1 }],
    [1 / 6, { lambdaS: 0.55, lambdaD: 0.55, lambdaZ: 0.2 }],
    [1 / 3, { lambdaS: 1, lambdaD: 1, lambdaZ: 0.4 }],
    [0.5, { lambdaZ: 0.4, temperature: 6 }],
    [5 / 6, { lambdaZ: Math.sqrt(0.4) }],
    [1, { learningRate: 3e-4, temperature: 6, lambdaS: 1, lambdaD: 1, lambdaZ: 1 }],
  ])
})

test('paper: the anchors of the published curves', () => {
  for (const { frames, video } of [schedules['paper-sprites'], schedules['paper-mug']]) {
    passes(frames, [
      [0, { lambdaZ: 30, lambdaS: 0.1, temperature: 1 }], [0.3, { learningRate: 1e-3 }], [0.5, { lambdaZ: 0.2, temperature: 1 }],
      [0.65, { lambdaZ: Math.sqrt(0.2 * 0.4) }], [0.8, { lambdaZ: 0.4 }], [1, { lambdaZ: 1, lambdaS: 1, temperature: 10 }],
    ])
    passes(video, [[0, { lambdaZ: 0.1, lambdaD: 0.1, lambdaS: 0.1, temperature: 10, learningRate: 1e-3 }], [1, { lambdaZ: 1, lambdaD: 1, lambdaS: 1, temperature: 10, learningRate: 1e-3 }]])
  }
})

test('every configuration: finite and positive, ending as the true bound of a video, each curve one way', () => {
  for (const { frames, video } of Object.values(schedules)) {
    for (const curves of [frames, video]) {
      for (let i = 0; i <= 100; i++) assert.ok(Object.values<Curve>(curves).every(curve => Number.isFinite(curve(i / 100)) && curve(i / 100) > 0))
      near(curves.lambdaZ(1), 1)
      goes(1, curves.lambdaS)
      goes(1, curves.temperature)
      goes(-1, curves.learningRate)
      for (const curve of Object.values<Curve>(curves)) for (const [outside, end] of [[-1, 0], [2, 1]] as const) near(curve(outside), curve(end))
    }
    goes(-1, frames.lambdaZ, 0, 0.5) // the paper's falls below 1 there and comes back
    goes(1, video.lambdaZ)
    goes(1, video.lambdaD)
    near(video.lambdaD(1), 1)
    near(video.lambdaS(1), 1)
    near(video.temperature(0), frames.temperature(1))
  }
})

test('values go by the names of the curves', () => {
  assert.equal(Object.keys(valuesAt(schedules.tiny.frames, 0)).toSorted(), ['lambdaS', 'lambdaZ', 'learningRate', 'temperature'])
  const { learningRate, temperature, lambdaS, lambdaD, lambdaZ } = schedules.tiny.video
  assert.equal(valuesAt(schedules.tiny.video, 0.3), {
    learningRate: learningRate(0.3), temperature: temperature(0.3), lambdaS: lambdaS(0.3), lambdaD: lambdaD(0.3), lambdaZ: lambdaZ(0.3),
  })
})

test('curves hold their ends outside their span and move one way within', () => {
  for (const curve of [halfCosine(1, 5, 0.2, 0.6), geometric(1, 5, 0.2, 0.6)]) {
    near(curve(-1), 1)
    near(curve(0.1), 1)
    near(curve(0.6), 5)
    near(curve(2), 5)
    const values = Array.from({ length: 41 }, (_, i) => curve(0.2 + i / 100))
    assert.ok(values.slice(1).every((v, i) => v > values[i]!))
  }
  near(through([[0.2, 3], [0.6, 12]])(0), 3)
  near(through([[0.2, 3], [0.6, 12]])(0.4), 6)
  near(through([[0.2, 3], [0.6, 12]])(1), 12)
})

test.run()
