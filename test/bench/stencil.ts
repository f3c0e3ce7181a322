/**
 * Windowed sums as the general schedules do them and as windows, with the caches cleared before each, and the gap to the
 * floor: a plain pass over as many bytes, or the arithmetic at 64 GFLOP/s. Best of interleaved rounds, processor time.
 * Run with `node --import tsx test/bench/stencil.ts [filter]`.
 */
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../compiler/wasm/plans.ts'
import { partsOf } from '../compiler/wasm/nests.ts'
import type { Index, Kernel, Plan } from '../../compiler/schedule/kernel/kernel.ts'
import { elementwise } from '../../compiler/schedule/elementwise/elementwise.ts'
import type { Dialect } from '../../compiler/schedule/nest/expression.ts'
import type { Scheduled } from '../../compiler/schedule/nest/nest.ts'
import { phases } from '../../compiler/schedule/kernel/phases.ts'
import { packed } from '../../compiler/schedule/product/product.ts'
import { stencil } from '../../compiler/schedule/stencil/stencil.ts'
import { tapSums } from '../../compiler/schedule/stencil/taps.ts'
import { windowed } from '../../compiler/schedule/grid/windowed.ts'
import { add, indexing, scale, shift, variable } from '../../compiler/schedule/kernel/indexing.ts'

const timeOf = (run: () => void): number => {
  const from = process.cpuUsage()
  run()
  const spent = process.cpuUsage(from)
  return (spent.user + spent.system) / 1000
}

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

/** Its weight gradient. */
const weights = (n: number, c: number, h: number, k: number, s: number): Case => {
  const pad = k >> 1
  const p = Math.floor((h + 2 * pad - k) / s) + 1
  const [b, f, y, x, i, j] = [v(n, 'n'), v(c, 'c'), v(p, 'y'), v(p, 'x'), v(k, 'i'), v(k, 'j')]
  const [r, q] = [ix(-pad, [s, y], [1, i]), ix(-pad, [s, x], [1, j])]
  const image = when([guard(r, h), guard(q, h)], load(0, add(ix(0, [c * h * h, b], [h * h, f]), add(scale(r, h), q))))
  const sum = product([b, y, x], image, load(1, ix(0, [c * p * p, b], [p * p, f], [p, y], [1, x])))
  const plan = planOf(buffers(n * c * h * h, n * c * p * p, c * k * k), kernel([f, i, j], sum, { buffer: 2, at: ix(0, [k * k, f], [k, i], [1, j]), value: acc }))
  return { name: `weights ${k}x${k} stride ${s}, ${n} x ${c} of ${h}`, plan, bytes: 4 * n * c * (h * h + p * p), flops: 2 * k * k * n * c * p * p }
}

const cases = [
  blur(1024, 63), blur(2048, 31), blur(4096, 15), blur(8192, 7), back(1024, 63), back(2048, 31), back(4096, 15), back(8192, 7),
  depthwise(256, 56, 3, 1), depthwise(256, 56, 3, 2), depthwise(1024, 14, 5, 1), depthwise(4, 512, 3, 1), depthwise(1, 2000, 3, 1), depthwise(1, 2000, 5, 2),
  weights(32, 32, 28, 3, 1), weights(32, 32, 28, 3, 2), weights(32, 64, 14, 5, 1), weights(8, 16, 112, 3, 1),
]
/** A plain pass over as many bytes. */
const pass = (bytes: number): Kernel => {
  const i = v(bytes >> 3)
  return kernel([i], null, { buffer: 1, at: variable(i), value: op('neg', [load(0, variable(i))]) })
}
let ids = 1e6
const fresh = (): number => (ids += 1)
/** What a kernel gets that is no window. */
const general = (k: Kernel, dialect: Dialect, space: number): Scheduled => {
  const whole = windowed(k, [], dialect, space, fresh)
  if (whole !== null) return whole
  const parts = phases(k, fresh, () => 1).map((part, i) => packed(part, [], dialect, space + 8 * i, fresh) ?? elementwise(part, [], dialect, space + 8 * i))
  return { nests: parts.flatMap(p => p.nests), scratch: parts.flatMap(p => p.scratch) }
}
const window = (k: Kernel, dialect: Dialect, space: number): Scheduled =>
  stencil(k, [], dialect, space) ?? tapSums(k, [], dialect, space, fresh) ?? general(k, dialect, space)
const flush = new Float32Array(1 << 24)
const filter = process.argv[2] ?? ''
for (const { name, plan, bytes, flops } of cases.filter(c => c.name.includes(filter))) {
  const [step] = plan.steps
  if (step?.kind !== 'kernel') continue
  const sizes = plan.buffers.map(b => b.aval.shape[0]!)
  const variants = [
    partsOf(step, sizes, general),
    partsOf(step, sizes, window),
    partsOf(pass(bytes), [bytes >> 3, bytes >> 3], general),
  ]
  for (const { floats } of variants.slice(0, 2)) sizes.forEach((n, id) => floats(id).set(n === 16 ? binomial : Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 1000) / 1000 - 0.3)))
  const best = variants.map(() => Infinity)
  for (let round = 0; round < 8; round += 1)
    variants.forEach(({ run }, i) => {
      flush.fill(round)
      best[i] = Math.min(best[i]!, timeOf(run))
    })
  const [before, after, copy] = [best[0]!, best[1]!, best[2]!]
  const floor = Math.max(copy, flops / 64e6)
  const ms = (x: number): string => x.toFixed(3).padStart(8)
  console.log(`${name.padEnd(36)} general ${ms(before)} ms  window ${ms(after)} ms  floor ${ms(floor)} ms  gap ${(before / floor).toFixed(2).padStart(5)} -> ${(after / floor).toFixed(2)}`)
}
