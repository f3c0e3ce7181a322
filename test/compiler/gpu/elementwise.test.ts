/** Element-wise kernels as dispatches, interpreted thread by thread, against the meaning of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { elementwise } from '../../../compiler/schedule/gpu/elementwise.ts'
import type { Expr, Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import { indexing, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { plan as fuse } from '../../../compiler/fuse/plan.ts'
import { fewBuffers } from '../../../compiler/schedule/gpu/split.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import { composed } from '../composed.ts'
import { funcFrom, randomArgs } from '../arbitrary.ts'
import { buffers, guard, ix, kernel, load, num, op, planOf, samples, v, when } from '../wasm/plans.ts'
import { dialect, disagreement } from './run.ts'

const agree = (...args: Parameters<typeof disagreement>): void => assert.is(disagreement(...args), '')

const chain = (n: number): Plan => {
  const i = v(n)
  const at = variable(i)
  const value = op('sub', [op('mul', [load(0, at), num(0.5)]), op('tanh', [load(1, at)])])
  return planOf(buffers(n, n, n, [n, 'bool']), kernel([i], null, { buffer: 2, at, value }, { buffer: 3, at, value: op('lt', [load(0, at), load(1,
    at)], 'bool') }))
}
test('sizes around those of workgroups', () => [1, 3, 63, 64, 65, 1000].forEach(n => agree(chain(n), 1e-6)))

/** A kernel over `n` places that can be taken in fours. */
test('many elements go in fours, where all of them are aligned', () => {
  const n = 2 ** 16
  const plan = chain(n)
  const [k] = plan.steps
  assert.ok(k?.kind === 'kernel')
  const [d] = elementwise(k, [], dialect).dispatches
  assert.equal([...d!.quads].sort(), [0, 1, 2, 3])
  assert.is(d!.nest.extent * d!.threads, n / 4)
  agree(plan, 1e-6)
  // one element off, or a size that four does not divide: one by one
  const i = v(n)
  const off = kernel([i], null, { buffer: 1, at: variable(i), value: load(0, ix(1, [1, i])) })
  assert.is(elementwise(off, [], dialect).dispatches[0]!.quads.size, 0)
  const odd = v(n + 2)
  assert.is(elementwise(kernel([odd], null, { buffer: 1, at: variable(odd), value: load(0, variable(odd)) }), [], dialect).dispatches[0]!.quads.size, 0)
})

test('fours beside what is the same for all of them, with guards, quotients and random words', () => {
  const [i, j] = [v(256), v(264)]
  const at = ix(0, [264, i], [1, j])
  const row = load(1, ix(0, [1, i]))
  const algebra = indexing(id => (id === i.id ? 256 : 264))
  const word: Expr = { kind: 'random', key0: load(2, ix(0), 'u32'), key1: load(2, ix(1), 'u32'), of: ix(0, [1, j]), count: 264, dtype: 'u32' }
  const half = when([guard(ix(-3, [1, i]), 100)], load(0, at), row)
  const plan = planOf(
    buffers(256 * 264, 256, [2, 'u32'], 256 * 264, [256 * 264, 'u32'], 8),
    kernel([i, j], null, { buffer: 3, at, value: op('add', [half, load(5, algebra.mod(variable(j), 8))]) }, { buffer: 4, at, value: word }),
  )
  const [k] = plan.steps
  assert.ok(k?.kind === 'kernel')
  assert.equal([...elementwise(k, [], dialect).dispatches[0]!.quads].sort(), [0, 3, 4, 5])
  agree(plan, 1e-6)
})

test('a buffer that is read both in fours and one by one goes one by one', () => {
  const [i, j] = [v(256), v(256)]
  const at = ix(0, [256, i], [1, j])
  const k = kernel([i, j], null, { buffer: 1, at, value: op('add', [load(0, at), load(0, ix(0, [1, i]))]) })
  assert.is(elementwise(k, [], dialect).dispatches[0]!.quads.size, 0)
})

test('transposes, flips, steps', () => {
  for (const [m, n] of [[3, 5], [17, 65], [64, 64]] as const) {
    const [i, j] = [v(m), v(n)]
    const at = ix(0, [n, i], [1, j])
    const value = op('add', [load(0, ix(0, [1, i], [m, j])), op('mul', [load(1, ix(0, [1, j])), op('add', [load(2, ix(0, [1, i])), load(0,
      ix(m * n - 1, [-n, i], [-1, j]))])])])
    agree(planOf(buffers(m * n, n, m, m * n, 2 * m * n), kernel([i, j], null, { buffer: 3, at, value }, { buffer: 4, at: ix(1, [2 * n, i], [2, j]),
      value: load(0, at) })), 1e-6)
  }
})

