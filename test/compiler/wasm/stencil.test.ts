/** Sums over small windows and their gradients, compiled to WebAssembly, against the float64 interpreter of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Index, Kernel, Reduction, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, indexing, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { stencil } from '../../../compiler/schedule/stencil/stencil.ts'
import { maths } from '../../../compiler/schedule/nest/maths.ts'
import { partsOf } from './nests.ts'
import { acc, buffers, disagreement, guard, ix, kernel, load, num, op, planOf, product, samples, v, when } from './plans.ts'

const dialect = { unit: 4, maths }
const taken = (k: Kernel, counters: readonly Var[] = []): boolean => stencil(k, counters, dialect, 100) !== null
// sums of at most 25 products of values in [-2, 2)
const agree = (plan: Parameters<typeof disagreement>[0], what: string, tolerance = 1e-5): void => assert.is(disagreement(plan, tolerance), '', what)

type Spec = { readonly n: number; readonly c: number; readonly h: number; readonly w: number; readonly ky: number; readonly kx: number; readonly stride: number; readonly pad: number; readonly dilation: number }
const outSize = (h: number, k: number, { stride, pad, dilation }: Spec): number => Math.floor((h + 2 * pad - dilation * (k - 1) - 1) / stride) + 1
const algebra = indexing(() => 1 << 20)
/** floor(of / by) for an index from -8 * by on. */
const div = (of: Index, by: number): Index => shift(algebra.div(shift(of, 8 * by), by), -8)

type Parts = { readonly prologue?: (x: Expr) => Expr; readonly epilogue?: (at: Index) => Expr; readonly shared?: boolean; readonly inPlace?: boolean }
/** Buffers: image, weights, result, and one more of the result's size. */
type Made = { readonly all: ReturnType<typeof buffers>; readonly kernel: Kernel; readonly sizes: readonly number[] }
const made = (vars: readonly Var[], reduction: Reduction, sizes: readonly number[], at: Index, { epilogue, inPlace }: Parts): Made => {
  const result = inPlace === true ? 3 : 2
  const second = epilogue === undefined || inPlace === true ? [] : [{ buffer: 4, at, value: op('mul', [acc, num(0.5)]) }]
  const all = [...sizes, ...(second.length === 0 ? [] : [sizes[2]!])]
  return { all: buffers(...all), sizes: all, kernel: kernel(vars, reduction, { buffer: result, at, value: epilogue === undefined ? acc : epilogue(at) }, ...second) }
}

/** Every channel of every image through a window of its own (`shared`: of all). */
const forward = (spec: Spec, parts: Parts = {}): Made => {
  const { n, c, h, w, ky, kx, stride, pad, dilation } = spec
  const [p, q] = [outSize(h, ky, spec), outSize(w, kx, spec)]
  const [b, f, y, x, i, j] = [v(n, 'b'), v(c, 'c'), v(p, 'y'), v(q, 'x'), v(ky, 'i'), v(kx, 'j')]
  const [rows, columns] = [ix(-pad, [stride, y], [dilation, i]), ix(-pad, [stride, x], [dilation, j])]
  const pixel = load(0, add(ix(0, [c * h * w, b], [h * w, f]), add(scale(rows, w), columns)))
  const inside = (e: Expr): Expr => (pad === 0 ? e : when([guard(rows, h), guard(columns, w)], e))
  const weight = load(1, parts.shared === true ? ix(0, [kx, i], [1, j]) : ix(0, [ky * kx, f], [kx, i], [1, j]))
  const image = parts.prologue === undefined ? inside(pixel) : parts.prologue(inside(parts.prologue(pixel)))
  return made([b, f, y, x], product([i, j], weight, image), [n * c * h * w, c * ky * kx, n * c * p * q, n * c * p * q], ix(0, [c * p * q, b], [p * q, f], [q, y], [1, x]), parts)
}

