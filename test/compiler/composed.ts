/**
 * Random compositions grown from the result down: an operand of a given shape is a transpose, slice, flip, pad, concat,
 * gather, broadcast, ... of another, so that index arithmetic, guards and lookups meet within one kernel. Sizes are large
 * enough for vectors, tiles and blocks of the schedules.
 */
import { type Builder, builder } from '../../compiler/ir/build.ts'
import type { Func, Id } from '../../compiler/ir/ir.ts'
import { at, count, range } from '../../compiler/ir/view.ts'
import type { Dimension } from '../../dsl/core/prim.ts'
import { stream } from './arbitrary.ts'

const sizes = [1, 1, 2, 3, 4, 4, 5, 7, 8, 9, 12, 16, 17, 20, 24, 31, 33]
const most = 20000

type Draw = { readonly b: Builder; readonly below: (n: number) => number }

const pick = <T>(d: Draw, list: readonly T[]): T => at(list, d.below(list.length))
const shuffled = (d: Draw, n: number): readonly number[] => range(n).map(i => ({ i, key: d.below(1e6) })).sort((x, y) => x.key - y.key).map(x => x.i)
const f32 = (shape: readonly number[]) => ({ shape, dtype: 'f32' as const })
const param = (d: Draw, shape: readonly number[]): Id => d.b.param(f32(shape), 'p')

/** A value of the given shape. */
const grown = (d: Draw, shape: readonly number[], depth: number): Id => {
  const { b } = d
  const n = count(shape)
  if (depth === 0 || n > most) return param(d, shape)
  const next = (s: readonly number[]): Id => (count(s) > most ? param(d, s) : grown(d, s, depth - 1))
  const rank = shape.length
  const axis = d.below(Math.max(1, rank))
  const forms: readonly (() => Id)[] = [
    () => param(d, shape),
    () => {
      const perm = shuffled(d, rank)
      return b.op('transpose', [next(perm.map((_, i) => at(shape, perm.indexOf(i))))], { perm })
    },
    () => b.op('reshape', [next(pick(d, [[n], shape.toReversed(), [1, ...shape], factors(d, n)]))], { shape }),
    () => {
      const step = shape.map(() => 1 + (d.below(3) === 0 ? d.below(3) : 0))
      const start = shape.map(() => d.below(3))
      const limit = shape.map((size, i) => at(start, i) + (size - 1) * at(step, i) + 1)
      return b.op('slice', [next(limit.map(l => l + d.below(2)))], { start, limit, step })
    },
    () => b.op('flip', [next(shape)], { axes: range(rank).filter(() => d.below(2) === 0) }),
    () => {
      // size = low + high + inner + (inner - 1) * interior
      const interior = shape.map(() => (d.below(4) === 0 ? 1 : 0))
      const low = shape.map(size => (size > 2 ? d.below(3) : 0))
      const inner = shape.map((size, i) => Math.max(1, Math.floor((size - at(low, i) - d.below(Math.max(1, size - at(low, i))) + at(interior, i)) / (1 + at(interior, i)))))
      const high = shape.map((size, i) => size - at(low, i) - at(inner, i) - (at(inner, i) - 1) * at(interior, i))
      return high.some(h => h < 0) ? next(shape) : b.op('pad', [next(inner)], { low, high, interior, value: pick(d, [0, 0, 0.5]) })
    },
    () => {
      if (rank === 0 || at(shape, axis) < 2) return next(shape)
      const first = 1 + d.below(at(shape, axis) - 1)
      return b.op('concat', [next(shape.with(axis, first)), next(shape.with(axis, at(shape, axis) - first))], { axis })
    },
    () => {
      if (rank === 0) return next(shape)
      const indices = b.param({ shape: [at(shape, axis)], dtype: 'i32' }, 'at')
      return b.op('gather', [next(shape.with(axis, pick(d, sizes))), indices], { axis, batch: 0 })
    },
    () => {
      const axes = range(rank).filter(() => d.below(2) === 0)
      return b.op('broadcast', [next(axes.map(i => at(shape, i)))], { shape, axes })
    },
    () => b.op(pick(d, ['add', 'sub', 'mul', 'maximum'] as const), [next(shape), next(shape)], {}),
    () => b.op(pick(d, ['sin', 'tanh', 'neg', 'abs', 'sigmoid', 'softplus'] as const), [next(shape)], {}),
    () => b.op('select', [b.op(pick(d, ['lt', 'ge'] as const), [next(shape), next(shape)], {}), next(shape), next(shape)], {}),
    () => {
      if (rank === 0) return next(shape)
      return b.op('add', [next(shape), b.op('cast', [b.op('iota', [], { shape, dtype: pick(d, ['i32', 'u32'] as const), axis })], { dtype: 'f32' })], {})
    },
    () => {
      const more = pick(d, sizes)
      return b.op(pick(d, ['sum', 'max', 'min'] as const), [next(shape.toSpliced(axis, 0, more))], { axes: [rank === 0 ? 0 : axis] })
    },
    () => product(d, shape, depth),
    () => recurrence(d, shape, depth),
    () => {
      const keep = next(shape)
      return b.op('add', [keep, b.op('tanh', [keep], {})], {})
    },
  ]
  return pick(d, forms)()
}

