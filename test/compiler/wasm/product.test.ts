/** Kernels with a product (matrix products, convolutions and their gradients), compiled to WebAssembly, against the float64 interpreter of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Index, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { phases } from '../../../compiler/schedule/kernel/phases.ts'
import { packed } from '../../../compiler/schedule/product/product.ts'
import { emitWasm } from '../../../compiler/targets/wasm/index.ts'
import { mostThreads } from '../../../runtime/manifest.ts'
import { partsOf } from './nests.ts'
import { acc, buffers, disagreement, guard, ix, kernel, layout, load, num, op, planOf, product, samples, v, when } from './plans.ts'

// sums of up to a few hundred products of values in [-2, 2)
const agree = (plan: Parameters<typeof disagreement>[0], tolerance = 2e-5): void => assert.is(disagreement(plan, tolerance), '')

const sizes = [[1, 1, 1], [3, 5, 7], [4, 8, 16], [17, 19, 23], [65, 33, 40], [64, 64, 64], [1, 65, 30], [65, 1, 30], [2, 40, 9], [5, 130, 3]] as const

test('matrix products in all layouts', () => {
  for (const [m, n, k] of sizes)
    for (const [ta, tb, to] of [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]] as const) {
      const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
      const a = load(0, ta ? ix(0, [m, l], [1, i]) : ix(0, [k, i], [1, l]))
      const b = load(1, tb ? ix(0, [k, j], [1, l]) : ix(0, [n, l], [1, j]))
      agree(planOf(buffers(m * k, k * n, m * n), kernel([i, j], product([l], a, b), { buffer: 2, at: to ? ix(0, [m, j], [1, i]) : ix(0, [n, i], [1, j]), value: acc })))
    }
})

test('a prologue on each side, a bias, an activation and a second store', () => {
  for (const [m, n, k] of sizes) {
    const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
    const a = op('maximum', [load(0, ix(0, [k, i], [1, l])), num(0)])
    const b = op('mul', [load(1, ix(0, [n, l], [1, j])), op('add', [load(2, variable(j)), num(1)])])
    const pre = op('add', [acc, load(2, variable(j))])
    const at = ix(0, [n, i], [1, j])
    agree(planOf(buffers(m * k, k * n, n, m * n, m * n), kernel([i, j], product([l], a, b), { buffer: 3, at, value: pre }, { buffer: 4, at, value: op('sigmoid', [pre]) })), 3e-5)
  }
})

test('batched products, with and without a shared operand', () => {
  for (const [s, m, n, k] of [[3, 5, 7, 9], [2, 16, 24, 8], [4, 1, 17, 33], [3, 9, 20, 1]] as const) {
    const [b, i, j, l] = [v(s, 'b'), v(m, 'i'), v(n, 'j'), v(k, 'l')]
    const out = { buffer: 2, at: ix(0, [m * n, b], [n, i], [1, j]), value: acc }
    const x = load(0, ix(0, [m * k, b], [k, i], [1, l]))
    agree(planOf(buffers(s * m * k, s * k * n, s * m * n), kernel([b, i, j], product([l], x, load(1, ix(0, [k * n, b], [n, l], [1, j]))), out)))
    agree(planOf(buffers(s * m * k, k * n, s * m * n), kernel([b, i, j], product([l], x, load(1, ix(0, [n, l], [1, j]))), out)))
  }
})

type Conv = { readonly n: number; readonly c: number; readonly o: number; readonly h: number; readonly k: number; readonly stride: number; readonly pad: number; readonly dilation: number }
const outSize = ({ h, k, stride, pad, dilation }: Conv): number => Math.floor((h + 2 * pad - dilation * (k - 1) - 1) / stride) + 1
/** p * stride + k * dilation - pad */
const window = (p: Var, k: Var, { stride, dilation, pad }: Conv): Index => shift(add(scale(variable(p), stride), scale(variable(k), dilation)), -pad)
const div = (of: Index, by: number): Index => (by === 1 ? of : { offset: 0, terms: [{ coef: 1, atom: { kind: 'div', of, by } }] })
/** (q + pad - k * dilation) / stride, the place of an output that reads input q. */
const back = (q: Var, k: Var, { stride, dilation, pad }: Conv): Index => shift(add(variable(q), scale(variable(k), -dilation)), pad)

