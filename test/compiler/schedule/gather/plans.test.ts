/** Plans by hand as gathers, against the meaning of plans: places turned round, stores that fill a buffer together, reductions in chunks, few inputs. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Index, Kernel, Plan, Reduction, Step, Store, Var } from '../../../../compiler/schedule/kernel/kernel.ts'
import { Refusal } from '../../../../dsl/errors.ts'
import { filled } from '../../gpu/run.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../../wasm/plans.ts'
import { disagreement, gathersIn, gathersOf } from './run.ts'

/** Checks a plan's results; gives how many gathers, and how many steps, it has become. */
const runs = (plan: Plan, tolerance = 1e-5, given = filled(plan)): { readonly gathers: number; readonly steps: number; readonly scratch: number } => {
  assert.is(disagreement(plan, tolerance, given), '')
  const made = gathersOf(plan)
  return { gathers: gathersIn(made.steps).length, steps: made.steps.length, scratch: made.buffers.length - plan.buffers.length }
}
const refusal = (plan: Plan): string => {
  try {
    gathersOf(plan)
  } catch (error) {
    if (error instanceof Refusal) return JSON.stringify(error.failure)
    throw error
  }
  return ''
}
const atom = (kind: 'div' | 'mod', of: Index, by: number): Index => ({ offset: 0, terms: [{ coef: 1, atom: { kind, of, by } }] })
const sum = (...all: readonly Index[]): Index => ({ offset: all.reduce((n, i) => n + i.offset, 0), terms: all.flatMap(i => i.terms) })
const times = (i: Index, by: number): Index => ({ offset: i.offset * by, terms: i.terms.map(t => ({ ...t, coef: t.coef * by })) })
const square = (e: Expr): Expr => op('mul', [e, e])
/** A kernel of the given variables that moves buffer 0, read in order, to a place. */
const moves = (vars: readonly Var[], at: Index, to = 1): Kernel => {
  const strides = vars.map((_, k) => vars.slice(k + 1).reduce((n, w) => n * w.size, 1))
  return kernel(vars, null, { buffer: to, at, value: op('add', [load(0, ix(0, ...vars.map((w, k) => [strides[k]!, w] as const))), num(1)]) })
}

test('whole stores: permuted, reversed', () => {
  const [i, j, k] = [v(3), v(4), v(5)]
  runs(planOf(buffers(60, 60), moves([i, j, k], ix(0, [1, i], [15, j], [3, k]))))
  runs(planOf(buffers(60, 60), moves([i, j, k], ix(59, [-20, i], [-5, j], [-1, k]))))
  runs(planOf(buffers(60, 60), moves([i, j, k], ix(15, [20, i], [-5, j], [1, k]))))
})

test('parts of a buffer: what is not written stays, and is zero where nothing was before', () => {
  const [i, j] = [v(4), v(5)]
  for (const at of [ix(3, [11, i], [2, j]), ix(0, [1, i], [9, j]), ix(40, [-11, i], [1, j]), ix(7, [10, i], [1, j])]) {
    const blank = planOf(buffers(20, 51), moves([i, j], at))
    runs(blank, 0, new Map([...filled(blank)].slice(0, 1)))
    // after a first kernel that fills all of it
    const all = v(51)
    runs(planOf(buffers(20, 51, 51), kernel([all], null, { buffer: 1, at: ix(0, [1, all]), value: square(load(2, ix(0, [1, all]))) }), moves([i, j], at)))
  }
})

test('a concatenation is one gather', () => {
  const piece = (n: number, offset: number): Kernel => {
    const [i, j] = [v(6), v(n)]
    return kernel([i, j], null, { buffer: 9, at: ix(offset, [20, i], [1, j]), value: square(load(n % 5, ix(0, [n, i], [1, j]))) })
  }
  const plan = planOf(buffers(...Array.from({ length: 9 }, () => 60), 120), piece(6, 0), piece(7, 6), piece(3, 13), piece(4, 16))
  assert.equal(runs(plan), { gathers: 1, steps: 1, scratch: 0 })
})

