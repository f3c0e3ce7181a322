/**
 * Stage 1 written a second time, from the paper alone: plain loops over float64 arrays, no function of the language. The loss,
 * its parts and the true bound of the model have to be these numbers, under every combination of the named options.
 */
import { test } from 'uvu'
import { withDims } from '../../../dsl/core/apply.ts'
import { item, toArray } from '../../../dsl/index.ts'
import { tiny, type Options } from '../../../models/vdsm/config.ts'
import { programs } from '../../../models/vdsm/frames/programs.ts'
import { divergence, drawn, embeddings, gaussian, logLikelihood, priorOfS, standard, staticPosterior, type Embedded, type FrameNumbers } from '../fixtures/loops.ts'
import { optionChoices } from '../fixtures/options.ts'
import { frameAnnealing, frameState, imageNoise, images, weights } from '../fixtures/start.ts'
import { grouped, near, plain, rows } from '../fixtures/trees.ts'

type Terms = { readonly logLikelihood: number; readonly klS: number; readonly klZ: number; readonly disagreement: number }
type Noise = { readonly s: readonly number[]; readonly z: readonly (readonly number[])[] }

/** The terms of Eq. 7 of one part: frames [3, 64, 64] with their embeddings, and those of the next part of its group, which its s is inferred from. */
const terms = (o: Options, p: FrameNumbers, part: readonly (readonly number[])[], own: readonly Embedded[], next: readonly Embedded[], eps: Noise, temperature: number): Terms => {
  const qs = staticPosterior(o, p.identity, next.map(({ e }) => e))
  const qz = own.map(({ h }) => gaussian(p.pose, h))
  const s = drawn(qs, eps.s)
  return {
    logLikelihood: logLikelihood(o, p.bank, temperature, s, qz.map((q, t) => drawn(q, eps.z[t]!)), part),
    klS: divergence(qs, priorOfS(o, p.priorS)),
    klZ: qz.reduce((sum, q) => sum + divergence(q, standard(q.loc.length)), 0),
    disagreement: divergence(qs, staticPosterior(o, p.identity, own.map(({ e }) => e))),
  }
}

const base: Options = { ...tiny.options, agreement: 0.7, slope: 0.2, input: { shift: 0.3, scale: 1.7 } }
const numbers = plain(frameState.params) as FrameNumbers
const { T } = tiny.frames
const { S, Z } = tiny.sizes
const parts = rows(toArray(images), T * 3 * 64 * 64).map(part => rows(part, 3 * 64 * 64))
const embedded = parts.map(part => part.map(frame => embeddings(base, numbers.encoder, frame)))
const noise = parts.map((_, i) => ({ s: rows(toArray(imageNoise.s), S)[i]!, z: rows(rows(toArray(imageNoise.z), T * Z)[i]!, Z) }))

// Two groups of two parts, and the same frames as four groups of one.
for (const { B, P, choices } of [{ B: 2, P: 2, choices: optionChoices }, { B: 4, P: 1, choices: optionChoices.slice(0, 2) }])
  for (const changed of choices)
    test(`the model = the paper in plain loops: ${Object.values(changed).join(', ')}; ${P} parts`, () => {
      const o: Options = { ...base, ...changed }
      const { temperature, lambdaS, lambdaZ } = weights
      const all = parts.map((part, i) => terms(o, numbers, part, embedded[i]!, embedded[P * Math.floor(i / P) + ((i + 1) % P)]!, noise[i]!, temperature))
      const mean = (f: (g: Terms) => number): number => all.reduce((sum, g) => sum + f(g), 0) / all.length
      const vdsm = programs(o)
      withDims({ ...tiny.sizes, B, P, T }, () => {
        const [x, eps] = [grouped(images, B, P), { s: grouped(imageNoise.s, B, P), z: grouped(imageNoise.z, B, P) }]
        const [loss, m] = vdsm.loss(frameState.params as never, x as never, eps as never, frameAnnealing)
        near(item(loss), mean(g => -(g.logLikelihood - lambdaZ * g.klZ - lambdaS * g.klS - o.agreement * g.disagreement) / T), 'loss')
        near(item(m.logLikelihood), mean(g => g.logLikelihood / T), 'log-likelihood')
        near(item(m.klS), mean(g => g.klS), 'KL of s')
        near(item(m.disagreement), mean(g => g.disagreement), 'disagreement')
        near(item(m.klZ), mean(g => g.klZ / T), 'KL of z')
        const e = vdsm.evaluate(frameState.params as never, x as never, eps as never, frameAnnealing.temperature)
        const bound = mean(g => (g.logLikelihood - g.klZ - g.klS) / T)
        near(item(e.elbo), bound, 'bound')
        near(item(e.bitsPerDim), -bound / (3 * 64 * 64) / Math.log(2), 'bits per dimension')
      })
    })

test.run()
