/**
 * The transcendental functions of the WebAssembly target against float64, over the whole range of f32, in vectors and
 * scalars, with and without fused multiply-add: every n-th bit pattern, the special values, and dense sweeps where the
 * functions bend. Errors count in units in the last place (where a store turns subnormal results into 0, those do not
 * count); SHOW=1 prints the worst of each.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Elementwise } from '../../../dsl/core/prim.ts'
import { elementwise } from '../../../compiler/schedule/elementwise/elementwise.ts'
import { ulp } from '../ulp.ts'
import { partsOf } from './nests.ts'
import { ix, kernel, load, op, v } from './plans.ts'

const edges = [
  0, 1, 2 ** -149, 2 ** -126, 2 ** -125, 2 ** -24, 2 ** -12, 0.5, Math.SQRT1_2, Math.SQRT2, Math.LN2, Math.LN2 / 2, 2, 9.0109, 10, 16.6, 20, 87.336544,
  87.5, 88, 88.37, 88.72283, 88.7229, 89, 103.9, 104.1, 2 ** 126, 2 ** 127, 3.4028234663852886e38, Infinity,
]
const special = Float32Array.from([NaN, ...edges.flatMap(x => [x, -x])])
/** Every `step`-th bit pattern of both signs, NaN apart. */
const patterns = (step: number): Float32Array => {
  const half = Int32Array.from({ length: Math.ceil(0x7f800000 / step) }, (_, i) => i * step)
  const all = new Int32Array(2 * half.length)
  all.set(half)
  all.set(half.map(b => b | 0x80000000), half.length)
  return new Float32Array(all.buffer)
}
const sweep = (from: number, to: number, n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => from + ((to - from) * i) / n)
const joined = (...lists: readonly Float32Array[]): Float32Array => {
  const all = new Float32Array(lists.reduce((n, l) => n + l.length, 0))
  lists.reduce((at, l) => {
    all.set(l, at)
    return at + l.length
  }, 0)
  return all
}
const inputs = joined(special, patterns(10007), sweep(-2, 2, 60013), sweep(-20, 20, 60013), sweep(-110, 110, 60013), sweep(0.6, 1.6, 40009))

/** One function of many numbers; `width` 3 goes through the scalar form. */
const run = (prim: Elementwise, xs: Float32Array, fma: boolean, exponent?: number, width = xs.length): Float32Array => {
  const [i, j] = [v(Math.ceil(xs.length / width)), v(width)]
  const n = i.size * j.size
  const at = ix(0, [width, i], [1, j])
  const given = width === xs.length ? at : ix(0, [1, i], [i.size, j])
  const one = kernel([i, j], null, { buffer: 1, at: given, value: op(prim, [load(0, given)], 'f32', exponent) })
  const parts = partsOf(one, [n, n], (k, d, s) => elementwise(k, [], d, s), fma)
  parts.floats(0).set(xs)
  parts.run()
  return parts.floats(1).slice(0, xs.length)
}

/** The worst error in ulp of the result; results nearer to zero than `least` are right when they are as near to it. */
const worst = (xs: Float32Array, got: Float32Array, f: (x: number) => number, least: number): { readonly error: number; readonly at: number } => {
  let [error, at] = [0, 0]
  for (let i = 0; i < xs.length; i += 1) {
    const [x, y] = [got[i]!, f(xs[i]!)]
    const rounded = Math.fround(y)
    if (Object.is(x, rounded) || (Number.isNaN(x) && Number.isNaN(rounded)) || (Math.abs(y) < least && Math.abs(x) <= least)) continue
    const e = Number.isNaN(x) ? Infinity : x === rounded ? (x === 0 ? Infinity : 0) : Math.abs(x - y) / ulp(y)
    if (!(e <= error)) [error, at] = [e, xs[i]!]
  }
  return { error, at }
}

type Check = { readonly least?: number; readonly xs?: Float32Array; readonly exponent?: number }
const check = (prim: Elementwise, f: (x: number) => number, bound: number, { least = 0, xs = inputs, exponent }: Check = {}): void => {
  for (const fma of [true, false])
    for (const scalars of [false, true]) {
      const some = scalars ? xs.filter((_, i) => i < 200 || i % 17 === 0) : xs
      const { error, at } = worst(some, run(prim, some, fma, exponent, scalars ? 3 : undefined), f, least)
      const which = `${prim} ${exponent ?? ''} ${fma ? 'fma' : 'mul + add'}${scalars ? ', scalar' : ''}`
      if (process.env['SHOW'] !== undefined) console.log(`${which}: ${error.toFixed(2)} ulp at ${at}`)
      assert.ok(error <= bound, `${prim} ${fma ? 'fma' : 'mul + add'}: ${error} ulp at ${at}: ${run(prim, Float32Array.of(at, at, at, at), fma, exponent)[0]} for ${f(at)}`)
    }
}

const smallest = 2 ** -126
test('exp', () => check('exp', Math.exp, 1.5, { least: smallest }))
test('expm1', () => check('expm1', Math.expm1, 2))
test('log', () => check('log', Math.log, 1.5))
test('log1p', () => check('log1p', Math.log1p, 2))
test('tanh', () => check('tanh', Math.tanh, 2))
test('sigmoid', () => check('sigmoid', x => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))), 2.5, { least: smallest }))
test('softplus', () => check('softplus', x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), 2, { least: smallest }))
test('sqrt', () => check('sqrt', Math.sqrt, 0.5))
test('rsqrt', () => check('rsqrt', x => 1 / Math.sqrt(x), 1.5))
for (const [exponent, bound, f] of [
  [2, 0.6, x => x * x], [3, 1.5, x => x ** 3], [4, 2, x => x ** 4], [-1, 0.6, x => 1 / x],
  [0.5, 0.6, Math.sqrt], [-0.5, 1.5, x => 1 / Math.sqrt(x)], [1.5, 1.5, x => x * Math.sqrt(x)],
] as const satisfies readonly (readonly [number, number, (x: number) => number])[])
  test(`pow ${exponent}`, () => check('pow', f, bound, { exponent, least: smallest }))

/** To powers that are no whole numbers, -infinity gives NaN, as all that is negative does; JavaScript makes an exception of it. */
const powered = (exponent: number) => (x: number): number => (x === -Infinity && !Number.isInteger(exponent) ? NaN : x ** exponent)
for (const exponent of [0.7, 1 / 3, -0.2, 2.2, -1.3, 5, -3.7, 7, 10, -9.5, 0.01])
  test(`pow ${exponent}`, () => check('pow', powered(exponent), 1.5, { exponent, least: smallest }))
test('pow 64 and pow -33.3', () => [64, -33.3].forEach(exponent => check('pow', powered(exponent), 6, { exponent, least: smallest })))

test('sin and cos: 2 ulp of the larger of the result and |x| 2^-24, up to 2^17', () => {
  const xs = joined(sweep(-10, 10, 60013), sweep(-1000, 1000, 60013), sweep(-131072, 131072, 60013), Float32Array.of(0, -0, NaN, Infinity))
  for (const [prim, f] of [['sin', Math.sin], ['cos', Math.cos]] as const)
    for (const fma of [true, false]) {
      const got = run(prim, xs, fma)
      xs.forEach((x, i) => {
        const y = f(x)
        if (Number.isNaN(y)) return assert.ok(Number.isNaN(got[i]!))
        assert.ok(Math.abs(got[i]! - y) <= 2 * ulp(y) + 2 * Math.abs(x) * 2 ** -34 + 2 ** -26, `${prim} ${x}: ${got[i]}, expected ${y}`)
      })
    }
})

test.run()
