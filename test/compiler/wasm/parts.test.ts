/**
 * Element-wise kernels and reductions in parts: every nest once over its whole extent, and once part by part in scrambled
 * order, leaves the same bits; and they are those of the float64 interpreter, nearly.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { elementwise } from '../../../compiler/schedule/elementwise/elementwise.ts'
import { add, scale, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Kernel } from '../../../compiler/schedule/kernel/kernel.ts'
import { interpret } from '../plan-interpreter.ts'
import { partsOf } from './nests.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, samples, v, when } from './plans.ts'

/** 0 .. n-1 in an order of no use. */
const scrambled = (n: number): readonly number[] => {
  const step = [7919, 104729, 1299709].find(p => n % p !== 0)!
  return Array.from({ length: n }, (_, i) => (i * step + 3) % n)
}

type Seen = { readonly extents: readonly number[] }
/** Runs a kernel whole and in parts; `elements` are the buffers' sizes, the last one being written. */
const check = (k: Kernel, elements: readonly number[], tolerance = 2e-6): Seen => {
  const given = new Map(elements.map((n, id) => [id, samples(n, 'f32', id + 1)]))
  const expected = interpret(planOf(buffers(...elements), k), given)
  const extents: number[] = []
  for (const fma of [true, false]) {
    const [whole, cut] = [0, 1].map(() => partsOf(k, elements, (kernel, d, s) => elementwise(kernel, [], d, s), fma))
    for (const parts of [whole!, cut!]) for (const [id, data] of given) parts.floats(id).set(data)
    whole!.run()
    cut!.nests.forEach((nest, i) => scrambled(cut!.scheduled.nests[i]!.extent).forEach(part => nest(part, part + 1, 0)))
    elements.forEach((_, id) => assert.equal([...cut!.words(id)], [...whole!.words(id)], `buffer ${id} (fma ${fma})`))
    elements.forEach((_, id) =>
      whole!.floats(id).forEach((x, i) => {
        const y = Math.fround(expected[id]![i]!)
        assert.ok(Object.is(x, y) || Math.abs(x - y) <= tolerance * (1 + Math.abs(y)), `buffer ${id} element ${i}: ${x}, expected ${y}`)
      }),
    )
    extents.splice(0, Infinity, ...whole!.scheduled.nests.map(n => n.extent))
  }
  return { extents }
}

const sum = (vars: readonly ReturnType<typeof v>[], value: ReturnType<typeof load>, reduce: 'sum' | 'max' = 'sum') => ({ kind: 'reduce' as const, op: reduce, vars, value, dtype: 'f32' as const })

test('one long loop', () => {
  for (const n of [1, 3, 7, 17, 63, 65, 1000, 70001]) {
    const i = v(n)
    const at = variable(i)
    const { extents } = check(kernel([i], null, { buffer: 1, at, value: op('maximum', [op('mul', [load(0, at), num(3)]), num(0)]) }), [n, n])
    if (n > 70000) assert.ok(extents[0]! >= 8, 'a long loop is cut')
  }
})

test('in place, two stores', () => {
  const i = v(20003)
  const at = variable(i)
  const m = op('add', [op('mul', [load(1, at), num(0.9)]), load(0, at)])
  check(kernel([i], null, { buffer: 1, at, value: m }, { buffer: 2, at, value: op('sub', [load(2, at), op('tanh', [m])]) }), [20003, 20003, 20003])
})

test('few outer rows, inner loops of any length', () => {
  for (const [a, b, c] of [[3, 5, 7], [3, 1, 4099], [3, 65, 63], [2, 3, 20011], [1, 17, 17], [5, 300, 33]] as const) {
    const [i, j, k] = [v(a), v(b), v(c)]
    const at = ix(0, [b * c, i], [c, j], [1, k])
    // the second operand keeps the loops apart
    const value = op('exp', [op('mul', [load(0, ix(0, [b * c, i], [1, j], [b, k])), load(1, add(scale(variable(i), b), variable(j)))])])
    const { extents } = check(kernel([i, j, k], null, { buffer: 2, at, value }), [a * b * c, a * b, a * b * c], 1e-5)
    if (a * b * c > 40000) assert.ok(extents[0]! >= 8, `${a} x ${b} x ${c} has ${extents[0]} parts`)
  }
})

test('transposition', () => {
  for (const [m, n] of [[17, 65], [64, 64], [300, 130], [16, 1001], [19, 512], [63, 67]] as const) {
    const [i, j] = [v(m), v(n)]
    const turned = load(0, ix(0, [1, i], [m, j]))
    check(kernel([i, j], null, { buffer: 1, at: ix(0, [n, i], [1, j]), value: turned }), [m * n, m * n], 0)
    // beside what is not turned, and with two stores of which one decays
    check(kernel([i, j], null, { buffer: 1, at: ix(0, [n, i], [1, j]), value: op('sub', [turned, load(0, ix(0, [n, i], [1, j]))]) }), [m * n, m * n])
    const scaled = op('mul', [turned, load(1, variable(i))])
    check(kernel([i, j], null, { buffer: 2, at: ix(0, [n, i], [1, j]), value: scaled }, { buffer: 3, at: ix(2, [n, i], [1, j]), value: op('exp', [turned]) }), [m * n, m, m * n, m * n + 2])
  }
})

