/** Products on a grid of workgroups: tiles in workgroup memory, run by the interpreter of dispatches, against the float64 interpreter of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Index, Kernel, Plan, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { product as tiled, productBy } from '../../../compiler/schedule/gpu/product/product.ts'
import { type Cut, type Size, columnsOf, cutsFor, rowsOf, threadsOf, tilesOf } from '../../../compiler/schedule/gpu/product/tiles.ts'
import type { Dispatched } from '../../../compiler/schedule/gpu/dispatch.ts'
import { acc, buffers, guard, ix, kernel, load, num, op, planOf, product, v, when } from '../wasm/plans.ts'
import { type Schedule, dialect, disagreement, filled, namesFor } from './run.ts'

type Choose = (size: Size) => Cut
/** By the best tile, worthwhile or not, or by one that is asked for. */
const byTiles = (choose: Choose = size => cutsFor(size)[0]!): Schedule => (k, counters, d, names) => {
  const made = productBy(k, choose, counters, d, names)
  if (made === null) throw new RangeError('no tile fits')
  return [made]
}
const agree = (plan: Plan, tolerance = 2e-5, choose?: Choose): void => assert.is(disagreement(plan, tolerance, filled(plan), byTiles(choose)), '')
const only = (plan: Plan): Kernel => {
  const [k] = plan.steps
  if (k?.kind !== 'kernel') throw new RangeError('not a kernel')
  return k
}
const made = (plan: Plan, choose?: Choose): Dispatched => byTiles(choose)(only(plan), [], dialect, namesFor(plan.buffers.length))[0]!

type Layout = readonly [left: 0 | 1, right: 0 | 1, result: 0 | 1]
const matmul = (m: number, n: number, k: number, [ta, tb, to]: Layout = [0, 0, 0]): Plan => {
  const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const a = load(0, ta ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l]))
  const b = load(1, tb ? ix(0, [k, j], [1, l]) : ix(0, [n, l], [1, j]))
  const at = to ? ix(0, [m, j], [1, i]) : ix(0, [n, i], [1, j])
  return planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], a, b), { buffer: 2, at, value: acc }))
}
const layouts: readonly Layout[] = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]]

test('matrix products in all layouts', () => {
  for (const [m, n, k] of [[1, 1, 1], [3, 3, 3], [17, 33, 9]] as const) for (const layout of layouts) agree(matmul(m, n, k, layout))
  agree(matmul(64, 64, 64))
  agree(matmul(65, 65, 65))
  agree(matmul(100, 70, 130))
})

test('every tile, with edges in both directions and a last turn that is not full', () => {
  const size: Size = { batch: 1, rows: 68, columns: 132, steps: 21, elements: 1e5, beside: [true, true], taps: 1, costs: [4, 4] }
  const all = cutsFor(size)
  assert.ok(all.length >= 15)
  all.forEach(({ tile }, i) => {
    // one tile and a bit of the next, in one direction at least
    const [m, n] = [Math.min(rowsOf(tile), 48) + 3, Math.min(columnsOf(tile), 48) + 4]
    agree(matmul(m, n, 21, i % 2 === 0 ? [0, 1, 0] : [1, 0, 0]), 2e-5, () => ({ tile, parts: 1 }))
  })
})

test('vectors where memory allows them, from global memory and to it', () => {
  const quads = (layout: Layout, n = 64): readonly number[] => [...made(matmul(64, n, 16, layout)).dispatches[0]!.quads].sort()
  assert.equal(quads([1, 0, 0]), [0, 1, 2])
  assert.equal(quads([0, 0, 0]), [1, 2])
  assert.equal(quads([0, 1, 0]), [2])
  assert.equal(quads([1, 0, 0], 66), [0])
})

test('a prologue on each side, a bias, an activation, a second store and one in place', () => {
  for (const [m, n, k] of [[20, 36, 11], [33, 18, 20]] as const) {
    const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
    const a = op('maximum', [load(0, ix(0, [k, i], [1, l])), num(0)])
    const b = op('mul', [load(1, ix(0, [n, l], [1, j])), op('add', [load(2, variable(j)), num(1)])])
    const at = ix(0, [n, i], [1, j])
    const pre = op('add', [op('add', [acc, load(2, variable(j))]), load(3, at)])
    const stores = [{ buffer: 3, at, value: pre }, { buffer: 4, at, value: op('sigmoid', [pre]) }]
    agree(planOf(buffers(m * k, k * n, n, m * n, m * n), kernel([i, j], product([l], a, b), ...stores)), 3e-5)
  }
})