const factors = (d: Draw, n: number): readonly number[] => {
  const by = [2, 3, 4, 5, 7, 8].filter(f => n % f === 0)
  return by.length === 0 ? [n] : ((f: number) => (d.below(2) === 0 ? [f, n / f] : [n / f, f]))(pick(d, by))
}

/** A contraction whose result has the given shape: labels go to one operand or both, some axes are windows. */
const product = (d: Draw, shape: readonly number[], depth: number): Id => {
  const { b } = d
  const size: Record<string, number> = {}
  const a: Dimension[] = []
  const other: Dimension[] = []
  const [shapeA, shapeB]: [number[], number[]] = [[], []]
  const put = (side: 0 | 1, dim: Dimension, n: number): void => {
    const [dims, into] = side === 0 ? [a, shapeA] : [other, shapeB]
    const where = d.below(dims.length + 1)
    dims.splice(where, 0, dim)
    into.splice(where, 0, n)
  }
  const out = shape.map((n, i) => {
    const label = `o${i}`
    size[label] = n
    const kind = d.below(8)
    if (kind < 3) put(0, label, n)
    else if (kind < 6) put(1, label, n)
    else if (kind === 6) {
      put(0, label, n)
      put(1, label, n)
    } else {
      const [k, taps, stride, dilation, pad, base] = [`k${i}`, 1 + d.below(4), 1 + d.below(2), 1 + d.below(2), d.below(3), 1 + (d.below(3) === 0 ? 1 : 0)]
      size[k] = taps
      const sign = d.below(4) === 0 ? -1 : 1
      put(0, { p: label, k, stride, dilation: dilation * sign, pad, base }, 1 + d.below(2 + Math.ceil((n * stride) / base)))
      put(1, k, taps)
    }
    return label
  })
  for (const i of range(1 + d.below(2))) {
    const n = pick(d, sizes)
    size[`s${i}`] = n
    put(0, `s${i}`, n)
    put(1, `s${i}`, n)
  }
  return b.op('contract', [grown(d, shapeA, depth - 1), grown(d, shapeB, depth - 1)], { sizes: size, a, b: other, out })
}

/** A scan whose ys (or last carry) have the given shape. */
const recurrence = (d: Draw, shape: readonly number[], depth: number): Id => {
  const { b } = d
  const [length = 0, ...rest] = shape
  const last = shape.length === 0 || d.below(3) === 0
  const inner = last ? shape : rest
  if (!last && length < 1) return param(d, shape)
  const s = builder()
  const constant = s.param(f32(inner))
  const [c0, c1] = [s.param(f32(inner)), s.param(f32(inner))]
  const slice = s.param(f32(inner))
  const mixed = s.op('tanh', [s.op('add', [s.op('mul', [c0, constant], {}), slice], {})], {})
  const half = s.op('mul', [s.op('add', [c1, mixed], {}), s.op('fill', [], { ...f32(inner), value: 0.5 })], {})
  const nexts = pick(d, [[half, mixed], [c1, mixed], [mixed, c0], [half, half]] as const)
  const y = pick(d, [mixed, half, c0, c1, slice])
  const steps = last ? 1 + d.below(4) : length
  const xs = last ? grown(d, [steps, ...shape], depth - 1) : grown(d, shape, depth - 1)
  const ids = b.scan({
    length: steps, reverse: d.below(2) === 0, consts: [grown(d, inner, depth - 1)], init: [grown(d, inner, depth - 1), grown(d, inner, depth - 1)], xs: [xs],
    body: s.finish([...nexts, y]),
  })
  return at(ids, last ? d.below(2) : 2)
}

/** A function from a seed: a few composed results, with views and a reduction of them. */
export const composed = (seed: number, depth = 4): Func => {
  const next = stream(seed)
  const b = builder()
  const d: Draw = { b, below: n => Math.floor(next() * n) }
  const shape = range(d.below(4)).map(() => pick(d, sizes))
  const value = grown(d, count(shape) > most ? shape.slice(1) : shape, depth)
  const made = b.aval(value).shape
  const perm = shuffled(d, made.length)
  const squashed = b.op('tanh', [b.op('add', [value, grown(d, made, 1)], {})], {})
  const axes = range(made.length).filter(() => d.below(2) === 0)
  return b.finish([value, b.op('transpose', [squashed], { perm }), b.op('sum', [squashed], { axes }), squashed])
}