test('stores that fill a buffer together stay apart where a step between reads it, or changes what they read', () => {
  const i = v(10)
  const put = (from: number, to: number, offset: number): Kernel =>
    kernel([i], null, { buffer: to, at: ix(offset, [1, i]), value: square(load(from, ix(0, [1, i]))) })
  const reads = kernel([i], null, { buffer: 2, at: ix(0, [1, i]), value: load(1, ix(0, [1, i])) })
  const changes = kernel([i], null, { buffer: 0, at: ix(0, [1, i]), value: num(7) })
  assert.is(runs(planOf(buffers(10, 20, 10), put(0, 1, 0), reads, put(0, 1, 10))).gathers, 3)
  // the second may go before the change only if it reads something else, the first after it never
  assert.is(runs(planOf(buffers(10, 20, 10), put(0, 1, 0), changes, put(0, 1, 10))).gathers, 3)
  assert.is(runs(planOf(buffers(10, 20, 10), put(0, 1, 0), changes, put(2, 1, 10))).gathers, 2)
  assert.is(runs(planOf(buffers(10, 20, 10), put(2, 1, 0), changes, put(0, 1, 10))).gathers, 2)
})

test('a slice for every turn of a loop, forwards and backwards', () => {
  for (const [offset, coef] of [[0, 12], [48, -12], [6, 12]] as const) {
    const [t, i] = [v(5, 't'), v(6)]
    const at = ix(offset, [coef, t], [1, i])
    const body = kernel([i], null, { buffer: 1, at, value: op('add', [load(0, ix(0, [1, i])), { kind: 'index', of: ix(0, [1, t]), dtype: 'f32' }]) },
      { buffer: 0, at: ix(0, [1, i]), value: op('mul', [load(0, ix(0, [1, i])), num(0.5)]) })
    runs(planOf(buffers(6, 66), { kind: 'loop', counter: t, steps: [body] }))
  }
})

test('places that are quotients and remainders', () => {
  const [i, j, k] = [v(7), v(8), v(2)]
  const flat = ix(0, [16, i], [2, j], [1, k])
  const by = (n: number, m: number): Index => sum(times(atom('div', flat, n), n), times(atom('mod', atom('div', flat, m), n / m), m), atom('mod', flat, m))
  runs(planOf(buffers(112, 112), moves([i, j, k], by(14, 7))))
  // transposed: digits in another order, and a reshape that leaves a variable out of the quotient
  runs(planOf(buffers(112, 112), moves([i, j, k], sum(times(atom('mod', flat, 7), 16), atom('div', flat, 7)))))
  const two = ix(0, [8, i], [1, j])
  runs(planOf(buffers(112, 112), moves([i, j, k], sum(times(atom('mod', two, 7), 16), times(atom('div', two, 7), 2), ix(0, [1, k])))))
})

test('what cannot be turned round is refused, with the kernel', () => {
  const [i, j] = [v(4), v(4)]
  assert.match(refusal(planOf(buffers(16, 40), moves([i, j], ix(0, [2, i], [3, j])))), 'same place')
  assert.match(refusal(planOf(buffers(16, 40), moves([i, j], ix(0, [2, i], [3, j])))), '"k"')
  const computed: Index = { offset: 0, terms: [{ coef: 1, atom: { kind: 'value', expr: load(2, ix(0, [1, i]), 'i32') } }] }
  assert.match(refusal(planOf(buffers(4, 40, [4, 'i32']), moves([i], computed))), 'computed')
  assert.match(refusal(planOf(buffers(16, 40), moves([i, j], ix(0, [1, i])))), 'several times')
})

const reduction = (name: 'sum' | 'max' | 'min', vars: readonly Var[], value: Expr): Reduction =>
  ({ kind: 'reduce', op: name, vars, value, dtype: value.dtype })

test('long reductions in chunks, even and not', () => {
  for (const n of [1025, 5000, 20011])
    for (const [kind, dtype] of [['sum', 'f32'], ['max', 'f32'], ['min', 'i32'], ['sum', 'u32'], ['max', 'bool']] as const) {
      const j = v(n)
      const of: Store = { buffer: 1, at: ix(0), value: { kind: 'acc', dtype } }
      const { steps } = runs(planOf(buffers([n, dtype], [1, dtype]), kernel([], reduction(kind, [j], load(0, ix(0, [1, j]), dtype)), of)), 2e-5)
      assert.is(steps, 2)
    }
})