test('batches, with and without a shared operand, and in a loop', () => {
  for (const [s, m, n, k] of [[3, 5, 8, 9], [2, 16, 24, 8]] as const) {
    const [b, i, j, l, t] = [v(s, 'b'), v(m, 'i'), v(n, 'j'), v(k, 'l'), v(2, 't')]
    const at = ix(0, [m * n, b], [n, i], [1, j])
    const x = load(0, ix(0, [m * k, b], [k, i], [1, l]))
    for (const y of [ix(0, [k * n, b], [n, l], [1, j]), ix(0, [n, l], [1, j])])
      agree(planOf(buffers(s * m * k, s * k * n, s * m * n), kernel([b, i, j], product([l], x, load(1, y)), { buffer: 2, at, value: acc })))
    // weights of turn 1 - t, results of turn t
    const w = load(1, ix(k * n, [-k * n, t], [n, l], [1, j]))
    const out = { buffer: 2, at: add(at, scale(variable(t), s * m * n)), value: op('add', [acc, load(3, variable(t))]) }
    agree(planOf(buffers(s * m * k, 2 * k * n, 2 * s * m * n, 2), { kind: 'loop', counter: t, steps: [kernel([b, i, j], product([l], x, w), out)] }))
  }
})

test('a long sum over few results: parts, added in order by a second dispatch', () => {
  for (const [m, n, k, layout] of [[20, 40, 1300, [0, 1, 0]], [36, 32, 1031, [1, 0, 0]], [5, 65, 600, [0, 1, 1]]] as const) {
    const size: Size = { batch: 1, rows: m, columns: n, steps: k, elements: 1e5, beside: [true, true], taps: 1, costs: [4, 4] }
    const { tile } = cutsFor(size)[0]!
    const cut: Choose = () => ({ tile, parts: 6 })
    const { dispatches, scratch } = made(matmul(m, n, k, layout), cut)
    assert.is(dispatches.length, 2)
    const turns = Math.ceil(k / tile.depth)
    assert.is(dispatches[0]!.nest.extent, tilesOf(size, tile) * Math.ceil(turns / Math.ceil(turns / 6)))
    assert.is(scratch[0]!.bytes, 4 * dispatches[0]!.nest.extent * rowsOf(tile) * columnsOf(tile))
    agree(matmul(m, n, k, layout), 1e-4, cut)
  }
})

