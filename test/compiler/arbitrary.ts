/**
 * Random well-typed functions for property tests. A function is grown from a list of small numbers, each step picking an
 * operation and operands among the values so far (what does not fit is skipped), so fast-check shrinks it step by step.
 * Values stay of moderate size; with `smooth`, every function is differentiable where it is evaluated.
 */
import fc from 'fast-check'
import { type Dense, dense } from '../../dsl/core/dense.ts'
import type { Aval, DType } from '../../dsl/core/prim.ts'
import { type Builder, builder } from '../../compiler/ir/build.ts'
import type { Func, Id } from '../../compiler/ir/ir.ts'
import { at, count, range, sameAval, sameList } from '../../compiler/ir/view.ts'

export type Options = { readonly smooth?: boolean; readonly scans?: boolean; readonly steps?: number }
export type Sample = { readonly func: Func; readonly args: readonly Dense[] }

/** Numbers that steer one step. */
type Steer = readonly [number, number, number, number, number]

/** A cheap generator of reproducible numbers in [0, 1). */
export const stream = (seed: number): (() => number) => {
  let state = (seed * 2654435761 + 12345) >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 4294967296
  }
}

/** Random values of a type: f32 in (-1.5, 1.5) and away from 0, small integers. */
export const randomDense = ({ shape, dtype }: Aval, seed: number): Dense => {
  const next = stream(seed)
  const draw: Readonly<Record<DType, () => number>> = {
    f32: () => (next() < 0.5 ? -1 : 1) * (0.1 + 1.4 * next()),
    i32: () => Math.floor(next() * 7) - 2,
    u32: () => Math.floor(next() * 4294967296),
    bool: () => (next() < 0.5 ? 0 : 1),
  }
  return dense(shape, Array.from({ length: count(shape) }, draw[dtype]), dtype)
}

export const randomArgs = (func: Func, seed: number): readonly Dense[] => func.params.map((param, i) => randomDense(param.aval, seed + 31 * i))

const most = 120

type Grow = { readonly b: Builder; readonly values: readonly Id[]; readonly smooth: boolean; readonly depth: number }
type Template = (grow: Grow, x: Id, steer: Steer) => Id | null

const pick = <T>(list: readonly T[], n: number): T | null => (list.length === 0 ? null : at(list, n % list.length))
const f32 = (shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })
const constant = ({ b }: Grow, shape: readonly number[], value: number): Id => b.op('fill', [], { ...f32(shape), value })
const ofType = ({ b, values }: Grow, aval: Aval, n: number): Id | null => pick(values.filter(id => sameAval(b.aval(id), aval)), n)
const others = ({ b, values }: Grow, fits: (aval: Aval) => boolean, n: number): Id | null => pick(values.filter(id => fits(b.aval(id))), n)
const shapeOf = ({ b }: Grow, id: Id): readonly number[] => b.aval(id).shape
const subset = (rank: number, bits: number): readonly number[] => range(rank).filter(i => (bits >> i) % 2 === 1)

const unarySmooth = ['neg', 'sin', 'cos', 'tanh', 'sigmoid', 'softplus'] as const
const unaryRough = ['abs', 'sign', 'floor', 'stopGradient'] as const
const binarySmooth = ['add', 'sub', 'mul'] as const
const binaryRough = ['maximum', 'minimum'] as const
const positive = ['log', 'sqrt', 'rsqrt', 'log1p'] as const
const compare = ['lt', 'le', 'gt', 'ge', 'eq', 'ne'] as const

const onePlusSquare = (g: Grow, x: Id): Id => g.b.op('add', [constant(g, shapeOf(g, x), 1), g.b.op('mul', [x, x], {})], {})

