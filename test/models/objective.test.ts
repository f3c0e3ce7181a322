/**
 * Stage 1 written a second time, from the paper alone: plain loops over float64 arrays, no function of the language. The loss,
 * its parts and the true bound of the model have to be these numbers, under every combination of the named options.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { aval, isTensor, withDims } from '../../dsl/core/apply.ts'
import { full, item, key, randomNormal, randomUniform, tensor, toArray, type Any } from '../../dsl/index.ts'
import { tiny, type Options } from '../../models/vdsm/config.ts'
import { programs } from '../../models/vdsm/programs.ts'
import { init } from '../../models/vdsm/tiny.ts'
import { optionChoices } from './fixtures/options.ts'

// ---- numbers in, numbers out ---------------------------------------------------------------------------------------
type Image = { readonly c: number; readonly n: number; readonly v: readonly number[] } // [c, n, n]
type Layer = { readonly weight: readonly number[]; readonly bias: readonly number[] }
type Gaussian = { readonly loc: readonly number[]; readonly scale: readonly number[] }

const leaky = (slope: number) => (v: number): number => (v < 0 ? slope * v : v)
const softplus = (v: number): number => Math.log(1 + Math.exp(v))

/** y[o] = bias[o] + sum_i weight[o, i] x[i] */
const affine = ({ weight, bias }: Layer, x: readonly number[]): number[] =>
  bias.map((b, o) => x.reduce((sum, v, i) => sum + weight[o * x.length + i]! * v, b))

/** y[o, p, q] = bias[o] + sum weight[o, i, k, l] x[i, p + k - pad, q + l - pad], 4 x 4 kernels, zero outside. */
const convolve = ({ weight, bias }: Layer, x: Image, pad: number): Image => {
  const n = x.n + 2 * pad - 3
  const v: number[] = []
  for (let o = 0; o < bias.length; o++) for (let p = 0; p < n; p++) for (let q = 0; q < n; q++) {
    let sum = bias[o]!
    for (let i = 0; i < x.c; i++) for (let k = 0; k < 4; k++) for (let l = 0; l < 4; l++) {
      const [row, column] = [p + k - pad, q + l - pad]
      if (row >= 0 && row < x.n && column >= 0 && column < x.n) sum += weight[((o * x.c + i) * 4 + k) * 4 + l]! * x.v[(i * x.n + row) * x.n + column]!
    }
    v.push(sum)
  }
  return { c: bias.length, n, v }
}

/** The binomial filter 1 3 3 1 in both directions, one pixel of zeros before and two behind, at every second pixel. */
const blur = (x: Image): Image => {
  const taps = [1 / 8, 3 / 8, 3 / 8, 1 / 8]
  const n = Math.ceil(x.n / 2)
  const v: number[] = []
  for (let c = 0; c < x.c; c++) for (let p = 0; p < n; p++) for (let q = 0; q < n; q++) {
    let sum = 0
    taps.forEach((a, k) => taps.forEach((b, l) => {
      const [row, column] = [2 * p + k - 1, 2 * q + l - 1]
      if (row >= 0 && row < x.n && column >= 0 && column < x.n) sum += a * b * x.v[(c * x.n + row) * x.n + column]!
    }))
    v.push(sum)
  }
  return { c: x.c, n, v }
}

/** Every pixel of x adds its kernel weight[i, o] to the output, `stride` apart; `pad` pixels are cut off all around. */
const spread = ({ weight, bias }: Layer, x: Image, stride: number, pad: number): Image => {
  const c = bias.length
  const n = (x.n - 1) * stride + 4 - 2 * pad
  const v = Array.from({ length: c * n * n }, (_, at) => bias[Math.floor(at / (n * n))]!)
  for (let i = 0; i < x.c; i++) for (let p = 0; p < x.n; p++) for (let q = 0; q < x.n; q++)
    for (let o = 0; o < c; o++) for (let k = 0; k < 4; k++) for (let l = 0; l < 4; l++) {
      const [row, column] = [p * stride + k - pad, q * stride + l - pad]
      if (row >= 0 && row < n && column >= 0 && column < n) v[(o * n + row) * n + column]! += x.v[(i * x.n + p) * x.n + q]! * weight[((i * c + o) * 4 + k) * 4 + l]!
    }
  return { c, n, v }
}

