/** Stage 1 of VDSM, run eagerly: the parts of its objective, gradients, training, inference and the options. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { withDims } from '../../../dsl/core/apply.ts'
import { at, item, key, program, randomNormal, split, tensor, toArray } from '../../../dsl/index.ts'
import { tiny as config, type Options } from '../../../models/vdsm/config.ts'
import { blended, mixture } from '../../../models/vdsm/decoder.ts'
import { programs } from '../../../models/vdsm/frames/programs.ts'
import * as tiny from '../../../models/vdsm/tiny/frames.ts'
import { differences } from '../fixtures/gradients.ts'
import { clip, frameAnnealing as annealing, frameState, imageNoise as eps, images as x, learningRate, weights } from '../fixtures/start.ts'
import { allNear, near, rows, scalar } from '../fixtures/trees.ts'

const start = tiny.init.call(key(1))
const { params } = frameState
const schedule = { ...annealing, learningRate }
const { T } = config.frames
const vdsm = programs(config.options)
const encodePart = program(vdsm.encode, { ...config.sizes, T })

test('the loss is the weighted sum of its parts, per frame', () => {
  const [loss, m] = tiny.loss.call(params, x, eps, annealing)
  near(item(loss), item(m.loss))
  near(item(loss), -item(m.logLikelihood) + weights.lambdaZ * item(m.klZ) + (weights.lambdaS * item(m.klS) + config.options.agreement * item(m.disagreement)) / T)
  const e = tiny.evaluate.call(params, x, eps, annealing.temperature)
  near(item(e.elbo), item(m.logLikelihood) - item(m.klZ) - item(m.klS) / T)
  near(item(e.bitsPerDim), -item(e.elbo) / (12288 * Math.LN2))
})

test('gradients of all parts of the model against differences', () => {
  // Of one group.
  const [group, noise] = [tensor([1, 2, 2, 3, 64, 64], toArray(x).slice(0, 4 * 12288)), { s: tensor([1, 2, 2], toArray(eps.s).slice(0, 4)), z: tensor([1, 2, 2, 3], toArray(eps.z).slice(0, 12)) }]
  const dims = { ...config.sizes, ...config.frames, B: 1 } as const
  const { grad } = program(vdsm.gradient, dims).call(params, group, noise, annealing)
  differences(params, grad, p => item(program(vdsm.loss, dims).call(p, group, noise, annealing)[0]), 3)
})

test('a training step is reproducible, lowers the loss on its batch, and counts', () => {
  const run = (steps: number) => Array.from({ length: steps }).reduce<{ state: typeof start; losses: number[] }>(({ state, losses }) => {
    const next = tiny.trainStep.call(state, x, key(7), schedule)
    return { state: next.state, losses: [...losses, item(next.metrics.loss)] }
  }, { state: start, losses: [] })
  const a = run(2)
  assert.equal(a.losses.slice(0, 1), run(1).losses)
  assert.ok(a.losses.slice(1).every((v, i) => v < a.losses[i]!), a.losses.join(' '))
  assert.is(item(a.state.optimizer.count), 2)
})

test('the noise of a training step comes from its key, s and z apart', () => {
  const keys = split(key(7), 2)
  const noise = { s: randomNormal(at(keys, 0), [2, 2, 2]), z: randomNormal(at(keys, 1), [2, 2, 2, 3]) }
  const [loss] = tiny.loss.call(params, x, noise, annealing)
  near(item(tiny.trainStep.call(frameState, x, key(7), schedule).metrics.loss), item(loss))
})

test('s of a video does not depend on the order of its frames, z follows it', () => {
  const [a, b, c] = rows(toArray(clip), 12288) as [number[], number[], number[]]
  const [one, other] = [tiny.encode.call(params, clip), tiny.encode.call(params, tensor([3, 3, 64, 64], [...b, ...c, ...a]))]
  allNear(toArray(other.s.loc), toArray(one.s.loc), 's', 1e-12)
  allNear(toArray(other.s.scale), toArray(one.s.scale), 's', 1e-12)
  const [za, zb, zc] = rows(toArray(one.z.loc), 3) as [number[], number[], number[]]
  assert.equal(toArray(other.z.loc), [...zb, ...zc, ...za])
})

test('reconstructions decode the means of the encodings', () => {
  const q = tiny.encode.call(params, clip)
  assert.equal(toArray(tiny.reconstruct.call(params, clip, scalar(2))), toArray(tiny.decode.call(params, q.s.loc, q.z.loc, scalar(2))))
})

test('a sharp mixture picks one expert, a flat one averages them', () => {
  const bank = params.bank as never
  const biases = toArray(params.bank.layer5.bias)
  const own = (s: readonly number[], temperature: number) => withDims(config.sizes, () => mixture(tensor([2], s) as never, scalar(temperature)))
  toArray(own([1, 0], 1000)).forEach((v, i) => near(v, [1, 0][i]!))
  toArray(own([1, 0], 0)).forEach(v => near(v, 0.5))
  const blend = toArray(blended(bank, tensor([2], [0.25, 0.75]) as never).layer5.bias)
  blend.forEach((v, i) => near(v, 0.25 * biases[i]! + 0.75 * biases[3 + i]!))
})

test('options change what they name', () => {
  const value = (changed: Partial<Options>, p: unknown = params) => withDims({ ...config.sizes, ...config.frames }, () => {
    const [, m] = programs({ ...config.options, priorS: 'one', ...changed }).loss(p as never, x as never, eps as never, annealing)
    return [item(m.logLikelihood), item(m.klS), item(m.klZ)] as const
  })
  const base = value({})
  assert.is.not(value({ decoderInput: 'mixture' })[0], base[0])
  assert.is.not(value({ staticMean: 'head' })[1], base[1])
  // Before training: locations are linear in the embedding, and scales constant.
  near(value({ staticMean: 'head' }, start.params)[1], value({}, start.params)[1])
  const narrow = value({ priorS: 'varianceOverS' })
  assert.is(narrow[0], base[0])
  // Against N(0, 1/2): log(sp) falls by log(2)/2 for each of 2 dims, the squares double.
  const all = rows(toArray(x), T * 3 * 64 * 64).map(part => encodePart.call(params, tensor([2, 3, 64, 64], part)).s)
  const squares = all.reduce((sum, s) => sum + toArray(s.loc).reduce((sum, m, i) => sum + m * m + toArray(s.scale)[i]! ** 2, 0), 0) / all.length
  near(narrow[1] - base[1], squares / 2 - Math.log(2))
})

test.run()
