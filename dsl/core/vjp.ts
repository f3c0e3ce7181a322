/**
 * Reverse-mode rules, one per primitive, in a total table: from the inputs, the output y and the cotangent ct of y to the
 * cotangents of the inputs. They are written over `Build`, so the same rules serve the eager tape and the compiler's IR,
 * and since they are made of primitives they can be differentiated again.
 */
import type { Attrs, Aval, Build, Prim } from './prim.ts'
import { contractGradient } from './vjp-contract.ts'
import { words } from './vjp-words.ts'
import type { Words } from './vjp-words.ts'

type Given<T, P extends Prim> = {
  readonly x: T
  readonly xs: readonly T[]
  readonly y: T
  readonly ct: T
  readonly attrs: Attrs[P]
  readonly b: Build<T>
  /** Whether anybody asks for the cotangent of input i. */
  readonly needs: (i: number) => boolean
}
type Rule<P extends Prim> = <T>(w: Words<T>, given: Given<T, P>) => readonly (T | null)[]

const none = <T>(_: Words<T>, { xs }: { readonly xs: readonly T[] }): readonly (T | null)[] => xs.map(() => null)

/** y = max(a, b) or min(a, b): ct goes where the value came from; half each where a = b. `wins` is gt for max, lt for min. */
const pick =
  (wins: 'gt' | 'lt') =>
  <T>(w: Words<T>, { xs: [a, b], ct }: Given<T, 'maximum' | 'minimum'>): readonly (T | null)[] => {
    const tie = w.select(w.compare('eq', a!, b!), w.scale(ct, 0.5), w.zeros(ct))
    return [w.select(w.compare(wins, a!, b!), ct, tie), w.select(w.compare(wins, b!, a!), ct, tie)]
  }

/** y = max x or min x over axes: ct goes in equal parts to all elements that equal y. */
const extreme = <T>(w: Words<T>, { b, x, y, ct, attrs: { axes } }: Given<T, 'max' | 'min'>): readonly (T | null)[] => {
  const here = b.op('cast', [w.compare('eq', x, w.spread(y, axes, b.aval(x).shape))], { dtype: 'f32' })
  const share = w.div(ct, w.sum(here, axes))
  return [w.mul(w.spread(share, axes, b.aval(x).shape), here)]
}

