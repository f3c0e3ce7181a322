/** FLOPs and bytes of kernels, worked out by hand. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan } from '../../../../compiler/fuse/plan.ts'
import { builder, type Builder } from '../../../../compiler/ir/build.ts'
import type { Id } from '../../../../compiler/ir/ir.ts'
import { printPlan } from '../../../../compiler/schedule/kernel/print.ts'
import { statsOf } from '../../../../compiler/schedule/kernel/stats.ts'
import type { Aval } from '../../../../dsl/core/prim.ts'

const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })
const planned = (make: (b: Builder) => readonly Id[]) => {
  const b = builder()
  return plan(b.finish(make(b)))
}
const figures = (make: (b: Builder) => readonly Id[]) => statsOf(planned(make)).map(s => ({ runs: s.runs, flops: s.flops, bytes: s.bytes }))

test('a product with a bias', () => {
  const made = figures(b => {
    const product = b.op('contract', [b.param(f(4, 5), 'x'), b.param(f(5, 6), 'w')], { sizes: { i: 4, k: 5, j: 6 }, a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] })
    return [b.op('add', [product, b.op('broadcast', [b.param(f(6), 'bias')], { shape: [4, 6], axes: [1] })], {})]
  })
  assert.equal(made, [{ runs: 1, flops: 2 * 4 * 5 * 6 + 4 * 6, bytes: 4 * (4 * 5 + 5 * 6 + 6 + 4 * 6) }])
})

test('a convolution backwards with stride 2: three terms of four are zero', () => {
  const window = { p: 'p', k: 'k', stride: 1, dilation: 1, pad: 1, base: 2 }
  const made = figures(b => [b.op('contract', [b.param(f(3, 8), 'x'), b.param(f(3, 4), 'w')], { sizes: { c: 3, p: 16, k: 4 }, a: ['c', window], b: ['c', 'k'], out: ['p'] })])
  assert.equal(made, [{ runs: 1, flops: (2 * 16 * 3 * 4) / 2, bytes: 4 * (3 * 8 + 3 * 4 + 16) }])
})

test('a step of a loop counts once for each run, and its own slice only', () => {
  const made = figures(b => {
    const s = builder()
    const next = s.op('add', [s.param(f(8)), s.param(f(8))], {})
    return [b.scan({ length: 5, reverse: false, consts: [], init: [b.param(f(8), 'c')], xs: [b.param(f(5, 8), 'x')], body: s.finish([next, next]) })[1] ?? 0]
  })
  // reads the carry and a slice; writes the next carry and the y
  assert.equal(made.filter(s => s.runs === 5), [{ runs: 5, flops: 8, bytes: 4 * (8 + 8 + 8 + 8) }])
})

test('an element-wise kernel: an operation counts as often as what it depends on changes', () => {
  const costs = statsOf(planned(b => {
    const scale = b.op('exp', [b.param(f(6), 's')], {})
    return [b.op('mul', [b.param(f(4, 6), 'x'), b.op('broadcast', [scale], { shape: [4, 6], axes: [1] })], {})]
  })).map(({ flops, work, bytes }) => ({ flops, work, bytes }))
  // one exp for each of 6 elements, whether it is a kernel of its own or not, and it weighs more than one addition
  assert.is(costs.reduce((n, c) => n + c.flops, 0), 6 + 24)
  assert.is(costs.reduce((n, c) => n + c.work, 0), 6 * 30 + 24)
  if (costs.length === 1) assert.is(costs[0]?.bytes, 4 * (6 + 24 + 24))
})

test('a reduction reads all and writes what is left', () => {
  assert.equal(figures(b => [b.op('sum', [b.param(f(7, 9), 'x')], { axes: [1] })]), [{ runs: 1, flops: 7 * 9, bytes: 4 * (7 * 9 + 7) }])
})

test('a convolution with stride 2: rows that no window reaches are not read, terms beyond the border are no work', () => {
  const window = { p: 'p', k: 'k', stride: 2, dilation: 1, pad: 1, base: 1 }
  const [cost] = statsOf(planned(b => [b.op('contract', [b.param(f(3, 10), 'x'), b.param(f(5, 3, 3), 'w')], { sizes: { c: 3, p: 4, k: 3, o: 5 }, a: ['c', window], b: ['o', 'c', 'k'], out: ['o', 'p'] })]))
  // positions -1 .. 7 of 10, of which -1 lies outside: 8 elements a channel, and 11 of 12 terms
  assert.equal([cost?.flops, cost?.bytes], [2 * 5 * 4 * 3 * 3, 4 * (3 * 8 + 5 * 3 * 3 + 5 * 4)])
  assert.ok(Math.abs(cost!.work - (2 * 5 * 4 * 3 * 3 * 11) / 12) < 1e-9)
})

test('four slices of one buffer are four slices, and all of a loop is counted turn by turn', () => {
  const made = figures(b => {
    const s = builder()
    const [c, gates] = [s.param(f(8)), s.param(f(32))]
    const gate = (k: number) => s.op('slice', [gates], { start: [8 * k], limit: [8 * (k + 1)], step: [1] })
    const next = s.op('add', [s.op('mul', [gate(0), c], {}), s.op('mul', [gate(1), gate(3)], {})], {})
    return [b.scan({ length: 5, reverse: true, consts: [], init: [b.param(f(8), 'c')], xs: [b.param(f(5, 32), 'x')], body: s.finish([next, next]) })[1] ?? 0]
  })
  // three gates of four and the carry; the next carry and the y
  assert.equal(made.filter(s => s.runs === 5), [{ runs: 5, flops: 3 * 8, bytes: 4 * (8 + 3 * 8 + 8 + 8) }])
})

test('a mask is asked of the activation, and only the activation is kept', () => {
  const text = printPlan(planned(b => {
    const [x, w, ct] = [b.param(f(4, 5), 'x'), b.param(f(5, 6), 'w'), b.param(f(4, 6), 'ct')]
    const a = b.op('contract', [x, w], { sizes: { i: 4, k: 5, j: 6 }, a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] })
    const zero = b.op('fill', [], { ...f(4, 6), value: 0 })
    const positive = b.op('gt', [a, zero], {})
    const y = b.op('select', [positive, a, b.op('mul', [a, b.op('fill', [], { ...f(4, 6), value: 0.01 })], {})], {})
    const total = b.op('sum', [y], { axes: [0] })
    const back = b.op('select', [positive, ct, zero], {})
    return [total, b.op('sum', [back], { axes: [0, 1] })]
  }))
  assert.match(text, /select#\d+\[6\*i \+ j\] = select\(\(acc > 0\), acc, \(acc \* 0\.01\)\)/)
  assert.match(text, /sum over .* of select\(\(select#\d+\[.*\] > 0\), ct#2\[.*\], 0\)/)
  assert.not.match(text, /contract#/)
})

test.run()