/** Its input gradient: a stride going backwards. */
const backward = (spec: Spec, parts: Parts = {}): Made => {
  const { n, c, h, w, ky, kx, stride, pad, dilation } = spec
  const [p, q] = [outSize(h, ky, spec), outSize(w, kx, spec)]
  const [b, f, y, x, i, j] = [v(n, 'b'), v(c, 'c'), v(h, 'y'), v(w, 'x'), v(ky, 'i'), v(kx, 'j')]
  const [rows, columns] = [ix(pad, [1, y], [-dilation, i]), ix(pad, [1, x], [-dilation, j])]
  const pixel = load(0, add(ix(0, [c * p * q, b], [p * q, f]), add(scale(div(rows, stride), q), div(columns, stride))))
  const image = when([guard(rows, (p - 1) * stride + 1, stride), guard(columns, (q - 1) * stride + 1, stride)], parts.prologue?.(pixel) ?? pixel)
  const weight = load(1, parts.shared === true ? ix(0, [kx, i], [1, j]) : ix(0, [ky * kx, f], [kx, i], [1, j]))
  return made([b, f, y, x], product([i, j], image, weight), [n * c * p * q, c * ky * kx, n * c * h * w, n * c * h * w], ix(0, [c * h * w, b], [h * w, f], [w, y], [1, x]), parts)
}

const leaky = (x: Expr): Expr => op('select', [op('gt', [x, num(0)], 'bool'), x, op('mul', [x, num(0.01)])])
const masked: Parts = { epilogue: at => op('select', [op('gt', [load(3, at), num(0)], 'bool'), acc, op('mul', [acc, num(0.01)])]) }
const inPlace: Parts = { epilogue: at => op('add', [op('mul', [load(3, at), num(0.5)]), acc]), inPlace: true }

const base: Spec = { n: 2, c: 3, h: 7, w: 7, ky: 3, kx: 3, stride: 1, pad: 1, dilation: 1 }
const both = (spec: Spec, parts: Parts = {}): void => {
  for (const [name, make] of [['forward', forward], ['backward', backward]] as const) {
    if (outSize(spec.h, spec.ky, spec) < 1 || outSize(spec.w, spec.kx, spec) < 1) return
    const { all, kernel } = make(spec, parts)
    agree(planOf(all, kernel), `${name} ${JSON.stringify(spec)}`)
  }
}

test('taps, strides and paddings', () => {
  for (const taps of [1, 2, 3, 4, 5])
    for (const stride of [1, 2, 3])
      for (const pad of [0, 1, 2]) both({ ...base, h: 9, w: 13, ky: taps, kx: taps, stride, pad })
})

test('sizes', () => {
  for (const size of [1, 3, 7, 17, 63, 65])
    for (const stride of [1, 2]) both({ ...base, n: 1, c: size > 20 ? 1 : 3, h: size, w: size, ky: 4, kx: 4, stride })
  for (const width of [4, 5, 6, 8, 9, 10, 11, 12, 14, 15, 16, 18, 22, 23]) for (const stride of [1, 2, 3]) both({ ...base, n: 1, c: 1, h: 5, w: width, stride })
})

test('dilation, windows that are not square, one channel', () => {
  for (const stride of [1, 2, 3]) both({ ...base, h: 12, w: 15, stride, dilation: 2 })
  for (const stride of [1, 2]) both({ ...base, h: 12, w: 15, stride, pad: 2, dilation: 3 })
  for (const [ky, kx] of [[1, 3], [3, 1], [2, 5], [5, 2]] as const) for (const stride of [1, 2]) both({ ...base, c: 1, h: 10, w: 11, ky, kx, stride })
  both({ ...base, n: 1, c: 1, h: 11, w: 12 })
})

test('what is done to the image before and to the sum after, two results, results in place', () => {
  for (const stride of [1, 2, 3])
    for (const w of [7, 12, 17]) {
      const spec = { ...base, w, stride }
      both(spec, { prologue: leaky })
      both(spec, masked)
      both(spec, { ...masked, prologue: leaky, shared: true })
      both(spec, inPlace)
    }
  // what stands beyond the edge need not be zero
  both(base, { prologue: x => op('add', [op('mul', [x, num(2)]), num(1)]) })
})

test('kernels of these kinds are windows', () => {
  for (const stride of [1, 2, 3])
    for (const make of [forward, backward]) for (const parts of [{}, masked, { prologue: leaky }, inPlace]) assert.ok(taken(make({ ...base, h: 17, w: 16, stride }, parts).kernel))
  assert.ok(taken(backward({ ...base, h: 31, w: 31, ky: 4, kx: 4, stride: 2 }).kernel))
})