const templates: readonly Template[] = [
  (g, x, [, n]) => g.b.op(at([...unarySmooth, ...(g.smooth ? [] : unaryRough)], n % (g.smooth ? 6 : 10)), [x], {}),
  (g, x, [, n, m]) => {
    const y = ofType(g, g.b.aval(x), m)
    const prims = [...binarySmooth, ...(g.smooth ? [] : binaryRough)]
    return y === null ? null : g.b.op(at(prims, n % prims.length), [x, y], {})
  },
  (g, x, [, n]) => g.b.op(at(positive, n % positive.length), [onePlusSquare(g, x)], {}),
  (g, x, [, n, m]) => {
    const y = ofType(g, g.b.aval(x), m)
    return y === null ? null : n % 2 === 0 ? g.b.op('div', [x, onePlusSquare(g, y)], {}) : g.b.op('pow', [onePlusSquare(g, x)], { exponent: (n % 5) - 2 + 0.5 })
  },
  (g, x, [, n]) => g.b.op(n % 2 === 0 ? 'exp' : 'expm1', [g.b.op('tanh', [x], {})], {}),
  (g, x, [, n]) => g.b.op(at(['add', 'mul', 'sub'] as const, n % 3), [x, constant(g, shapeOf(g, x), (n % 4) - 1)], {}),
  (g, x, [, n, m]) => {
    const y = ofType(g, g.b.aval(x), m)
    if (y === null) return null
    const mask = g.smooth
      ? g.b.op('literal', [], { shape: shapeOf(g, x), dtype: 'bool', data: range(count(shapeOf(g, x))).map(i => (i + n) % 2) })
      : g.b.op(at(compare, n % compare.length), [y, x], {})
    return g.b.op('select', [n % 3 === 0 ? g.b.op('not', [mask], {}) : mask, x, y], {})
  },
  // shape
  (g, x, [, n]) => g.b.op('reshape', [x], { shape: at([[count(shapeOf(g, x))], shapeOf(g, x).toReversed(), [1, ...shapeOf(g, x)]], n % 3) }),
  (g, x, [, n]) => {
    const rank = shapeOf(g, x).length
    return rank < 2 ? null : g.b.op('transpose', [x], { perm: range(rank).map(i => (n % 2 === 0 ? (i + 1 + n) % rank : rank - 1 - i)) })
  },
  (g, x, [, n]) => {
    const shape = shapeOf(g, x)
    const where = n % (shape.length + 1)
    return g.b.op('broadcast', [x], { shape: shape.toSpliced(where, 0, 1 + (n % 3)), axes: range(shape.length + 1).filter(i => i !== where) })
  },
  (g, x, [, n, m]) => {
    const shape = shapeOf(g, x)
    if (shape.length === 0) return null
    const axis = n % shape.length
    const y = others(g, a => a.dtype === 'f32' && a.shape.length === shape.length && sameList(a.shape.toSpliced(axis, 1), shape.toSpliced(axis, 1)), m)
    return y === null ? null : g.b.op('concat', n % 4 === 0 ? [x, y, x] : [x, y], { axis })
  },
  (g, x, [, n, m]) => {
    const shape = shapeOf(g, x)
    const start = shape.map((size, i) => (n + i) % size)
    return g.b.op('slice', [x], { start, limit: shape.map((size, i) => Math.max(at(start, i) + 1, size - (m % 2))), step: shape.map((_, i) => 1 + ((m + i) % 2)) })
  },
  (g, x, [, n, m]) => {
    const shape = shapeOf(g, x)
    return g.b.op('pad', [x], { low: shape.map((_, i) => (n + i) % 2), high: shape.map((_, i) => (m + i) % 3), interior: shape.map((_, i) => (n + m + i) % 2), value: n % 3 === 0 ? 0 : 0.5 })
  },
  (g, x, [, n]) => g.b.op('flip', [x], { axes: subset(shapeOf(g, x).length, n) }),
  (g, x, [, n, m]) => {
    const shape = shapeOf(g, x)
    if (shape.length === 0) return null
    const axis = n % shape.length
    const leading = m % 2 === 0 ? 0 : Math.min(axis, 1)
    const indexShape = [...shape.slice(0, leading), 2]
    const indices = g.b.op('literal', [], { shape: indexShape, dtype: 'i32', data: range(count(indexShape)).map(i => (i * 2 + n) % 4) })
    return g.b.op('gather', [x, indices], { axis, batch: leading })
  },
  // reductions
  (g, x, [, n, m]) => g.b.op('sum', [x], { axes: m % 3 === 0 ? range(shapeOf(g, x).length) : subset(shapeOf(g, x).length, n) }),
  (g, x, [, n]) => {
    const axes = subset(shapeOf(g, x).length, n)
    return g.smooth ? g.b.op('mul', [x, x], {}) : g.b.op(n % 2 === 0 ? 'max' : 'min', [x], { axes })
  },
  // contractions: equal sizes may share a label
  (g, x, [, n, m, k]) => {
    const y = pick(g.values.filter(id => g.b.aval(id).dtype === 'f32'), m)
    if (y === null) return null
    const sizes: Record<string, number> = {}
    const a = shapeOf(g, x).map((size, i) => ((sizes[`a${i}`] = size), `a${i}`))
    const taken = new Set<string>()
    const second = shapeOf(g, y).map((size, i) => {
      const shared = a.find(label => !taken.has(label) && sizes[label] === size)
      const label = shared !== undefined && ((k >> i) & 1) === 0 ? shared : `b${i}`
      taken.add(label)
      sizes[label] = size
      return label
    })
    const labels = [...new Set([...a, ...second])]
    const out = labels.filter((_, i) => ((n >> i) & 1) === 1)
    return g.b.op('contract', [x, y], { sizes, a, b: second, out: n % 2 === 0 ? out : out.toReversed() })
  },
  // a convolution: a[c, p * stride + k * dilation - pad], b[c, k]
  (g, x, [, n, m]) => {
    const shape = shapeOf(g, x)
    const size = shape.at(-1)
    const y = others(g, a => a.dtype === 'f32' && a.shape.length === 1 && at(a.shape, 0) > 0, m)
    if (size === undefined || size === 0 || y === null) return null
    const k = at(shapeOf(g, y), 0)
    const window = { p: 'p', k: 'k', stride: 1 + (n % 2), dilation: 1 + (m % 2), pad: n % 3, base: 1 + ((n >> 3) % 2) }
    const labels = range(shape.length - 1).map(i => `a${i}`)
    const sizes = { ...Object.fromEntries(labels.map((label, i) => [label, at(shape, i)])), k, p: 2 + (m % 3) }
    return g.b.op('contract', [x, y], { sizes, a: [...labels, window], b: ['k'], out: n % 2 === 0 ? [...labels, 'p'] : ['p', ...labels] })
  },
  // other types
  (g, x, [, n]) =>
    g.smooth ? null : g.b.op('cast', [n % 2 === 0 ? g.b.op('gt', [x, constant(g, shapeOf(g, x), 0)], {}) : g.b.op('cast', [x], { dtype: 'i32' })], { dtype: 'f32' }),
  (g, x) => g.b.op('add', [x, g.b.op('cast', [g.b.op('iota', [], { shape: [...shapeOf(g, x), 2], dtype: 'i32', axis: shapeOf(g, x).length })], { dtype: 'f32' })].map((id, i) =>
    i === 0 ? id : g.b.op('sum', [id], { axes: [shapeOf(g, x).length] })), {}),
]

