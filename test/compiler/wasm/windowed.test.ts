/**
 * Products with windows: convolutions of many shapes, forwards and backwards, against the float64 interpreter, and the same
 * bits wherever the parts of a nest are cut. Strides meet sizes that they do not divide, windows reach beyond edges.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Expr, Index, Kernel, Plan, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import { windowed } from '../../../compiler/schedule/grid/windowed.ts'
import { partsOf } from './nests.ts'
import { acc, buffers, disagreement, guard, ix, kernel, load, num, op, planOf, product, samples, v, when } from './plans.ts'

type Conv = { readonly [Name in 'n' | 'c' | 'o' | 'h' | 'k' | 'stride' | 'pad' | 'dilation']: number }
const outSize = ({ h, k, stride, pad, dilation }: Conv): number => Math.floor((h + 2 * pad - dilation * (k - 1) - 1) / stride) + 1
const window = (p: Var, k: Var, { stride, dilation, pad }: Conv): Index => shift(add(scale(variable(p), stride), scale(variable(k), dilation)), -pad)
const back = (q: Var, k: Var, { dilation, pad }: Conv): Index => shift(add(variable(q), scale(variable(k), -dilation)), pad)
const div = (of: Index, by: number): Index => (by === 1 ? of : { offset: 0, terms: [{ coef: 1, atom: { kind: 'div', of, by } }] })
const image = (buffer: number, plane: Index, rows: Index, columns: Index, h: number): Expr =>
  load(buffer, add(scale(plane, h * h), add(scale(rows, h), columns)))

/** Pixels of a result, at the positions that are multiples of the stride. */
const strided = (spec: Conv, rows: Index, columns: Index, plane: Index): Expr => {
  const { stride } = spec
  const p = outSize(spec)
  const below = (p - 1) * stride + 1
  return when([guard(rows, below, stride), guard(columns, below, stride)], image(2, plane, div(rows, stride), div(columns, stride), p))
}

type Pass = (spec: Conv) => Plan
const variables = (spec: Conv) => {
  const { n, c, o, h, k } = spec
  const p = outSize(spec)
  return { p, b: v(n, 'b'), f: v(o, 'f'), y: v(p, 'y'), x: v(p, 'x'), ci: v(c, 'c'), ky: v(k, 'ky'), kx: v(k, 'kx'), Y: v(h, 'Y'), X: v(h, 'X') }
}
/** Images, weights, results, biases, images. */
const sizesOf = (spec: Conv) => {
  const { n, c, o, h, k } = spec
  return buffers(n * c * h * h, o * c * k * k, n * o * outSize(spec) ** 2, o, n * c * h * h)
}
const resultAt = (spec: Conv, b: Var, f: Var, y: Var, x: Var): Index => {
  const p = outSize(spec)
  return ix(0, [spec.o * p * p, b], [p * p, f], [p, y], [1, x])
}
const weightAt = ({ c, k }: Conv, f: Var, ci: Var, ky: Var, kx: Var): Index => ix(0, [c * k * k, f], [k * k, ci], [k, ky], [1, kx])
const imageAt = ({ c, h }: Conv, b: Var, ci: Var, y: Var, x: Var): Index => ix(0, [c * h * h, b], [h * h, ci], [h, y], [1, x])

