/**
 * Stage 2 written a second time, from the paper alone, in plain loops over float64 arrays: the loss, its parts by site and the true
 * bound of the model have to be these numbers under every value of every option, for parts that lend each other their s and for
 * videos alone. So have the gradients by everything that is trained, against differences of those loops.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { withDims } from '../../../dsl/core/apply.ts'
import { item } from '../../../dsl/index.ts'
import { tiny, type Options } from '../../../models/vdsm/config.ts'
import { programs } from '../../../models/vdsm/video/programs.ts'
import { differences } from '../fixtures/gradients.ts'
import { paper, paperOptions } from '../fixtures/paper.ts'
import { frozen, params, videoAnnealing, videoNoise, videos, videoState } from '../fixtures/start.ts'
import { grouped, named, near, plain } from '../fixtures/trees.ts'

/** Together they take every value of every option. */
const choices: readonly Partial<Options>[] = [
  {},
  { transitionLinear: 'z' },
  { priorS: 'varianceOverS', priorD: 'deviationOverD', decoderInput: 'mixture', staticMean: 'head' },
  { priorS: 'deviationOverS', priorD: 'learnt', firstPose: 'transition', staticMean: 'head', agreement: 0.7 },
  { priorS: 'learnt', priorD: 'learnt', firstPose: 'transition', transitionLinear: 'z', decoderInput: 'mixture', agreement: 1.3 },
]

/** The videos in B groups of P, with their noise. */
const batch = (B: number, P: number) => [grouped(videos, B, P), { s: grouped(videoNoise.s, B, P), d: grouped(videoNoise.d, B, P), z: grouped(videoNoise.z, B, P) }] as const

for (const { B, P, some } of [{ B: 2, P: 2, some: choices }, { B: 4, P: 1, some: choices.filter((_, i) => i % 2 === 0) }])
  for (const changed of some)
    test(`the model = the paper in plain loops: ${JSON.stringify(changed)}, ${P} parts`, () => {
      const wanted = paper(changed, P)
      const vdsm = programs({ ...paperOptions, ...changed })
      withDims({ ...tiny.sizes, B, P, T: tiny.video.T }, () => {
        const [x, eps] = batch(B, P)
        const [loss, m] = vdsm.loss(videoState.params as never, frozen as never, x as never, eps as never, videoAnnealing)
        near(item(loss), wanted.loss, 'loss')
        for (const part of ['loss', 'logLikelihood', 'klS', 'klD', 'klZ', 'disagreement'] as const) near(item(m[part]), wanted[part], part)
        if (P > 1) return // the true bound is that of videos alone
        const e = vdsm.evaluate(params as never, x as never, eps as never, videoAnnealing.temperature)
        for (const part of ['elbo', 'logLikelihood', 'klS', 'klD', 'klZ'] as const) near(item(e[part]), wanted[part], `evaluated ${part}`)
        near(item(e.bitsPerDim), -wanted.elbo / (3 * 64 * 64) / Math.log(2), 'bits per dimension')
      })
    })

// Of options under which every trained parameter is in use.
test('gradients by every trained parameter, against differences of the loops', () => {
  const changed = { priorS: 'learnt', priorD: 'learnt', firstPose: 'transition', agreement: 0.7 } as const
  const { value: [loss], grad } = withDims({ ...tiny.sizes, ...tiny.video }, () => {
    const [x, eps] = batch(2, 2)
    return programs({ ...paperOptions, ...changed }).gradient(videoState.params as never, frozen as never, x as never, eps as never, videoAnnealing)
  })
  near(item(loss), paper(changed, 2).loss, 'loss')
  assert.equal(named(grad).map(([path]) => path), named(videoState.params).map(([path]) => path))
  differences<typeof grad>(videoState.params as never, grad, p => paper(changed, 2, plain(p) as object).loss)
})

test.run()
