/**
 * Functions of every kind of kernel, made from sizes: matrix products, convolutions both ways with all gradients, blurs,
 * reductions, index operations, recurrences, optimiser steps. Which sizes is for a test to say; `pairwise` picks few
 * combinations that have every two values of different properties in one of them.
 */
import { type Builder, define } from '../../compiler/ir/build.ts'
import type { Func, Id } from '../../compiler/ir/ir.ts'
import { at, count, range } from '../../compiler/ir/view.ts'
import { batch } from '../../compiler/transform/batch.ts'
import { vjp } from '../../compiler/transform/vjp.ts'
import type { Aval, Contraction, Dimension, DType, Elementwise } from '../../dsl/core/prim.ts'
import { randomArgs, stream } from './arbitrary.ts'
import type { Case } from './together.ts'

export const t = (dtype: DType, ...shape: readonly number[]): Aval => ({ shape, dtype })
export const f = (...shape: readonly number[]): Aval => t('f32', ...shape)
/** A function of arguments of the given types. */
export const made = (params: readonly Aval[], body: (b: Builder, ...ids: readonly Id[]) => readonly Id[]): Func =>
  define(params.map((aval, i) => ({ aval, path: `x${i}` })), (b, ids) => body(b, ...ids))
export const unary = (b: Builder, prim: Elementwise, x: Id): Id => b.op<Elementwise>(prim, [x], {} as never) // for primitives without attributes
export const binary = (b: Builder, prim: Elementwise, x: Id, y: Id): Id => b.op<Elementwise>(prim, [x, y], {} as never)
/** A number in the shape of a value. */
export const like = (b: Builder, x: Id, value: number): Id => b.op('fill', [], { ...b.aval(x), value })
/** The value repeated along the axes of `shape` that are not among `axes`. */
export const spread = (b: Builder, x: Id, shape: readonly number[], axes: readonly number[]): Id => b.op('broadcast', [x], { shape, axes })

let seed = 0
/** The function with arguments of its own. */
export const caseOf = (name: string, func: Func): Case => ({ name, func, args: randomArgs(func, (seed += 101)) })

/**
 * Combinations of values, one of each list, such that any two values of different lists that `fits` allows together occur
 * in one of them. Deterministic, and far fewer than all.
 */
export const pairwise = <L extends Readonly<Record<string, readonly unknown[]>>>(
  lists: L, fits: (choice: { readonly [K in keyof L]: L[K][number] }) => boolean = () => true,
): readonly { readonly [K in keyof L]: L[K][number] }[] => {
  type Choice = { readonly [K in keyof L]: L[K][number] }
  const [names, values] = [Object.keys(lists), Object.values(lists)]
  const next = stream(names.length)
  const draw = (fixed: readonly (readonly [string, number])[]): readonly number[] =>
    names.map((name, i) => fixed.find(([n]) => n === name)?.[1] ?? Math.floor(next() * at(values, i).length))
  const pairOf = (i: number, x: number, j: number, y: number): string => `${i}:${x} ${j}:${y}`
  const every = (of: (i: number, j: number) => readonly string[]): readonly string[] => range(names.length).flatMap(i => range(i).flatMap(j => of(i, j)))
  const pairs = (places: readonly number[]): readonly string[] => every((i, j) => [pairOf(i, at(places, i), j, at(places, j))])
  // the same keys
  const choiceOf = (places: readonly number[]): Choice => Object.fromEntries(names.map((name, i) => [name, lists[name]![at(places, i)]])) as Choice
  const left = new Set(every((i, j) => at(values, i).flatMap((_, x) => at(values, j).map((__, y) => pairOf(i, x, j, y)))))
  const chosen: Choice[] = []
  for (const pair of left) {
    const fixed = pair.split(' ').map(p => p.split(':').map(Number)).map(([i, x]) => [at(names, i!), x!] as const)
    const tries = range(60).map(() => draw(fixed)).filter(places => fits(choiceOf(places)))
    const gain = (places: readonly number[]): number => pairs(places).filter(p => left.has(p)).length
    const best = tries.reduce<readonly number[] | null>((b, places) => (b === null || gain(places) > gain(b) ? places : b), null)
    if (best === null) continue
    chosen.push(choiceOf(best))
    for (const p of pairs(best)) left.delete(p)
  }
  return chosen
}

/** The function with the cotangents of all its parameters, given those of its results: forward and all gradients as one program. */
export const withGradients = (func: Func): Func => vjp(func, range(func.params.length))