const forward: Pass = spec => {
  const { b, f, y, x, ci, ky, kx } = variables(spec)
  const { c, h } = spec
  const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
  const input = op('add', [when([guard(rows, h), guard(columns, h)], op('tanh', [image(0, ix(0, [c, b], [1, ci]), rows, columns, h)])), num(0)])
  const value = op('maximum', [op('add', [acc, load(3, variable(f))]), num(0)])
  const sum = product([ci, ky, kx], input, load(1, weightAt(spec, f, ci, ky, kx)))
  return planOf(sizesOf(spec), kernel([b, f, y, x], sum, { buffer: 2, at: resultAt(spec, b, f, y, x), value }))
}
/** Also a transposed convolution; with a second store that reads memory, and one in another order. */
const backward: Pass = spec => {
  const { b, f, ci, ky, kx, Y, X } = variables(spec)
  const { o } = spec
  const [rows, columns] = [back(Y, ky, spec), back(X, kx, spec)]
  const gradient = strided(spec, rows, columns, ix(0, [o, b], [1, f]))
  const at = imageAt(spec, b, ci, Y, X)
  const sum = product([f, ky, kx], gradient, load(1, weightAt(spec, f, ci, ky, kx)))
  return planOf(sizesOf(spec), kernel([b, ci, Y, X], sum, { buffer: 0, at, value: op('sub', [acc, load(0, at)]) }, { buffer: 4, at, value: acc }))
}
const weights: Pass = spec => {
  const { b, f, y, x, ci, ky, kx } = variables(spec)
  const { c, h } = spec
  const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
  const input = when([guard(rows, h), guard(columns, h)], image(0, ix(0, [c, b], [1, ci]), rows, columns, h))
  const sum = product([b, y, x], input, load(2, resultAt(spec, b, f, y, x)))
  return planOf(sizesOf(spec), kernel([f, ci, ky, kx], sum, { buffer: 1, at: weightAt(spec, f, ci, ky, kx), value: acc }))
}
/** The weight gradient of a transposed convolution: the strided side is the one that the sum runs over. */
const transposedWeights: Pass = spec => {
  const { b, f, ci, ky, kx, Y, X } = variables(spec)
  const { o } = spec
  const [rows, columns] = [back(Y, ky, spec), back(X, kx, spec)]
  const input = strided(spec, rows, columns, ix(0, [o, b], [1, f]))
  const sum = product([b, Y, X], input, load(0, imageAt(spec, b, ci, Y, X)))
  return planOf(sizesOf(spec), kernel([f, ci, ky, kx], sum, { buffer: 1, at: weightAt(spec, f, ci, ky, kx), value: acc }))
}
/** As many as there are parts wanted, for a few shapes. */
const groupsOf = ({ n, h }: Conv): number => (n === 3 && h <= 9 ? 16 : 2)
/** A decoder of its own for every group of images: transposed, weights [group, from, to, ky, kx]; groups of `n` images each. */
const groupedTransposed: Pass = spec => {
  const { p, f, ci, ky, kx, Y, X } = variables(spec)
  const { n, c, o, h, k } = spec
  const groups = groupsOf(spec)
  const [g, b] = [v(groups, 'g'), v(n, 'b')]
  const [rows, columns] = [back(Y, ky, spec), back(X, kx, spec)]
  const input = strided(spec, rows, columns, ix(0, [n * o, g], [o, b], [1, f]))
  const weight = load(1, ix(0, [o * c * k * k, g], [c * k * k, f], [k * k, ci], [k, ky], [1, kx]))
  const value = op('sigmoid', [op('add', [acc, load(3, ix(0, [c, g], [1, ci]))])])
  return planOf(buffers(1, groups * o * c * k * k, groups * n * o * p * p, groups * c, groups * n * c * h * h),
    kernel([g, b, ci, Y, X], product([f, ky, kx], input, weight), { buffer: 4, at: add(imageAt(spec, b, ci, Y, X), ix(0, [n * c * h * h, g])), value }))
}
const groupedWeights: Pass = spec => {
  const { p, f, y, x, ci, ky, kx } = variables(spec)
  const { n, c, o, h, k } = spec
  const groups = groupsOf(spec)
  const [g, b] = [v(groups, 'g'), v(n, 'b')]
  const [rows, columns] = [window(y, ky, spec), window(x, kx, spec)]
  const input = when([guard(rows, h), guard(columns, h)], image(0, ix(0, [n * c, g], [c, b], [1, ci]), rows, columns, h))
  const gradient = load(2, ix(0, [n * o * p * p, g], [o * p * p, b], [p * p, f], [p, y], [1, x]))
  return planOf(buffers(groups * n * c * h * h, groups * o * c * k * k, groups * n * o * p * p),
    kernel([g, f, ci, ky, kx], product([b, y, x], input, gradient),
      { buffer: 1, at: add(weightAt(spec, f, ci, ky, kx), ix(0, [o * c * k * k, g])), value: op('neg', [acc]) }))
}
const passes = { forward, backward, weights, transposedWeights, groupedTransposed, groupedWeights }

