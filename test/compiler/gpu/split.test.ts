/** Kernels over many buffers, split: the same meaning with few buffers each; by hand and in all programs of VDSM's test size. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { kernels } from '../../../compiler/fuse/plan.ts'
import { buffersOf, fewBuffers, mostOf } from '../../../compiler/schedule/gpu/split.ts'
import type { Expr, Kernel, Plan, Step, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { print } from '../../../dsl/errors.ts'
import { interpret } from '../plan-interpreter.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, samples, v, when } from '../wasm/plans.ts'
import { differing, disagreement, filled } from './run.ts'

type Inner = { readonly kernel: Kernel; readonly counters: readonly Var[] }
const kernelsIn = (steps: readonly Step[], counters: readonly Var[] = []): readonly Inner[] =>
  steps.flatMap(s => (s.kind === 'kernel' ? [{ kernel: s, counters }] : s.kind === 'loop' ? kernelsIn(s.steps, [...counters, s.counter]) : []))

/** Splits a plan and checks what must hold: few buffers each, new ones that are scratch, every result the same to the bit. Gives the new plan. */
const split = (plan: Plan, given = filled(plan)): Plan => {
  const few = fewBuffers(plan)
  for (const { kernel: k } of kernelsIn(few.steps)) assert.ok(buffersOf(k).size <= mostOf(k), `${k.name} touches ${buffersOf(k).size}`)
  assert.equal(few.buffers.slice(0, plan.buffers.length), plan.buffers)
  for (const b of few.buffers.slice(plan.buffers.length)) assert.equal(b.role, { kind: 'scratch' })
  few.buffers.forEach((b, i) => assert.is(b.id, i))
  const names = kernelsIn(few.steps).map(k => k.kernel.name)
  assert.is(new Set(names).size, names.length, `names: ${names.join(' ')}`)
  assert.is(differing(plan, new Map(interpret(few, given).map((x, i) => [i, x])), interpret(plan, given), 0), '')
  return few
}
/** The same, dispatched as well. */
const runs = (plan: Plan, given = filled(plan), tolerance = 1e-5): Plan => {
  const few = split(plan, given)
  assert.is(disagreement(few, tolerance, new Map([...filled(few), ...given])), '')
  return few
}

const sum = (all: readonly Expr[]): Expr => all.reduce((x, y) => op('add', [x, y]))
const balanced = (all: readonly Expr[]): Expr => {
  const [x, y] = all
  if (y === undefined) return x!
  const half = all.length >> 1
  return op('mul', [balanced(all.slice(0, half)), op('tanh', [balanced(all.slice(half))])])
}
const twenty = Array.from({ length: 20 }, (_, i) => i)

test('kernels with room are left as they are', () => {
  const i = v(10)
  const plan = planOf(buffers(10, 10), kernel([i], null, { buffer: 1, at: variable(i), value: load(0, variable(i)) }))
  assert.equal(fewBuffers(plan), plan)
})

for (const [form, join] of [['a chain', sum], ['a tree', balanced]] as const)
  test(`${form} over twenty buffers`, () => {
    const [i, j] = [v(7), v(10)]
    const at = ix(0, [10, i], [1, j])
    const few = runs(planOf(buffers(...twenty.map(() => 70), 70), kernel([i, j], null, { buffer: 20, at, value: join(twenty.map(n => load(n, at))) })))
    // six or seven go into one, and one is left of them
    assert.ok(few.steps.length <= 5, `${few.steps.length} kernels`)
  })

test('what is stored first takes the loops that it depends on only', () => {
  const [i, j] = [v(7), v(10)]
  const rows = balanced(twenty.map(n => load(n, ix(0, [1, i]))))
  const few = runs(planOf(buffers(...twenty.map(() => 7), 70, 70), kernel([i, j], null, { buffer: 20, at: ix(0, [10, i], [1, j]), value: op('mul',
    [rows, load(21, ix(0, [10, i], [1, j]))]) })))
  for (const b of few.buffers.slice(22)) assert.equal(b.aval.shape, [7])
})

test('several stores: in groups, and what they share is stored once', () => {
  const i = v(30)
  const at = variable(i)
  const shared = op('exp', [balanced(twenty.slice(0, 8).map(n => load(n, at)))])
  const stores = twenty.slice(0, 6).map(n => ({ buffer: 20 + n, at, value: op('add', [shared, load(10 + n, at)]) }))
  const few = runs(planOf(buffers(...twenty.map(() => 30), ...stores.map(() => 30)), kernel([i], null, ...stores)))
  assert.is(few.buffers.filter(b => b.id >= 26).length, 1)
})

test('in place: what one store overwrites, others have read before', () => {
  const i = v(30)
  const at = variable(i)
  const x = (n: number): Expr => load(n, at)
  const pairs = [0, 1, 2, 3, 4]
  // moments first, then what is computed from their new values: ten buffers in place, and two more
  const moment = (n: number): Expr => op('add', [op('mul', [x(n), num(0.9)]), x(10)])
  runs(planOf(buffers(...twenty.slice(0, 12).map(() => 30)), kernel([i], null,
    ...pairs.map(n => ({ buffer: n, at, value: moment(n) })),
    ...pairs.map(n => ({ buffer: 5 + n, at, value: op('sub', [x(5 + n), op('mul', [moment(n), x(11)])]) })))))
  // in a circle: each takes the value of the next
  const ring = Array.from({ length: 12 }, (_, n) => ({ buffer: n, at, value: op('add', [x((n + 1) % 12), x(12)]) }))
  runs(planOf(buffers(...Array.from({ length: 13 }, () => 30)), kernel([i], null, ...ring)))
})

