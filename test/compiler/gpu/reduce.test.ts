/** Reductions as dispatches, interpreted thread by thread, against the meaning of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Schedule } from './run.ts'
import { plainly } from '../../../compiler/schedule/gpu/choose.ts'
import { type Reducing, reduce, reduceBy } from '../../../compiler/schedule/gpu/reduce.ts'
import { type Reads, type Shares, sharesFor } from '../../../compiler/schedule/gpu/shares.ts'
import { variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Expr, Kernel, Plan, Reduction, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { processors } from '../../../compiler/schedule/gpu/threads.ts'
import type { DType } from '../../../dsl/core/prim.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, samples, v, when } from '../wasm/plans.ts'
import { dialect, disagreement, namesFor } from './run.ts'

const agree = (...args: Parameters<typeof disagreement>): void => assert.is(disagreement(...args), '')

type Op = 'sum' | 'max' | 'min'
/** A tensor reduced over one of its three axes; the stores use the result twice, once in place. */
const overAxis = (shape: readonly [number, number, number], axis: 0 | 1 | 2, by: Op, dtype: DType = 'f32'): Plan => {
  const vars = shape.map(n => v(n))
  const at = ix(0, [shape[1] * shape[2], vars[0]!], [shape[2], vars[1]!], [1, vars[2]!])
  const [x, y] = vars.filter((_, i) => i !== axis)
  const out = ix(0, [y!.size, x!], [1, y!])
  const n = x!.size * y!.size
  const value: Expr = { kind: 'acc', dtype }
  const more = dtype === 'f32' ? op('sub', [load(2, out), op('mul', [value, num(0.5)])]) : load(2, out, dtype)
  return planOf(
    buffers([shape[0] * shape[1] * shape[2], dtype], [n, dtype], [n, dtype]),
    kernel([x!, y!], { kind: 'reduce', op: by, vars: [vars[axis]!], value: load(0, at, dtype), dtype }, { buffer: 1, at: out, value }, { buffer: 2,
      at: out, value: more }),
  )
}

// relative to 1 + the result, whose size is up to the root of the number of terms
const tolerance = 2e-5

const lengths = [1, 3, 63, 64, 65, 1000, 70000] as const
for (const n of lengths)
  test(`sums of ${n}: to one result, to few, over leading, middle and trailing axes`, () => {
    const few = n > 1000 ? 1 : 3
    agree(overAxis([1, n, 1], 1, 'sum'), tolerance)
    agree(overAxis([n, few, 1], 0, 'sum'), tolerance)
    agree(overAxis([few, n, 2], 1, 'sum'), tolerance)
    agree(overAxis([1, few, n], 2, 'sum'), tolerance)
  })

for (const n of [3, 65] as const)
  test(`${n} terms each for many results`, () => {
    agree(overAxis([20, 50, n], 2, 'sum'), tolerance)
    agree(overAxis([20, n, 50], 1, 'max'), tolerance)
    agree(overAxis([n, 10, 100], 0, 'min'), tolerance)
  })

/** All ways to share one reduction out. */
const shares: readonly Shares[] = [
  { outputs: 64, lanes: 1, chunks: 1, across: true }, { outputs: 4, lanes: 2, chunks: 1, across: false }, { outputs: 1, lanes: 64, chunks: 1, across: false },
  { outputs: 8, lanes: 8, chunks: 1, across: true }, { outputs: 8, lanes: 16, chunks: 1, across: false }, { outputs: 32, lanes: 8, chunks: 3, across: true },
  { outputs: 1, lanes: 256, chunks: 2, across: false }, { outputs: 2, lanes: 32, chunks: 5, across: false },
]
const by = (wished: Shares): Schedule => (k, counters, d, names) => [reduceBy(k as Reducing, wished, counters, d, names)] // all kernels of these tests reduce

for (const s of shares)
  test(`${s.outputs} results by ${s.lanes} lanes${s.across ? ', across,' : ''} in ${s.chunks} chunks`, () => {
    for (const [shape, axis] of [[[5, 7, 300], 2], [[300, 5, 7], 0], [[1, 2500, 1], 1], [[33, 1, 65], 2]] as const)
      for (const each of ['sum', 'max'] as const) agree(overAxis(shape, axis, each), tolerance, undefined, by(s))
    agree(overAxis([3, 4, 100], 2, 'sum', 'i32'), 0, undefined, by(s))
    agree(overAxis([3, 100, 4], 1, 'min', 'u32'), 0, undefined, by(s))
    agree(overAxis([3, 100, 4], 1, 'max', 'bool'), 0, undefined, by(s))
  })

test('several reduced variables, with and without gaps between them', () => {
  const [i, j, k] = [v(9), v(40), v(30)]
  const r = (at: Expr, vars: readonly Var[]): Reduction => ({ kind: 'reduce', op: 'sum', vars, value: at, dtype: 'f32' })
  const at = ix(0, [1200, i], [30, j], [1, k])
  agree(planOf(buffers(10800, 1), kernel([], r(load(0, at), [i, j, k]), { buffer: 1, at: ix(0), value: acc })), tolerance)
  agree(planOf(buffers(10800, 40), kernel([j], r(load(0, at), [i, k]), { buffer: 1, at: ix(0, [1, j]), value: acc })), tolerance)
  agree(planOf(buffers(10800, 30), kernel([k], r(load(0, at), [i, j]), { buffer: 1, at: ix(0, [1, k]), value: acc })), tolerance)
  agree(planOf(buffers(20000, 9), kernel([i], r(load(0, ix(5, [2000, i], [40, j], [1, k])), [j, k]), { buffer: 1, at: ix(0, [1, i]), value: acc })), tolerance)
  for (const s of shares) agree(planOf(buffers(10800, 40), kernel([j], r(load(0, at), [i, k]), { buffer: 1, at: ix(0, [1, j]), value: acc })),
    tolerance, undefined, by(s))
})