/** A scan over x whose body is grown from steering numbers of its own; other values enter as constants. */
const growScan = (g: Grow, x: Id, [, n, m, k, l]: Steer, inner: readonly Steer[]): Id | null => {
  const shape = shapeOf(g, x)
  const start = pick(g.values.filter(id => g.b.aval(id).dtype === 'f32'), m)
  const known = pick(g.values.filter(id => g.b.aval(id).dtype === 'f32'), k)
  const length = shape[0]
  if (length === undefined || start === null || known === null) return null
  const body = builder()
  const fixed = body.param(g.b.aval(known))
  const carry = body.param(g.b.aval(start))
  const counter = body.param(f32([]))
  const slice = body.param(f32(shape.slice(1)))
  const grown = grow({ b: body, values: [fixed, carry, counter, slice], smooth: g.smooth, depth: g.depth + 1 }, inner)
  // the next carry has to have the type of the carry: the last such value, squashed; other carries make dead or constant ones
  const likely = grown.filter(id => sameAval(body.aval(id), body.aval(carry)) && id !== carry)
  const next = body.op('tanh', [likely.at(-1) ?? carry], {})
  const bumped = l % 3 === 0 ? counter : body.op('add', [counter, body.op('fill', [], { ...f32([]), value: 0.5 })], {})
  const y = grown.at(-1) ?? slice
  const func = body.finish([next, bumped, y, slice])
  const zero = constant(g, [], 0.25)
  const ids = g.b.scan({ length, reverse: n % 2 === 1, consts: [known], init: [start, zero], xs: [x], body: func })
  return at(ids, at([0, 2, 1], l % 3))
}

