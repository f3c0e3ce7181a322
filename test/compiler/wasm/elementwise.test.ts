/** Element-wise kernels and reductions, compiled to WebAssembly, against the float64 interpreter of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DType, Elementwise } from '../../../dsl/core/prim.ts'
import type { Expr } from '../../../compiler/schedule/kernel/kernel.ts'
import { indexing, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { buffers, disagreement, guard, ix, kernel, load, num, op, planOf, samples, v, when } from './plans.ts'

const sizes = [1, 3, 4, 7, 17, 63, 65, 300]
const agree = (...args: Parameters<typeof disagreement>): void => assert.is(disagreement(...args), '')

const unary: Readonly<Record<string, readonly DType[]>> = {
  neg: ['f32', 'i32'], abs: ['f32', 'i32'], sign: ['f32', 'i32'], floor: ['f32'], exp: ['f32'], expm1: ['f32'], tanh: ['f32'], sigmoid: ['f32'],
  softplus: ['f32'], sin: ['f32'], cos: ['f32'], not: ['bool'], stopGradient: ['f32'],
}
const binary: Readonly<Record<string, readonly DType[]>> = {
  add: ['f32', 'i32', 'u32'], sub: ['f32', 'i32', 'u32'], mul: ['f32', 'i32', 'u32'], div: ['f32'], maximum: ['f32', 'i32', 'u32'], minimum: ['f32', 'i32', 'u32'],
  and: ['bool', 'i32', 'u32'], or: ['bool', 'i32', 'u32'], xor: ['bool', 'i32', 'u32'], shl: ['i32', 'u32'], shr: ['i32', 'u32'],
}
const compares: readonly Elementwise[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge']

const plan1 = (n: number, inputs: readonly DType[], out: DType, f: (args: readonly Expr[]) => Expr) => {
  const i = v(n)
  const at = ix(0, [1, i])
  return planOf(buffers(...inputs.map(d => [n, d] as const), [n, out]), kernel([i], null, { buffer: inputs.length, at, value: f(inputs.map((d, b) => load(b, at, d))) }))
}

for (const [prim, dtypes] of Object.entries(unary))
  for (const dtype of dtypes)
    test(`${prim} ${dtype}`, () => sizes.forEach(n => agree(plan1(n, [dtype], dtype, args => op(prim as Elementwise, args, dtype)), 1e-6)))

for (const prim of ['log', 'log1p', 'sqrt', 'rsqrt'] as const)
  test(prim, () => sizes.forEach(n => agree(plan1(n, ['f32'], 'f32', ([x]) => op(prim, [op('abs', [x!])])), 1e-6)))

for (const exponent of [0, 1, 2, 3, -1, 0.5, -0.5, 1.5, 5, -3])
  test(`pow ${exponent}`, () => agree(plan1(65, ['f32'], 'f32', ([x]) => op('pow', [op('add', [op('abs', [x!]), num(0.1)])], 'f32', exponent)), 2e-6))
test('pow 0.7', () => agree(plan1(65, ['f32'], 'f32', ([x]) => op('pow', [op('abs', [x!])], 'f32', 0.7)), 2e-6))

for (const [prim, dtypes] of Object.entries(binary))
  for (const dtype of dtypes)
    test(`${prim} ${dtype}`, () => sizes.forEach(n => agree(plan1(n, [dtype, dtype], dtype, args => op(prim as Elementwise, args, dtype)), 1e-6)))

for (const prim of compares)
  for (const dtype of ['f32', 'i32', 'u32'] as const)
    test(`${prim} ${dtype}`, () => sizes.forEach(n => agree(plan1(n, [dtype, dtype], 'bool', args => op(prim, args, 'bool')), 0)))

for (const dtype of ['f32', 'i32', 'u32', 'bool'] as const)
  test(`select ${dtype}`, () => sizes.forEach(n => agree(plan1(n, ['bool', dtype, dtype], dtype, args => op('select', args, dtype)), 0)))

for (const from of ['f32', 'i32', 'u32', 'bool'] as const)
  for (const to of ['f32', 'i32', 'u32', 'bool'] as const)
    test(`cast ${from} to ${to}`, () => sizes.forEach(n => agree(plan1(n, [from], to, args => op('cast', args, to)), 0)))

test('NaN goes through maximum and minimum, and casts saturate', () => {
  const special = [NaN, 1, -0, 0, Infinity, -Infinity, 1e20, -1e20]
  for (const prim of ['maximum', 'minimum'] as const) agree(plan1(8, ['f32', 'f32'], 'f32', args => op(prim, args)), 0, new Map([[0, special], [1, [...special].reverse()]]))
  for (const to of ['i32', 'u32', 'bool'] as const) agree(plan1(8, ['f32'], to, args => op('cast', args, to)), 0, new Map([[0, special]]))
})

test('index values, ramps and constants', () => {
  for (const dtype of ['f32', 'i32', 'u32'] as const)
    for (const n of sizes) agree(plan1(n, [], dtype, () => op('add', [num(3, dtype), num(4, dtype)], dtype)), 0)
  const [i, j] = [v(5), v(17)]
  for (const dtype of ['f32', 'i32', 'u32'] as const)
    agree(planOf(buffers([85, dtype]), kernel([i, j], null, { buffer: 0, at: ix(0, [17, i], [1, j]), value: { kind: 'index', of: ix(2, [3, i], [2, j]), dtype } })), 0)
})

test('transpose, broadcast, flip, stride', () => {
  for (const [m, n] of [[3, 5], [17, 65], [64, 64]] as const) {
    const [i, j] = [v(m), v(n)]
    const at = ix(0, [n, i], [1, j])
    const value = op('add', [load(0, ix(0, [1, i], [m, j])), op('mul', [load(1, ix(0, [1, j])), op('add', [load(2, ix(0, [1, i])), load(0, ix(m * n - 1, [-n, i], [-1, j]))])])])
    agree(planOf(buffers(m * n, n, m, m * n, 2 * m * n), kernel([i, j], null, { buffer: 3, at, value }, { buffer: 4, at: ix(1, [2 * n, i], [2, j]), value: load(0, at) })), 1e-6)
  }
})

test('guards: padding and concatenation', () => {
  for (const n of [3, 8, 17, 64]) {
    const [i, j] = [v(n), v(n)]
    const inside = [guard(ix(-1, [1, i]), n - 2), guard(ix(-2, [1, j]), n - 2)]
    const padded = when(inside, load(0, ix(-(n - 2) - 2, [n - 2, i], [1, j])), num(7))
    agree(planOf(buffers(n * n, n * n), kernel([i, j], null, { buffer: 1, at: ix(0, [n, i], [1, j]), value: op('exp', [padded]) })), 1e-6)
    const k = v(2 * n)
    const joined = when([guard(ix(0, [1, k]), n)], load(0, ix(0, [1, k])), load(1, ix(-n, [1, k])))
    agree(planOf(buffers(n, n, 2 * n), kernel([k], null, { buffer: 2, at: ix(0, [1, k]), value: joined })), 0)
    const spread = when([guard(ix(0, [1, k]), 2 * n, 2)], load(0, { offset: 0, terms: [{ coef: 1, atom: { kind: 'div', of: variable(k), by: 2 } }] }), num(-1))
    agree(planOf(buffers(n, 2 * n), kernel([k], null, { buffer: 1, at: ix(0, [1, k]), value: spread })), 0)
  }
})

test('quotients, remainders and gathers', () => {
  for (const n of [24, 60, 256]) {
    const i = v(n)
    const algebra = indexing(() => n)
    for (const by of [3, 4, 8, 12]) {
      const at = { offset: 0, terms: [{ coef: 1, atom: { kind: 'div' as const, of: variable(i), by } }, { coef: n / 4, atom: { kind: 'mod' as const, of: variable(i), by: 3 } }] }
      agree(planOf(buffers(2 * n, n), kernel([i], null, { buffer: 1, at: variable(i), value: load(0, at) })), 0)
      agree(planOf(buffers(2 * n, n), kernel([i], null, { buffer: 1, at: variable(i), value: op('mul', [load(0, algebra.div(variable(i), by)), load(0, algebra.mod(variable(i), by))]) })), 1e-6)
    }
    const picked = { kind: 'value' as const, expr: load(0, variable(i), 'i32') }
    const given = new Map([[0, samples(n, 'u32').map(x => x % n)], [1, samples(n, 'f32')]])
    agree(planOf(buffers([n, 'i32'], n, n), kernel([i], null, { buffer: 2, at: variable(i), value: load(1, { offset: 0, terms: [{ coef: 1, atom: picked }] }) })), 0, given)
  }
})

test('random words', () => {
  const i = v(37)
  const value: Expr = { kind: 'random', key0: load(0, ix(0), 'u32'), key1: load(0, ix(1), 'u32'), of: variable(i), count: 37, dtype: 'u32' }
  agree(planOf(buffers([2, 'u32'], [37, 'u32']), kernel([i], null, { buffer: 1, at: variable(i), value })), 0, new Map([[0, [0xdeadbeef, 42]]]))
})

test('in place, several stores, shared subexpressions', () => {
  const i = v(65)
  const at = variable(i)
  const m = op('add', [op('mul', [load(0, at), num(0.9)]), load(1, at)])
  const w = op('sub', [load(2, at), op('mul', [m, op('sqrt', [op('abs', [m])])])])
  agree(planOf(buffers(65, 65, 65), kernel([i], null, { buffer: 0, at, value: m }, { buffer: 2, at, value: w })), 1e-6)
})

for (const reduce of ['sum', 'max', 'min'] as const) {
  test(`${reduce} over rows, columns and all`, () => {
    for (const [m, n] of [[1, 1], [3, 5], [17, 65], [64, 7], [5, 300]] as const) {
      const [i, j] = [v(m), v(n)]
      const x = load(0, ix(0, [n, i], [1, j]))
      const value = op('add', [{ kind: 'acc', dtype: 'f32' }, num(1)])
      const go = (vars: typeof i[], over: typeof i[], out: number, at: ReturnType<typeof ix>) =>
        agree(planOf(buffers(m * n, out), kernel(vars, { kind: 'reduce', op: reduce, vars: over, value: x, dtype: 'f32' }, { buffer: 1, at, value })), 2e-6)
      go([i], [j], m, ix(0, [1, i]))
      go([j], [i], n, ix(0, [1, j]))
      go([], [i, j], 1, ix(0))
    }
  })
  test(`${reduce} of integers${reduce === 'sum' ? '' : ' and bools'}`, () => {
    for (const dtype of reduce === 'sum' ? (['i32', 'u32'] as const) : (['i32', 'u32', 'bool'] as const)) {
      const [i, j] = [v(9), v(21)]
      const r = { kind: 'reduce' as const, op: reduce, value: load(0, ix(0, [21, i], [1, j]), dtype), dtype }
      agree(planOf(buffers([189, dtype], [9, dtype], [21, dtype]),
        kernel([i], { ...r, vars: [j] }, { buffer: 1, at: variable(i), value: { kind: 'acc', dtype } }),
        kernel([j], { ...r, vars: [i] }, { buffer: 2, at: variable(j), value: { kind: 'acc', dtype } })), 0)
    }
  })
}

test('NaN goes through max', () => {
  const i = v(9)
  agree(planOf(buffers(9, 1), kernel([], { kind: 'reduce', op: 'max', vars: [i], value: load(0, variable(i)), dtype: 'f32' }, { buffer: 1, at: ix(0), value: { kind: 'acc', dtype: 'f32' } })),
    0, new Map([[0, [1, 2, NaN, 4, 5, 6, 7, 8, 9]]]))
})

test('loops with carries and copies', () => {
  const [i, t] = [v(7), v(5, 't')]
  const at = variable(i)
  const next = op('add', [op('mul', [load(0, at), num(0.5)]), load(1, ix(4 * 7, [-7, t], [1, i]))])
  agree(planOf(buffers(7, 35, 7, 35), { kind: 'loop', counter: t, steps: [kernel([i], null, { buffer: 2, at, value: next }, { buffer: 3, at: ix(0, [7, t], [1, i]), value: next }), { kind: 'copy', from: 2, to: 0 }] }), 1e-6)
})

test.run()