test('chunks of several loops, of places that are looked up, of random words', () => {
  const [i, a, b, c] = [v(2), v(7), v(13), v(29)]
  const flat = ix(0, [377, a], [29, b], [1, c])
  const picked = load(0, { offset: 0, terms: [{ coef: 1, atom: { kind: 'value', expr: load(1, sum(flat, ix(0, [2639, i])), 'i32') } }] })
  const word: Expr = { kind: 'random', key0: load(2, ix(0), 'u32'), key1: load(2, ix(1), 'u32'), of: sum(flat, ix(0, [2639, i])), count: 5278, dtype: 'u32' }
  const unit = op('mul', [op('cast', [op('shr', [word, num(8, 'u32')], 'u32')]), num(2 ** -24)])
  const turned = op('mul', [unit, load(0, sum(atom('mod', flat, 50), times(atom('div', flat, 400), 3)))])
  for (const value of [picked, turned]) {
    const plan = planOf(buffers(80, [5278, 'i32'], [2, 'u32'], 2), kernel([i], reduction('sum', [a, b, c], value), { buffer: 3, at: ix(0, [1, i]), value: acc }))
    const places = Array.from({ length: 5278 }, (_, n) => (n * 37) % 80)
    assert.is(runs(plan, 2e-5, new Map([...filled(plan), [1, places]])).gathers, 2)
  }
})

test('a sum over a million in two steps, of a thousand terms each', () => {
  const j = v(1_000_003)
  const total = kernel([], reduction('sum', [j], load(0, ix(0, [1, j]))), { buffer: 1, at: ix(0), value: acc })
  const made = gathersOf(planOf(buffers(1_000_003, 1), total))
  assert.equal(gathersIn(made.steps).map(g => g.made.extent), [1024, 1])
})

test('weight gradients: few results, long sums', () => {
  const [c, d, b, y] = [v(3), v(5), v(40), v(77)]
  const both = product([b, y], load(0, ix(0, [77, b], [40 * 77, c], [1, y])), load(1, ix(0, [77, b], [40 * 77, d], [1, y])))
  const plan = planOf(buffers(3 * 40 * 77, 5 * 40 * 77, 15), kernel([c, d], both, { buffer: 2, at: ix(0, [5, c], [1, d]), value: acc }))
  assert.ok(runs(plan, 2e-5).gathers === 2)
})

test('a reduction that several stores need is computed once, and kept where one of them is nothing else', () => {
  const [i, j] = [v(300), v(200)]
  const of = reduction('sum', [j], load(0, ix(0, [200, i], [1, j])))
  const [plain, squared, rest]: readonly Store[] = [
    { buffer: 1, at: ix(0, [1, i]), value: acc }, { buffer: 2, at: ix(0, [1, i]), value: square(acc) },
    { buffer: 3, at: ix(0, [1, i]), value: op('exp', [op('tanh', [acc])]) },
  ]
  const four = buffers(60000, 300, 300, 300)
  assert.equal(runs(planOf(four, kernel([i], of, plain!, squared!, rest!)), 2e-5), { gathers: 3, steps: 2, scratch: 0 })
  assert.equal(runs(planOf(four, kernel([i], of, squared!, rest!, { ...squared!, buffer: 1 })), 2e-5), { gathers: 4, steps: 3, scratch: 1 })
})

test('what is part of several stores is computed by one, where the others may come after it', () => {
  const i = v(30)
  const x = (n: number): Expr => load(n, ix(0, [1, i]))
  const at = ix(0, [1, i])
  // the moments of an optimiser, in place, and its step, which would read eight buffers
  const moment = (n: number): Expr => op('add', [op('mul', [x(n), num(0.9)]), op('mul', [x(0), num(0.1)])])
  const [first, second] = [moment(1), moment(2)]
  const step = op('sub', [x(3), op('mul', [op('mul', [first, x(4)]), op('tanh', [op('add', [op('mul', [second, op('mul', [x(5), x(6)])]), x(7)])])])])
  const stores = [{ buffer: 3, at, value: step }, { buffer: 1, at, value: first }, { buffer: 2, at, value: second }]
  assert.equal(runs(planOf(buffers(...Array.from({ length: 8 }, () => 30)), kernel([i], null, ...stores))), { gathers: 3, steps: 2, scratch: 0 })
  // one that reads what another writes in place cannot come after it
  const old = [{ buffer: 1, at, value: first }, { buffer: 3, at, value: op('add', [first, x(1)]) }]
  assert.equal(runs(planOf(buffers(...Array.from({ length: 8 }, () => 30)), kernel([i], null, ...old))), { gathers: 2, steps: 1, scratch: 0 })
  // the reduced value, too, reaches the second by way of the first
  const j = v(2000)
  const scaled = op('tanh', [acc])
  const both = [{ buffer: 1, at, value: scaled }, { buffer: 2, at, value: op('exp', [scaled]) }]
  const rows = reduction('sum', [j], load(0, ix(0, [2000, i], [1, j])))
  assert.equal(runs(planOf(buffers(60000, 30, 30), kernel([i], rows, ...both)), 2e-5), { gathers: 3, steps: 3, scratch: 1 })
})