const rules: { readonly [P in Prim]: Rule<P> } = {
  // constants
  fill: none,
  literal: none,
  iota: none,
  randomBits: none,

  // d(-x) = -dx
  neg: (w, { ct }) => [w.neg(ct)],
  // d|x| = sign(x) dx
  abs: (w, { x, ct }) => [w.mul(ct, w.unary('sign', x))],
  // constant almost everywhere
  sign: none,
  floor: none,
  // d exp x = y dx
  exp: (w, { y, ct }) => [w.mul(ct, y)],
  // d log x = dx / x
  log: (w, { x, ct }) => [w.div(ct, x)],
  // d log(1 + x) = dx / (1 + x)
  log1p: (w, { x, ct }) => [w.div(ct, w.shift(x, 1))],
  // d(exp x - 1) = (y + 1) dx
  expm1: (w, { y, ct }) => [w.mul(ct, w.shift(y, 1))],
  // d sqrt x = dx / (2 y)
  sqrt: (w, { y, ct }) => [w.div(w.scale(ct, 0.5), y)],
  // d x^(-1/2) = -1/2 y^3 dx
  rsqrt: (w, { y, ct }) => [w.mul(w.scale(ct, -0.5), w.mul(y, w.mul(y, y)))],
  // d sin x = cos x dx
  sin: (w, { x, ct }) => [w.mul(ct, w.unary('cos', x))],
  // d cos x = -sin x dx
  cos: (w, { x, ct }) => [w.neg(w.mul(ct, w.unary('sin', x)))],
  // d tanh x = (1 - y^2) dx
  tanh: (w, { y, ct }) => [w.mul(ct, w.from(1, w.mul(y, y)))],
  // d sigmoid x = y (1 - y) dx
  sigmoid: (w, { y, ct }) => [w.mul(ct, w.mul(y, w.from(1, y)))],
  // d log(1 + exp x) = sigmoid(x) dx = (1 - exp(-y)) dx
  softplus: (w, { y, ct }) => [w.mul(ct, w.neg(w.unary('expm1', w.neg(y))))],
  // d x^c = c x^(c-1) dx
  pow: (w, { x, ct, attrs: { exponent: c } }) => [c === 0 ? w.zeros(ct) : w.mul(ct, w.scale(w.pow(x, c - 1), c))],
  // bool
  not: none,
  // f32 to f32 is the identity; integers carry no gradient
  cast: (_, { ct }) => [ct],
  stopGradient: none,

  // d(a + b) = da + db
  add: (_, { ct }) => [ct, ct],
  // d(a - b) = da - db
  sub: (w, { ct, needs }) => [ct, needs(1) ? w.neg(ct) : null],
  // d(a b) = b da + a db
  mul: (w, { xs: [a, b], ct, needs }) => [needs(0) ? w.mul(ct, b!) : null, needs(1) ? w.mul(ct, a!) : null],
  // d(a / b) = da / b - y db / b
  div: (w, { xs: [, b], y, ct, needs }) => {
    const da = w.div(ct, b!)
    return [da, needs(1) ? w.neg(w.mul(da, y)) : null]
  },
  maximum: pick('gt'),
  minimum: pick('lt'),
  // integers and bool
  and: none,
  or: none,
  xor: none,
  shl: none,
  shr: none,
  eq: none,
  ne: none,
  lt: none,
  le: none,
  gt: none,
  ge: none,
  // d(c ? a : b) = c ? da : db
  select: (w, { xs: [cond], ct, needs }) => [null, needs(1) ? w.select(cond!, ct, w.zeros(ct)) : null, needs(2) ? w.select(cond!, w.zeros(ct), ct) : null],

  // the elements go back where they came from
  reshape: (_, { b, x, ct }) => [b.op('reshape', [ct], { shape: b.aval(x).shape })],
  // by the inverse order
  transpose: (_, { b, ct, attrs: { perm } }) => [b.op('transpose', [ct], { perm: perm.map((__, axis) => perm.indexOf(axis)) })],
  // what was repeated is summed
  broadcast: (w, { b, ct, attrs: { axes } }) => [
    w.sum(
      ct,
      b.aval(ct).shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis])),
    ),
  ],
  // each its part
  concat: (_, { b, xs, ct, attrs: { axis } }) => {
    const ends = xs.map((__, i) => xs.slice(0, i + 1).reduce((n, x) => n + b.aval(x).shape[axis]!, 0))
    const along = (at: number) => b.aval(ct).shape.map((size, i) => ({ at, size, here: i === axis }))
    return xs.map((x, i) =>
      b.op('slice', [ct], {
        start: along(ends[i]! - b.aval(x).shape[axis]!).map(({ at, here }) => (here ? at : 0)),
        limit: along(ends[i]!).map(({ at, size, here }) => (here ? at : size)),
        step: b.aval(ct).shape.map(() => 1),
      }),
    )
  },
  // what was not read gets zero
  slice: (w, { b, x, ct, attrs: { start, step } }) => {
    const [from, to] = [b.aval(x).shape, b.aval(ct).shape]
    if (to.includes(0)) return [w.zeros(x)]
    const read = to.map((n, axis) => start[axis]! + (n - 1) * step[axis]! + 1)
    return [b.op('pad', [ct], { low: start, high: from.map((n, axis) => n - read[axis]!), interior: step.map(n => n - 1), value: 0 })]
  },
  // what was padded is dropped
  pad: (w, { b, x, ct, attrs: { low, interior } }) => {
    const { shape } = b.aval(x)
    if (shape.includes(0)) return [w.zeros(x)]
    return [
      b.op('slice', [ct], { start: low, limit: shape.map((n, axis) => low[axis]! + (n - 1) * (interior[axis]! + 1) + 1), step: interior.map(n => n + 1) }),
    ]
  },
  // flipped back
  flip: (_, { b, ct, attrs }) => [b.op('flip', [ct], attrs)],
  // dx[i] = sum of ct over the places that read i: contracted with the one-hot form of the (clamped) indices
  gather: (w, { b, xs: [x, indices], ct, attrs: { axis, batch } }) => {
    const [from, at] = [b.aval(x!).shape, b.aval(indices!).shape]
    const n = from[axis]!
    const hot = w.oneHot(w.clamp(indices!, 0, n - 1), n)
    const name = (kind: string) => (_: number, i: number) => `${kind}${i}`
    const outer = from.slice(0, batch).map(name('b'))
    const before = from.slice(batch, axis).map(name('x'))
    const places = at.slice(batch).map(name('i'))
    const after = from.slice(axis + 1).map(name('z'))
    const dims = [...outer, ...before, ...places, ...after]
    const sizes = Object.fromEntries([...dims.map((label, i) => [label, b.aval(ct).shape[i]!] as const), ['n', n] as const])
    return [b.op('contract', [ct, hot], { sizes, a: dims, b: [...outer, ...places, 'n'], out: [...outer, ...before, 'n', ...after] }), null]
  },

  // d sum x = sum dx
  sum: (w, { b, x, ct, attrs: { axes } }) => [w.spread(ct, axes, b.aval(x).shape)],
  max: extreme,
  min: extreme,
  // linear in each operand: see vjp-contract.ts
  contract: (_, { b, xs: [l, r], ct, attrs, needs }) => [
    needs(0) ? contractGradient(b, attrs, 'a', b.aval(l!).shape, r!, ct) : null,
    needs(1) ? contractGradient(b, attrs, 'b', b.aval(r!).shape, l!, ct) : null,
  ],
}

const carries = (x: Aval): boolean => x.dtype === 'f32'

/**
 * The cotangents of the inputs of `prim`, given that of its output; null where there is none (integers, bool, constants,
 * what is stopped). `needed` tells which are asked for (default: all); the others may be null too.
 */
export const vjp = <T, P extends Prim>(
  b: Build<T>,
  prim: P,
  inputs: readonly T[],
  output: T,
  attrs: Attrs[P],
  ct: T,
  needed?: readonly boolean[],
): readonly (T | null)[] => {
  const wanted = inputs.map((x, i) => carries(b.aval(x)) && (needed?.[i] ?? true))
  if (!carries(b.aval(output)) || !wanted.includes(true)) return inputs.map(() => null)
  // A rule without inputs never gets here, so there is a first one.
  const given: Given<T, P> = { x: inputs[0]!, xs: inputs, y: output, ct, attrs, b, needs: i => wanted[i]! }
  return rules[prim](words(b), given).map((gradient, i) => (wanted[i]! ? gradient : null))
}