const mapped = (x: Image, f: (v: number) => number): Image => ({ ...x, v: x.v.map(f) })
const meanOf = (rows: readonly (readonly number[])[]): number[] => rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length)

// ---- stage 1 of the paper ------------------------------------------------------------------------------------------
type Heads = { readonly loc: Layer; readonly scale: Layer }
type Numbers = {
  readonly guide: { readonly encoder: Readonly<Record<'conv1' | 'conv2' | 'conv3' | 'conv4' | 'conv5' | 'embed', Layer>>; readonly identity: Heads; readonly pose: Heads }
  readonly bank: Readonly<Record<'layer1' | 'layer2' | 'layer3' | 'layer4' | 'layer5', Layer>>
}
type Terms = { readonly logLikelihood: number; readonly klS: number; readonly klZ: number }

const gaussian = (p: Heads, x: readonly number[]): Gaussian => ({ loc: affine(p.loc, x), scale: affine(p.scale, x).map(softplus) })

/** KL(N(m, s^2) || N(0, p^2)), summed. */
const divergence = ({ loc, scale }: Gaussian, prior: number): number =>
  loc.reduce((sum, m, i) => sum + Math.log(prior / scale[i]!) + (scale[i]! ** 2 + m * m) / (2 * prior * prior) - 0.5, 0)

/** The terms of Eq. 7 of one group of frames, each frame [3, 64, 64]; `eps` is standard normal noise. */
const terms = (o: Options, p: Numbers, group: readonly (readonly number[])[], eps: { readonly s: readonly number[]; readonly z: readonly (readonly number[])[] }, temperature: number): Terms => {
  const act = leaky(o.slope)
  const { encoder, identity, pose } = p.guide
  const h = group.map(frame => {
    const scaled: Image = { c: 3, n: 64, v: frame.map(v => (v - o.input.shift) * o.input.scale) }
    const top = [encoder.conv1, encoder.conv2, encoder.conv3, encoder.conv4].reduce((x, layer) => blur(mapped(convolve(layer, x, 1), act)), scaled)
    return mapped(convolve(encoder.conv5, top, 0), act).v
  })
  const e = h.map(ht => affine(encoder.embed, ht).map(act))
  const each = e.map(et => gaussian(identity, et))
  const qs: Gaussian = o.staticMean === 'embedding' ? gaussian(identity, meanOf(e)) : { loc: meanOf(each.map(q => q.loc)), scale: meanOf(each.map(q => q.scale)) }
  const qz = h.map(ht => gaussian(pose, ht))

  const s = qs.loc.map((m, i) => m + qs.scale[i]! * eps.s[i]!)
  const powers = s.map(v => Math.exp(v * temperature))
  const w = powers.map(v => v / powers.reduce((a, b) => a + b))
  const blended = (layer: Layer): Layer => {
    const mix = (all: readonly number[]): number[] => {
      const size = all.length / w.length
      return Array.from({ length: size }, (_, i) => w.reduce((sum, wk, k) => sum + wk * all[k * size + i]!, 0))
    }
    return { weight: mix(layer.weight), bias: mix(layer.bias) }
  }
  const [first, ...others] = [p.bank.layer1, p.bank.layer2, p.bank.layer3, p.bank.layer4, p.bank.layer5].map(blended)
  const logLikelihood = group.reduce((total, frame, t) => {
    const z = qz[t]!.loc.map((m, i) => m + qz[t]!.scale[i]! * eps.z[t]![i]!)
    const input = [...(o.decoderInput === 's' ? s : w), ...z]
    const logits = others.reduce((x, layer) => spread(layer, mapped(x, act), 2, 1), spread(first!, { c: input.length, n: 1, v: input }, 1, 0))
    assert.is(logits.n, 64)
    return total + frame.reduce((sum, v, i) => {
      const mean = 1 / (1 + Math.exp(-logits.v[i]!))
      return sum + v * Math.log(mean) + (1 - v) * Math.log(1 - mean)
    }, 0)
  }, 0)
  const prior = { one: 1, varianceOverS: Math.sqrt(1 / s.length), deviationOverS: 1 / s.length }[o.priorS]
  return { logLikelihood, klS: divergence(qs, prior), klZ: qz.reduce((sum, q) => sum + divergence(q, 1), 0) }
}