test('a value behind a guard is not computed where it fails', () => {
  const i = v(40)
  const inside = [guard(ix(-5, [1, i]), 20)]
  const within = balanced(twenty.map(n => load(n, ix(-5, [1, i]))))
  const other = balanced(twenty.slice(0, 9).map(n => when([guard(ix(-5, [1, i]), 20), guard(ix(0, [1, i]), 12)], load(n, ix(-5, [1, i])), num(n + 1))))
  const both = when(inside, op('add', [within, other]), other)
  runs(planOf(buffers(...twenty.map(() => 20), 40, 40), kernel([i], null, { buffer: 20, at: variable(i), value: both }, { buffer: 21,
    at: variable(i), value: within === both ? both : when(inside, within, num(3)) })))
})

test('computed positions and random keys', () => {
  const i = v(25)
  const at = variable(i)
  const index = twenty.slice(0, 9).map(n => load(n, at, 'i32')).reduce((x, y) => op('maximum', [x, y], 'i32'))
  const key = twenty.slice(9, 18).map(n => load(n, at, 'u32')).reduce((x, y) => op('xor', [x, y], 'u32'))
  const picked = load(18, { offset: 0, terms: [{ coef: 1, atom: { kind: 'value', expr: op('minimum', [index, num(24, 'i32')], 'i32') } }] })
  const word: Expr = { kind: 'random', key0: key, key1: load(0, at, 'u32'), of: at, count: 25, dtype: 'u32' }
  const unit = op('mul', [op('cast', [op('shr', [word, num(8, 'u32')], 'u32')]), num(2 ** -24)])
  const plan = planOf(
    buffers(...twenty.slice(0, 9).map(() => [25, 'i32'] as const), ...twenty.slice(9, 18).map(() => [25, 'u32'] as const), 25, 25),
    kernel([i], null, { buffer: 19, at, value: op('add', [picked, unit]) }))
  runs(plan, new Map([...filled(plan), ...twenty.slice(0, 9).map(n => [n, samples(25, 'u32', n + 1).map(x => x % 25)] as const)]))
})

test('reductions: of many buffers, with many in their stores, with stores of their own', () => {
  const [i, j] = [v(6), v(11)]
  const [both, row] = [ix(0, [11, i], [1, j]), ix(0, [1, i])]
  const of = (n: number) => ({ kind: 'reduce' as const, op: 'sum' as const, vars: [j], value: balanced(twenty.slice(0, n).map(k => load(k, both))),
    dtype: 'f32' as const })
  const wide = twenty.map(() => 66)
  const rows = (n: number): Expr => balanced(Array.from({ length: n }, (_, k) => load(20 + k, row)))
  runs(planOf(buffers(...wide, 6), kernel([i], of(20), { buffer: 20, at: row, value: acc })))
  const narrow = Array.from({ length: 14 }, () => 6)
  runs(planOf(buffers(...wide, ...narrow), kernel([i], of(4), { buffer: 33, at: row, value: op('mul', [acc, rows(12)]) }, { buffer: 32, at: row,
    value: rows(11) })))
  // one that reads what the reduced value is stored to in place has to come before it
  runs(planOf(buffers(...wide, ...narrow), kernel([i], of(5), { buffer: 20, at: row, value: op('add', [acc, load(20, row)]) }, { buffer: 33, at: row,
    value: rows(9) })))
})

test('products keep their sides apart', () => {
  const [i, j, k] = [v(5), v(4), v(9)]
  const [a, b] = [ix(0, [9, i], [1, k]), ix(0, [4, k], [1, j])]
  const of = (m: number, n: number): Plan =>
    planOf(buffers(...twenty.map(n => (n < 10 ? 45 : 36)), 20), kernel([i, j],
      product([k], balanced(twenty.slice(0, m).map(x => load(x, a))), balanced(twenty.slice(10, 10 + n).map(x => load(x, b)))), { buffer: 20,
        at: ix(0, [4, i], [1, j]), value: acc }))
  for (const [m, n] of [[6, 6], [1, 10], [10, 2], [4, 3]] as const) {
    const few = runs(of(m, n))
    assert.ok(few.buffers.slice(21).every(x => x.aval.shape.length === 2), 'a side is stored over its own loops')
  }
})

test('in loops: kernels by the counters', () => {
  const [t, i] = [v(3, 't'), v(8)]
  const values = twenty.map(n => load(n, ix(0, [8, t], [1, i])))
  const step = kernel([i], null, { buffer: 20, at: ix(0, [8, t], [1, i]), value: op('add', [sum(values), { kind: 'index', of: ix(0, [1, t]), dtype: 'f32' }]) })
  runs(planOf(buffers(...twenty.map(() => 24), 24), { kind: 'loop', counter: t, steps: [step] }))
})

const lowered = lowerFiles(['models/vdsm/tiny/frames.ts', 'models/vdsm/tiny/video.ts'], 'models')
test('every kernel of VDSM', () => {
  if (lowered._tag === 'Left') throw new Error(print(lowered.left))
  let found = 0
  for (const p of lowered.right) {
    const plan = kernels(optimise(p.func), p.updates)
    for (const { kernel: k } of kernelsIn(fewBuffers(plan).steps)) assert.ok(buffersOf(k).size <= mostOf(k), `${p.name} ${k.name}`)
    for (const { kernel: k, counters } of kernelsIn(plan.steps)) {
      if (buffersOf(k).size <= mostOf(k)) continue
      found += 1
      const touched = buffersOf(k)
      const step = counters.reduceRight<Step>((inner, counter) => ({ kind: 'loop', counter, steps: [inner] }), k)
      split({ buffers: plan.buffers.map(b => (touched.has(b.id) ? b : { ...b, aval: { ...b.aval, shape: [0] }, role: { kind: 'scratch' } })), steps: [step] })
    }
  }
  assert.ok(found >= 20, `only ${found} kernels were split`)
})

test.run()
