/** What the tests of the core share: seeded numbers, closeness, and gradients by central differences. */
import * as assert from 'uvu/assert'
import type { Attrs, DType, Prim } from '../../../dsl/core/prim.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import type { Opaque } from '../../../dsl/core/apply.ts'
import { op, toDense } from '../../../dsl/core/apply.ts'
import type { Call } from '../../../dsl/core/apply.ts'
import { count, dense } from '../../../dsl/core/dense.ts'
import { evaluate } from '../../../dsl/core/eager.ts'
import { differentiate } from '../../../dsl/core/tape.ts'
import { Refusal } from '../../../dsl/errors.ts'

/** Numbers in [0, 1) from a seed: a linear congruence, independent of the generator under test. */
export const uniform = (seed: number): (() => number) => {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n + 1n
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number(state >> 33n) / 2 ** 31
  }
}

/** A tensor of values in [low, high). Values of integer types are whole. */
export const random = (shape: readonly number[], seed: number, low = -1.5, high = 1.5, dtype: DType = 'f32'): Dense => {
  const next = uniform(seed)
  return dense(
    shape,
    Array.from({ length: count(shape) }, () => (dtype === 'f32' ? low + (high - low) * next() : Math.floor(low + (high - low) * next()))),
    dtype,
  )
}

/** Well separated values in a shuffled order, none near 0: for primitives with kinks or ties. */
export const spaced = (shape: readonly number[], seed: number, step = 0.1): Dense => {
  const next = uniform(seed)
  const n = count(shape)
  const order = Array.from({ length: n }, (_, i) => [next(), i] as const).sort((a, b) => a[0] - b[0])
  return dense(
    shape,
    order.map(([, i]) => (i - n / 2 + 0.25) * step),
  )
}

export const values = (x: Opaque): readonly number[] => [...toDense(x).data]

/** Every element within `tolerance`, relative to 1 + |expected|. */
export const near = (actual: Opaque, expected: Opaque, tolerance: number, message = ''): void => {
  const [a, e] = [toDense(actual), toDense(expected)]
  assert.equal([...a.shape], [...e.shape], `${message} shape`)
  assert.is(a.dtype, e.dtype, `${message} dtype`)
  e.data.forEach((want, i) => {
    const got = a.data[i]!
    const fine = Object.is(got, want) || got === want || Math.abs(got - want) <= tolerance * (1 + Math.abs(want))
    if (!fine) assert.unreachable(`${message} element ${i}: ${got}, expected ${want}`)
  })
}

/** sum of x * weight over all elements: turns a tensor into a loss that weighs every element differently. */
export const weigh = (x: Opaque, seed: number): Opaque => {
  const { shape } = toDense(x)
  const weighted = op('mul', [x, random(shape, seed + 1000)], {})
  return shape.length === 0 ? weighted : op('sum', [weighted], { axes: shape.map((_, axis) => axis) })
}

type Function = (xs: readonly Opaque[]) => Opaque

/** Gradients of a scalar function by central differences of step `h`: error O(h^2) of the third derivative. */
export const numeric = (f: Function, xs: readonly Dense[], h = 1e-5): readonly Dense[] =>
  xs.map((x, at) =>
    dense(
      x.shape,
      Array.from(x.data, (_, i) => {
        const moved = (by: number): number => {
          const data = Float64Array.from(x.data)
          data[i]! += by
          return toDense(f(xs.map((y, j) => (j === at ? { ...x, data } : y)))).data[0]!
        }
        return (moved(h) - moved(-h)) / (2 * h)
      }),
    ),
  )

/** `f`'s gradients by the tape equal the numeric ones; with `order` 2 also the gradients of a weighted sum of its gradients. */
export const checkGradient = (f: Function, xs: readonly Dense[], message: string, order: 1 | 2 = 2): void => {
  const loss: Function = inputs => weigh(f(inputs), 7)
  const tolerance = 2e-8 // rounding of about 1e-16 / h, h = 1e-5, with a margin for sums
  const { grads } = differentiate(loss, xs)
  numeric(loss, xs).forEach((expected, i) => near(grads[i]!, expected, tolerance, `${message}: gradient ${i}`))
  if (order === 1) return
  const second: Function = inputs =>
    differentiate(loss, inputs)
      .grads.map((g, i) => weigh(g, 30 + i))
      .reduce((a, b) => op('add', [a, b], {}))
  const twice = differentiate(second, xs).grads
  numeric(second, xs).forEach((expected, i) => near(twice[i]!, expected, tolerance * 5, `${message}: second gradient ${i}`))
}

/** The value of a primitive on dense tensors. */
export const run = <P extends Prim>(prim: P, inputs: readonly Dense[], attrs: Attrs[P]): Dense => evaluate(prim, inputs, attrs)

/** The message with which a call is refused. */
export const refusal = (...call: Call): string => {
  try {
    op(...call)
  } catch (error) {
    if (error instanceof Refusal && error.failure.kind === 'shape') return error.message
    throw error
  }
  return assert.unreachable(`${call[0]} was accepted`) as unknown as string
}