export type Product = {
  readonly m: number; readonly n: number; readonly k: number
  readonly turned: 'none' | 'a' | 'b' | 'both'; readonly out: 'mn' | 'nm'
  /** Which operands there are several of. */
  readonly batched: 'no' | 'both' | 'one'
  readonly around: 'nothing' | 'epilogue' | 'prologue'
}
/** out[m, n] = sum over k of a[m, k] * b[k, n], in any layout, with a bias and an activation behind it or functions of the operands in front. */
export const product = ({ m, n, k, turned, out, batched, around }: Product): Func => {
  const [a, b] = [['a', 'both'].includes(turned) ? ['k', 'm'] : ['m', 'k'], ['b', 'both'].includes(turned) ? ['n', 'k'] : ['k', 'n']]
  const sizes: Record<string, number> = { m, n, k }
  const result = out.split('')
  const shape = (labels: readonly string[]): readonly number[] => labels.map(label => sizes[label]!)
  const one = made([f(...shape(a)), f(...shape(b)), f(n)], (build, x, y, bias) => {
    const left = around === 'prologue' ? binary(build, 'maximum', x!, like(build, x!, 0)) : x!
    const right = around === 'prologue' ? binary(build, 'mul', y!, like(build, y!, 0.5)) : y!
    const z = build.op('contract', [left, right], { sizes, a, b, out: result })
    if (around !== 'epilogue') return [z]
    const sum = binary(build, 'add', z, spread(build, bias!, shape(result), [result.indexOf('n')]))
    return [unary(build, 'tanh', sum), sum]
  })
  return batched === 'no' ? one : batch(one, [true, batched === 'both', false], 3)
}

export type Conv = {
  readonly c: number; readonly o: number; readonly h: number; readonly w: number; readonly kh: number; readonly kw: number
  readonly stride: number; readonly pad: number; readonly dilation: number
  /** 'own': as many groups as channels. */
  readonly groups: 1 | 2 | 3 | 'own'
  /** 'shared': several images under one weight. 'each': a weight for every image. */
  readonly images: 'one' | 'shared' | 'each'
}
export type ConvT = Conv & { readonly more: number }

const groupsOf = ({ c, groups }: Conv): number => (groups === 'own' ? c : groups)
const strided = (n: number, k: number, { stride, pad, dilation }: Conv): number => Math.floor((n + 2 * pad - dilation * (k - 1) - 1) / stride) + 1
const spreadOut = (n: number, k: number, { stride, pad, dilation, more }: ConvT): number => (n - 1) * stride - 2 * pad + dilation * (k - 1) + more + 1
/** Whether there is such a convolution, with few enough products for the slow meaning. */
export const convFits = (s: Conv, most = 1.5e6): boolean => fits(s, strided(s.h, s.kh, s), strided(s.w, s.kw, s), most)
export const convTFits = (s: ConvT, most = 1.5e6): boolean =>
  s.more < Math.max(s.stride, s.dilation) && fits(s, spreadOut(s.h, s.kh, s), spreadOut(s.w, s.kw, s), most)
const fits = (s: Conv, oh: number, ow: number, most: number): boolean => {
  const g = groupsOf(s)
  const whole = s.c % g === 0 && s.o % g === 0 && (g === 1) === (s.groups === 1)
  return whole && oh >= 1 && ow >= 1 && (s.c / g) * s.o * oh * ow * s.kh * s.kw <= most
}

/** One contraction over a weight and an image, in groups or not: as dsl/ops/convolution.ts writes it. */
type Windows = { readonly g: number; readonly weight: readonly string[]; readonly image: readonly Dimension[]; readonly sizes: Contraction['sizes'] }
const grouped = (b: Builder, x: Id, weight: Id, { g, weight: a, image, sizes }: Windows): Id => {
  if (g === 1) return b.op('contract', [weight, x], { sizes, a, b: image, out: ['o', 'y', 'x'] })
  const split = (id: Id): Id => b.op('reshape', [id], { shape: [g, at(b.aval(id).shape, 0) / g, ...b.aval(id).shape.slice(1)] })
  const out = b.op('contract', [split(weight), split(x)], { sizes: { g, ...sizes }, a: ['g', ...a], b: ['g', ...image], out: ['g', 'o', 'y', 'x'] })
  const [, o, ...rest] = b.aval(out).shape
  return b.op('reshape', [out], { shape: [g * o!, ...rest] })
}
const images = (which: Conv['images'], one: Func): Func => withGradients(which === 'one' ? one : batch(one, [true, which === 'each'], which === 'each' ? 2 : 3))