test('the stores of a sum in parts: batches, a bias, in place', () => {
  const [s, m, n, k] = [2, 9, 12, 520]
  const [b, i, j, l] = [v(s, 'b'), v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const at = ix(0, [m * n, b], [n, i], [1, j])
  const x = load(0, ix(0, [m * k, b], [k, i], [1, l]))
  const out = { buffer: 3, at, value: op('maximum', [op('add', [op('add', [acc, load(2, variable(j))]), load(3, at)]), num(0)]) }
  const plan = planOf(buffers(s * m * k, k * n, n, s * m * n), kernel([b, i, j], product([l], x, load(1, ix(0, [n, l], [1, j]))), out))
  agree(plan, 1e-4, size => ({ tile: cutsFor(size)[0]!.tile, parts: 3 }))
})

type Conv = { readonly [name in 'n' | 'c' | 'o' | 'h' | 'k' | 'stride' | 'pad' | 'dilation']: number }
const outSize = ({ h, k, stride, pad, dilation }: Conv): number => Math.floor((h + 2 * pad - dilation * (k - 1) - 1) / stride) + 1
/** p * stride + k * dilation - pad */
const window = (p: Var, k: Var, { stride, dilation, pad }: Conv): Index => shift(add(scale(variable(p), stride), scale(variable(k), dilation)), -pad)
const div = (of: Index, by: number): Index => (by === 1 ? of : { offset: 0, terms: [{ coef: 1, atom: { kind: 'div', of, by } }] })
/** q + pad - k * dilation: stride times the place of an output that reads input q. */
const back = (q: Var, k: Var, { dilation, pad }: Conv): Index => shift(add(variable(q), scale(variable(k), -dilation)), pad)
const image = (buffer: number, plane: Index, rows: Index, columns: Index, h: number): Expr =>
  load(buffer, add(scale(plane, h * h), add(scale(rows, h), columns)))

/** A convolution with bias and activation, the gradient by its input, and the one by its weights. */
const convolution = (spec: Conv): readonly [Plan, Plan, Plan] => {
  const { n, c, o, h, k, stride } = spec
  const p = outSize(spec)
  const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')]
  const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
  const input = when([guard(rows, h), guard(columns, h)], image(0, ix(0, [c, b], [1, ci]), rows, columns, h))
  const at = ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx])
  const place = ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x])
  const value = op('maximum', [op('add', [acc, load(2, variable(f))]), num(0)])
  const forward = kernel([b, f, y, x], product([ci, ky, kx], load(1, at), input), { buffer: 3, at: place, value })
  const [qy, qx] = [v(h, 'qy'), v(h, 'qx')]
  const [up, left] = [back(qy, ky, spec), back(qx, kx, spec)]
  const below = (p - 1) * stride + 1
  const gradient = when([guard(up, below, stride), guard(left, below, stride)], image(3, ix(0, [o, b], [1, f]), div(up, stride), div(left, stride), p))
  const whole = ix(0, [c * h * h, b], [h * h, ci], [h, qy], [1, qx])
  const byInput = kernel([b, ci, qy, qx], product([f, ky, kx], gradient, load(1, at)), { buffer: 0, at: whole, value: acc })
  const byWeight = kernel([f, ci, ky, kx], product([b, y, x], input, load(3, place)), { buffer: 1, at, value: acc })
  const plan = (step: Kernel): Plan => planOf(buffers(n * c * h * h, o * c * k * k, o, n * o * p * p), step)
  return [plan(forward), plan(byInput), plan(byWeight)]
}
const conv = (n: number, c: number, o: number, h: number, k: number, stride: number, pad: number, dilation = 1): Conv =>
  ({ n, c, o, h, k, stride, pad, dilation })

test('convolutions with padding, strides and dilation, and their gradients', () => {
  for (const spec of [conv(2, 3, 5, 9, 3, 1, 1), conv(2, 4, 8, 8, 4, 2, 1), conv(1, 2, 3, 11, 3, 2, 2, 2), conv(2, 3, 16, 6, 1, 1, 0)]) {
    const [forward, byInput, byWeight] = convolution(spec)
    agree(forward)
    // where residues are not alike, the kernel is parted first
    if (spec.stride === 1 || spec.dilation === 1) agree(byInput)
    agree(byWeight, 4e-5)
    agree(byWeight, 4e-5, size => ({ tile: cutsFor(size)[0]!.tile, parts: 2 }))
  }
})

test('strided input gradients: residues are batches, and no step is left that is always zero', () => {
  const [, byInput] = convolution(conv(2, 4, 8, 8, 4, 2, 1))
  let asked: Size | undefined
  agree(byInput, 2e-5, size => {
    asked = size
    return cutsFor(size)[0]!
  })
  assert.equal([asked?.batch, asked?.rows, asked?.columns, asked?.steps], [4, 4, 2 * 4 * 4, 8 * 2 * 2])
  // strides of 3 with a kernel of 4: residues differ
  assert.is(productBy(only(convolution(conv(1, 2, 3, 9, 4, 3, 0))[1]), size => cutsFor(size)[0]!, [], dialect, namesFor(4)), null)
})