const image = (buffer: number, plane: Index, rows: Index, columns: Index, h: number): Expr =>
  load(buffer, add(scale(plane, h * h), add(scale(rows, h), columns)))

const convs: readonly Conv[] = [
  { n: 2, c: 3, o: 5, h: 9, k: 3, stride: 1, pad: 1, dilation: 1 },
  { n: 2, c: 4, o: 8, h: 8, k: 4, stride: 2, pad: 1, dilation: 1 },
  { n: 1, c: 2, o: 3, h: 11, k: 3, stride: 2, pad: 2, dilation: 2 },
  { n: 3, c: 1, o: 2, h: 7, k: 4, stride: 3, pad: 0, dilation: 1 },
  { n: 2, c: 3, o: 16, h: 12, k: 1, stride: 1, pad: 0, dilation: 1 },
]

test('convolution with bias and activation', () => {
  for (const spec of convs) {
    const { n, c, o, h, k } = spec
    const p = outSize(spec)
    const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')]
    const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
    const input = when([guard(rows, h), guard(columns, h)], image(0, ix(0, [c, b], [1, ci]), rows, columns, h))
    const weight = load(1, ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]))
    const at = ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x])
    for (const [l, r] of [[input, weight], [weight, input]] as const)
      agree(planOf(buffers(n * c * h * h, o * c * k * k, o, n * o * p * p), kernel([b, f, y, x], product([ci, ky, kx], l, r), { buffer: 3, at, value: op('maximum', [op('add', [acc, load(2, variable(f))]), num(0)]) })))
  }
})

test('the input gradient of a convolution: divisibility guards', () => {
  for (const spec of convs) {
    const { n, c, o, h, k, stride } = spec
    const p = outSize(spec)
    const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(h, 'y'), v(h, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')]
    const [rows, columns] = [back(y, ky, spec), back(x, kx, spec)]
    const gradient = when([guard(rows, (p - 1) * stride + 1, stride), guard(columns, (p - 1) * stride + 1, stride)], image(0, ix(0, [o, b], [1, f]), div(rows, stride), div(columns, stride), p))
    const weight = load(1, ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]))
    agree(planOf(buffers(n * o * p * p, o * c * k * k, n * c * h * h), kernel([b, ci, y, x], product([f, ky, kx], gradient, weight), { buffer: 2, at: ix(0, [c * h * h, b], [h * h, ci], [h, y], [1, x]), value: acc })))
  }
})

test('the weight gradient of a convolution', () => {
  for (const spec of convs) {
    const { n, c, o, h, k } = spec
    const p = outSize(spec)
    const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')]
    const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
    const input = when([guard(rows, h), guard(columns, h)], image(0, ix(0, [c, b], [1, ci]), rows, columns, h))
    const gradient = load(1, ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x]))
    agree(planOf(buffers(n * c * h * h, n * o * p * p, o * c * k * k), kernel([f, ci, ky, kx], product([b, y, x], input, gradient), { buffer: 2, at: ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]), value: acc })), 4e-5)
  }
})

test('grouped and depthwise convolution', () => {
  for (const [n, g, cg, og, h, k] of [[2, 2, 3, 4, 7, 3], [1, 6, 1, 1, 12, 4], [2, 8, 1, 2, 9, 3]] as const) {
    const spec: Conv = { n, c: cg, o: og, h, k, stride: 2, pad: 1, dilation: 1 }
    const p = outSize(spec)
    const [b, q, f, y, x, ci, ky, kx] = [v(n, 'b'), v(g, 'g'), v(og, 'f'), v(p, 'y'), v(p, 'x'), v(cg, 'c'), v(k, 'ky'), v(k, 'kx')]
    const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
    const input = when([guard(rows, h), guard(columns, h)], image(0, ix(0, [g * cg, b], [cg, q], [1, ci]), rows, columns, h))
    const weight = load(1, ix(0, [og * cg * k * k, q], [cg * k * k, f], [k * k, ci], [k, ky], [1, kx]))
    agree(planOf(buffers(n * g * cg * h * h, g * og * cg * k * k, n * g * og * p * p), kernel([b, q, f, y, x], product([ci, ky, kx], input, weight), { buffer: 2, at: ix(0, [g * og * p * p, b], [og * p * p, q], [p * p, f], [p, y], [1, x]), value: acc })))
  }
})