/** y[o, i, j] = sum of x[c, i s - p + k d, ...] * weight[o, c, k, l], with the gradients by image and weight. */
export const conv = (s: Conv): Func => {
  const { c, o, h, w, kh, kw, stride, pad, dilation } = s
  const g = groupsOf(s)
  const window = (p: string, k: string) => ({ p, k, stride, dilation, pad, base: 1 })
  const sizes = { o: o / g, c: c / g, k: kh, l: kw, y: strided(h, kh, s), x: strided(w, kw, s) }
  const windows: Windows = { g, weight: ['o', 'c', 'k', 'l'], image: ['c', window('y', 'k'), window('x', 'l')], sizes }
  return images(s.images, made([f(c, h, w), f(o, c / g, kh, kw)], (b, x, weight) => [grouped(b, x!, weight!, windows)]))
}

/** The transposed convolution, with the gradients by image and weight; `more` rows and columns at the end. */
export const convT = (s: ConvT): Func => {
  const { c, o, h, w, kh, kw, stride, pad, dilation } = s
  const g = groupsOf(s)
  const window = (p: string, k: string) => ({ p, k, stride: 1, dilation: -dilation, pad: 0 - pad, base: stride })
  const sizes = { o: o / g, c: c / g, k: kh, l: kw, y: spreadOut(h, kh, s), x: spreadOut(w, kw, s) }
  const windows: Windows = { g, weight: ['c', 'o', 'k', 'l'], image: ['c', window('y', 'k'), window('x', 'l')], sizes }
  return images(s.images, made([f(c, h, w), f(c, o / g, kh, kw)], (b, x, weight) => [grouped(b, x!, weight!, windows)]))
}

const binomial: Readonly<Record<number, readonly number[]>> = { 2: [1, 1], 3: [1, 2, 1], 4: [1, 3, 3, 1], 5: [1, 4, 6, 4, 1] }
export type Blur = { readonly c: number; readonly h: number; readonly w: number; readonly taps: number; readonly stride: number }
/** A fixed binomial filter, then every `stride`-th pixel, with the gradient. */
export const blur = ({ c, h, w, taps, stride }: Blur): Func => {
  const window = (p: string, k: string) => ({ p, k, stride, dilation: 1, pad: Math.floor((taps - 1) / 2), base: 1 })
  const row = binomial[taps]!
  const sizes = { c, p: Math.ceil(h / stride), q: Math.ceil(w / stride), i: taps, j: taps }
  return withGradients(made([f(c, h, w)], (b, x) => {
    const filter = b.op('literal', [], { shape: [taps, taps], dtype: 'f32', data: row.flatMap(y => row.map(z => (y * z) / 4 ** (taps - 1))) })
    return [b.op('contract', [filter, x!], { sizes, a: ['i', 'j'], b: ['c', window('p', 'i'), window('q', 'j')], out: ['c', 'p', 'q'] })]
  }))
}

/** Sum, maximum and minimum over some axes. */
export const reductions = (shape: readonly number[], axes: readonly number[], dtype: DType = 'f32'): Func =>
  made([t(dtype, ...shape)], (b, x) => (['sum', 'max', 'min'] as const).map(prim => b.op(prim, [x!], { axes })))

/** Softmax and logSumExp along one axis, with the gradient of both. */
export const softmax = (shape: readonly number[], axis: number): Func =>
  withGradients(made([f(...shape)], (b, x) => {
    const kept = range(shape.length).filter(i => i !== axis)
    const top = b.op('stopGradient', [b.op('max', [x!], { axes: [axis] })], {})
    const e = unary(b, 'exp', binary(b, 'sub', x!, spread(b, top, shape, kept)))
    const total = b.op('sum', [e], { axes: [axis] })
    return [binary(b, 'div', e, spread(b, total, shape, kept)), binary(b, 'add', top, unary(b, 'log', total))]
  }))

