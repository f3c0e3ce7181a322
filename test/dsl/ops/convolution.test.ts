/** Convolutions against the sums that define them, for every combination of options. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { conv2d, convTranspose2d, grad, mul, sum, tensor, toArray } from '../../../dsl/index.ts'
import type { ConvOptions, ConvTransposeOptions, Tensor } from '../../../dsl/index.ts'
import { near, noise, range } from './near.ts'

type Sizes = { readonly stride: readonly [number, number]; readonly padding: readonly [number, number]; readonly dilation: readonly [number, number]; readonly groups: number }
const [C, H, W, O, K, L] = [4, 6, 7, 6, 3, 2] as const
const xs = noise(C * H * W)
const options: readonly Sizes[] = [1, 2].flatMap(groups => [[1, 1], [2, 3]].flatMap(stride => [[0, 0], [1, 2]].flatMap(padding => [[1, 1], [2, 1]].map(dilation =>
  ({ groups, stride: stride as [number, number], padding: padding as [number, number], dilation: dilation as [number, number] })))))

test('conv2d is the sum over channels of the group and kernel positions', () => {
  options.forEach(({ stride: [sy, sx], padding: [py, px], dilation: [dy, dx], groups }) => {
    const part = C / groups
    const ws = noise(O * part * K * L, 2)
    const [oh, ow] = [Math.floor((H + 2 * py - dy * (K - 1) - 1) / sy) + 1, Math.floor((W + 2 * px - dx * (L - 1) - 1) / sx) + 1]
    const read = (c: number, i: number, j: number): number => (i < 0 || j < 0 || i >= H || j >= W ? 0 : xs[(c * H + i) * W + j]!)
    const expected = range(O).flatMap(o => range(oh).flatMap(i => range(ow).map(j =>
      range(part).flatMap(c => range(K).flatMap(k => range(L).map(l =>
        read(Math.floor(o / (O / groups)) * part + c, i * sy - py + k * dy, j * sx - px + l * dx) * ws[((o * part + c) * K + k) * L + l]!))).reduce((a, b) => a + b, 0))))
    const given: ConvOptions = { stride: [sy, sx], padding: [py, px], dilation: [dy, dx], groups }
    near(conv2d(tensor([C, H, W], xs), tensor([O, part, K, L] as never, ws) as never, given as never), [O, oh, ow], expected)
  })
})

test('convTranspose2d adds a kernel to the output for every input pixel', () => {
  options.forEach(({ stride: [sy, sx], padding: [py, px], dilation: [dy, dx], groups }) => {
    const part = O / groups
    const ws = noise(C * part * K * L, 3)
    const [qy, qx] = [sy - 1, 0]
    const [oh, ow] = [(H - 1) * sy - 2 * py + dy * (K - 1) + qy + 1, (W - 1) * sx - 2 * px + dx * (L - 1) + qx + 1]
    const out = new Float64Array(O * oh * ow)
    range(C).forEach(c => range(H).forEach(i => range(W).forEach(j => range(part).forEach(o => range(K).forEach(k => range(L).forEach(l => {
      const [y, x] = [i * sy - py + k * dy, j * sx - px + l * dx]
      if (y < 0 || x < 0 || y >= oh || x >= ow) return
      const at = ((Math.floor(c / (C / groups)) * part + o) * oh + y) * ow + x
      out[at] = out[at]! + xs[(c * H + i) * W + j]! * ws[((c * part + o) * K + k) * L + l]!
    }))))))
    const given: ConvTransposeOptions = { stride: [sy, sx], padding: [py, px], dilation: [dy, dx], groups, outputPadding: [qy, qx] }
    near(convTranspose2d(tensor([C, H, W], xs), tensor([C, part, K, L] as never, ws) as never, given as never), [O, oh, ow], [...out])
  })
})

test('convTranspose2d is the adjoint of conv2d: the gradient of one is the other', () => {
  const w = tensor([5, 4, 4, 4], noise(320))
  const y = tensor([5, 3, 3], noise(45, 5))
  const g = grad((x: Tensor<[4, 6, 6]>) => sum(mul(conv2d(x, w, { stride: 2, padding: 1 }), y)))(tensor([4, 6, 6], noise(144)))
  near(g, [4, 6, 6], toArray(convTranspose2d(y, w, { stride: 2, padding: 1 })))
})

test('output padding must be less than the stride or the dilation, also where the types do not see it', () => {
  const x = tensor([1, 2, 2], noise(4))
  const w = tensor([1, 1, 2, 2], noise(4))
  const refused = (options: ConvTransposeOptions): void =>
    assert.throws(() => convTranspose2d(x, w as never, options as never), /convTranspose2d: outputPadding 2 must be less than the stride \d or the dilation \d/)
  refused({ outputPadding: 2 })
  refused({ outputPadding: 2, stride: 2 })
  refused({ outputPadding: [0, 2], stride: [3, 2] })
  assert.is(toArray(convTranspose2d(x, w, { outputPadding: 2, stride: 3 })).length, 49)
  assert.is(toArray(convTranspose2d(x, w, { outputPadding: 2, dilation: 3 })).length, 49)
})

test.run()
