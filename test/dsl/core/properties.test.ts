/** Laws of the shape primitives on random shapes: round trips, compositions, and that no value is lost or made up. */
import { test } from 'uvu'
import fc from 'fast-check'
import type { Dense } from '../../../dsl/core/dense.ts'
import { count } from '../../../dsl/core/dense.ts'
import type { Opaque } from '../../../dsl/core/apply.ts'
import { op } from '../../../dsl/core/apply.ts'
import { checkGradient, near, random, run } from './support.ts'

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 })
const tensors = fc.tuple(shapes, fc.integer({ min: 1, max: 10000 })).map(([shape, seed]) => random(shape, seed))
/** A tensor and one number in 0 .. max for each of its axes, `n` times. */
const withLists = (n: number, max: number) =>
  tensors.chain(x =>
    fc.tuple(
      fc.constant(x),
      fc.array(fc.array(fc.integer({ min: 0, max }), { minLength: x.shape.length, maxLength: x.shape.length }), { minLength: n, maxLength: n }),
    ),
  )
const withPerm = tensors.chain(x =>
  fc.tuple(
    fc.constant(x),
    fc.shuffledSubarray(
      x.shape.map((_, axis) => axis),
      { minLength: x.shape.length },
    ),
  ),
)
const withAxes = tensors.chain(x => fc.tuple(fc.constant(x), fc.subarray(x.shape.map((_, axis) => axis))))

const law = <T>(name: string, arbitrary: fc.Arbitrary<T>, check: (x: T) => void, numRuns = 200): void =>
  test(name, () => fc.assert(fc.property(arbitrary, check), { numRuns, seed: 5 }))
const same = (a: Dense, b: Dense): void => near(a, b, 0)
const inverse = (perm: readonly number[]): readonly number[] => perm.map((_, axis) => perm.indexOf(axis))

law('reshape there and back', tensors, x => same(run('reshape', [run('reshape', [x], { shape: [count(x.shape)] })], { shape: x.shape }), x))

law('transpose there and back; two transposes are one', withPerm, ([x, perm]) => {
  const y = run('transpose', [x], { perm })
  same(run('transpose', [y], { perm: inverse(perm) }), x)
  same(run('transpose', [y], { perm }), run('transpose', [x], { perm: perm.map(axis => perm[axis]!) }))
})

law('flip twice is nothing; flips of different axes add up', withAxes, ([x, axes]) => {
  same(run('flip', [run('flip', [x], { axes })], { axes }), x)
  same(
    axes.reduce((y, axis) => run('flip', [y], { axes: [axis] }), x),
    run('flip', [x], { axes }),
  )
})

law('what is padded can be cut out again, and sums to the padding plus itself', withLists(3, 2), ([x, [low, high, interior]]) => {
  const padded = run('pad', [x], { low: low!, high: high!, interior: interior!, value: 2 })
  const cut = { start: low!, limit: padded.shape.map((size, axis) => size - high![axis]!), step: interior!.map(n => n + 1) }
  same(run('slice', [padded], cut), x)
  const axes = x.shape.map((_, axis) => axis)
  const [all, own] = [run('sum', [padded], { axes }).data[0]!, run('sum', [x], { axes }).data[0]!]
  near(random([], 1, all, all), random([], 1, own + 2 * (count(padded.shape) - count(x.shape)), own + 2 * (count(padded.shape) - count(x.shape))), 1e-12)
})

law(
  'concat of the parts is the whole',
  tensors.filter(x => x.shape.length > 0).chain(x => fc.tuple(fc.constant(x), fc.nat(x.shape.length - 1), fc.nat(4))),
  ([x, axis, at]) => {
    const cut = Math.min(at, x.shape[axis]!)
    const part = (from: number, to: number): Dense =>
      run('slice', [x], {
        start: x.shape.map((_, i) => (i === axis ? from : 0)),
        limit: x.shape.map((size, i) => (i === axis ? to : size)),
        step: x.shape.map(() => 1),
      })
    same(run('concat', [part(0, cut), part(cut, x.shape[axis]!)], { axis }), x)
  },
)