// ---- the model's numbers against these -----------------------------------------------------------------------------
const { B, T, Z, S } = tiny.sizes
const FRAME = 3 * 64 * 64

/** The tree with every element moved by noise, so that no bias and no scale stays at the constant it starts at. */
const shaken = (tree: unknown, seed: number): unknown => {
  const counter = { n: 0 }
  const walk = (t: unknown): unknown => {
    if (!isTensor(t)) return Object.fromEntries(Object.entries(t as object).map(([k, v]) => [k, walk(v)]))
    const shape = aval(t as Any).shape
    const noise = toArray(randomNormal(key(seed + counter.n++), shape as never) as Any)
    return tensor(shape as never, toArray(t as Any).map((v, i) => v + 0.1 * noise[i]!))
  }
  return walk(tree)
}
const plain = (tree: unknown): unknown => (isTensor(tree) ? toArray(tree as Any) : Object.fromEntries(Object.entries(tree as object).map(([k, v]) => [k, plain(v)])))

const params = shaken(init.call(key(1)).params, 100)
const numbers = plain(params) as Numbers
const x = randomUniform(key(2), [2, 2, 3, 64, 64])
const eps = { s: randomNormal(key(3), [2, 2]), z: randomNormal(key(4), [2, 2, 3]) }
const parts = (all: readonly number[], size: number): number[][] => Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size))
const frames = parts(toArray(x), FRAME)
const scalar = (v: number) => full([], v)
// Sums of 24,576 logarithms in float64, in another order.
const near = (a: number, b: number, what: string): void => assert.ok(Math.abs(a - b) <= 1e-10 * Math.max(1, Math.abs(b)), `${what}: ${a} against ${b}`)

for (const [name, changed] of Object.entries(optionChoices))
  test(`the model = the paper in plain loops: ${name}`, () => {
    const o: Options = { ...tiny.options, ...changed, slope: 0.2, input: { shift: 0.3, scale: 1.7 } }
    const [temperature, lambdaS, lambdaZ] = [1.7, 0.3, 4]
    const groups = Array.from({ length: B }, (_, b) =>
      terms(o, numbers, frames.slice(b * T, (b + 1) * T), { s: parts(toArray(eps.s), S)[b]!, z: parts(toArray(eps.z), Z).slice(b * T, (b + 1) * T) }, temperature))
    const mean = (f: (g: Terms) => number): number => groups.reduce((sum, g) => sum + f(g), 0) / B
    const vdsm = programs(o)
    withDims(tiny.sizes, () => {
      const [loss, m] = vdsm.loss(params as never, x as never, eps as never, { temperature: scalar(temperature), lambdaS: scalar(lambdaS), lambdaZ: scalar(lambdaZ) })
      near(item(loss), mean(g => -(g.logLikelihood - lambdaZ * g.klZ - lambdaS * g.klS) / T), 'loss')
      near(item(m.logLikelihood), mean(g => g.logLikelihood / T), 'log-likelihood')
      near(item(m.klS), mean(g => g.klS), 'KL of s')
      near(item(m.klZ), mean(g => g.klZ / T), 'KL of z')
      const e = vdsm.evaluate(params as never, x as never, eps as never, scalar(temperature))
      const bound = mean(g => (g.logLikelihood - g.klZ - g.klS) / T)
      near(item(e.elbo), bound, 'bound')
      near(item(e.bitsPerDim), -bound / FRAME / Math.log(2), 'bits per dimension')
    })
  })

test.run()
