/** `contract`: values against direct loops, gradients of every kind of window, random specifications. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import fc from 'fast-check'
import type { Contraction, Dimension, Window } from '../../../dsl/core/prim.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import { op } from '../../../dsl/core/apply.ts'
import { count, dense, stridesOf } from '../../../dsl/core/dense.ts'
import { labelsOf } from '../../../dsl/core/infer-contract.ts'
import { checkGradient, near, random, run } from './support.ts'

/** By the definition: every label assignment in turn, one read of each operand. */
const direct = (a: Dense, b: Dense, { sizes, a: da, b: db, out }: Contraction): Dense => {
  const labels = Object.keys(sizes)
  const result = new Array<number>(count(out.map(label => sizes[label]!))).fill(0)
  const strides = stridesOf(out.map(label => sizes[label]!))
  const read = (x: Dense, dims: readonly Dimension[], at: Readonly<Record<string, number>>): number => {
    const index = dims.map(dim => (typeof dim === 'string' ? at[dim]! : (at[dim.p]! * dim.stride + at[dim.k]! * dim.dilation - dim.pad) / dim.base))
    const inside = index.every((i, axis) => Number.isInteger(i) && i >= 0 && i < x.shape[axis]!)
    const places = stridesOf(x.shape)
    return inside ? x.data[index.reduce((sum, i, axis) => sum + i * places[axis]!, 0)]! : 0
  }
  for (let n = 0; n < labels.reduce((m, label) => m * sizes[label]!, 1); n++) {
    let rest = n
    const at = Object.fromEntries(
      labels.map(label => {
        const i = rest % sizes[label]!
        rest = Math.floor(rest / sizes[label]!)
        return [label, i] as const
      }),
    )
    result[out.reduce((sum, label, axis) => sum + at[label]! * strides[axis]!, 0)]! += read(a, da, at) * read(b, db, at)
  }
  return dense(
    out.map(label => sizes[label]!),
    result,
  )
}

const window = (p: string, k: string, stride = 1, dilation = 1, pad = 0, base = 1): Window => ({ p, k, stride, dilation, pad, base })

const check = (name: string, spec: Contraction, shapeA: readonly number[], shapeB: readonly number[]): void =>
  test(name, () => {
    const [a, b] = [random(shapeA, 1), random(shapeB, 2)]
    near(run('contract', [a, b], spec), direct(a, b, spec), 1e-13, name)
    checkGradient(([x, y]) => op('contract', [x!, y!], spec), [a, b], name)
  })

check('matrix product', { sizes: { i: 3, j: 4, k: 2 }, a: ['i', 'j'], b: ['j', 'k'], out: ['i', 'k'] }, [3, 4], [4, 2])
check('batched, transposed result', { sizes: { n: 2, i: 3, j: 2, k: 2 }, a: ['n', 'i', 'j'], b: ['k', 'j', 'n'], out: ['k', 'n', 'i'] }, [2, 3, 2], [2, 2, 2])
check('outer product', { sizes: { i: 3, j: 2 }, a: ['i'], b: ['j'], out: ['j', 'i'] }, [3], [2])
check('dot product', { sizes: { i: 5 }, a: ['i'], b: ['i'], out: [] }, [5], [5])
check('labels summed within one operand', { sizes: { i: 3, j: 2, k: 2 }, a: ['i', 'j'], b: ['k'], out: ['i'] }, [3, 2], [2])
check('everything summed apart', { sizes: { i: 3, j: 2 }, a: ['i'], b: ['j'], out: [] }, [3], [2])
check('scalars', { sizes: {}, a: [], b: [], out: [] }, [], [])

