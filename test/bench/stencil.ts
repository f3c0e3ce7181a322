/**
 * Windowed sums: time, and the gap to the floor set by the machine's memory. With the schedule of windows, and without.
 * Run with `node --import tsx test/bench/stencil.ts [filter]`.
 */
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, start, v, when } from '../compiler/wasm/plans.ts'
import type { Index, Plan } from '../../compiler/schedule/kernel.ts'
import { add, indexing, scale, shift, variable } from '../../compiler/schedule/indexing.ts'
import { processorTimes } from './times.ts'

const algebra = indexing(() => 1 << 20)
const binomial = [1, 3, 3, 1].flatMap(a => [1, 3, 3, 1].map(b => (a * b) / 64))

type Case = { readonly name: string; readonly plan: Plan; readonly bytes: number; readonly flops: number }

/** Blur by 4 x 4 taps, every second pixel, of `n` images of h x h. */
const blur = (n: number, h: number): Case => {
  const p = Math.floor((h - 1) / 2) + 1
  const [b, y, x, i, j] = [v(n, 'n'), v(p, 'y'), v(p, 'x'), v(4, 'i'), v(4, 'j')]
  const [r, c] = [ix(-1, [2, y], [1, i]), ix(-1, [2, x], [1, j])]
  const image = when([guard(r, h), guard(c, h)], load(0, add(ix(0, [h * h, b]), add(scale(r, h), c))))
  const plan = planOf(buffers(n * h * h, 16, n * p * p), kernel([b, y, x], product([i, j], load(1, ix(0, [4, i], [1, j])), image), { buffer: 2, at: ix(0, [p * p, b], [p, y], [1, x]), value: acc }))
  return { name: `blur ${n} of ${h}`, plan, bytes: 4 * n * (h * h + p * p), flops: 32 * n * p * p }
}

/** The gradient of that, with the derivative of a leaky rectifier. */
const back = (n: number, h: number): Case => {
  const p = Math.floor((h - 1) / 2) + 1
  const [b, y, x, i, j] = [v(n, 'n'), v(h, 'y'), v(h, 'x'), v(4, 'i'), v(4, 'j')]
  const [r, c] = [ix(1, [1, y], [-1, i]), ix(1, [1, x], [-1, j])]
  const half = (at: Index): Index => shift(algebra.div(shift(at, 2), 2), -1)
  const below = 2 * (p - 1) + 1
  const image = when([guard(r, below, 2), guard(c, below, 2)], load(0, add(ix(0, [p * p, b]), add(scale(half(r), p), half(c)))))
  const at = ix(0, [h * h, b], [h, y], [1, x])
  const value = op('select', [op('gt', [load(2, at), num(0)], 'bool'), acc, op('mul', [acc, num(0.01)])])
  const plan = planOf(buffers(n * p * p, 16, n * h * h, n * h * h), kernel([b, y, x], product([i, j], image, load(1, ix(0, [4, i], [1, j]))), { buffer: 3, at, value }))
  return { name: `blur back ${n} of ${h}`, plan, bytes: 4 * n * (2 * h * h + p * p), flops: 8 * n * h * h }
}

/** Depthwise convolution, k x k taps, stride s, of `n` images of h x h, followed by a rectifier. */
const depthwise = (n: number, h: number, k: number, s: number): Case => {
  const pad = k >> 1
  const p = Math.floor((h + 2 * pad - k) / s) + 1
  const [b, y, x, i, j] = [v(n, 'n'), v(p, 'y'), v(p, 'x'), v(k, 'i'), v(k, 'j')]
  const [r, c] = [ix(-pad, [s, y], [1, i]), ix(-pad, [s, x], [1, j])]
  const image = when([guard(r, h), guard(c, h)], load(0, add(ix(0, [h * h, b]), add(scale(r, h), c))))
  const plan = planOf(buffers(n * h * h, n * k * k, n * p * p), kernel([b, y, x], product([i, j], image, load(1, ix(0, [k * k, b], [k, i], [1, j]))), { buffer: 2, at: ix(0, [p * p, b], [p, y], [1, x]), value: op('maximum', [acc, num(0)]) }))
  return { name: `depthwise ${k}x${k} stride ${s}, ${n} of ${h}`, plan, bytes: 4 * n * (h * h + p * p), flops: 2 * k * k * n * p * p }
}

const cases = [
  blur(1024, 63), blur(2048, 31), blur(4096, 15), blur(8192, 7), back(1024, 63), back(2048, 31), back(4096, 15), back(8192, 7),
  depthwise(256, 56, 3, 1), depthwise(256, 56, 3, 2), depthwise(1024, 14, 5, 1), depthwise(4, 512, 3, 1), depthwise(1, 2000, 3, 1), depthwise(1, 2000, 5, 2),
]
const filter = process.argv[2] ?? ''
for (const { name, plan, bytes, flops } of cases.filter(c => c.name.includes(filter))) {
  const given = new Map(plan.buffers.map(b => [b.id, b.id === 1 && b.aval.shape[0] === 16 ? binomial : Float32Array.from({ length: b.aval.shape[0]! }, (_, i) => ((i * 7919) % 1000) / 1000 - 0.3)]))
  const running = start(plan, given, true)
  const times = processorTimes(running.exports['run']!, 400)
  const floor = Math.max(bytes / 9e6, flops / 64e6)
  console.log(`${name.padEnd(34)} best ${times[0]!.toFixed(3).padStart(7)} median ${times[times.length >> 1]!.toFixed(3).padStart(7)} ms  floor ${floor.toFixed(3)}  best / floor ${(times[0]! / floor).toFixed(2)}   ${running.bytes.length} bytes`)
}