test('pooling: sums without weights, greatest and least', () => {
  for (const [op_, size, stride, w] of [['sum', 2, 2, 16], ['sum', 3, 3, 12], ['sum', 3, 2, 17], ['max', 3, 2, 19], ['min', 2, 1, 9]] as const) {
    const [c, h] = [3, 13]
    const [p, q] = [Math.floor((h - size) / stride) + 1, Math.floor((w - size) / stride) + 1]
    const [f, y, x, i, j] = [v(c, 'c'), v(p, 'y'), v(q, 'x'), v(size, 'i'), v(size, 'j')]
    const value = load(0, ix(0, [h * w, f], [stride * w, y], [w, i], [stride, x], [1, j]))
    const k = kernel([f, y, x], { kind: 'reduce', op: op_, vars: [i, j], value, dtype: 'f32' }, { buffer: 1, at: ix(0, [p * q, f], [q, y], [1, x]), value: op('mul', [acc, num(0.25)]) })
    assert.is(taken(k), q >= 4)
    agree(planOf(buffers(c * h * w, c * p * q), k), op_)
  }
})

test('windows along one axis, and over few outputs of one image', () => {
  const [c, t] = [3, 70]
  for (const [taps, stride] of [[3, 1], [4, 2], [5, 3]] as const) {
    const q = Math.floor((t + 2 - taps) / stride) + 1
    const [b, f, x, j] = [v(2, 'b'), v(c, 'c'), v(q, 'x'), v(taps, 'j')]
    const columns = ix(-1, [stride, x], [1, j])
    const image = when([guard(columns, t)], load(0, add(ix(0, [c * t, b], [t, f]), columns)))
    const at = ix(0, [c * q, b], [q, f], [1, x])
    const k = kernel([b, f, x], product([j], image, load(1, ix(0, [taps, f], [1, j]))), { buffer: 2, at, value: acc })
    assert.ok(taken(k))
    agree(planOf(buffers(2 * c * t, c * taps, 2 * c * q), k), `${taps} taps`)
    // down the columns of a matrix, whose rows lie side by side
    const [y, z, i] = [v(q, 'y'), v(20, 'z'), v(taps, 'i')]
    const rows = ix(-1, [stride, y], [1, i])
    const down = kernel([y, z], product([i], when([guard(rows, t)], load(0, add(scale(rows, 20), ix(0, [1, z])))), load(1, variable(i))), { buffer: 2, at: ix(0, [20, y], [1, z]), value: acc })
    assert.ok(taken(down))
    agree(planOf(buffers(20 * t, taps, 20 * q), down), `${taps} taps down`)
  }
  // two outputs share an image
  const [o, y, x, i, j] = [v(2, 'o'), v(8, 'y'), v(9, 'x'), v(3, 'i'), v(3, 'j')]
  const two = kernel([o, y, x], product([i, j], load(0, ix(0, [11, y], [11, i], [1, x], [1, j])), load(1, ix(0, [9, o], [3, i], [1, j]))), { buffer: 2, at: ix(0, [72, o], [9, y], [1, x]), value: acc })
  assert.ok(taken(two))
  agree(planOf(buffers(110, 18, 144), two), 'two outputs')
})

test('edges that differ from row to row, in an image of several blocks', () => {
  const [h, w] = [250, 90]
  for (const stride of [1, 2]) {
    const [p, q] = [Math.floor((h - 1) / stride) + 1, Math.floor((w - 1) / stride) + 1]
    const [y, x, i, j] = [v(p, 'y'), v(q, 'x'), v(3, 'i'), v(3, 'j')]
    const [rows, columns] = [ix(-1, [stride, y], [1, i]), ix(-1, [stride, x], [1, j])]
    const pixel = load(0, add(scale(rows, w), columns))
    const below = when([guard(shift(rows, -103), h - 103), guard(shift(columns, -41), w - 41)], pixel)
    const image = when([guard(rows, 103)], when([guard(columns, 41)], pixel), below)
    const k = kernel([y, x], product([i, j], image, load(1, ix(0, [3, i], [1, j]))), { buffer: 2, at: ix(0, [q, y], [1, x]), value: acc })
    assert.ok(taken(k))
    agree(planOf(buffers(h * w, 9, p * q), k), `stride ${stride}`)
  }
})

test('a window over an image that comes round by a loop', () => {
  const [t, y, x, i, j] = [v(4, 't'), v(6, 'y'), v(7, 'x'), v(3, 'i'), v(3, 'j')]
  const [rows, columns] = [ix(-1, [1, y], [1, i]), ix(-1, [1, x], [1, j])]
  const image = when([guard(rows, 6), guard(columns, 7)], load(0, add(ix(0, [42, t]), add(scale(rows, 7), columns))))
  const body = kernel([y, x], product([i, j], image, load(1, ix(0, [3, i], [1, j]))), { buffer: 2, at: ix(126, [-42, t], [7, y], [1, x]), value: acc })
  assert.ok(taken(body, [t]))
  agree(planOf(buffers(168, 9, 168), { kind: 'loop', counter: t, steps: [body] }), 'loop')
})