// Convolutions, x [n, c, H] or [n, c, H, W]
for (const [stride, dilation, pad] of [
  [1, 1, 0],
  [2, 1, 1],
  [3, 2, 2],
  [1, 3, 4],
  [2, 2, 0],
] as const) {
  const extent = 7
  const p = Math.floor((extent + 2 * pad - dilation * 2 - 1) / stride) + 1
  const forward = window('p', 'k', stride, dilation, pad)
  const sizes = { n: 2, i: 2, o: 2, p, k: 3 }
  const at = `stride ${stride}, dilation ${dilation}, pad ${pad}`
  check(`conv 1d ${at}`, { sizes, a: ['n', 'i', forward], b: ['o', 'i', 'k'], out: ['n', 'o', 'p'] }, [2, 2, extent], [2, 2, 3])
  check(
    `conv 1d, a weight for each example, ${at}`,
    { sizes, a: ['n', 'i', forward], b: ['n', 'o', 'i', 'k'], out: ['n', 'o', 'p'] },
    [2, 2, extent],
    [2, 2, 2, 3],
  )
  check(
    `conv 1d, groups, ${at}`,
    { sizes: { ...sizes, g: 2 }, a: ['n', 'g', 'i', forward], b: ['g', 'o', 'i', 'k'], out: ['n', 'g', 'o', 'p'] },
    [2, 2, 2, extent],
    [2, 2, 2, 3],
  )
  // transposed: out[h] gathers x[(h - k * dilation + pad) / stride]
  const back = window('h', 'k', 1, -dilation, -pad, stride)
  check(
    `conv transposed 1d ${at}`,
    { sizes: { n: 2, i: 2, o: 2, h: 8, k: 3 }, a: ['n', 'i', back], b: ['i', 'o', 'k'], out: ['n', 'o', 'h'] },
    [2, 2, 4],
    [2, 2, 3],
  )
}
const conv2d: Contraction = {
  sizes: { n: 1, i: 2, o: 2, p: 2, q: 3, k: 2, l: 3 },
  a: ['n', 'i', window('p', 'k', 2, 1, 1), window('q', 'l', 1, 2, 1)],
  b: ['o', 'i', 'k', 'l'],
  out: ['n', 'o', 'p', 'q'],
}
check('conv 2d', conv2d, [1, 2, 3, 5], [2, 2, 2, 3])

// Windows beyond convolution: each closes way 1 of the gradient in another manner
check('locally connected: the weight has p too', { sizes: { p: 4, k: 2 }, a: [window('p', 'k')], b: ['p', 'k'], out: ['p'] }, [5], [4, 2])
check('patches: p and k both in the result', { sizes: { p: 3, k: 2, o: 2 }, a: [window('p', 'k', 2)], b: ['o'], out: ['p', 'k', 'o'] }, [6], [2])
check('p nowhere else: a sum over positions', { sizes: { p: 3, k: 2 }, a: [window('p', 'k')], b: ['k'], out: [] }, [4], [2])
check('k nowhere else: a sum pool', { sizes: { p: 3, k: 2, o: 2 }, a: [window('p', 'k', 2)], b: ['o'], out: ['p', 'o'] }, [6], [2])
check('neither p nor k elsewhere', { sizes: { p: 3, k: 2, o: 2 }, a: [window('p', 'k', 1, 2, 1)], b: ['o'], out: ['o'] }, [4], [2])
check('both operands through the same window', { sizes: { p: 3, k: 2 }, a: [window('p', 'k', 1, 1, 1)], b: [window('p', 'k', 2)], out: ['p'] }, [3], [5])
check(
  'both operands through windows, crossed',
  { sizes: { p: 3, k: 2, q: 2 }, a: [window('p', 'k')], b: [window('k', 'q', 2, 1, 0, 1)], out: ['p', 'q'] },
  [4],
  [4],
)
check('negative stride', { sizes: { p: 4, k: 2 }, a: [window('p', 'k', -1, 2, -3)], b: ['k'], out: ['p'] }, [5], [2])
check(
  'two windows, one solved, one late',
  { sizes: { p: 2, k: 2, q: 2, l: 2 }, a: [window('p', 'k', 1, 1, 1), window('q', 'l')], b: ['q', 'k', 'l'], out: ['p', 'q'] },
  [2, 3],
  [2, 2, 2],
)