test('weights of a sequence each, strided backwards, as a decoder has them, and grouped convolutions', () => {
  const [s, n, c, o, p] = [2, 2, 3, 4, 4]
  const [q, b, f, y, x, ci, ky, kx] = [v(s, 'q'), v(n, 'b'), v(o, 'f'), v(2 * p, 'y'), v(2 * p, 'x'), v(c, 'c'), v(4, 'ky'), v(4, 'kx')]
  const spec = conv(n, c, o, p, 4, 2, 1)
  const [up, left] = [back(y, ky, spec), back(x, kx, spec)]
  const input = when([guard(up, 2 * p - 1, 2), guard(left, 2 * p - 1, 2)], image(0, ix(0, [n * c, q], [c, b], [1, ci]), div(up, 2), div(left, 2), p))
  const at = ix(0, [c * o * 16, q], [o * 16, ci], [16, f], [4, ky], [1, kx])
  const place = ix(0, [n * o * 4 * p * p, q], [o * 4 * p * p, b], [4 * p * p, f], [2 * p, y], [1, x])
  const all = buffers(s * n * c * p * p, s * c * o * 16, s * n * o * 4 * p * p)
  agree(planOf(all, kernel([q, b, f, y, x], product([ci, ky, kx], load(1, at), input), { buffer: 2, at: place, value: acc })))
  agree(planOf(all, kernel([q, ci, f, ky, kx], product([b, y, x], load(2, place), input), { buffer: 1, at, value: acc })), 4e-5)
  const [g, cg, og, h] = [3, 4, 5, 7]
  const grouped = conv(n, cg, og, h, 3, 2, 1)
  const e = outSize(grouped)
  const [gq, gf, gy, gx, gc, gky, gkx] = [v(g, 'g'), v(og, 'f'), v(e, 'y'), v(e, 'x'), v(cg, 'c'), v(3, 'ky'), v(3, 'kx')]
  const [gr, gcol] = [window(gy, gky, grouped), window(gx, gkx, grouped)]
  const gin = when([guard(gr, h), guard(gcol, h)], image(0, ix(0, [g * cg, b], [cg, gq], [1, gc]), gr, gcol, h))
  const weight = load(1, ix(0, [og * cg * 9, gq], [cg * 9, gf], [9, gc], [3, gky], [1, gkx]))
  const out = ix(0, [g * og * e * e, b], [og * e * e, gq], [e * e, gf], [e, gy], [1, gx])
  const each = kernel([b, gq, gf, gy, gx], product([gc, gky, gkx], gin, weight), { buffer: 2, at: out, value: acc })
  agree(planOf(buffers(n * g * cg * h * h, g * og * cg * 9, n * g * og * e * e), each))
})

test('few rows or columns: what serves one thread alone passes by workgroup memory', () => {
  const straight: Choose = size => ({ tile: cutsFor(size).find(({ tile }) => tile.down === 1)!.tile, parts: 1 })
  const shared = (plan: Plan): number => made(plan, straight).dispatches[0]!.shared.length
  assert.is(shared(matmul(3, 512, 40)), 1)
  // columns that lie far apart in memory are read by threads beside each other, along the sum
  assert.is(shared(matmul(3, 512, 40, [0, 1, 0])), 2)
  agree(matmul(3, 262, 21), 2e-5, straight)
  agree(convolution(conv(1, 3, 5, 18, 4, 2, 1))[1], 2e-5, straight)
  agree(convolution(conv(1, 2, 3, 17, 3, 1, 1))[0], 2e-5, straight)
})

test('what is left to other schedules', () => {
  const fits = (plan: Plan): boolean => tiled(only(plan), [], dialect, namesFor(plan.buffers.length)) !== null
  assert.ok(fits(matmul(64, 64, 64)))
  assert.ok(fits(matmul(20, 40, 4096)))
  assert.not(fits(matmul(1, 4096, 512)))
  assert.not(fits(matmul(4096, 2, 512)))
  assert.not(fits(matmul(512, 512, 4)))
  assert.not(fits(matmul(8, 8, 8)))
})

test('enough workgroups, within the limits of every device', () => {
  const sizes = [[4096, 4096, 4096], [32, 512, 300_000], [20, 40, 2_000_000], [20, 2048, 512], [64, 10_000, 500], [3, 100_000, 256], [1024, 1024, 64]] as const
  for (const [rows, columns, steps] of sizes) {
    const cuts = cutsFor({ batch: 1, rows, columns, steps, elements: steps * (rows + columns) + rows * columns, beside: [true, true], taps: 1, costs: [4, 4] })
    for (const { tile, parts } of cuts) {
      assert.ok(threadsOf(tile) <= 256 && threadsOf(tile) >= 64)
      const held = Math.ceil(rows / rowsOf(tile)) * Math.ceil(columns / columnsOf(tile)) * rowsOf(tile) * columnsOf(tile)
      assert.ok(parts === 1 || 4 * held * parts <= 64 * 2 ** 20)
      assert.ok(parts === 1 || steps / parts >= 200)
    }
    const [{ tile, parts }] = cuts as readonly [Cut]
    const groups = Math.ceil(rows / rowsOf(tile)) * Math.ceil(columns / columnsOf(tile)) * parts
    assert.ok(groups >= 100 || steps < 1000, `${rows} x ${columns} x ${steps}: ${groups} workgroups`)
  }
})

test.run()
