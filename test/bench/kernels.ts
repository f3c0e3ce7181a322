/**
 * Rates of compiled kernels that are not packed products: element-wise loops, reductions, small and depthwise products.
 * Run with `node --import tsx test/bench/kernels.ts [filter]`.
 */
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, start, v, when } from '../compiler/wasm/plans.ts'
import type { Plan } from '../../compiler/schedule/kernel/kernel.ts'
import { add, scale, shift, variable } from '../../compiler/schedule/kernel/indexing.ts'
import type { Elementwise } from '../../dsl/core/prim.ts'
import { processorTimes } from './times.ts'

const million = 1 << 20
const each = (prim: Elementwise): Plan => {
  const i = v(million)
  return planOf(buffers(million, million), kernel([i], null, { buffer: 1, at: variable(i), value: op(prim, [load(0, variable(i))]) }))
}
const adam = (): Plan => {
  const i = v(million)
  const [p, g, m, s] = [0, 1, 2, 3].map(b => load(b, variable(i)))
  const m1 = op('add', [op('mul', [m!, num(0.9)]), op('mul', [g!, num(0.1)])])
  const s1 = op('add', [op('mul', [s!, num(0.999)]), op('mul', [op('mul', [g!, g!]), num(0.001)])])
  const p1 = op('sub', [p!, op('div', [op('mul', [m1, load(4, ix(0))]), op('add', [op('sqrt', [s1]), num(1e-8)])])])
  return planOf(buffers(million, million, million, million, 1), kernel([i], null, { buffer: 2, at: variable(i), value: m1 }, { buffer: 3, at: variable(i), value: s1 }, { buffer: 0, at: variable(i), value: p1 }))
}
const reduce = (rows: boolean): Plan => {
  const [i, j] = [v(1024), v(1024)]
  const value = load(0, ix(0, [1024, i], [1, j]))
  return planOf(buffers(million, 1024), kernel([rows ? i : j], { kind: 'reduce', op: 'sum', vars: [rows ? j : i], value, dtype: 'f32' }, { buffer: 1, at: variable(rows ? i : j), value: acc }))
}
/** Of everything; and per channel over batch and pixels, as the gradient of a bias. */
const total = (): Plan => {
  const i = v(million)
  return planOf(buffers(million, 1), kernel([], { kind: 'reduce', op: 'sum', vars: [i], value: load(0, variable(i)), dtype: 'f32' }, { buffer: 1, at: ix(0), value: acc }))
}
const bias = (): Plan => {
  const [b, c, p] = [v(128), v(3), v(4096)]
  const value = load(0, ix(0, [3 * 4096, b], [4096, c], [1, p]))
  return planOf(buffers(128 * 3 * 4096, 3), kernel([c], { kind: 'reduce', op: 'sum', vars: [b, p], value, dtype: 'f32' }, { buffer: 1, at: variable(c), value: acc }))
}
const concat = (m: number, n: number): Plan => {
  const [i, j] = [v(1000), v(m + n)]
  const value = when([guard(ix(0, [1, j]), m)], load(0, ix(0, [m, i], [1, j])), load(1, ix(-m, [n, i], [1, j])))
  return planOf(buffers(1000 * m, 1000 * n, 1000 * (m + n)), kernel([i, j], null, { buffer: 2, at: ix(0, [m + n, i], [1, j]), value }))
}
const matvec = (transposed: boolean): Plan => {
  const [i, l] = [v(1024), v(1024)]
  const a = load(0, transposed ? ix(0, [1024, l], [1, i]) : ix(0, [1024, i], [1, l]))
  return planOf(buffers(million, 1024, 1024), kernel([i], product([l], a, load(1, variable(l))), { buffer: 2, at: variable(i), value: acc }))
}
const depthwise = (stride: number): Plan => {
  const [n, h, k] = [128, 64, 4]
  const p = (h + 2 - k) / stride + 1
  const size = Math.floor(p)
  const [b, y, x, ky, kx] = [v(n, 'b'), v(size, 'y'), v(size, 'x'), v(k, 'ky'), v(k, 'kx')]
  const rows = shift(add(scale(variable(y), stride), variable(ky)), -1)
  const columns = shift(add(scale(variable(x), stride), variable(kx)), -1)
  const input = when([guard(rows, h), guard(columns, h)], load(0, add(ix(0, [h * h, b]), add(scale(rows, h), columns))))
  return planOf(buffers(n * h * h, k * k, n * size * size), kernel([b, y, x], product([ky, kx], input, load(1, ix(0, [k, ky], [1, kx]))), { buffer: 2, at: ix(0, [size * size, b], [size, y], [1, x]), value: acc }))
}
const transpose = (): Plan => {
  const [i, j] = [v(1024), v(1024)]
  return planOf(buffers(million, million), kernel([i, j], null, { buffer: 1, at: ix(0, [1024, i], [1, j]), value: load(0, ix(0, [1, i], [1024, j])) }))
}
const pad = (): Plan => {
  const [b, y, x] = [v(256, 'b'), v(66, 'y'), v(66, 'x')]
  const [rows, columns] = [ix(-1, [1, y]), ix(-1, [1, x])]
  return planOf(buffers(256 * 4096, 256 * 66 * 66), kernel([b, y, x], null, { buffer: 1, at: ix(0, [66 * 66, b], [66, y], [1, x]), value: when([guard(rows, 64), guard(columns, 64)], load(0, add(ix(0, [4096, b]), add(scale(rows, 64), columns)))) }))
}

/** name, plan, work, unit of the work in millions a second */
const cases: readonly (readonly [string, Plan, number, string])[] = [
  ...(['neg', 'exp', 'expm1', 'log', 'log1p', 'tanh', 'sigmoid', 'softplus', 'sin'] as const).map(prim => [prim, each(prim), million, 'elements'] as const),
  ['adam', adam(), million, 'elements'],
  ['sum of rows', reduce(true), million, 'elements'],
  ['sum of columns', reduce(false), million, 'elements'],
  ['sum of all', total(), million, 'elements'],
  ['bias gradient', bias(), 128 * 3 * 4096, 'elements'],
  ['concat 63 and 65', concat(63, 65), 128000, 'elements'],
  ['matvec', matvec(false), 2 * million, 'flops'],
  ['matvec transposed', matvec(true), 2 * million, 'flops'],
  ['depthwise stride 1', depthwise(1), 2 * 128 * 63 * 63 * 16, 'flops'],
  ['depthwise stride 2', depthwise(2), 2 * 128 * 32 * 32 * 16, 'flops'],
  ['transpose', transpose(), million, 'elements'],
  ['pad', pad(), 256 * 66 * 66, 'elements'],
]
const filter = process.argv[2] ?? ''
for (const [name, plan, work, unit] of cases.filter(([name]) => name.includes(filter))) {
  const given = new Map(plan.buffers.map(b => [b.id, Float32Array.from({ length: b.aval.shape[0]! }, (_, i) => ((i * 7919) % 1000) / 1000 + 0.01)]))
  const running = start(plan, given, true)
  const run = running.exports['run']!
  const times = processorTimes(run, 500)
  console.log(`${name.padEnd(20)} best ${(work / times[0]! / 1e3).toFixed(0).padStart(6)} median ${(work / times[times.length >> 1]! / 1e3).toFixed(0).padStart(6)} M${unit}/s   ${times[0]!.toFixed(3)} ms   ${running.bytes.length} bytes`)
}