test('windows: short sums unrolled, without checks where they are inside', () => {
  const [i, j, p, q] = [v(20), v(50), v(3), v(3)]
  const image = when([guard(ix(-1, [1, i], [1, p]), 20), guard(ix(-1, [1, j], [1, q]), 50)], load(0, ix(-51, [50, i], [50, p], [1, j], [1, q])))
  const value = op('mul', [image, load(1, ix(0, [3, p], [1, q]))])
  for (const each of ['sum', 'max'] as const) {
    const k = kernel([i, j], { kind: 'reduce', op: each, vars: [p, q], value, dtype: 'f32' }, { buffer: 2, at: ix(0, [50, i], [1, j]), value: acc })
    agree(planOf(buffers(1000, 9, 1000), k), tolerance)
    for (const s of shares) agree(planOf(buffers(1000, 9, 1000), k), tolerance, undefined, by(s))
  }
})

test('what a guard keeps out is not read', () => {
  const [i, j] = [v(7), v(300)]
  const inside = when([guard(ix(-20, [1, j]), 200)], load(0, ix(-20, [200, i], [1, j])))
  agree(planOf(buffers(1400, 7), kernel([i], { kind: 'reduce', op: 'sum', vars: [j], value: inside, dtype: 'f32' }, { buffer: 1, at: ix(0, [1, i]),
    value: acc })), tolerance)
})

test('NaN goes through extremes, infinities through sums', () => {
  const of = (each: Op, n: number): Plan => {
    const i = v(n)
    return planOf(buffers(n, 1), kernel([], { kind: 'reduce', op: each, vars: [i], value: load(0, variable(i)), dtype: 'f32' }, { buffer: 1,
      at: ix(0), value: acc }))
  }
  for (const n of [9, 700])
    for (const s of shares) {
      const x = [...samples(n, 'f32')]
      x[5] = NaN
      for (const each of ['sum', 'max', 'min'] as const) agree(of(each, n), 0, new Map([[0, x]]), by(s))
      x[5] = Infinity
      for (const each of ['sum', 'max', 'min'] as const) agree(of(each, n), tolerance, new Map([[0, x]]), by(s))
    }
})

test('products that no tile fits, as sums', () => {
  const schedule: Schedule = plainly
  for (const [m, n, k] of [[1, 1, 1000], [5, 1, 70], [3, 4, 5], [1, 80, 300]] as const) {
    const [i, j, l] = [v(m), v(n), v(k)]
    const p = product([l], load(0, ix(0, [k, i], [1, l])), load(1, ix(0, [n, l], [1, j])))
    const out = ix(0, [n, i], [1, j])
    agree(planOf(buffers(m * k, k * n, m * n, m * n), kernel([i, j], p, { buffer: 2, at: out, value: op('add', [acc, load(3, out)]) })), tolerance,
      undefined, schedule)
  }
})

test('reductions in loops read and store by the counters', () => {
  const [t, i, j] = [v(4, 't'), v(6), v(90)]
  const r: Reduction = { kind: 'reduce', op: 'sum', vars: [j], value: load(0, ix(0, [540, t], [90, i], [1, j])), dtype: 'f32' }
  const k = kernel([i], r, { buffer: 1, at: ix(0, [6, t], [1, i]), value: acc })
  for (const s of shares) agree(planOf(buffers(2160, 24), { kind: 'loop', counter: t, steps: [k] }), tolerance, undefined, by(s))
})

test('one order of additions, whatever the device: bits do not change from run to run', () => {
  const plan = overAxis([1, 70000, 1], 1, 'sum')
  const k = plan.steps[0] as Kernel // the only step
  const [{ dispatches, scratch }] = reduce(k as Reducing, [], dialect, namesFor(3))
  assert.is(dispatches.length, 2)
  assert.is(scratch.length, 1)
})

test('shares: enough groups for the device, never two dispatches for small sums', () => {
  const groups = (results: number, { outputs, chunks }: Shares): number => Math.ceil(results / outputs) * chunks
  const rows: Reads = { results: n => n, terms: n => Math.ceil(n / 8) }
  const columns: Reads = { results: n => Math.ceil(n / 8), terms: n => n }
  for (const reads of [rows, columns])
    for (const results of [1, 2, 10, 100, 1000, 10000, 1e6])
      for (const terms of [1, 4, 30, 100, 1000, 1e5, 1e7]) {
        const [s] = sharesFor(results, terms, reads, true)
        const text = `${results} sums of ${terms}${reads === rows ? '' : ', columns'}: ${JSON.stringify(s)}`
        assert.ok(s.outputs * s.lanes <= 256, text)
        if (results * terms >= 1e7) assert.ok(groups(results, s) >= 0.9 * processors, text)
        if (results * terms <= 1e4) assert.ok(s.chunks === 1, text)
        // a serial loop of some hundred turns is longer than a dispatch
        if (terms >= 1e4) assert.ok(terms / (s.lanes * s.chunks) <= 1000 || groups(results, s) >= processors, text)
      }
})

test.run()
