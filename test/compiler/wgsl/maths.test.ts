/**
 * The functions that a module of WGSL defines, on a device, against float64: every n-th bit pattern, the special values, and
 * sweeps where the functions bend; in vectors and scalars. They are the rules of the WebAssembly target (schedule/nest/maths.ts
 * has its bounds), and hold the same bounds where a device divides and multiplies exactly; WGSL itself leaves a quotient 2.5 units
 * in the last place, which the functions that end with one (tanh, sigmoid, powers below 0) pass on. Subnormal numbers are not
 * promised: devices may take them for 0, as arguments, as results and in between, so that differences up to 2^-123 do
 * not count, and powers below 0 may be infinite beyond 2^123. SHOW=1 prints the worst of each.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { builder } from '../../../compiler/schedule/nest/builder.ts'
import type { Named, Value } from '../../../compiler/schedule/nest/nest.ts'
import { i32 } from '../../../compiler/schedule/nest/nest.ts'
import { printDispatch, wgsl } from '../../../compiler/targets/wgsl/print.ts'
import { missing, runAll } from './device.ts'
import { ulp } from '../ulp.ts'
import { errorOf } from './values.ts'

const smallest = 2 ** -126
const edges = [
  0, 1, smallest, 2 ** -125, 2 ** -24, 2 ** -12, 0.5, Math.SQRT1_2, Math.SQRT2, Math.LN2, Math.LN2 / 2, 2, 9.0109, 10, 16.6, 20, 87, 87.5, 88, 88.37,
  88.72283, 88.7229, 89, 103.9, 104.1, 2 ** 126, 2 ** 127, 3.4028234663852886e38, Infinity,
]
const special = Float32Array.from([NaN, ...edges.flatMap(x => [x, -x])])
/** Every `step`-th normal number of both signs. */
const patterns = (step: number): Float32Array => {
  const half = Int32Array.from({ length: Math.floor((0x7f800000 - 0x00800000) / step) }, (_, i) => 0x00800000 + i * step)
  return new Float32Array(Int32Array.from([...half, ...half.map(b => b | 0x80000000)]).buffer)
}
const sweep = (from: number, to: number, n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => from + ((to - from) * i) / n)
const joined = (...lists: readonly Float32Array[]): Float32Array => {
  const all = lists.flatMap(l => [...l]).filter(x => x === 0 || !(Math.abs(x) < smallest))
  return Float32Array.from({ length: Math.ceil(all.length / 256) * 256 }, (_, i) => all[i] ?? 1)
}
const anywhere = joined(special, patterns(100003), sweep(-2, 2, 6007), sweep(-20, 20, 6007), sweep(-110, 110, 6007), sweep(0.6, 1.6, 4001))
const turning = joined(sweep(-10, 10, 6007), sweep(-1000, 1000, 6007), sweep(-131072, 131072, 6007), Float32Array.of(0, -0, NaN, Infinity))

type Case = {
  readonly name: Named
  readonly means: (x: number) => number
  readonly bound: number
  readonly xs?: Float32Array
  readonly error?: (got: number, x: number) => number
}
/** Powers by halves are roots: that of -0 is -0, and that of -infinity, as all powers of it that are no whole numbers, NaN. */
const powered = (exponent: number) => (x: number): number =>
  Math.abs(exponent) === 0.5 ? Math.sqrt(x) ** (2 * exponent) : x === -Infinity && !Number.isInteger(exponent) ? NaN : x ** exponent
const near = 2 ** -123
/** In units of what is promised of a sine: 2 of the result's, and as many of |x| 2^-24. */
const turned = (f: (x: number) => number) => (got: number, x: number): number => {
  const y = f(x)
  return Number.isNaN(y) ? (Number.isNaN(got) ? 0 : Infinity) : Math.abs(got - y) / (2 * ulp(y) + 2 * Math.abs(x) * 2 ** -34 + 2 ** -26)
}
const cases: readonly Case[] = [
  { name: 'exp', means: Math.exp, bound: 1.5 },
  { name: 'expm1', means: Math.expm1, bound: 2 },
  { name: 'log', means: Math.log, bound: 1.5 },
  { name: 'log1p', means: Math.log1p, bound: 2 },
  { name: 'tanh', means: Math.tanh, bound: 2 + 2.5 },
  { name: 'sigmoid', means: x => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))), bound: 2.5 + 2.5 },
  { name: 'softplus', means: x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), bound: 2 },
  { name: 'sin', means: Math.sin, bound: 1, xs: turning, error: turned(Math.sin) },
  { name: 'cos', means: Math.cos, bound: 1, xs: turning, error: turned(Math.cos) },
  ...[2, 3, 4, 0.5, 1.5].map((c): Case => ({ name: { pow: c }, means: powered(c), bound: 2.5 })),
  ...[-1, -2, -0.5].map((c): Case => ({ name: { pow: c }, means: powered(c), bound: 5 })),
  ...[0.7, 1 / 3, -0.2, 2.2, -1.3, 5, -3.7, 7, 10, -9.5, 0.01].map((c): Case => ({ name: { pow: c }, means: powered(c), bound: 1.5 })),
  ...[64, -33.3].map((c): Case => ({ name: { pow: c }, means: powered(c), bound: 6 })),
]

const prepared = ({ name, xs = anywhere }: Case, wide: boolean) => {
  const b = builder('one')
  const [group, thread] = [b.param('i32', 'group'), b.param('i32', 'thread')]
  const at = b.call('add', 'i32', b.call('mul', 'i32', group, i32(wide ? 256 : 64)), wide ? b.call('mul', 'i32', thread, i32(4)) : thread)
  const x: Value = b.load(wide ? 'f32x4' : 'f32', 0, at)
  b.store(1, at, 0, typeof name === 'string' ? wgsl.maths.call(b, name, x) : wgsl.maths.pow(b, x, name.pow))
  const groups = xs.length / (wide ? 256 : 64)
  const dispatch = { nest: b.finish(groups), threads: 64, shared: [], quads: new Set(wide ? [0, 1] : []) }
  const { code } = printDispatch(dispatch, { name: 'one', places: [], notes: [] }, () => 'f32', 0)
  return { code, groups, buffers: [xs, new Float32Array(xs.length)] }
}

const why = missing()
if (why !== null) test.skip(`functions of f32 on a device: skipped, no adapter (${why})`, () => {})
else
  test('functions of f32 on a device', () => {
    const jobs = cases.flatMap(one => [true, false].map(wide => ({ one, wide, ...prepared(one, wide) })))
    const results = runAll(jobs)
    const wrong = jobs.flatMap(({ one, wide, buffers }, i) => {
      const got = new Float32Array(results[i]![1]!.buffer)
      const error = one.error ?? ((y: number, x: number): number => (y === Infinity && one.means(x) > 1 / near ? 0 : errorOf(y, one.means(x), near)))
      let [worst, at] = [0, 0]
      buffers[0]!.forEach((x, k) => {
        const e = error(got[k]!, x)
        if (!(e <= worst)) [worst, at] = [e, k]
      })
      const x = buffers[0]![at]!
      const line = `${JSON.stringify(one.name)}${wide ? '' : ', scalar'}: ${worst.toFixed(2)} at ${x}: ${got[at]} for ${one.means(x)}`
      if (process.env['SHOW'] !== undefined) console.log(line)
      return worst <= one.bound ? [] : [line]
    })
    assert.is(wrong.length, 0, wrong.join('\n'))
    assert.is(jobs.length, 60)
  })

test.run()
