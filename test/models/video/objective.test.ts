/**
 * Stage 2 written a second time, from the paper alone, in plain loops over float64 arrays: the loss, its parts by site and the true
 * bound of the model have to be these numbers under every value of every option, for parts that lend each other their s and for
 * videos alone.
 */
import { test } from 'uvu'
import { withDims } from '../../../dsl/core/apply.ts'
import { item, toArray } from '../../../dsl/index.ts'
import { tiny, type Options } from '../../../models/vdsm/config.ts'
import { programs } from '../../../models/vdsm/video/programs.ts'
import { embeddings } from '../fixtures/loops.ts'
import { videoTerms, type VideoNumbers, type VideoTerms } from '../fixtures/loops-video.ts'
import { frozen, params, videoAnnealing, videoNoise, videos, videoState, weights } from '../fixtures/start.ts'
import { grouped, near, plain, rows } from '../fixtures/trees.ts'

const base: Options = {
  ...tiny.options, agreement: 0, slope: 0.2, input: { shift: 0.3, scale: 1.7 },
  priorS: 'one', priorD: 'one', firstPose: 'standard', decoderInput: 's', staticMean: 'embedding', transitionLinear: 'zd',
}
/** Together they take every value of every option, and no two of them agree in the pair (priorS, priorD) or in all the rest. */
const choices: readonly Partial<Options>[] = [
  {},
  { transitionLinear: 'z' },
  { priorS: 'varianceOverS', priorD: 'deviationOverD', decoderInput: 'mixture', staticMean: 'head' },
  { priorS: 'deviationOverS', priorD: 'learnt', firstPose: 'transition', staticMean: 'head', agreement: 0.7 },
  { priorS: 'learnt', priorD: 'learnt', firstPose: 'transition', transitionLinear: 'z', decoderInput: 'mixture', agreement: 1.3 },
]

const numbers = plain(params) as VideoNumbers
const { T } = tiny.video
const { S, D, Z } = tiny.sizes
const clips = rows(toArray(videos), T * 3 * 64 * 64).map(clip => rows(clip, 3 * 64 * 64))
const embedded = clips.map(clip => clip.map(frame => embeddings(base, numbers.encoder, frame)))
const noise = clips.map((_, i) => ({ s: rows(toArray(videoNoise.s), S)[i]!, d: rows(toArray(videoNoise.d), D)[i]!, z: rows(rows(toArray(videoNoise.z), T * Z)[i]!, Z) }))

for (const { B, P } of [{ B: 2, P: 2 }, { B: 4, P: 1 }])
  for (const changed of choices)
    test(`the model = the paper in plain loops: ${JSON.stringify(changed)}, ${P} parts`, () => {
      const o: Options = { ...base, ...changed }
      const { temperature, lambdaS, lambdaD, lambdaZ } = weights
      const all = clips.map((clip, i) => videoTerms(o, numbers, clip, embedded[i]!, embedded[P * Math.floor(i / P) + ((i + 1) % P)]!, noise[i]!, temperature))
      const mean = (f: (g: VideoTerms) => number): number => all.reduce((sum, g) => sum + f(g), 0) / all.length
      const vdsm = programs(o)
      withDims({ ...tiny.sizes, B, P, T }, () => {
        const [x, eps] = [grouped(videos, B, P), { s: grouped(videoNoise.s, B, P), d: grouped(videoNoise.d, B, P), z: grouped(videoNoise.z, B, P) }]
        const [loss, m] = vdsm.loss(videoState.params as never, frozen as never, x as never, eps as never, videoAnnealing)
        near(item(m.logLikelihood), mean(g => g.logLikelihood / T), 'log-likelihood')
        near(item(m.klS), mean(g => g.klS), 'KL of s')
        near(item(m.klD), mean(g => g.klD), 'KL of d')
        near(item(m.klZ), mean(g => g.klZ / T), 'KL of z')
        near(item(m.disagreement), mean(g => g.disagreement), 'disagreement')
        near(item(loss), mean(g => -(g.logLikelihood - lambdaZ * g.klZ - lambdaD * g.klD - lambdaS * g.klS - o.agreement * g.disagreement) / T), 'loss')
        const e = vdsm.evaluate(params as never, x as never, eps as never, videoAnnealing.temperature)
        const bound = mean(g => (g.logLikelihood - g.klZ - g.klD - g.klS) / T)
        near(item(e.elbo), bound, 'bound')
        near(item(e.bitsPerDim), -bound / (3 * 64 * 64) / Math.log(2), 'bits per dimension')
        near(item(e.klD), mean(g => g.klD), 'KL of d in the bound')
        near(item(e.klZ), mean(g => g.klZ / T), 'KL of z in the bound')
      })
    })

test.run()