const grow = (g: Grow, steers: readonly Steer[], scans = false): readonly Id[] =>
  steers.reduce<readonly Id[]>((values, steer, i) => {
    const state = { ...g, values }
    const x = pick(values.filter(id => g.b.aval(id).dtype === 'f32'), steer[4] % 2 === 0 ? values.length - 1 : steer[4])
    if (x === null) return values
    const wantsScan = scans && steer[0] % 4 === 0 && g.depth < 2
    const made = wantsScan ? growScan(state, x, steer, steers.slice(i + 1, i + 4)) : at(templates, steer[0] % templates.length)(state, x, steer)
    return made === null || count(g.b.aval(made).shape) > most ? values : [...values, made]
  }, g.values)

const shapes: readonly (readonly number[])[] = [[], [3], [2, 3], [3, 2], [2], [2, 1, 3]]

/** A function grown from numbers. */
export const funcFrom = (steers: readonly Steer[], { smooth = false, scans = false }: Options): Func => {
  const b = builder()
  const params = shapes.map((shape, i) => b.param(f32(shape), `p${i}`))
  const values = grow({ b, values: params, smooth, depth: 0 }, steers, scans)
  return b.finish([...values.slice(-2), at(values, values.length >> 1)])
}

/** Random functions of six f32 arguments, with arguments. */
export const arbitrarySample = (options: Options = {}): fc.Arbitrary<Sample> =>
  fc
    .tuple(
      fc.array(fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999), fc.nat(999), fc.nat(999)), { minLength: 1, maxLength: options.steps ?? 12 }),
      fc.nat(9999),
    )
    .map(([steers, seed]) => {
      const func = funcFrom(steers, options)
      return { func, args: randomArgs(func, seed) }
    })

/** The function with one more result, in front: the sum of all its f32 results, each weighted by position. */
export const withLoss = (func: Func): Func => {
  const b = builder()
  const results = b.inline(func, func.params.map(p => b.param(p.aval, p.path)))
  const loss = results.reduce<Id>((total, id) => {
    const { shape, dtype } = b.aval(id)
    if (dtype !== 'f32') return total
    const weights = b.op('literal', [], { shape, dtype, data: range(count(shape)).map(i => 0.3 + ((i * 7) % 5) / 5) })
    return b.op('add', [total, b.op('sum', [b.op('mul', [id, weights], {})], { axes: range(shape.length) })], {})
  }, b.op('fill', [], { ...f32([]), value: 0 }))
  return b.finish([loss, ...results])
}

/** The largest difference between corresponding elements, relative to size beyond 1; infinite where shapes, types or NaNs differ. */
export const difference = (a: readonly Dense[], b: readonly Dense[]): number =>
  a.length !== b.length
    ? Infinity
    : a.reduce((worst, x, i) => {
        const y = at(b, i)
        if (!sameAval(x, y)) return Infinity
        return Array.from(x.data).reduce((w, value, j) => {
          const other = y.data[j] ?? NaN
          if (Object.is(value, other) || value === other) return w
          const d = Math.abs(value - other) / Math.max(1, Math.abs(value), Math.abs(other))
          return Number.isNaN(d) ? Infinity : Math.max(w, d)
        }, worst)
      }, 0)

