/**
 * Every kind of kernel at awkward sizes: the float64 meaning, and the same bits on 1, 2, 3 and 5 threads and from run to
 * run. Several functions share a program, so that their kernels meet in regions.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { range } from '../../../compiler/ir/view.ts'
import { batch } from '../../../compiler/transform/batch.ts'
import { adam, binary, blur, caseOf, cell, conv, convFits, convT, convTFits, f, integers, like, made, moved, pairwise, product } from '../shapes.ts'
import { reductions, softmax, t, unary } from '../shapes.ts'
import { type Case, checkTogether } from '../together.ts'

/** Programs of at most so many functions. */
const each = 12
const show = (choice: Readonly<Record<string, unknown>>): string => Object.entries(choice).map(([k, v]) => `${k} ${String(v)}`).join(', ')

/** All agree, and at least `cut` runs of kernels are worth cutting into parts. */
const suite = (name: string, cases: () => readonly Case[], cut = 0): void =>
  test(name, () => {
    const all = cases()
    const checked = range(Math.ceil(all.length / each)).map(i => checkTogether(all.slice(each * i, each * (i + 1))))
    const found = checked.reduce((n, c) => n + c.cut, 0)
    assert.ok(found >= cut, `${found} kernels are worth cutting, not ${cut}`)
    if (cut > 0) assert.ok(checked.some(c => c.threads > 1), 'no program has use for several threads')
  })

const sizes = [1, 3, 7, 17, 63, 65]

const products = {
  m: sizes, n: sizes, k: sizes, turned: ['none', 'a', 'b', 'both'], out: ['mn', 'nm'], batched: ['no', 'both', 'one'],
  around: ['nothing', 'epilogue', 'prologue'],
} as const
suite('matrix products', () => pairwise(products).map(s => caseOf(`product ${show(s)}`, product(s))))

const options = { stride: [1, 2, 3], pad: [0, 1, 2], dilation: [1, 2], images: ['one', 'shared', 'each'] } as const
const whole = { c: [1, 3, 5, 16], o: [1, 3, 8, 17], h: sizes, w: [1, 7, 17, 65], kh: [1, 3, 4, 5], kw: [1, 2, 3, 5], groups: [1], ...options } as const
const transposed = { ...whole, h: [1, 3, 7, 63, 65], w: [1, 7, 17], kh: [1, 3, 5], kw: [2, 3, 4], more: [0, 1, 2] } as const
const inGroups = { ...options, c: [2, 4, 6], o: [6, 12, 24], h: [1, 7, 17], w: [3, 17, 65], kh: [1, 3, 4], kw: [1, 2, 5], groups: [2, 3, 'own'] } as const
const transposedInGroups = { ...inGroups, more: [0, 1] } as const

suite('convolutions and their gradients', () => pairwise(whole, s => convFits(s)).map(s => caseOf(`conv ${show(s)}`, conv(s))), 8)
suite('transposed convolutions and their gradients', () =>
  pairwise(transposed, s => convTFits(s)).map(s => caseOf(`transposed conv ${show(s)}`, convT(s))), 8)
suite('convolutions in groups', () => pairwise(inGroups, s => convFits(s, 4e5)).map(s => caseOf(`conv ${show(s)}`, conv(s))))
suite('transposed convolutions in groups', () =>
  pairwise(transposedInGroups, s => convTFits(s, 4e5)).map(s => caseOf(`transposed conv ${show(s)}`, convT(s))))

const blurs = { c: [1, 3, 16], h: sizes, w: [1, 17, 63, 65], taps: [2, 3, 4, 5], stride: [1, 2, 3] } as const
suite('blurs and their gradients', () => pairwise(blurs).map(s => caseOf(`blur ${show(s)}`, blur(s))))

/** Shapes and axes: short and long, few and many results. */
const reduced = [
  [[17], [0]], [[1, 65], [0]], [[1, 65], [1]], [[65, 63], [0]], [[65, 63], [1]], [[65, 63], [0, 1]], [[3, 7, 17], [1]], [[3, 7, 17], [0, 2]],
  [[7, 1, 3, 5], [0, 1, 2]], [[3, 5003], [1]], [[5003, 3], [0]], [[2, 65, 129], [0, 2]], [[3, 40001], [1]], [[40001, 3], [0]], [[33, 65, 63], [1]],
  [[17, 9001], [0]], [[9001, 17], [1]], [[100003], [0]],
] as const
suite('reductions', () => reduced.flatMap(([shape, axes], i) =>
  (['f32', i % 2 === 0 ? 'i32' : 'u32'] as const).map(dtype =>
    caseOf(`reduction of ${dtype} ${shape.join(' x ')} over ${axes.join(', ')}`, reductions(shape, axes, dtype)))), 10)

/** Of numbers around 2, so that rounding errors of one sign would show. */
const mean = (n: number) => made([f(n)], (b, x) => {
  const total = b.op('sum', [binary(b, 'add', x!, like(b, x!, 2))], { axes: [0] })
  return [binary(b, 'div', total, like(b, total, n)), b.op('max', [x!], { axes: [0] })]
})
suite('the mean of a million', () => [1_000_000, 1_000_001].map(n => caseOf(`mean of ${n}`, mean(n))), 2)

