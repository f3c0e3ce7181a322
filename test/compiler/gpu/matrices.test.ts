/**
 * Products on tensor cores, run by the interpreter of dispatches (matrices belong to subgroups, operands are rounded to half precision), against
 * the float64 interpreter of plans: given numbers of half precision it multiplies the very same ones.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { scheduleGpu } from '../../../compiler/schedule/gpu/choose.ts'
import { type Dispatched, mostMatrixBytes, sharedBytesOf } from '../../../compiler/schedule/gpu/dispatch.ts'
import { type MatrixCut, matrixBytes, matrixColumns, matrixCutsFor, matrixRows, matrixThreads } from '../../../compiler/schedule/gpu/product/matrix-tiles.ts'
import { matricesBy } from '../../../compiler/schedule/gpu/product/product.ts'
import type { Size } from '../../../compiler/schedule/gpu/product/tiles.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Expr, Index, Kernel, Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import { interpret } from '../plan-interpreter.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../wasm/plans.ts'
import { half } from './matrix-steps.ts'
import { type Schedule, dialect, differing, filled, namesFor, runPlan } from './run.ts'

const room = 2 ** 26
type Choose = (size: Size) => MatrixCut
const wide: Size = { batch: 1, rows: 512, columns: 512, steps: 512, elements: 1e6, beside: [true, true], taps: 1, costs: [4, 4] }
/** Every tile there is. */
const tiles = matrixCutsFor(wide, room).map(({ tile }) => tile)
const smallest = tiles.reduce((x, y) => (matrixRows(y) * matrixColumns(y) < matrixRows(x) * matrixColumns(x) ? y : x))
const byMatrices = (choose: Choose): Schedule => (k, counters, d, names) => {
  const made = matricesBy(k, choose, counters, d, names)
  if (made === null) throw new RangeError('residues are not alike')
  return [made]
}
const halves = (plan: Plan): ReadonlyMap<number, readonly number[]> => new Map([...filled(plan)].map(([id, data]) => [id, data.map(half)]))
/** Sums of a hundred products or so in f32: their rounding is all that is left. */
const agree = (plan: Plan, choose: Choose = () => ({ tile: smallest, parts: 1 }), tolerance = 1e-5): void => {
  const given = halves(plan)
  assert.is(differing(plan, runPlan(plan, given, byMatrices(choose)), interpret(plan, given), tolerance), '')
}

type Layout = readonly [left: 0 | 1, right: 0 | 1, result: 0 | 1]
const matmul = (m: number, n: number, k: number, [ta, tb, to]: Layout = [0, 0, 0]): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const a = load(0, ta ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l]))
  const b = load(1, tb ? ix(0, [k, j], [1, l]) : ix(0, [n, l], [1, j]))
  const at = to ? ix(0, [m, j], [1, i]) : ix(0, [n, i], [1, j])
  return planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], a, b), { buffer: 2, at, value: acc }))
}

test('half precision: the nearest number, of two the even one', () => {
  const large = [[2049, 2048], [2051, 2052], [65519, 65504], [65520, Infinity]] as const
  for (const [x, y] of [...large, [1 / 3, 0.333251953125], [2 ** -25, 0], [3 * 2 ** -25, 2 ** -23], [-0.1, -0.0999755859375]] as const) assert.is(half(x), y)
  assert.ok(Number.isNaN(half(NaN)))
})

test('matrix products in all layouts, with edges in both directions and a last turn that is not full', () => {
  for (const layout of [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]] as const) {
    agree(matmul(17, 33, 21, layout))
    agree(matmul(36, 68, 40, layout))
  }
})

test('every tile', () => {
  assert.ok(tiles.length >= 8)
  tiles.forEach((tile, i) => {
    const [m, n] = [Math.min(matrixRows(tile), 48) + 3, Math.min(matrixColumns(tile), 48) + 4]
    agree(matmul(m, n, 37, i % 2 === 0 ? [0, 1, 0] : [1, 0, 0]), () => ({ tile, parts: 1 }))
  })
})

test('operands are rounded, and nothing else', () => {
  const plan = matmul(32, 32, 64)
  const given = filled(plan)
  const schedule = byMatrices(() => ({ tile: smallest, parts: 1 }))
  const want = interpret(plan, halves(plan))
  assert.is(differing(plan, runPlan(plan, given, schedule), [...want.slice(0, 2).map((_, i) => given.get(i)!), want[2]!], 1e-5), '')
  assert.not.equal(differing(plan, runPlan(plan, given, schedule), interpret(plan, given), 1e-5), '')
})

test('a function of an operand, a bias, an activation, a second store and one in place', () => {
  const [m, n, k] = [20, 36, 19]
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const a = op('maximum', [load(0, ix(0, [k, i], [1, l])), num(0)])
  const at = ix(0, [n, i], [1, j])
  const pre = op('add', [op('add', [acc, load(2, variable(j))]), load(3, at)])
  const stores = [{ buffer: 3, at, value: pre }, { buffer: 4, at, value: op('sigmoid', [pre]) }]
  agree(planOf(buffers(m * k, k * n, n, m * n, m * n), kernel([i, j], product([l], a, load(1, ix(0, [n, l], [1, j]))), ...stores)))
})