for (const reduce of ['sum', 'max'] as const)
  test(`${reduce} over rows, columns, all`, () => {
    for (const [m, n] of [[1, 1], [3, 7], [17, 63], [65, 17], [5, 3001], [3001, 5], [3, 40000], [40000, 3], [7, 65 * 65]] as const) {
      const [i, j] = [v(m), v(n)]
      const value = load(0, ix(0, [n, i], [1, j]))
      const r = { buffer: 1, value: op('add', [acc, num(1)]) }
      const rows = check(kernel([i], sum([j], value, reduce), { ...r, at: variable(i) }), [m * n, m], 1e-5)
      const columns = check(kernel([j], sum([i], value, reduce), { ...r, at: variable(j) }), [m * n, n], 1e-5)
      const all = check(kernel([], sum([i, j], value, reduce), { ...r, at: ix(0) }), [m * n, 1], 1e-5)
      if (m * n >= 120000) for (const { extents } of [rows, columns, all]) assert.ok(extents[0]! >= 8, `${m} x ${n}: ${extents}`)
    }
  })

test('NaN anywhere goes through max and min, of rows and of columns', () => {
  const [i, j] = [v(37), v(70)]
  for (const reduce of ['max', 'min'] as const)
    for (const [vars, over] of [[i, j], [j, i]] as const) {
      const r = { kind: 'reduce' as const, op: reduce, vars: [over], value: load(0, ix(0, [70, i], [1, j])), dtype: 'f32' as const }
      const parts = partsOf(kernel([vars], r, { buffer: 1, at: variable(vars), value: acc }), [37 * 70, vars.size], (k, d, s) => elementwise(k, [], d, s))
      const x = parts.floats(0)
      x.set(samples(37 * 70, 'f32'))
      for (const place of [0, 5, 69, 17 * 70 + 33, 36 * 70, 37 * 70 - 1]) x[place] = NaN
      parts.run()
      const [rows, columns] = [new Set([0, 17, 36]), new Set([0, 5, 69, 33])]
      parts.floats(1).forEach((y, k) => assert.is(Number.isNaN(y), (vars === i ? rows : columns).has(k), `${reduce} ${k}`))
    }
})

test('bias gradients: over batch and pixels', () => {
  for (const [batch, channels, pixels] of [[17, 3, 1023], [128, 3, 400], [7, 16, 4096], [100, 1, 997]] as const) {
    const [b, c, p] = [v(batch), v(channels), v(pixels)]
    const { extents } = check(kernel([c], sum([b, p], load(0, ix(0, [channels * pixels, b], [pixels, c], [1, p]))), { buffer: 1, at: variable(c), value: acc }), [batch * channels * pixels, channels], 1e-5)
    assert.ok(extents[0]! >= 5, `${extents}`)
  }
})

test('a scalar from windows with bounds, and products that are no matrix product', () => {
  const [y, x] = [v(200), v(301)]
  const inside = when([guard(ix(-1, [1, y]), 198), guard(ix(-3, [1, x]), 290)], load(0, ix(-290 - 3, [290, y], [1, x])), num(2))
  check(kernel([], { kind: 'reduce', op: 'sum', vars: [y, x], value: op('mul', [inside, inside]), dtype: 'f32' }, { buffer: 1, at: ix(0), value: op('sqrt', [acc]) }), [198 * 290, 1], 4e-6)
  for (const n of [5, 63, 1001, 100003]) {
    const i = v(n)
    check(kernel([], product([i], load(0, variable(i)), load(1, ix(n - 1, [-1, i]))), { buffer: 2, at: ix(0), value: acc }), [n, n, 1], 4e-6)
  }
})

test('strided and split indices', () => {
  for (const stride of [2, 3, 4, 5])
    for (const n of [7, 63, 1000]) {
      const [i, j] = [v(5), v(n)]
      const wide = n * stride
      check(kernel([i, j], null, { buffer: 1, at: ix(0, [n, i], [1, j]), value: op('sub', [load(0, ix(1, [wide, i], [stride, j])), load(0, ix(0, [wide, i], [stride, j]))]) }), [5 * wide, 5 * n])
      check(kernel([i, j], sum([], load(0, ix(0))), { buffer: 1, at: ix(0, [n, i], [1, j]), value: acc }), [1, 5 * n])
    }
})

test('what decays becomes 0, not subnormal; sums and copies keep what they get', () => {
  for (const n of [3, 64, 67]) {
    const i = v(n)
    const at = variable(i)
    const average = op('add', [op('mul', [load(0, at), num(0.9)]), op('mul', [load(1, at), num(0.1)])])
    const parts = partsOf(kernel([i], null, { buffer: 0, at, value: average }, { buffer: 2, at, value: op('mul', [average, load(1, at)]) }, { buffer: 3, at, value: op('maximum', [load(1, at), num(0)]) }), [n, n, n, n], (k, d, s) => elementwise(k, [], d, s))
    parts.floats(0).fill(1e-38)
    parts.floats(1).fill(1e-40)
    parts.run()
    assert.ok(parts.floats(0).every(x => x === 0) && parts.floats(2).every(x => x === 0) && parts.floats(3).every(x => x === Math.fround(1e-40)))
    parts.floats(0).fill(2e-38)
    parts.run()
    assert.ok(parts.floats(0).every(x => x > 1.8e-38 && x < 1.82e-38))
  }
})

test.run()
