/** Gradients of a window's weights: sums over images for every tap, compiled to WebAssembly, against the float64 interpreter of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Index, Kernel } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, indexing, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { tapSums } from '../../../compiler/schedule/stencil/taps.ts'
import { maths } from '../../../compiler/schedule/nest/maths.ts'
import { partsOf } from './nests.ts'
import { acc, buffers, disagreement, guard, ix, kernel, load, num, op, planOf, product, samples, v, when } from './plans.ts'

let last = 1e6
const variables = (): number => (last += 1)
const taken = (k: Kernel): boolean => tapSums(k, [], { unit: 4, maths }, 100, variables) !== null
const algebra = indexing(() => 1 << 20)

type Spec = { readonly n: number; readonly c: number; readonly h: number; readonly w: number; readonly k: number; readonly stride: number; readonly pad: number; readonly dilation: number }
const base: Spec = { n: 2, c: 3, h: 9, w: 11, k: 3, stride: 1, pad: 1, dilation: 1 }
const leaky = (x: Expr): Expr => op('select', [op('gt', [x, num(0)], 'bool'), x, op('mul', [x, num(0.01)])])
type Made = { readonly sizes: readonly number[]; readonly kernel: Kernel; readonly terms: number }

/** Buffers: images, cotangents, results, weights; `busy`: with a rectifier before, its derivative on the cotangent, and a step of descent after. */
const gradient = ({ n, c, h, w, k, stride, pad, dilation }: Spec, busy = false): Made => {
  const out = (size: number): number => Math.floor((size + 2 * pad - dilation * (k - 1) - 1) / stride) + 1
  const [p, q] = [out(h), out(w)]
  const [b, f, y, x, i, j] = [v(n, 'b'), v(c, 'c'), v(p, 'y'), v(q, 'x'), v(k, 'i'), v(k, 'j')]
  const [rows, columns] = [ix(-pad, [stride, y], [dilation, i]), ix(-pad, [stride, x], [dilation, j])]
  const pixel = load(0, add(ix(0, [c * h * w, b], [h * w, f]), add(scale(rows, w), columns)))
  const image = when([guard(rows, h), guard(columns, w)], busy ? leaky(pixel) : pixel)
  const at = ix(0, [c * p * q, b], [p * q, f], [q, y], [1, x])
  const cotangent = busy ? op('mul', [load(1, at), op('add', [load(1, at), num(1)])]) : load(1, at)
  const to = ix(0, [k * k, f], [k, i], [1, j])
  const value = busy ? op('sub', [load(3, to), op('mul', [acc, num(0.1)])]) : acc
  const reduction = busy ? product([b, y, x], cotangent, image) : product([b, y, x], image, cotangent)
  return { sizes: [n * c * h * w, n * c * p * q, c * k * k, c * k * k], kernel: kernel([f, i, j], reduction, { buffer: 2, at: to, value }), terms: n * p * q }
}
// sums of up to a few thousand products of values in [-2, 2), in another order
const agree = ({ sizes, kernel, terms }: Made, what: string): void => assert.is(disagreement(planOf(buffers(...sizes), kernel), 2e-6 * Math.max(10, Math.sqrt(terms) * 4)), '', what)

test('taps, strides, paddings, dilation', () => {
  for (const k of [1, 2, 3, 4, 5])
    for (const stride of [1, 2, 3]) for (const pad of [0, 1, 2]) agree(gradient({ ...base, k, stride, pad }), `${k} taps, stride ${stride}, padding ${pad}`)
  for (const stride of [1, 2]) agree(gradient({ ...base, h: 12, w: 14, stride, dilation: 2 }), `dilated, stride ${stride}`)
})

test('sizes, and what is done before and after', () => {
  for (const size of [3, 7, 17, 63, 65]) for (const stride of [1, 2]) agree(gradient({ ...base, n: 1, c: size > 20 ? 1 : 3, h: size, w: size, stride }), `${size}`)
  for (const [n, c] of [[1, 1], [5, 1], [1, 40], [33, 2]] as const) for (const busy of [false, true]) agree(gradient({ ...base, n, c, k: 4 }, busy), `${n} images of ${c}`)
})