test('what lies beyond a guard is not touched', () => {
  const [i, j] = [v(17), v(17)]
  const inside = [guard(ix(-1, [1, i]), 15), guard(ix(-2, [1, j]), 15)]
  const padded = when(inside, load(0, ix(-17, [15, i], [1, j])), num(7))
  agree(planOf(buffers(225, 289), kernel([i, j], null, { buffer: 1, at: ix(0, [17, i], [1, j]), value: op('exp', [padded]) })), 1e-6)
})

test('gathers, bits and casts', () => {
  const i = v(100)
  const given = new Map<number, readonly number[]>([[0, samples(100, 'u32').map(x => x % 100)], [1, samples(100, 'f32')]])
  const picked = load(1, { offset: 0, terms: [{ coef: 1, atom: { kind: 'value', expr: load(0, variable(i), 'i32') } }] })
  agree(planOf(buffers([100, 'i32'], 100, 100), kernel([i], null, { buffer: 2, at: variable(i), value: picked })), 0, given)
  const word: Expr = { kind: 'random', key0: num(7, 'u32'), key1: num(9, 'u32'), of: variable(i), count: 100, dtype: 'u32' }
  const unit = op('mul', [op('cast', [op('shr', [word, num(8, 'u32')], 'u32')]), num(2 ** -24)])
  agree(planOf(buffers(100, [100, 'u32']), kernel([i], null, { buffer: 0, at: variable(i), value: unit }, { buffer: 1, at: variable(i), value: word })), 0)
})

test('in place, with values that several stores share', () => {
  for (const n of [65, 2 ** 16]) {
    const i = v(n)
    const at = variable(i)
    const m = op('add', [op('mul', [load(0, at), num(0.9)]), load(1, at)])
    const w = op('sub', [load(2, at), op('mul', [m, op('sqrt', [op('abs', [m])])])])
    agree(planOf(buffers(n, n, n), kernel([i], null, { buffer: 0, at, value: m }, { buffer: 2, at, value: w })), 1e-6)
  }
})

test('counters of the loops around', () => {
  const [t, u, i] = [v(3, 't'), v(2, 'u'), v(70)]
  const at = ix(0, [140, t], [70, u], [1, i])
  const k = kernel([i], null, { buffer: 1, at, value: op('add', [load(0, ix(0, [1, i])), { kind: 'index', of: ix(0, [10, t], [1, u]), dtype: 'f32' }]) })
  const more = kernel([i], null, { buffer: 2, at: ix(0, [1, i]), value: op('mul', [load(1, at), num(2)]) })
  agree(planOf(buffers(70, 420, 70), { kind: 'loop', counter: t, steps: [{ kind: 'loop', counter: u, steps: [k, more, { kind: 'copy', from: 2,
    to: 0 }] }] }), 1e-5)
})

/** Arguments as the buffers of a plan hold them. */
const givenTo = (plan: Plan, args: readonly Dense[]): ReadonlyMap<number, readonly number[]> =>
  new Map(plan.buffers.flatMap(b => (b.role.kind === 'input' ? [[b.id, Array.from(args[b.role.index]!.data, Math.fround)] as const] : [])))

// sums of some hundred terms in single precision
const tolerance = 1e-4
for (let seed = 0; seed < 40; seed += 1)
  test(`composition ${seed}`, () => {
    const func = optimise(composed(seed, 3))
    const plan = fewBuffers(fuse(func))
    agree(plan, tolerance, givenTo(plan, randomArgs(func, seed)))
  })
for (let seed = 0; seed < 60; seed += 1)
  test(`random function ${seed}`, () => {
    const draw = (i: number) => (k: number): number => (seed * 7919 + i * 104729 + k * 1299709) % 997
    const steers = Array.from({ length: 10 }, (_, i) => [draw(i)(1), draw(i)(2), draw(i)(3), draw(i)(4), draw(i)(5)] as const)
    const func = optimise(funcFrom(steers, { scans: true }))
    const plan = fewBuffers(fuse(func))
    agree(plan, tolerance, givenTo(plan, randomArgs(func, seed)))
  })

test.run()