test('long reductions go block by block, wide results too', () => {
  for (const [m, n, k] of [[4, 8, 1300], [5, 9, 2501], [4, 1700, 64], [1700, 8, 64], [3, 1701, 61]] as const) {
    const [i, j, l] = [v(m, 'i'), v(n, 'j'), v(k, 'l')]
    agree(planOf(buffers(m * k, k * n, n, m * n), kernel([i, j], product([l], load(0, ix(0, [k, i], [1, l])), load(1, ix(0, [n, l], [1, j]))), { buffer: 3, at: ix(0, [n, i], [1, j]), value: op('add', [acc, load(2, variable(j))]) })), 1e-4)
  }
})

test('wide images: the inside of a window runs without checks', () => {
  for (const [h, stride, pad] of [[20, 1, 1], [18, 2, 1], [23, 1, 2]] as const) {
    const spec: Conv = { n: 4, c: 2, o: 4, h, k: 3, stride, pad, dilation: 1 }
    const { n, c, o, k } = spec
    const p = outSize(spec)
    const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(p, 'y'), v(p, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')]
    const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
    const input = op('maximum', [when([guard(rows, h), guard(columns, h)], image(0, ix(0, [c, b], [1, ci]), rows, columns, h)), num(-1)])
    const weight = load(1, ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]))
    const gradient = load(2, ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x]))
    const all = buffers(n * c * h * h, o * c * k * k, n * o * p * p, n * o * p * p, o * c * k * k)
    agree(planOf(all, kernel([b, f, y, x], product([ci, ky, kx], input, weight), { buffer: 3, at: ix(0, [o * p * p, b], [p * p, f], [p, y], [1, x]), value: acc })))
    agree(planOf(all, kernel([f, ci, ky, kx], product([b, y, x], input, gradient), { buffer: 4, at: ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]), value: acc })), 1e-4)
  }
})

test('strided input gradients leave no divisibility check, and no step that is always zero', () => {
  const spec = convs[1]!
  const { n, c, o, h, k, stride } = spec
  const p = outSize(spec)
  const [b, f, y, x, ci, ky, kx] = [v(n, 'b'), v(o, 'f'), v(h, 'y'), v(h, 'x'), v(c, 'c'), v(k, 'ky'), v(k, 'kx')]
  const [rows, columns] = [back(y, ky, spec), back(x, kx, spec)]
  const below = (p - 1) * stride + 1
  const gradient = when([guard(rows, below, stride), guard(columns, below, stride)], image(0, ix(0, [o, b], [1, f]), div(rows, stride), div(columns, stride), p))
  const whole = kernel([b, ci, y, x], product([f, ky, kx], gradient, load(1, ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx]))), { buffer: 2, at: ix(0, [c * h * h, b], [h * h, ci], [h, y], [1, x]), value: acc })
  let last = 1e6
  const parts = phases(whole, () => (last += 1), () => 1)
  const work = (q: typeof whole): number => [...q.vars, ...q.reduction!.vars].reduce((w, x) => w * x.size, 1)
  assert.is(parts.length, stride ** 2)
  assert.is(parts.reduce((w, q) => w + work(q), 0), work(whole) / stride ** 2)
  for (const { reduction } of parts) {
    const e = reduction?.kind === 'product' ? reduction.a : undefined
    assert.ok(e?.kind === 'when' && e.guards.every(g => g.by === 1) && e.then.kind === 'load' && e.then.at.terms.every(t => t.atom.kind === 'var'))
  }
})