test('batches, in a loop', () => {
  const [s, m, n, k] = [2, 18, 24, 20]
  const [b, i, j, l, t] = [v(s, 'b'), v(m, 'i'), v(n, 'j'), v(k, 'l'), v(2, 't')]
  const at = ix(0, [m * n, b], [n, i], [1, j])
  const x = load(0, ix(0, [m * k, b], [k, i], [1, l]))
  const w = load(1, ix(k * n, [-k * n, t], [n, l], [1, j]))
  const out = { buffer: 2, at: add(at, scale(variable(t), s * m * n)), value: op('add', [acc, load(3, variable(t))]) }
  agree(planOf(buffers(s * m * k, 2 * k * n, 2 * s * m * n, 2), { kind: 'loop', counter: t, steps: [kernel([b, i, j], product([l], x, w), out)] }))
})

test('a long sum over few results: parts, added in order by a second dispatch', () => {
  for (const layout of [[0, 1, 0], [1, 0, 0], [0, 1, 1]] as const) {
    const plan = matmul(20, 36, 300, layout)
    agree(plan, () => ({ tile: smallest, parts: 4 }), 3e-5)
    const made = matricesBy(plan.steps[0] as Kernel, () => ({ tile: smallest, parts: 4 }), [], dialect, namesFor(3)) // the plan has one kernel
    assert.is(made?.dispatches.length, 2)
    assert.is(made?.dispatches[1]?.subgroup, undefined)
  }
})

/** A strided convolution with padding, bias and activation, and both of its gradients. */
const convolution = (): readonly Plan[] => {
  const [n, c, o, h, k, p] = [2, 4, 18, 8, 4, 4]
  const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')]
  const image = (buffer: number, plane: Index, row: Index, column: Index, size: number): Expr =>
    load(buffer, add(scale(plane, size * size), add(scale(row, size), column)))
  const [row, column] = [shift(add(scale(variable(y), 2), variable(ky)), -1), shift(add(scale(variable(x), 2), variable(kx)), -1)]
  const input = when([guard(row, h), guard(column, h)], image(0, ix(0, [c, b], [1, ci]), row, column, h))
  const at = ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx])
  const place = ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x])
  const value = op('maximum', [op('add', [acc, load(2, variable(f))]), num(0)])
  const [qy, qx] = [v(h, 'qy'), v(h, 'qx')]
  const back = (q: typeof qy, tap: typeof ky): Index => shift(add(variable(q), scale(variable(tap), -1)), 1)
  const [up, left] = [back(qy, ky), back(qx, kx)]
  const halved = (of: Index): Index => ({ offset: 0, terms: [{ coef: 1, atom: { kind: 'div', of, by: 2 } }] })
  const gradient = when([guard(up, 2 * p - 1, 2), guard(left, 2 * p - 1, 2)], image(3, ix(0, [o, b], [1, f]), halved(up), halved(left), p))
  const whole = ix(0, [c * h * h, b], [h * h, ci], [h, qy], [1, qx])
  return [
    kernel([b, f, y, x], product([ci, ky, kx], load(1, at), input), { buffer: 3, at: place, value }),
    kernel([b, ci, qy, qx], product([f, ky, kx], gradient, load(1, at)), { buffer: 0, at: whole, value: acc }),
    kernel([f, ci, ky, kx], product([b, y, x], input, load(3, place)), { buffer: 1, at, value: acc }),
  ].map(step => planOf(buffers(n * c * h * h, o * c * k * k, o, n * o * p * p), step))
}

test('a convolution with padding and stride, and its gradients', () => {
  for (const plan of convolution()) agree(plan)
  agree(convolution()[2]!, () => ({ tile: smallest, parts: 2 }))
})

test('offered besides the others, behind them, where they are asked for and worthwhile', () => {
  const ways = (m: number, n: number, k: number, matrices: boolean): readonly Dispatched[] => {
    const plan = matmul(m, n, k)
    return scheduleGpu(plan.steps[0] as Kernel, [], dialect, namesFor(3), Infinity, matrices) // the plan has one kernel
  }
  const marked = (all: readonly Dispatched[]): readonly boolean[] => all.map(({ dispatches }) => dispatches.some(d => d.subgroup !== undefined))
  assert.not.ok(marked(ways(512, 512, 512, false)).includes(true))
  assert.equal(marked(ways(512, 512, 512, true)), [...ways(512, 512, 512, false).map(() => false), true])
  assert.equal(marked(ways(1024, 1024, 512, true)), [...ways(1024, 1024, 512, false).map(() => false), true, true])
  assert.not.ok(marked(ways(12, 4096, 4096, true)).includes(true))
  const bytes = (all: readonly Dispatched[]): number => Math.max(...all.map(({ scratch }) => scratch.reduce((n, s) => n + s.bytes, 0)))
  assert.is(bytes(ways(64, 64, 65536, true)), bytes(ways(64, 64, 65536, false)))
  for (const { dispatches } of ways(1024, 1024, 1024, true)) for (const d of dispatches) assert.ok(sharedBytesOf(d) <= mostMatrixBytes)
  for (const tile of tiles) assert.ok(matrixBytes(tile) <= mostMatrixBytes && matrixThreads(tile) <= 256)
})

test.run()
