/**
 * What the reverse rules build, seen through a `Build` that only records: how many and which primitives a gradient costs,
 * and that the shapes come out right. The compiler sees exactly this.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Attrs, Aval, Build, Contraction, DType, Prim, Window } from '../../../dsl/core/prim.ts'
import { infer } from '../../../dsl/core/infer.ts'
import { vjp } from '../../../dsl/core/vjp.ts'

/** A value that is only a shape. */
type Shape = Aval & { readonly from: Prim | null }
type Applied = { readonly prim: Prim; readonly attrs: Attrs[Prim] }

const recording = (): { readonly b: Build<Shape>; readonly log: Applied[] } => {
  const log: Applied[] = []
  const op = <P extends Prim>(prim: P, inputs: readonly Shape[], attrs: Attrs[P]): Shape => {
    log.push({ prim, attrs })
    return { ...infer(prim, inputs, attrs), from: prim }
  }
  return { b: { op, aval: x => x }, log }
}
const tensor = (shape: readonly number[], dtype: DType = 'f32'): Shape => ({ shape, dtype, from: null })

/** The primitives that the gradient of `prim` by all its inputs applies, and the shapes of the gradients. */
const cost = <P extends Prim>(prim: P, inputs: readonly Shape[], attrs: Attrs[P], needed?: readonly boolean[]) => {
  const { b, log } = recording()
  const y: Shape = { ...infer(prim, inputs, attrs), from: prim }
  const gradients = vjp(b, prim, inputs, y, attrs, tensor(y.shape), needed)
  gradients.forEach((gradient, i) => gradient === null || assert.equal(gradient.shape, inputs[i]!.shape))
  return { prims: log.map(({ prim }) => prim), gradients, contractions: log.flatMap(x => (x.prim === 'contract' ? [x.attrs as Contraction] : [])) }
}

const window = (p: string, k: string, stride: number, dilation: number, pad: number, base = 1): Window => ({ p, k, stride, dilation, pad, base })
const conv: Contraction = {
  sizes: { n: 5, i: 3, o: 7, p: 4, q: 4, k: 3, l: 3 },
  a: ['n', 'i', window('p', 'k', 2, 1, 1), window('q', 'l', 2, 1, 1)],
  b: ['o', 'i', 'k', 'l'],
  out: ['n', 'o', 'p', 'q'],
}

test('the gradients of a convolution are one contraction each: a transposed convolution and a correlation', () => {
  const { prims, contractions } = cost('contract', [tensor([5, 3, 8, 8]), tensor([7, 3, 3, 3])], conv)
  assert.equal(prims, ['contract', 'contract'])
  assert.equal(contractions[0], {
    sizes: { n: 5, i: 3, o: 7, k: 3, l: 3, h2: 8, h3: 8 },
    a: ['n', 'o', window('h2', 'k', 1, -1, -1, 2), window('h3', 'l', 1, -1, -1, 2)],
    b: conv.b,
    out: ['n', 'i', 'h2', 'h3'],
  })
  assert.equal(contractions[1], { sizes: conv.sizes, a: conv.out, b: conv.a, out: conv.b })
})

test('and so on for every further gradient: still one contraction, and back to the first by two', () => {
  const [dx] = cost('contract', [tensor([5, 3, 8, 8]), tensor([7, 3, 3, 3])], conv).contractions
  const { prims, contractions } = cost('contract', [tensor([5, 7, 4, 4]), tensor([7, 3, 3, 3])], dx!)
  assert.equal(prims, ['contract', 'contract'])
  // By its first operand: the convolution itself, in other labels.
  const back = contractions[0]!.a.filter(dim => typeof dim !== 'string')
  assert.equal(
    back.map(({ stride, dilation, pad, base }) => ({ stride, dilation, pad, base })),
    [
      { stride: 2, dilation: 1, pad: 1, base: 1 },
      { stride: 2, dilation: 1, pad: 1, base: 1 },
    ],
  )
})

test('only what is asked for is built', () => {
  const [x, weight] = [tensor([5, 3, 8, 8]), tensor([7, 3, 3, 3])]
  assert.equal(cost('contract', [x, weight], conv, [false, true]).prims, ['contract'])
  assert.equal(cost('contract', [x, weight], conv, [false, false]).prims, [])
  assert.equal(cost('mul', [x, x], {}, [true, false]).prims, ['mul'])
  assert.equal(cost('select', [tensor([2], 'bool'), tensor([2]), tensor([2])], {}, [true, false, true]).prims, ['fill', 'select'])
})

test('integers, bool and constants have no gradient and build nothing', () => {
  const ints = [tensor([2], 'i32'), tensor([2], 'i32')]
  for (const prim of ['add', 'mul', 'maximum', 'eq', 'lt', 'xor'] as const) assert.equal(cost(prim, ints, {}), { prims: [], gradients: [null, null], contractions: [] }, prim)
  assert.equal(cost('cast', [tensor([2], 'i32')], { dtype: 'f32' }).gradients, [null])
  assert.equal(cost('cast', [tensor([2])], { dtype: 'i32' }).gradients, [null])
  assert.equal(cost('sum', [tensor([2], 'u32')], { axes: [0] }).gradients, [null])
  assert.equal(cost('fill', [], { shape: [2], dtype: 'f32', value: 1 }).gradients, [])
  assert.equal(cost('stopGradient', [tensor([2])], {}).prims, [])
})

test('the plain rules stay small', () => {
  const x = tensor([4, 6])
  assert.equal(cost('add', [x, x], {}).prims, [])
  assert.equal(cost('exp', [x], {}).prims, ['mul'])
  assert.equal(cost('tanh', [x], {}).prims, ['mul', 'fill', 'sub', 'mul'])
  assert.equal(cost('sum', [x], { axes: [1] }).prims, ['broadcast'])
  assert.equal(cost('broadcast', [tensor([])], { shape: [4, 6], axes: [] }).prims, ['sum'])
  assert.equal(cost('pow', [x], { exponent: 2 }).prims, ['fill', 'mul', 'mul'])
  assert.equal(cost('concat', [x, x, x], { axis: 0 }).prims, ['slice', 'slice', 'slice'])
})

test.run()