/** A gated recurrent cell over several sequences: all states, with all gradients. */
export const cell = (steps: number, rows: number, hidden: number, features: number): Func =>
  withGradients(made([f(steps, rows, features), f(hidden, hidden), f(hidden, features), f(hidden), f(rows, hidden)], (b, xs, recurrent, input, bias, start) => {
    const body = made([f(hidden, hidden), f(hidden, features), f(hidden), f(rows, hidden), f(rows, features)], (s, wh, wx, c, h, x) => {
      const sizes = (i: number) => ({ r: rows, o: hidden, i })
      const times = (m: Id, v: Id, n: number): Id => s.op('contract', [v, m], { sizes: sizes(n), a: ['r', 'i'], b: ['o', 'i'], out: ['r', 'o'] })
      const sum = binary(s, 'add', binary(s, 'add', times(wh!, h!, hidden), times(wx!, x!, features)), spread(s, c!, [rows, hidden], [1]))
      const gate = unary(s, 'sigmoid', sum)
      const next = binary(s, 'add', binary(s, 'mul', gate, h!), binary(s, 'mul', binary(s, 'sub', like(s, gate, 1), gate), unary(s, 'tanh', sum)))
      return [next, next]
    })
    // so that a rounding error stays as small as it is from step to step
    const tame = binary(b, 'mul', recurrent!, like(b, recurrent!, 0.5 / Math.sqrt(hidden)))
    return b.scan({ length: steps, reverse: false, consts: [tame, input!, bias!], init: [start!], xs: [xs!], body })
  }))

/** One step of Adam over leaves of the given sizes. */
export const adam = (sizes: readonly number[]): Func =>
  made(sizes.flatMap(n => [f(n), f(n), f(n), f(n)]).concat([f()]), (b, ...ids) => {
    const rate = at(ids, 4 * sizes.length)
    return sizes.flatMap((n, i) => {
      const [p, g, m, root] = ids.slice(4 * i, 4 * i + 4) as [Id, Id, Id, Id]
      const times = (x: Id, c: number): Id => binary(b, 'mul', x, like(b, x, c))
      const v = binary(b, 'mul', root, root)
      const first = binary(b, 'add', times(m, 0.9), times(g, 0.1))
      const second = binary(b, 'add', times(v, 0.999), times(binary(b, 'mul', g, g), 0.001))
      const direction = binary(b, 'div', first, binary(b, 'add', unary(b, 'sqrt', second), like(b, g, 1e-8)))
      return [binary(b, 'sub', p, binary(b, 'mul', direction, spread(b, rate, [n], []))), first, second]
    })
  })

/** Every way to move elements, over [a, b, c], each with a bit of arithmetic behind it. */
export const moved = (a: number, b: number, c: number): Func =>
  made([f(a, b, c), f(a, 2, c), t('i32', 5), t('i32', a, 3)], (build, x, y, places, own) => {
    const shape = [a, b, c]
    const moves: readonly Id[] = [
      build.op('concat', [x!, y!], { axis: 1 }),
      build.op('pad', [x!], { low: [1, 0, 2], high: [0, 3, 1], interior: [0, 1, 0], value: 0.5 }),
      build.op('flip', [x!], { axes: [0, 2] }),
      build.op('slice', [x!], { start: [0, 0, Math.min(1, c - 1)], limit: shape, step: [1, 2, 3] }),
      build.op('transpose', [x!], { perm: [2, 1, 0] }),
      build.op('transpose', [x!], { perm: [1, 2, 0] }),
      build.op('reshape', [build.op('transpose', [x!], { perm: [0, 2, 1] })], { shape: [count(shape)] }),
      build.op('gather', [x!, places!], { axis: 1, batch: 0 }),
      build.op('gather', [x!, own!], { axis: 2, batch: 1 }),
    ]
    return moves.map(id => binary(build, 'add', unary(build, 'sin', id), id))
  })

/** Integers, truth values and bits, of n elements: exact. */
export const integers = (n: number): Func =>
  made([t('i32', n), t('i32', n), t('u32', n), t('u32', n), t('bool', n), t('u32', 2)], (b, i, j, u, v, flags, key) => {
    const bits = b.op('randomBits', [key!], { shape: [n] })
    const less = binary(b, 'lt', i!, j!)
    const places = b.op('and', [u!, like(b, u!, 31)], {})
    return [
      binary(b, 'mul', i!, j!), binary(b, 'maximum', i!, j!), binary(b, 'shl', u!, places), binary(b, 'shr', u!, places),
      binary(b, 'shr', i!, b.op('cast', [places], { dtype: 'i32' })), binary(b, 'xor', u!, bits), binary(b, 'ge', u!, v!),
      binary(b, 'and', less, flags!), unary(b, 'not', binary(b, 'or', less, flags!)), b.op('select', [flags!, u!, v!], {}),
      b.op('cast', [binary(b, 'shr', bits, like(b, bits, 8))], { dtype: 'f32' }), b.op('sum', [b.op('cast', [less], { dtype: 'i32' })], { axes: [0] }),
      b.op('max', [bits], { axes: [0] }), b.op('min', [i!], { axes: [0] }), b.op('sum', [u!], { axes: [0] }),
    ]
  })
