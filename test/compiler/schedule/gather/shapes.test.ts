/** Kernels of many shapes as gathers, with all gradients, against the reference interpreter: windows, strides, recurrences, moves, compositions. */
import { test } from 'uvu'
import type { Func } from '../../../../compiler/ir/ir.ts'
import { valueAndGrad } from '../../../../compiler/transform/vjp.ts'
import { randomArgs, withLoss } from '../../arbitrary.ts'
import { composed } from '../../composed.ts'
import * as shapes from '../../shapes.ts'
import { check } from './check.ts'

const run = (name: string, func: Func, tolerance: number): void => test(name, () => check(name, func, randomArgs(func, 3), tolerance))

// sums of up to some hundred terms in float32
const tolerance = 2e-5
const sides = {
  c: [1, 2, 6], o: [1, 3, 6], h: [5, 8, 11], w: [6, 9], kh: [1, 2, 3, 4], kw: [1, 3, 5], stride: [1, 2, 3], pad: [0, 1, 2], dilation: [1, 2],
} as const
const kinds = { groups: [1, 2, 3, 'own'], images: ['one', 'shared', 'each'] } as const
const most = 40_000

for (const s of shapes.pairwise({ ...sides, ...kinds }, c => shapes.convFits(c, most))) run(`convolution ${JSON.stringify(s)}`, shapes.conv(s), tolerance)
for (const s of shapes.pairwise({ ...sides, ...kinds, more: [0, 1] as const }, c => shapes.convTFits(c, most)))
  run(`transposed convolution ${JSON.stringify(s)}`, shapes.convT(s), tolerance)
for (const s of shapes.pairwise({ c: [1, 3] as const, h: [7, 12] as const, w: [8, 9] as const, taps: [2, 3, 5] as const, stride: [1, 2, 3] as const }))
  run(`blur ${JSON.stringify(s)}`, shapes.blur(s), tolerance)

run('softmax', shapes.softmax([5, 40], 1), tolerance)
run('recurrence', shapes.cell(5, 3, 8, 4), 1e-4)
run('adam', shapes.adam([1, 30, 200]), 1e-5)
for (const [a, b, c] of [[2, 3, 4], [5, 2, 7]] as const) run(`moves ${a} ${b} ${c}`, shapes.moved(a, b, c), 1e-6)
run('integers', shapes.integers(3000), 1e-6)
for (const dtype of ['f32', 'i32', 'u32'] as const) run(`long reductions of ${dtype}`, shapes.reductions([9, 5000], [1], dtype), tolerance)

for (let seed = 0; seed < 60; seed += 1) run(`composition ${seed}`, composed(seed), 1e-4)
for (let seed = 100; seed < 130; seed += 1) {
  const loss = withLoss(composed(seed, 3))
  run(`gradient of composition ${seed}`, valueAndGrad(loss, loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))), 1e-4)
}

test.run()
