/**
 * GFLOP/s of compiled products: matrix products, also of awkward sizes, and the three passes of a strided convolution.
 * Run with `node --no-liftoff --no-wasm-lazy-compilation --import tsx test/bench/gemm.ts [filter]`; prints the median and
 * the best of several runs of both variants on one thread (processor time), and the best on two (by the clock).
 */
import { emitWasm } from '../../compiler/targets/wasm/index.ts'
import { load as start } from '../compiler/parallel.ts'
import { acc, buffers, guard, ix, kernel, layout, load, planOf, product, v, when } from '../compiler/wasm/plans.ts'
import type { Index, Plan } from '../../compiler/schedule/kernel/kernel.ts'
import { add, scale, shift, variable } from '../../compiler/schedule/kernel/indexing.ts'
import { processorTimes } from './times.ts'

const matmul = (m: number, n: number, k: number, ta = false, tb = false): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  return planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], load(0, ta ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l])), load(1, tb ? ix(0, [k, j], [1, l]) : ix(0, [n, l], [1, j]))), { buffer: 2, at: ix(0, [n, i], [1, j]), value: acc }))
}

const [n, c, o, h, k, stride, pad] = [32, 32, 64, 32, 4, 2, 1] as const
const p = (h + 2 * pad - k) / stride + 1
const flops = 2 * n * o * p * p * c * k * k
const vars = () => [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')] as const
const half = (of: Index): Index => ({ offset: 0, terms: [{ coef: 1, atom: { kind: 'div', of, by: stride } }] })

const forward = (): Plan => {
  const [b, f, y, x, ci, ky, kx] = vars()
  const rows = shift(add(scale(variable(y), stride), variable(ky)), -pad)
  const columns = shift(add(scale(variable(x), stride), variable(kx)), -pad)
  const input = when([guard(rows, h), guard(columns, h)], load(0, add(ix(0, [c * h * h, b], [h * h, ci]), add(scale(rows, h), columns))))
  return planOf(buffers(n * c * h * h, o * c * k * k, n * o * p * p),
    kernel([b, f, y, x], product([ci, ky, kx], input, load(1, ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]))), { buffer: 2, at: ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x]), value: acc }))
}
const weightGradient = (): Plan => {
  const [b, f, y, x, ci, ky, kx] = vars()
  const rows = shift(add(scale(variable(y), stride), variable(ky)), -pad)
  const columns = shift(add(scale(variable(x), stride), variable(kx)), -pad)
  const input = when([guard(rows, h), guard(columns, h)], load(0, add(ix(0, [c * h * h, b], [h * h, ci]), add(scale(rows, h), columns))))
  return planOf(buffers(n * c * h * h, o * c * k * k, n * o * p * p),
    kernel([f, ci, ky, kx], product([b, y, x], input, load(2, ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x]))), { buffer: 1, at: ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]), value: acc }))
}
const inputGradient = (): Plan => {
  const [b, f, , , ci, ky, kx] = vars()
  const [y, x] = [v(h, 'y'), v(h, 'x')]
  const rows = shift(add(variable(y), scale(variable(ky), -1)), pad)
  const columns = shift(add(variable(x), scale(variable(kx), -1)), pad)
  const below = (p - 1) * stride + 1
  const gradient = when([guard(rows, below, stride), guard(columns, below, stride)], load(2, add(ix(0, [o * p * p, b], [p * p, f]), add(scale(half(rows), p), half(columns)))))
  return planOf(buffers(n * c * h * h, o * c * k * k, n * o * p * p),
    kernel([b, ci, y, x], product([f, ky, kx], gradient, load(1, ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]))), { buffer: 0, at: ix(0, [c * h * h, b], [h * h, ci], [h, y], [1, x]), value: acc }))
}

const cases: readonly (readonly [string, Plan, number])[] = [
  ...[16, 17, 63, 64, 65, 100, 256, 512, 1024].map(n => [`matmul ${n}`, matmul(n, n, n), 2 * n ** 3] as const),
  ['matmul 4x1024x1024', matmul(4, 1024, 1024), 8 * 1024 ** 2],
  ['matmul 12x16x18432', matmul(12, 16, 18432, false, true), 2 * 12 * 16 * 18432],
  ['matmul 1024 a^T', matmul(1024, 1024, 1024, true), 2 * 1024 ** 3],
  ['matmul 1024 b^T', matmul(1024, 1024, 1024, false, true), 2 * 1024 ** 3],
  ['linear 32x2048x256 b^T', matmul(32, 256, 2048, false, true), 2 * 32 * 256 * 2048],
  ['conv forward', forward(), flops],
  ['conv weight gradient', weightGradient(), flops],
  ['conv input gradient', inputGradient(), flops],
]
const filter = process.argv[2] ?? ''
for (const [name, plan, work] of cases.filter(([name]) => name.includes(filter)))
  for (const fma of [false, true]) {
    const { offsets, top } = layout(plan)
    const module = emitWasm(plan, offsets, top, { fma })
    const running = start(module, buffer =>
      plan.buffers.forEach(b => {
        const floats = new Float32Array(buffer, offsets[b.id]!, b.aval.shape[0]!)
        floats.forEach((_, i) => (floats[i] = ((i * 7919) % 1000) / 1000 - 0.5))
      }))
    // several runs at a time where one is too short for the clock of the processor
    const runs = Math.max(1, Math.ceil(2e7 / work))
    const times = processorTimes(() => {
      for (let i = 0; i < runs; i += 1) running.run()
    }, 1200)
    const one = (at: number): number => times[at]! / runs
    let two = Infinity
    for (const until = performance.now() + 1200; performance.now() < until; ) {
      const from = performance.now()
      running.run(2, 'run', 100_000)
      two = Math.min(two, performance.now() - from)
    }
    const rate = (ms: number): string => (work / ms / 1e6).toFixed(1).padStart(6)
    const memory = `${((module.memoryBytes - top) / 1e6).toFixed(1)} MB shared, ${(module.threadBytes / 1e6).toFixed(1)} MB a thread`
    console.log(`${name.padEnd(24)} ${fma ? 'fma' : 'mul'}  median ${rate(one(times.length >> 1))}  best ${rate(one(0))}  two threads ${rate(two)} GFLOP/s   ${one(0).toFixed(2)}, ${two.toFixed(2)} ms   ${module.bytes.length} bytes, ${memory}`)
  }
process.exit(0)