const twenty = Array.from({ length: 20 }, (_, n) => n)
const chain = (all: readonly Expr[]): Expr => all.reduce((x, y) => op('add', [op('tanh', [x]), y]))

test('few inputs: stores one by one, values in parts, and room for what is passed on', () => {
  const i = v(30)
  const x = (n: number): Expr => load(n, ix(0, [1, i]))
  const many = buffers(...twenty.map(() => 30), 30, 30, 70)
  assert.equal(runs(planOf(many, kernel([i], null, { buffer: 20, at: ix(0, [1, i]), value: chain(twenty.slice(0, 7).map(x)) }))).steps, 1)
  const two = [twenty, twenty.slice(4)].map((all, n) => ({ buffer: 20 + n, at: ix(0, [1, i]), value: chain(all.map(x)) }))
  runs(planOf(many, kernel([i], null, ...two)))
  const all = v(70)
  const first = kernel([all], null, { buffer: 22, at: ix(0, [1, all]), value: num(2) })
  runs(planOf(many, first, kernel([i], null, { buffer: 22, at: ix(5, [2, i]), value: chain(twenty.slice(0, 7).map(x)) })))
})

test('stores of one kernel that fill a buffer together and read too much, beside one in place', () => {
  const [t, i] = [v(4, 't'), v(8)]
  const x = (n: number): Expr => load(n, n < 2 ? ix(0, [1, i]) : ix(0, [8, t], [1, i]))
  const gate = (n: number, from: number): Store => ({ buffer: 10, at: ix(8 * n, [32, t], [1, i]), value: chain(twenty.slice(from, from + 5).map(x)) })
  const body = kernel([i], null, gate(0, 0), gate(1, 4), gate(2, 1), { buffer: 0, at: ix(0, [1, i]), value: square(x(0)) }, gate(3, 3))
  runs(planOf(buffers(8, 8, ...twenty.slice(2, 10).map(() => 32), 128), { kind: 'loop', counter: t, steps: [body] }))
})

test('strided sums go over their own terms only', () => {
  for (const [by, taps, pad, size] of [[2, 4, 1, 9], [2, 3, 1, 8], [3, 5, 2, 7], [2, 1, 0, 6], [4, 4, 0, 5]] as const)
    for (const turned of [false, true]) {
      const out = (size - 1) * by + taps - 2 * pad
      const [o, y, c, k] = [v(3), v(out), v(4), v(taps)]
      const at = turned ? ix(pad - taps + 1, [1, y], [1, k]) : ix(pad, [1, y], [-1, k])
      const image = load(0, sum(ix(0, [size, c]), atom('div', at, by)))
      const value = op('mul', [when([guard(at, by * size, by)], image), load(1, ix(0, [4 * taps, o], [taps, c], [1, k]))])
      const strided = kernel([o, y], reduction('sum', [c, k], value), { buffer: 2, at: ix(0, [out, o], [1, y]), value: acc })
      runs(planOf(buffers(4 * size, 12 * taps, 3 * out), strided))
    }
})

test('steps of loops keep their order', () => {
  const [t, i] = [v(6, 't'), v(5)]
  const at = ix(0, [1, i])
  const steps: readonly Step[] = [
    kernel([i], null, { buffer: 1, at, value: op('add', [load(0, at), load(1, at)]) }),
    { kind: 'copy', from: 1, to: 2 },
    kernel([i], null, { buffer: 0, at, value: op('mul', [load(2, at), num(0.75)]) }, { buffer: 3, at: ix(0, [5, t], [1, i]), value: load(2, at) }),
  ]
  runs(planOf(buffers(5, 5, 5, 30), { kind: 'loop', counter: t, steps }))
})

test.run()
