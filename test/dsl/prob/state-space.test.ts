/**
 * Bounds where the evidence is known: a linear-Gaussian state-space model, whose likelihood a Kalman filter gives and whose posterior,
 * a chain as well, runs backwards from the last observation. Both stand here in plain loops.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { add, concat, dropLast, full, item, key, mul, randomNormal, scan, tensor, toArray, zeros, type Vec } from '../../../dsl/index.ts'
import { draw, elbo, importanceBound, normal } from '../../../dsl/prob/index.ts'

/** z_1 ~ N(0, first^2), z_t ~ N(a z_t-1, q^2), x_t ~ N(c z_t, r^2) */
const [first, a, q, c, r] = [1.5, 0.9, 0.6, 1.3, 0.8]
const xs = [0.7, 1.9, 0.4, -1.2, -0.5]
const T = xs.length

// ---- in the language: a guide that draws one state after the other, a prior of all states at once ----------------------
/** q(z_t | z_t-1) = N(shift_t + gain_t z_t-1, scale_t^2), z_0 = 0 */
type Chain = { readonly gain: Vec<5>; readonly shift: Vec<5>; readonly scale: Vec<5> }
type Data = { readonly x: Vec<5> }
type Noise = { readonly z: Vec<5> }
const guide = (p: Chain, _: Data, { z: noise }: Noise) => {
  const [, { loc, scale, value }] = scan(full([], 0), { p, noise }, (before, { p, noise }) => {
    const { dist, value } = draw(normal(add(p.shift, mul(p.gain, before)), p.scale), noise)
    return [value, { loc: dist.loc, scale: dist.scale, value }]
  })
  return { z: { dist: normal(loc, scale), value } }
}
const deviations = tensor([5], [first, q, q, q, q])
const model = (_: Chain, { z }: { readonly z: Vec<5> }) => ({
  z: normal(concat(zeros([1]), mul(a, dropLast(z))), deviations),
  x: normal(mul(c, z), full([5], r)),
})
const bound = elbo(guide, model)
const data = { x: tensor([5], xs) }

// ---- in plain loops ----------------------------------------------------------------------------------------------------
type Step = { readonly gain: number; readonly shift: number; readonly scale: number }
const chain = (steps: readonly Step[]): Chain =>
  ({ gain: tensor([5], steps.map(s => s.gain)), shift: tensor([5], steps.map(s => s.shift)), scale: tensor([5], steps.map(s => s.scale)) })

/** log p(x), from one prediction to the next. */
const evidence = xs.reduce(({ total, mean, variance }, x) => {
  const spread = c * c * variance + r * r
  const gain = (variance * c) / spread
  const [m, v] = [mean + gain * (x - c * mean), (1 - gain * c) * variance]
  return { total: total - 0.5 * (Math.log(2 * Math.PI * spread) + (x - c * mean) ** 2 / spread), mean: a * m, variance: a * a * v + q * q }
}, { total: 0, mean: 0, variance: first * first }).total

/** p(z_t | z_t-1, x_t:T). What the observations from t on say of z_t is exp(-j z^2 / 2 + h z). */
const posterior = xs.reduceRight<{ readonly steps: readonly Step[]; readonly j: number; readonly h: number }>(({ steps, j, h }, x, t) => {
  const [own, by] = [j + (c * c) / (r * r), h + (c * x) / (r * r)]
  const prior = t === 0 ? first * first : q * q
  const precision = 1 / prior + own
  const step = { gain: t === 0 ? 0 : a / prior / precision, shift: by / precision, scale: 1 / Math.sqrt(precision) }
  return { steps: [step, ...steps], j: (a * a * own) / (1 + prior * own), h: (a * by) / (1 + prior * own) }
}, { steps: [], j: 0, h: 0 }).steps

/** KL of a chain to the posterior, by the means and variances of the chain's states. */
const gap = (steps: readonly Step[]): number => steps.reduce(({ total, mean, variance }, s, t) => {
  const p = posterior[t]!
  const [shift, gain] = [s.shift - p.shift, s.gain - p.gain]
  const square = (shift + gain * mean) ** 2 + gain * gain * variance
  return {
    total: total + Math.log(p.scale / s.scale) + (s.scale ** 2 + square) / (2 * p.scale ** 2) - 0.5,
    mean: s.shift + s.gain * mean, variance: s.gain ** 2 * variance + s.scale ** 2,
  }
}, { total: 0, mean: 0, variance: 0 }).total

/** The expected value over standard normal noise of a function that is quadratic in it: the mean of its values at +-sqrt(T) along every axis. */
const expectation = (f: (noise: Vec<5>) => number): number => {
  const at = Array.from({ length: 2 * T }, (_, i) => tensor([5], xs.map((_, t) => (t === i >> 1 ? (i % 2 === 0 ? 1 : -1) * Math.sqrt(T) : 0))))
  return at.reduce((sum, noise) => sum + f(noise), 0) / at.length
}