test('where a range of parts is cut changes no bit', () => {
  for (const { sizes, kernel } of [
    forward({ ...base, n: 8, c: 16, h: 31, w: 31, ky: 4, kx: 4, stride: 2 }), backward({ ...base, n: 8, c: 16, h: 31, w: 31, ky: 4, kx: 4, stride: 2 }, masked),
    forward({ ...base, n: 1, c: 1, h: 250, w: 90 }), backward({ ...base, n: 1, c: 1, h: 251, w: 90, stride: 2 }, masked), forward({ ...base, n: 32, c: 64, h: 7, w: 7 }, { prologue: leaky }),
    backward({ ...base, n: 1, c: 2, h: 150, w: 90, stride: 2 }, inPlace),
  ]) {
    const parts = partsOf(kernel, sizes, (k, d, space) => stencil(k, [], d, space)!)
    const [nest] = parts.nests
    const { extent } = parts.scheduled.nests[0]!
    assert.ok(extent >= 16, `${extent} parts`)
    const run = (each: () => void): readonly Float32Array[] => {
      sizes.forEach((n, id) => parts.floats(id).set(samples(n, 'f32', id + 1)))
      parts.floats(sizes.length).fill(NaN)
      each()
      return sizes.map((_, id) => parts.floats(id).slice())
    }
    const whole = run(parts.run)
    const order = Array.from({ length: extent }, (_, i) => (i * 7919 + 3) % extent)
    assert.is(new Set(order).size, extent)
    const scattered = run(() => order.forEach(i => nest!(i, i + 1, 64)))
    assert.equal(scattered, whole)
    assert.equal(run(() => [0, 1, 5, extent].forEach((lo, i, all) => nest!(lo, all[i + 1] ?? lo, 0))), whole)
  }
})

test('what is no window is left alone', () => {
  const [m, n, k] = [v(64, 'm'), v(32, 'n'), v(4, 'k')]
  const out = { buffer: 2, at: ix(0, [32, m], [1, n]), value: acc }
  // a matrix product with a short sum, rows of a sum, a sum over positions that are read backwards and forwards, a convolution to many channels
  assert.not(taken(kernel([m, n], product([k], load(0, ix(0, [4, m], [1, k])), load(1, ix(0, [32, k], [1, n]))), out)))
  assert.not(taken(kernel([m], { kind: 'reduce', op: 'sum', vars: [k], value: load(0, ix(0, [4, m], [1, k])), dtype: 'f32' }, { buffer: 2, at: variable(m), value: acc })))
  assert.not(taken(kernel([m], product([k], load(0, ix(0, [1, m], [1, k])), load(0, ix(3, [1, m], [-1, k]))), { buffer: 2, at: variable(m), value: acc })))
  const [o, y, x, i, j] = [v(8, 'o'), v(12, 'y'), v(12, 'x'), v(3, 'i'), v(3, 'j')]
  assert.not(taken(kernel([o, y, x], product([i, j], load(0, ix(0, [14, y], [14, i], [1, x], [1, j])), load(1, ix(0, [9, o], [3, i], [1, j]))), { buffer: 2, at: ix(0, [144, o], [12, y], [1, x]), value: acc })))
  assert.not(taken(kernel([m, n], null, { buffer: 2, at: ix(0, [32, m], [1, n]), value: load(0, ix(0, [32, m], [1, n])) })))
  // a sum down the columns of a narrow matrix
  const [r, q] = [v(6, 'r'), v(4, 'q')]
  assert.not(taken(kernel([m, r], product([q], load(0, ix(0, [24, m], [6, q], [1, r])), load(1, variable(q))), { buffer: 2, at: ix(0, [6, m], [1, r]), value: acc })))
  // sums that are not short, and weights that differ from place to place
  const { kernel: long } = forward({ ...base, h: 40, w: 40, ky: 9, kx: 9 })
  assert.not(taken(long))
  assert.not(taken(kernel([y, x], product([i, j], load(0, ix(0, [14, y], [14, i], [1, x], [1, j])), load(1, ix(0, [108, y], [9, x], [3, i], [1, j]))), { buffer: 2, at: ix(0, [12, y], [1, x]), value: acc })))
})

test.run()
