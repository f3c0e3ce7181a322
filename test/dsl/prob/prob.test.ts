import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { add, item, key, mul, randomNormal, scan, sum, tensor, toArray, vmap, zeros, type Scalar, type Tensor, type Vec } from '../../../dsl/index.ts'
import { bernoulli, centredLike, draw, elbo, expected, klNormal, laplace, logProb, normal, standardNormal } from '../../../dsl/prob/index.ts'

const near = (a: number, b: number, tolerance = 1e-10): void => assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${a} against ${b}`)
const all = (a: readonly number[], b: readonly number[], tolerance = 1e-10): void => a.forEach((x, i) => near(x, b[i]!, tolerance))

const loc = tensor([3], [0.3, -1, 2])
const scale = tensor([3], [0.5, 1.5, 0.1])
const [locs, scales] = [toArray(loc), toArray(scale)]

test('log-densities against their formulas', () => {
  const x = tensor([3], [0.1, 0.2, 1.9])
  const xs = toArray(x)
  all(toArray(logProb(normal(loc, scale), x)), xs.map((v, i) => Math.log(Math.exp(-((v - locs[i]!) ** 2) / (2 * scales[i]! ** 2)) / (scales[i]! * Math.sqrt(2 * Math.PI)))))
  all(toArray(logProb(laplace(loc, scale), x)), xs.map((v, i) => Math.log(Math.exp(-Math.abs(v - locs[i]!) / scales[i]!) / (2 * scales[i]!))))
  all(toArray(logProb(bernoulli(loc), tensor([3], [1, 0, 0.25]))), [1, 0, 0.25].map((v, i) => {
    const p = 1 / (1 + Math.exp(-locs[i]!))
    return v * Math.log(p) + (1 - v) * Math.log(1 - p)
  }))
})

test('a Bernoulli far out is finite and right', () => {
  all(toArray(logProb(bernoulli(tensor([4], [800, -800, 800, -800])), tensor([4], [1, 0, 0, 1]))), [0, 0, -800, -800])
  all(toArray(expected(bernoulli(tensor([2], [0, Math.log(3)])))), [0.5, 0.75])
})

test('draws move and scale given noise', () => {
  const d = draw(normal(loc, scale), tensor([3], [1, -2, 0.5]))
  all(toArray(d.value), locs.map((m, i) => m + scales[i]! * [1, -2, 0.5][i]!))
})

test('KL of normals: zero on itself, its formula, and Monte Carlo', () => {
  all(toArray(klNormal(normal(loc, scale), normal(loc, scale))), [0, 0, 0])
  const q = normal(loc, scale)
  const p = normal(tensor([3], [0, 0.5, 1.8]), tensor([3], [1, 2, 0.3]))
  const analytic = item(sum(klNormal(q, p)))
  const n = 4000
  const eps = randomNormal(key(11), [4000, 3])
  const terms = toArray(vmap(eps, e => {
    const { value } = draw(q, e)
    return add(sum(logProb(q, value)), mul(sum(logProb(p, value)), -1))
  }))
  const average = terms.reduce((a, b) => a + b, 0) / n
  const error = Math.sqrt(terms.reduce((a, b) => a + (b - average) ** 2, 0) / n / n)
  assert.ok(Math.abs(average - analytic) < 4 * error, `${average} +- ${error} against ${analytic}`)
  all(toArray(klNormal(q, standardNormal([3]))), locs.map((m, i) => 0.5 * (m * m + scales[i]! ** 2 - 1) - Math.log(scales[i]!)))
})

// A conjugate model, where everything is known: s ~ N(0, 4), x_i ~ N(s, 1) by way of a "guide" with its own parameters.
type P = { readonly m: Scalar; readonly c: Scalar }
type Data = { readonly x: Vec<3> }
const guide = (p: P, _: Data, eps: { readonly s: Scalar }) => ({ s: draw(normal(p.m, p.c), eps.s) })
const model = (_: P, { s }: { readonly s: Scalar }) => ({ s: centredLike(s, 2), x: normal(add(zeros([3]), s), add(zeros([3]), 1)) })
const given = { x: tensor([3], [0.5, 1.5, 1]) }
const at = (m: number, c: number): P => ({ m: tensor([], [m]), c: tensor([], [c]) })

test('the bound adds up from its parts, each weighted', () => {
  const bound = elbo(guide, model)
  const one = bound(at(0.4, 0.7), given, { s: tensor([], [0.3]) }, { s: 1 })
  const s = 0.4 + 0.7 * 0.3
  near(item(one.logLikelihood.x), [0.5, 1.5, 1].reduce((sum, x) => sum - 0.5 * (x - s) ** 2 - 0.5 * Math.log(2 * Math.PI), 0))
  near(item(one.kl.s), Math.log(2 / 0.7) + (0.7 ** 2 + 0.4 ** 2) / 8 - 0.5)
  near(item(one.elbo), item(one.logLikelihood.x) - item(one.kl.s))
  const heavy = bound(at(0.4, 0.7), given, { s: tensor([], [0.3]) }, { s: tensor([], [2.5]) })
  near(item(heavy.elbo), item(one.logLikelihood.x) - 2.5 * item(one.kl.s))
  near(item(heavy.kl.s), item(one.kl.s))
})

test('at the exact posterior the bound is the log evidence', () => {
  // Posterior precision 1/4 + 3, mean sum(x) / precision.
  const precision = 0.25 + 3
  const bound = elbo(guide, model)
  const n = 2000
  const values = toArray(randomNormal(key(5), [2000])).map(e => item(bound(at(3 / precision, 1 / Math.sqrt(precision)), given, { s: tensor([], [e]) }, { s: 1 }).elbo))
  const average = values.reduce((a, b) => a + b, 0) / n
  const error = Math.sqrt(values.reduce((a, b) => a + (b - average) ** 2, 0) / n / n)
  // log N(x; 0, I + 4 11'): determinant 1 + 12, inverse I - 4/13 11'.
  const [square, total] = [0.25 + 2.25 + 1, 3]
  const evidence = -1.5 * Math.log(2 * Math.PI) - 0.5 * Math.log(13) - 0.5 * (square - (4 / 13) * total ** 2)
  assert.ok(Math.abs(average - evidence) < 4 * error, `${average} +- ${error} against ${evidence}`)
})

test('where no formula is known the divergence is taken at the draw', () => {
  const heavyTailed = (_: P, { s }: { readonly s: Scalar }) => ({ s: laplace(mul(s, 0), add(mul(s, 0), 2)), x: normal(add(zeros([3]), s), add(zeros([3]), 1)) })
  const one = elbo(guide, heavyTailed)(at(0.4, 0.7), given, { s: tensor([], [0.3]) }, { s: 1 })
  const s = 0.4 + 0.7 * 0.3
  near(item(one.kl.s), -0.5 * 0.09 - Math.log(0.7 * Math.sqrt(2 * Math.PI)) + Math.abs(s) / 2 + Math.log(4))
})

test('distributions pass through vmap and scan', () => {
  const xs = tensor([2, 3], [1, 2, 3, 4, 5, 6])
  const mapped = vmap(xs, x => bernoulli(x))
  assert.is(mapped.kind, 'bernoulli')
  assert.equal(toArray(mapped.logits), [1, 2, 3, 4, 5, 6])
  const [, drawn] = scan(zeros([3]), xs, (carry: Tensor<[3]>, x) => {
    const d = draw(normal(add(carry, x), add(mul(x, 0), 1)), mul(x, 0))
    return [d.value, d]
  })
  all(toArray(drawn.value), [1, 2, 3, 5, 7, 9])
  all(toArray(logProb(drawn.dist, drawn.value)), Array.from({ length: 6 }, () => -0.5 * Math.log(2 * Math.PI)))
})

test.run()