const softened = [
  [[1], 0], [[17], 0], [[1, 7], 0], [[65, 63], 0], [[65, 63], 1], [[3, 1001], 1], [[1001, 3], 0], [[7, 3, 65], 1], [[513, 65], 1], [[65, 513], 0],
] as const
suite('softmax, logSumExp and their gradients', () =>
  softened.map(([shape, axis]) => caseOf(`softmax of ${shape.join(' x ')} along ${axis}`, softmax(shape, axis))), 2)

suite('elements moved', () =>
  pairwise({ a: [1, 3, 40], b: [1, 7, 65], c: [1, 17, 63] } as const).map(s => caseOf(`moved ${show(s)}`, moved(s.a, s.b, s.c))), 5)

const functions = (n: number) => made([f(n), f(n)], (b, x, y) => {
  const positive = binary(b, 'add', binary(b, 'mul', x!, x!), like(b, x!, 0.5))
  return [
    ...(['exp', 'expm1', 'sin', 'cos', 'tanh', 'sigmoid', 'softplus', 'abs', 'sign', 'floor'] as const).map(prim => unary(b, prim, x!)),
    ...(['log', 'log1p', 'sqrt', 'rsqrt'] as const).map(prim => unary(b, prim, positive)), b.op('pow', [positive], { exponent: 1.7 }),
    ...(['sub', 'div', 'maximum', 'minimum'] as const).map(prim => binary(b, prim, x!, y!)),
  ]
})
suite('functions of elements', () => [1, 3, 7, 17, 63, 65, 4097, 50_001].map(n => caseOf(`functions of ${n}`, functions(n))), 2)

const bits = (...shape: readonly number[]) => made([t('u32', 2)], (b, key) => [b.op('randomBits', [key!], { shape })])
suite('integers, truth values and random bits', () => [
  ...[1, 3, 7, 17, 63, 65, 4099, 60_001].map(n => caseOf(`integers ${n}`, integers(n))),
  caseOf('random bits of many keys', batch(bits(7, 33), [true], 65)),
], 3)
suite('steps of Adam', () => [
  caseOf('many leaves', adam([1, 3, 7, 17, 63, 65, 100, 1000, 4097, 30_001, 5, 9, 1025, 2, 33])), caseOf('a single leaf', adam([70_001])),
], 2)

/** A loop whose steps are long: a product and functions over large states, some of them of the sequence alone. */
const longSteps = (steps: number, n: number, reverse: boolean) => made([f(steps, n, n), f(n, n)], (b, xs, start) => {
  const body = made([f(n, n), f(n, n)], (s, h, x) => {
    const times = s.op('contract', [h!, x!], { sizes: { i: n, j: n, k: n }, a: ['i', 'k'], b: ['j', 'k'], out: ['i', 'j'] })
    const next = unary(s, 'tanh', binary(s, 'mul', times, like(s, h!, 1 / n)))
    return [next, s.op('sum', [unary(s, 'sin', next)], { axes: [1] }), s.op('transpose', [unary(s, 'exp', x!)], { perm: [1, 0] })]
  })
  return b.scan({ length: steps, reverse, consts: [], init: [start!], xs: [xs!], body })
})
const cells = { steps: [1, 2, 7], rows: [1, 3, 16], hidden: [3, 17, 65], features: [1, 7, 63] } as const
suite('recurrences', () => [
  ...pairwise(cells).map(s => caseOf(`cell ${show(s)}`, cell(s.steps, s.rows, s.hidden, s.features))),
  caseOf('long steps', longSteps(3, 129, false)), caseOf('long steps, backwards', longSteps(2, 97, true)),
], 4)

/** One long kernel, alone in its program: has that use for threads, then it is cut itself. */
const alone = [
  caseOf('one product', product({ m: 130, n: 131, k: 257, turned: 'none', out: 'mn', batched: 'no', around: 'epilogue' })),
  caseOf('one product of many', product({ m: 65, n: 63, k: 301, turned: 'b', out: 'nm', batched: 'both', around: 'nothing' })),
  caseOf('one product of a vector', product({ m: 1, n: 2051, k: 1025, turned: 'b', out: 'mn', batched: 'no', around: 'nothing' })),
  caseOf('one sum', made([f(1_000_001)], (b, x) => [b.op('sum', [x!], { axes: [0] })])),
  caseOf('one sum of many', made([f(513, 1025)], (b, x) => [b.op('sum', [x!], { axes: [1] })])),
  caseOf('one function', made([f(200_001)], (b, x) => [unary(b, 'sin', x!)])),
  caseOf('one transpose', made([f(601, 503)], (b, x) => [unary(b, 'neg', b.op('transpose', [x!], { perm: [1, 0] }))])),
  caseOf('random bits', bits(100_003)),
]
for (const one of alone)
  test(one.name, () => {
    const { threads, cut } = checkTogether([one])
    assert.ok(threads > 1 && cut > 0, `of use: ${threads} threads; ${cut} kernels worth cutting`)
  })

test.run()