test('of a window that strides backwards', () => {
  for (const [k, stride, pad] of [[4, 2, 1], [3, 2, 1], [3, 3, 0], [5, 2, 2]] as const) {
    const [n, c, p, q] = [3, 2, 7, 9]
    const [h, w] = [(p - 1) * stride - 2 * pad + k, (q - 1) * stride - 2 * pad + k]
    const [b, f, y, x, i, j] = [v(n, 'b'), v(c, 'c'), v(h, 'y'), v(w, 'x'), v(k, 'i'), v(k, 'j')]
    const [rows, columns] = [ix(pad, [1, y], [-1, i]), ix(pad, [1, x], [-1, j])]
    const divided = (of: Index): Index => shift(algebra.div(shift(of, 8 * stride), stride), -8)
    const pixel = load(0, add(ix(0, [c * p * q, b], [p * q, f]), add(scale(divided(rows), q), divided(columns))))
    const image = when([guard(rows, (p - 1) * stride + 1, stride), guard(columns, (q - 1) * stride + 1, stride)], pixel)
    const cotangent = load(1, ix(0, [c * h * w, b], [h * w, f], [w, y], [1, x]))
    const sum = kernel([f, i, j], product([b, y, x], cotangent, image), { buffer: 2, at: ix(0, [k * k, f], [k, i], [1, j]), value: acc })
    assert.ok(taken(sum))
    agree({ sizes: [n * c * p * q, n * c * h * w, c * k * k], kernel: sum, terms: n * p * q }, `${k} taps, stride ${stride}`)
  }
})

test('along one axis', () => {
  const [b, f, x, j] = [v(4, 'b'), v(3, 'c'), v(40, 'x'), v(5, 'j')]
  const columns = ix(-2, [1, x], [1, j])
  const image = when([guard(columns, 40)], load(0, add(ix(0, [120, b], [40, f]), columns)))
  const k = kernel([f, j], product([b, x], image, load(1, ix(0, [120, b], [40, f], [1, x]))), { buffer: 2, at: ix(0, [5, f], [1, j]), value: acc })
  agree({ sizes: [480, 480, 15], kernel: k, terms: 160 }, 'one axis')
})

test('kernels of this kind are taken, products are left alone', () => {
  for (const stride of [1, 2]) for (const busy of [false, true]) assert.ok(taken(gradient({ ...base, h: 20, w: 20, stride }, busy).kernel))
  const [i, j, n] = [v(4, 'i'), v(32, 'j'), v(100, 'n')]
  assert.not(taken(kernel([i, j], product([n], load(0, ix(0, [4, n], [1, i])), load(1, ix(0, [32, n], [1, j]))), { buffer: 2, at: ix(0, [32, i], [1, j]), value: acc })))
  // a convolution from one channel to many
  const [o, y, x, ky, kx] = [v(8, 'o'), v(10, 'y'), v(10, 'x'), v(3, 'i'), v(3, 'j')]
  const image = load(0, ix(0, [12, y], [12, ky], [1, x], [1, kx]))
  assert.not(taken(kernel([o, ky, kx], product([y, x], image, load(1, ix(0, [100, o], [10, y], [1, x]))), { buffer: 2, at: ix(0, [9, o], [3, ky], [1, kx]), value: acc })))
  assert.not(taken(kernel([j], product([n], load(0, ix(0, [32, n], [1, j])), load(1, variable(n))), { buffer: 2, at: variable(j), value: acc })))
})

test('where a range of parts is cut changes no bit', () => {
  for (const { sizes, kernel } of [gradient({ ...base, n: 9, c: 5, h: 16, w: 18 }, true), gradient({ ...base, n: 64, c: 1, stride: 2, k: 4 })]) {
    const parts = partsOf(kernel, sizes, (k, d, space) => tapSums(k, [], d, space, variables)!)
    const run = (each: () => void): readonly Float32Array[] => {
      sizes.forEach((n, id) => parts.floats(id).set(samples(n, 'f32', id + 1)))
      each()
      return sizes.map((_, id) => parts.floats(id).slice())
    }
    const scattered = (): void =>
      parts.nests.forEach((nest, i) => {
        const { extent } = parts.scheduled.nests[i]!
        for (let part = 0; part < extent; part += 1) nest((part * 7919 + 3) % extent, ((part * 7919 + 3) % extent) + 1, 64)
      })
    assert.ok(parts.scheduled.nests[0]!.extent >= 25)
    assert.equal(run(scattered), run(parts.run))
  }
})

test.run()