const prior: readonly Step[] = xs.map((_, t) => ({ gain: t === 0 ? 0 : a, shift: 0, scale: t === 0 ? first : q }))
const guides: Readonly<Record<string, readonly Step[]>> = {
  prior,
  independent: xs.map(x => ({ gain: 0, shift: x / c, scale: r / c })),
  'too wide': posterior.map(s => ({ ...s, scale: 1.5 * s.scale })),
  'off by a little': posterior.map(s => ({ ...s, shift: s.shift + 0.1, gain: 0.9 * s.gain })),
}
// float64; the squares are of the order of 10.
const near = (found: number, wanted: number, what: string): void =>
  assert.ok(Math.abs(found - wanted) < 1e-10 * Math.max(1, Math.abs(wanted)), `${what}: ${found} against ${wanted}`)

test('the divergence is zero where the guide is the prior', () => {
  const { elbo, kl, logLikelihood } = bound(chain(prior), data, { z: randomNormal(key(1), [5]) }, { z: 1 })
  near(item(kl.z), 0, 'divergence')
  near(item(elbo), item(logLikelihood.x), 'bound')
})

for (const [name, steps] of Object.entries(guides))
  test(`the bound lies below the log evidence by the divergence from the posterior: ${name}`, () => {
    const value = expectation(z => item(bound(chain(steps), data, { z }, { z: 1 }).elbo))
    assert.ok(gap(steps) > 0.01)
    near(value, evidence - gap(steps), 'expected bound')
  })

test('the bound is the log evidence where the guide is the posterior', () => {
  near(gap(posterior), 0, 'divergence')
  near(expectation(z => item(bound(chain(posterior), data, { z }, { z: 1 }).elbo)), evidence, 'expected bound')
})

// ---- several draws -------------------------------------------------------------------------------------------------------
const weighted = importanceBound(guide, model)

test('importance-weighted: exact at every draw where the guide is the posterior', () => {
  near(item(weighted(chain(posterior), data, { z: randomNormal(key(2), [1, 5]) })), evidence, 'one draw')
  near(item(weighted(chain(posterior), data, { z: randomNormal(key(3), [7, 5]) })), evidence, 'seven draws')
})

test('importance-weighted: one draw is the bound with its divergence taken at the draw', () => {
  const noise = randomNormal(key(4), [5])
  const { dist, value } = guide(chain(guides['too wide']!), data, { z: noise }).z
  const log = (x: number, m: number, s: number): number => -0.5 * ((x - m) / s) ** 2 - Math.log(s * Math.sqrt(2 * Math.PI))
  const z = toArray(value)
  const wanted = z.reduce((sum, v, t) =>
    sum + log(xs[t]!, c * v, r) + log(v, t === 0 ? 0 : a * z[t - 1]!, t === 0 ? first : q) - log(v, toArray(dist.loc)[t]!, toArray(dist.scale)[t]!), 0)
  near(item(weighted(chain(guides['too wide']!), data, { z: tensor([1, 5], toArray(noise)) })), wanted, 'bound')
})

test('importance-weighted: rises with the number of draws to the log evidence', () => {
  const draws = 256
  const noise = toArray(randomNormal(key(5), [draws, 5]))
  for (const name of ['independent', 'too wide']) {
    const p = chain(guides[name]!)
    const singly = Array.from({ length: draws }, (_, i) => item(weighted(p, data, { z: tensor([1, 5], noise.slice(5 * i, 5 * i + 5)) })))
    const mean = (all: readonly number[]): number => all.reduce((sum, v) => sum + v, 0) / all.length
    // Of the same draws in groups of 4, in groups of 16 and all at once: no luck is needed, the logarithm is concave.
    const fours = mean(Array.from({ length: draws / 4 }, (_, i) => item(weighted(p, data, { z: tensor([4, 5], noise.slice(20 * i, 20 * i + 20)) }))))
    const sixteens = mean(Array.from({ length: draws / 16 }, (_, i) => item(weighted(p, data, { z: tensor([16, 5], noise.slice(80 * i, 80 * i + 80)) }))))
    const all = item(weighted(p, data, { z: tensor([256, 5], noise) }))
    assert.ok(mean(singly) < fours && fours < sixteens && sixteens < all, `${name}: ${mean(singly)} ${fours} ${sixteens} ${all}`)
    near(all, Math.log(mean(singly.map(Math.exp))), 'the logarithm of the mean weight')
    // The mean weight is evidence up to a standard error that the weights themselves give.
    const ratio = singly.map(v => Math.exp(v - evidence))
    const error = Math.sqrt(mean(ratio.map(v => (v - mean(ratio)) ** 2)) / draws)
    assert.ok(Math.abs(mean(ratio) - 1) < 4 * error, `${name}: ${mean(ratio)} +- ${error}`)
    assert.ok(error < 0.2, `${error}`)
    assert.ok(evidence - all < 0.3 * (evidence - mean(singly)), `${name}: ${mean(singly)} rises to ${all} of ${evidence}`)
  }
})

test.run()