law('a sum over axes is what is left after repeating by their sizes', withAxes, ([x, axes]) => {
  const kept = x.shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]))
  const less = run('sum', [x], { axes })
  const repeated = run('broadcast', [less], { shape: x.shape, axes: kept })
  const times = axes.reduce((n, axis) => n * x.shape[axis]!, 1)
  near(run('sum', [repeated], { axes }), run('mul', [less, run('fill', [], { shape: less.shape, dtype: 'f32', value: times })], {}), 1e-12)
  same(run('max', [repeated], { axes }), less)
  same(run('min', [x], { axes }), run('neg', [run('max', [run('neg', [x], {})], { axes })], {}))
})

law(
  'gather of 0, 1, ... is the identity; of reversed indices it is flip',
  tensors.filter(x => x.shape.length > 0).chain(x => fc.tuple(fc.constant(x), fc.nat(x.shape.length - 1))),
  ([x, axis]) => {
    const indices = run('iota', [], { shape: [x.shape[axis]!], dtype: 'i32', axis: 0 })
    same(run('gather', [x, indices], { axis, batch: 0 }), x)
    same(run('gather', [x, run('flip', [indices], { axes: [0] })], { axis, batch: 0 }), run('flip', [x], { axes: [axis] }))
  },
)

/** One random step on a tensor of any shape, differentiable everywhere. */
type Step = (x: Opaque, shape: readonly number[]) => { readonly y: Opaque; readonly shape: readonly number[] }
const done = (y: Opaque, shape: readonly number[]) => ({ y, shape })
const steps: readonly Step[] = [
  (x, shape) => done(op('tanh', [x], {}), shape),
  (x, shape) => done(op('mul', [x, op('sigmoid', [x], {})], {}), shape),
  (x, shape) => done(op('transpose', [x], { perm: shape.map((_, axis) => shape.length - 1 - axis) }), shape.toReversed()),
  (x, shape) => done(op('reshape', [x], { shape: [count(shape)] }), [count(shape)]),
  (x, shape) => (shape.length === 0 ? done(x, shape) : done(op('sum', [x], { axes: [0] }), shape.slice(1))),
  (x, shape) =>
    shape.length > 3 ? done(x, shape) : done(op('broadcast', [x], { shape: [2, ...shape], axes: shape.map((_, axis) => axis + 1) }), [2, ...shape]),
  (x, shape) =>
    shape.length === 0 ? done(x, shape) : done(op('concat', [x, op('flip', [x], { axes: [0] })], { axis: 0 }), [2 * shape[0]!, ...shape.slice(1)]),
  (x, shape) =>
    done(
      op('slice', [x], { start: shape.map(() => 0), limit: shape, step: shape.map(() => 2) }),
      shape.map(size => Math.ceil(size / 2)),
    ),
  (x, shape) =>
    done(
      op('pad', [x], { low: shape.map(() => 1), high: shape.map(() => 0), interior: shape.map(() => 0), value: 0.3 }),
      shape.map(size => size + 1),
    ),
  (x, shape) => {
    const labels = shape.map((_, axis) => `a${axis}`)
    const sizes = Object.fromEntries(shape.map((size, axis) => [labels[axis]!, size] as const))
    return done(op('contract', [x, x], { sizes, a: labels, b: labels, out: labels.slice(0, 1) }), shape.slice(0, 1))
  },
]

law(
  'random programs: first and second gradients',
  fc.tuple(
    fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    fc.array(fc.nat(steps.length - 1), { minLength: 1, maxLength: 5 }),
    fc.integer({ min: 1, max: 1000 }),
  ),
  ([shape, path, seed]) =>
    checkGradient(
      ([x]) => path.reduce((now, at) => (count(now.shape) > 60 ? now : steps[at]!(now.y, now.shape)), { y: x!, shape: shape as readonly number[] }).y,
      [random(shape, seed, -0.8, 0.8)],
      path.join(),
    ),
  150,
)

test.run()
