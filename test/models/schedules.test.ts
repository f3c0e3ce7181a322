import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { geometric, halfCosine, paper, schedules, small, through, valuesAt } from '../../models/vdsm/schedules.ts'

const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-12 * Math.max(1, Math.abs(b)), `${a} against ${b}`)

test('small: anchor points', () => {
  const anchors: readonly (readonly [number, Record<string, number>])[] = [
    [0, { learningRate: 2e-3, temperature: 1, lambdaS: 0.1, lambdaZ: 10 }],
    [1 / 6, { lambdaS: 0.55 }],
    [0.2, { lambdaZ: Math.sqrt(10) }],
    [0.5, { learningRate: 1.15e-3, temperature: 1, lambdaS: 1, lambdaZ: 1 }],
    [0.75, { temperature: 2.5 }],
    [1, { learningRate: 3e-4, temperature: 4, lambdaS: 1, lambdaZ: 1 }],
  ]
  for (const [progress, wanted] of anchors) for (const [name, value] of Object.entries(wanted)) near(valuesAt(small, progress)[name as 'lambdaS'], value)
})

test('paper: the anchors of the published curves', () => {
  for (const [progress, value] of [[0, 30], [0.5, 0.2], [0.8, 0.4], [1, 1]] as const) near(paper.lambdaZ(progress), value)
  near(paper.lambdaZ(0.65), Math.sqrt(0.2 * 0.4))
  near(paper.temperature(0.5), 1)
  near(paper.temperature(1), 10)
  near(paper.learningRate(0.3), 1e-3)
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

test('every configuration has finite, positive curves', () => {
  for (const curves of Object.values(schedules)) for (let i = 0; i <= 100; i++) {
    assert.ok(Object.values(valuesAt(curves, i / 100)).every(v => Number.isFinite(v) && v > 0))
  }
})

test.run()