const shapes: readonly Conv[] = [
  { n: 2, c: 3, o: 8, h: 12, k: 4, stride: 1, pad: 1, dilation: 1 },
  { n: 2, c: 4, o: 5, h: 16, k: 4, stride: 2, pad: 1, dilation: 1 },
  { n: 1, c: 3, o: 7, h: 17, k: 3, stride: 2, pad: 2, dilation: 1 },
  { n: 2, c: 5, o: 4, h: 19, k: 3, stride: 1, pad: 2, dilation: 2 },
  { n: 1, c: 2, o: 9, h: 23, k: 3, stride: 2, pad: 1, dilation: 3 },
  { n: 2, c: 3, o: 6, h: 20, k: 5, stride: 3, pad: 2, dilation: 1 },
  { n: 1, c: 2, o: 3, h: 63, k: 4, stride: 1, pad: 1, dilation: 1 },
  { n: 3, c: 2, o: 2, h: 9, k: 7, stride: 1, pad: 3, dilation: 1 },
  { n: 1, c: 12, o: 17, h: 8, k: 4, stride: 2, pad: 1, dilation: 1 },
  { n: 1, c: 2, o: 4, h: 65, k: 4, stride: 4, pad: 0, dilation: 1 },
  { n: 20, c: 4, o: 4, h: 8, k: 4, stride: 1, pad: 0, dilation: 1 },
  { n: 9, c: 3, o: 6, h: 8, k: 4, stride: 1, pad: 1, dilation: 1 },
  { n: 3, c: 6, o: 10, h: 4, k: 4, stride: 2, pad: 1, dilation: 1 },
  { n: 3, c: 2, o: 5, h: 32, k: 3, stride: 1, pad: 1, dilation: 1 },
]

// sums of up to a few thousand products of values in [-2, 2)
test('convolutions, their gradients and those of transposed ones', () => {
  for (const spec of shapes)
    for (const [name, pass] of Object.entries(passes)) assert.is(disagreement(pass(spec), 2e-4), '', `${name} ${JSON.stringify(spec)}`)
})

const elementsOf = (plan: Plan): readonly number[] => plan.buffers.map(b => b.aval.shape.reduce((n, x) => n * x, 1))
let last = 2 ** 28
const parted = (plan: Plan) => {
  const [step] = plan.steps as readonly Kernel[] // these plans have one step, a kernel
  const run = () => {
    const parts = partsOf(step!, elementsOf(plan), (k, dialect, space) => windowed(k, [], dialect, space, () => (last += 1)) ?? { nests: [], scratch: [] })
    plan.buffers.forEach(b => parts.floats(b.id).set(samples(elementsOf(plan)[b.id]!, 'f32', b.id + 1)))
    return parts
  }
  return run
}

test('the same bits wherever parts are cut, and in any order', () => {
  for (const spec of shapes.filter((_, i) => i % 2 === 1))
    for (const [name, pass] of Object.entries(passes)) {
      const plan = pass(spec)
      const [whole, cut] = [parted(plan)(), parted(plan)()]
      if (whole.nests.length === 0) continue
      whole.run()
      cut.scheduled.nests.forEach(({ extent }, i) => {
        // odd parts backwards, then even ones in pairs
        for (let p = extent - 1; p >= 0; p -= 1) if (p % 4 === 1) cut.nests[i]!(p, p + 1, 0)
        for (let p = 0; p < extent; p += 1) if (p % 4 === 0) cut.nests[i]!(p, p + 1, 0)
        for (let p = 2; p < extent; p += 4) cut.nests[i]!(p, Math.min(p + 2, extent), 0)
      })
      for (const { id } of plan.buffers) assert.equal(cut.words(id), whole.words(id), `${name} ${JSON.stringify(spec)} buffer ${id}`)
    }
})


test.run()
