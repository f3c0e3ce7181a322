/** Kernels of every kind as WGSL on a device: scheduled for graphics processors, printed, run, and compared with the meaning of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import { variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { cutsFor } from '../../../compiler/schedule/gpu/product/tiles.ts'
import { productBy } from '../../../compiler/schedule/gpu/product/product.ts'
import type { Schedule } from '../gpu/run.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../wasm/plans.ts'
import { missing } from './device.ts'
import { type Trial, disagreements } from './plans.ts'

const unary = ['neg', 'abs', 'sign', 'floor', 'exp', 'tanh', 'sigmoid', 'softplus', 'sin', 'cos', 'expm1'] as const
const elementwise = (n: number): Plan => {
  const i = v(n)
  const x = load(0, ix(0, [1, i]))
  const y = load(1, ix(0, [1, i]))
  const chosen = op('select', [op('lt', [x, y], 'bool'), op('div', [x, op('add', [num(3), op('abs', [y])])]), op('pow', [op('abs', [y])], 'f32', 0.7)])
  return planOf(buffers(n, n, n, [n, 'bool'], [n, 'i32']), kernel([i], null,
    { buffer: 2, at: ix(0, [1, i]), value: unary.reduce<Expr>((sum, prim) => op('add', [sum, op(prim, [x])]), chosen) },
    { buffer: 3, at: ix(0, [1, i]), value: op('ge', [x, y], 'bool') },
    { buffer: 4, at: ix(0, [1, i]), value: op('cast', [op('mul', [x, num(100)])], 'i32') }))
}
const random = (n: number): Plan => {
  const i = v(n)
  const bits: Expr = { kind: 'random', key0: num(7, 'u32'), key1: load(0, ix(0), 'u32'), of: variable(i), count: n, dtype: 'u32' }
  return planOf(buffers([1, 'u32'], [n, 'u32'], n), kernel([i], null, { buffer: 1, at: ix(0, [1, i]), value: bits },
    { buffer: 2, at: ix(0, [1, i]), value: op('cast', [op('shr', [bits, num(8, 'u32')], 'u32')]) }))
}
const shifted = (n: number): Plan => {
  const [i, j] = [v(n, 'i'), v(n, 'j')]
  const inside = [guard(ix(-1, [1, i]), n - 2), guard(ix(-1, [1, j]), n - 2)]
  return planOf(buffers(n * n, n * n), kernel([i, j], null,
    { buffer: 1, at: ix(0, [n, i], [1, j]), value: when(inside, load(0, ix(-n - 1, [n, i], [1, j])), num(0.25)) }))
}
const reduced = (by: 'sum' | 'max' | 'min', rows: number, n: number, along: boolean): Plan => {
  const [i, j] = [v(rows, 'i'), v(n, 'j')]
  const at = along ? ix(0, [n, i], [1, j]) : ix(0, [1, i], [rows, j])
  return planOf(buffers(rows * n, rows), kernel([i], { kind: 'reduce', op: by, vars: [j], value: load(0, at), dtype: 'f32' },
    { buffer: 1, at: ix(0, [1, i]), value: op('mul', [acc, num(0.5)]) }))
}
const matmul = (m: number, n: number, k: number, flip: boolean): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const [a, b] = [load(0, flip ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l])), load(1, ix(0, [n, l], [1, j]))]
  return planOf(buffers(m * k, k * n, m * n, n), kernel([i, j], product([l], a, b),
    { buffer: 2, at: ix(0, [n, i], [1, j]), value: op('tanh', [op('add', [acc, load(3, ix(0, [1, j]))])]) }))
}
/** A running sum over the counter of a loop. */
const looped = (times: number, n: number): Plan => {
  const [t, i] = [v(times, 't'), v(n, 'i')]
  const step = kernel([i], null, { buffer: 1, at: ix(0, [1, i]), value: op('add', [load(1, ix(0, [1, i])), load(0, ix(0, [n, t], [1, i]))]) })
  const all = planOf(buffers(times * n, n), step)
  return { ...all, steps: [{ kind: 'loop', counter: t, steps: all.steps }] }
}

/** By the n-th tile, worthwhile or not. */
const tile = (n: number): Schedule => (k, counters, dialect, names) => {
  const made = productBy(k, size => cutsFor(size)[n % cutsFor(size).length]!, counters, dialect, names)
  if (made === null) throw new RangeError('no tile fits')
  return [made]
}

const trials: readonly Trial[] = [
  ...[1, 63, 1000].map(n => ({ label: `element-wise ${n}`, plan: elementwise(n) })),
  ...[5, 1024].map(n => ({ label: `random ${n}`, plan: random(n), tolerance: 0 })),
  ...[9, 32].map(n => ({ label: `shifted ${n}`, plan: shifted(n), tolerance: 0 })),
  ...(['sum', 'max', 'min'] as const).flatMap(by =>
    [[1, 5000], [300, 7]].flatMap(([rows, n]) => [true, false].map(along => ({ label: `${by} ${rows} of ${n}`, plan: reduced(by, rows!, n!, along) })))),
  ...[[3, 5, 7], [65, 33, 40]].flatMap(([m, n, k]) => [true, false].map(flip => ({ label: `product ${m} ${n} ${k}`, plan: matmul(m!, n!, k!, flip) }))),
  ...[2, 9].map(n => ({ label: `tile ${n}`, plan: matmul(68, 132, 21, true), schedule: tile(n) })),
  { label: 'loop', plan: looped(5, 100) },
]

const why = missing()
if (why !== null) test.skip(`kernels on a device: skipped, no adapter (${why})`, () => {})
else test('kernels on a device', () => assert.equal(disagreements(trials), []))

test.run()