/** Operands of random labels and windows over a pool; every label may or may not be in the result. */
const dims = (pool: readonly string[]): fc.Arbitrary<{ dims: readonly Dimension[]; extents: readonly number[] }> =>
  fc
    .tuple(
      fc.shuffledSubarray([...pool], { maxLength: 4 }),
      fc.integer({ min: 0, max: 2 }),
      fc.infiniteStream(fc.integer({ min: -2, max: 3 })),
      fc.infiniteStream(fc.integer({ min: 1, max: 4 })),
    )
    .map(([labels, windows, whole, natural]) => {
      const n = Math.min(windows, Math.floor(labels.length / 2))
      const some = (): number => whole.next().value || 1
      const views = Array.from({ length: n }, (_, i) =>
        window(labels[2 * i]!, labels[2 * i + 1]!, some(), some(), whole.next().value, 1 + (natural.next().value % 2)),
      )
      const plain = labels.slice(2 * n)
      return { dims: [...views, ...plain], extents: [...views.map(() => natural.next().value), ...plain.map(() => -1)] }
    })

const contractions = fc
  .tuple(
    dims(['i', 'j', 'k', 'l', 'm']),
    dims(['i', 'j', 'k', 'l', 'm']),
    fc.shuffledSubarray(['i', 'j', 'k', 'l', 'm']),
    fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 5, maxLength: 5 }),
  )
  .map(([a, b, wanted, extents]) => {
    const present = new Set([...labelsOf(a.dims), ...labelsOf(b.dims)])
    const sizes = Object.fromEntries(['i', 'j', 'k', 'l', 'm'].flatMap((label, i) => (present.has(label) ? [[label, extents[i]!] as const] : [])))
    const shape = (x: typeof a): readonly number[] => x.dims.map((dim, axis) => (typeof dim === 'string' ? sizes[dim]! : x.extents[axis]!))
    return { spec: { sizes, a: a.dims, b: b.dims, out: wanted.filter(label => present.has(label)) }, shapeA: shape(a), shapeB: shape(b) }
  })

test('random contractions: values, gradients and second gradients', () => {
  fc.assert(
    fc.property(contractions, fc.integer({ min: 1, max: 1000 }), ({ spec, shapeA, shapeB }, seed) => {
      const [a, b] = [random(shapeA, seed), random(shapeB, seed + 1)]
      near(run('contract', [a, b], spec), direct(a, b, spec), 1e-12)
      checkGradient(([x, y]) => op('contract', [x!, y!], spec), [a, b], JSON.stringify(spec))
    }),
    { numRuns: 300, seed: 2 },
  )
})

test('linear in each operand', () => {
  fc.assert(
    fc.property(contractions, fc.double({ min: -2, max: 2, noNaN: true }), ({ spec, shapeA, shapeB }, c) => {
      const [a, a2, b] = [random(shapeA, 3), random(shapeA, 4), random(shapeB, 5)]
      const scaled = (x: Dense): Dense =>
        dense(
          x.shape,
          Array.from(x.data, value => c * value),
        )
      const left = run('contract', [run('add', [scaled(a), a2], {}), b], spec)
      const right = run('add', [scaled(run('contract', [a, b], spec)), run('contract', [a2, b], spec)], {})
      near(left, right, 1e-12)
    }),
    { numRuns: 100, seed: 3 },
  )
})

test('a few million products take well under a second', () => {
  const n = 150
  const [a, b] = [random([n, n], 1), random([n, n], 2)]
  const start = performance.now()
  run('contract', [a, b], { sizes: { i: n, j: n, k: n }, a: ['i', 'j'], b: ['j', 'k'], out: ['i', 'k'] })
  const image = random([2, 8, 32, 32], 3)
  const spec = {
    sizes: { n: 2, i: 8, o: 16, p: 16, q: 16, k: 4, l: 4 },
    a: ['n', 'i', window('p', 'k', 2, 1, 1), window('q', 'l', 2, 1, 1)],
    b: ['o', 'i', 'k', 'l'],
    out: ['n', 'o', 'p', 'q'],
  }
  run('contract', [image, random([16, 8, 4, 4], 4)], spec)
  assert.ok(performance.now() - start < 3000) // a loaded machine is slow, a quadratic mistake slower
})

test.run()
