/**
 * The transcendental functions of the WebAssembly target against float64, over the whole range of f32: every n-th bit
 * pattern, the special values, and a dense sweep where the functions bend. Errors count in units in the last place.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Elementwise } from '../../../dsl/core/prim.ts'
import { buffers, ix, kernel, load, op, planOf, start, v } from './plans.ts'

const word = new Float32Array(1)
const bits = new Int32Array(word.buffer)
/** The distance from |x| (as f32) to the next f32. */
const ulp = (x: number): number => {
  word[0] = Math.abs(x)
  if (!Number.isFinite(word[0]!)) return 2 ** 104
  bits[0]! += 1
  const next = word[0]!
  bits[0]! -= 1
  return next === Infinity ? 2 ** 104 : next - word[0]!
}

const special = [0, -0, Infinity, -Infinity, NaN, 1, -1, 2 ** -149, -(2 ** -149), 2 ** -126, -(2 ** -126), 3.4028234663852886e38, -3.4028234663852886e38, 88.7, 88.73, -87.4, -103.9, -104.1, -20, -16.6]
const patterns = (step: number): readonly number[] => {
  const all: number[] = []
  for (let b = 0; b < 0x7f800000; b += step)
    for (const sign of [0, 0x80000000]) {
      bits[0] = b | sign
      all.push(word[0]!)
    }
  return all
}
const sweep = (from: number, to: number, n: number): readonly number[] => Array.from({ length: n }, (_, i) => Math.fround(from + ((to - from) * i) / n))
const inputs = Float32Array.from([...special, ...patterns(99991), ...sweep(-2, 2, 20011), ...sweep(-110, 110, 20011), ...sweep(0.6, 1.5, 9001)])

const run = (prim: Elementwise, xs: Float32Array, exponent?: number): Float32Array => {
  const i = v(xs.length)
  const at = ix(0, [1, i])
  const running = start(planOf(buffers(xs.length, xs.length), kernel([i], null, { buffer: 1, at, value: op(prim, [load(0, at)], 'f32', exponent) })), new Map([[0, xs]]))
  running.exports['run']!()
  return running.read(1) as Float32Array // buffer 1 is f32
}

/** `bound` in ulp of the result; subnormal results may be off by `bound` of the smallest numbers. */
const check = (prim: Elementwise, f: (x: number) => number, bound: number, xs: Float32Array = inputs, exponent?: number): void => {
  const got = run(prim, xs, exponent)
  let worst = 0
  let where = 0
  for (let i = 0; i < xs.length; i += 1) {
    const [x, y] = [got[i]!, f(xs[i]!)]
    const rounded = Math.fround(y)
    if (Object.is(x, rounded) || (Number.isNaN(x) && Number.isNaN(rounded))) continue
    const error = x === rounded ? 0 : Math.abs(x - y) / ulp(y)
    if (!(error <= worst)) [worst, where] = [error, xs[i]!]
  }
  if (process.env['SHOW'] !== undefined) console.log(`${prim} ${exponent ?? ''} ${worst.toFixed(2)} ulp at ${where}`)
  assert.ok(worst <= bound, `${prim}: ${worst} ulp at ${where}, ${run(prim, Float32Array.of(where), exponent)[0]} for ${f(where)}`)
}

test('exp', () => check('exp', Math.exp, 1.1))
test('expm1', () => check('expm1', Math.expm1, 2))
test('log', () => check('log', Math.log, 1.1))
test('log1p', () => check('log1p', Math.log1p, 2))
test('tanh', () => check('tanh', Math.tanh, 2))
test('sigmoid', () => check('sigmoid', x => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))), 2.5))
test('softplus', () => check('softplus', x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), 2.5))
test('rsqrt', () => check('rsqrt', x => 1 / Math.sqrt(x), 1.5))
test('pow', () => {
  check('pow', x => x ** 2, 0.6, inputs, 2)
  check('pow', x => x ** 3, 1.5, inputs, 3)
  check('pow', x => x ** -1, 0.6, inputs, -1)
})

test('sin and cos: 2 ulp of the larger of the result and |x| 2^-24, up to 2^17', () => {
  const xs = Float32Array.from([...sweep(-10, 10, 20011), ...sweep(-1000, 1000, 20011), ...sweep(-131072, 131072, 20011), 0, -0, NaN, Infinity])
  for (const [prim, f] of [['sin', Math.sin], ['cos', Math.cos]] as const) {
    const got = run(prim, xs)
    xs.forEach((x, i) => {
      const y = f(x)
      if (Number.isNaN(y)) return assert.ok(Number.isNaN(got[i]!))
      assert.ok(Math.abs(got[i]! - y) <= 2 * ulp(y) + 2 * Math.abs(x) * 2 ** -34 + 2 ** -26, `${prim} ${x}: ${got[i]}, expected ${y}`)
    })
  }
})

test.run()