test('the same bits wherever the parts of a product are cut, and in any order', () => {
  // blocks of columns and of rows, batches, parts of the sum
  for (const [s, m, n, k] of [[1, 65, 260, 300], [1, 300, 40, 1100], [3, 40, 200, 33], [1, 17, 18, 5000], [2, 12, 16, 9001], [20, 9, 20, 65]] as const) {
    const [b, i, j, l] = [v(s, 'b'), v(m, 'i'), v(n, 'j'), v(k, 'l')]
    const sum = product([l], load(0, ix(0, [m * k, b], [k, i], [1, l])), load(1, ix(0, [k * n, b], [n, l], [1, j])))
    const body = kernel([b, i, j], sum, { buffer: 2, at: ix(0, [m * n, b], [n, i], [1, j]), value: op('add', [acc, load(3, variable(j))]) })
    agree(planOf(buffers(s * m * k, s * k * n, s * m * n, n), body), 2e-4)
    let last = 1e6
    const make = () => {
      const parts = partsOf(body, [s * m * k, s * k * n, s * m * n, n], (kernel, dialect, space) => packed(kernel, [], dialect, space, () => (last += 1))!)
      for (const id of [0, 1, 3]) parts.floats(id).set(samples(parts.floats(id).length, 'f32', id + 1))
      return parts
    }
    const [whole, cut] = [make(), make()]
    whole.run()
    cut.scheduled.nests.forEach(({ extent }, at) => {
      for (let p = extent - 1; p >= 0; p -= 1) if (p % 3 === 1) cut.nests[at]!(p, p + 1, 0)
      for (let p = 0; p < extent; p += 1) if (p % 3 !== 1) cut.nests[at]!(p, p + 1, 0)
    })
    assert.ok(cut.scheduled.nests.some(nest => nest.extent >= 3))
    assert.equal(cut.words(2), whole.words(2), `${s} x ${m} x ${n} x ${k}`)
  }
})

test('panels of nothing but padding read nothing', () => {
  const [m, n, k, s] = [139, 19, 800, 3]
  const [b, i, j, l] = [v(s, 'b'), v(m, 'i'), v(n, 'j'), v(k, 'l')]
  const x = load(0, ix(0, [m * k, b], [m, l], [1, i]))
  const product3 = kernel([b, j, i], product([l], x, load(1, ix(0, [n, l], [1, j]))), { buffer: 2, at: ix(0, [m * n, b], [m, j], [1, i]), value: acc })
  const parts = partsOf(product3, [s * m * k, k * n, s * m * n], (given, d, space) => packed(given, [], d, space, () => 1e6)!)
  // another batch of the operand would lie beyond the end of the memory
  assert.ok(4 * (s + 1) * m * k > parts.memory.buffer.byteLength)
  parts.run()
})

test('own memory lies on one side of 2 GiB, where positions change their sign', () => {
  const [i, j, l] = [v(40), v(48), v(64)]
  const plan = planOf(buffers(40 * 64, 64 * 48, 40 * 48),
    kernel([i, j], product([l], load(0, ix(0, [64, i], [1, l])), load(1, ix(0, [48, l], [1, j]))), { buffer: 2, at: ix(0, [48, i], [1, j]), value: acc }))
  const { offsets } = layout(plan)
  const half = 2 ** 31
  for (const top of [half - 2 ** 24, half - 8192, half, half + 8192]) {
    const { memoryBytes, threadBytes } = emitWasm(plan, offsets, top, { fma: false })
    assert.ok(memoryBytes >= half || memoryBytes + mostThreads * threadBytes <= half, `${memoryBytes}`)
    assert.ok(memoryBytes < top + 2 ** 20)
  }
})

test('a product inside a loop reads and writes slices', () => {
  const [t, i, j, l] = [v(4, 't'), v(6, 'i'), v(20, 'j'), v(10, 'l')]
  const body = kernel([i, j], product([l], load(0, ix(0, [60, t], [10, i], [1, l])), load(1, ix(0, [20, l], [1, j]))), { buffer: 2, at: ix(360, [-120, t], [20, i], [1, j]), value: op('add', [acc, load(3, variable(j))]) })
  agree(planOf(buffers(240, 200, 480, 20), { kind: 'loop', counter: t, steps: [body] }))
})

test.run()
