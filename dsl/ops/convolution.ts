/**
 * Convolution over [channels, height, width] images, and its transpose. Both are ONE `contract`: the input is read through
 * windows over (output position, kernel position), and `groups` is a label that input, weight and output share.
 */
import { op } from '../core/apply.ts'
import { refuse } from '../errors.ts'
import type { Any, Check, DTypeOf, Describe, KnownDims, Result, ShapeOf, Then } from '../tensor.ts'
import type { Add, AtMost, Div, Mod, Mul, Same, Settled, Show, Sub, Text } from '../shape.ts'
import { shapeOf, typed, untyped } from './border.ts'

/** One number for both height and width, or one for each. */
export type Both = number | readonly [number, number]
/** Options of `conv2d`: defaults are stride 1, padding 0, dilation 1, one group. */
export type ConvOptions = { readonly stride?: Both; readonly padding?: Both; readonly dilation?: Both; readonly groups?: number }
/** Options of `convTranspose2d`; `outputPadding` adds rows and columns at the end, fewer than the stride or the dilation. */
export type ConvTransposeOptions = ConvOptions & { readonly outputPadding?: Both }

// ---- options at the type level ------------------------------------------------------------------------------------
type Option<O, K extends string, Default> = O extends { readonly [P in K]: infer V } ? V : Default
type Y<V> = V extends readonly [infer A, unknown] ? A : V
type X_<V> = V extends readonly [unknown, infer B] ? B : V
type Stride<O> = Option<O, 'stride', 1>
type Pad<O> = Option<O, 'padding', 0>
type Dilation<O> = Option<O, 'dilation', 1>
type OutputPad<O> = Option<O, 'outputPadding', 0>
type Groups<O> = Option<O, 'groups', 1>
type Loose<O> = true extends { [K in keyof O]: number extends O[K] ? true : O[K] extends readonly [infer A, infer B] ? (number extends A | B ? true : false) : false }[keyof O] ? true : false

/** d(k - 1) + 1 */
type Reach<K, D> = Add<Mul<Sub<K, 1>, D>, 1>
/** h + 2p */
type Room<H, P> = Add<H, Mul<P, 2>>
/** floor((h + 2p - d(k - 1) - 1) / s) + 1 */
export type ConvOut<H, K, S = 1, P = 0, D = 1> = Settled<Add<Div<Sub<Room<H, P>, Reach<K, D>>, S>, 1>>
/** (h - 1)s - 2p + d(k - 1) + q + 1 */
export type ConvTransposeOut<H, K, S = 1, P = 0, D = 1, Q = 0> = Settled<Sub<Add<Add<Mul<Sub<H, 1>, S>, Reach<K, D>>, Q>, Mul<P, 2>>>

type Image<Op extends string, X> =
  [DTypeOf<X>] extends ['f32']
    ? ShapeOf<X> extends readonly [unknown, infer H, infer W]
      ? [H, W] extends [number, number] ? KnownDims<Op, X> : `${Op}: height and width must be numbers, input is ${Describe<X>}`
      : `${Op}: input is ${Describe<X>}, not [channels, height, width]; vmap over further leading axes`
    : `${Op}: input is ${Describe<X>}; cast it to f32 first`
type Kernel<Op extends string, W> =
  [DTypeOf<W>] extends ['f32']
    ? ShapeOf<W> extends readonly [unknown, unknown, infer K, infer L] ? ([K, L] extends [number, number] ? KnownDims<Op, W> : `${Op}: kernel height and width must be numbers, weight is ${Describe<W>}`)
      : `${Op}: weight is ${Describe<W>}, not four-dimensional`
    : `${Op}: weight is ${Describe<W>}; cast it to f32 first`
type InGroups<O> = [Groups<O>] extends [1] ? '' : ` in ${Text<Groups<O>>} groups`

/** null where a weight [out, in / groups, kh, kw] fits an input [in, h, w] */
type ConvFits<X, W, O> = Then<Kernel<'conv2d', W>,
  ShapeOf<X> extends readonly [infer C, infer H, infer V] ? (ShapeOf<W> extends readonly [infer N, infer I, infer K, infer L]
    ? Same<Mul<I, Groups<O>>, C> extends true
      ? Divides<'conv2d', 'output', N, Groups<O>> extends infer E ? ([E] extends [null]
        ? Then<Covers<Room<H, Y<Pad<O>>>, Reach<K, Y<Dilation<O>>>, X, W>, Covers<Room<V, X_<Pad<O>>>, Reach<L, X_<Dilation<O>>>, X, W>> : E) : never
      : `conv2d: weight ${Show<ShapeOf<W>>}${InGroups<O>} takes ${Text<Mul<I, Groups<O>>>} channels, input ${Show<ShapeOf<X>>} has ${Text<C>} [${Text<Mul<I, Groups<O>>>} != ${Text<C>}]`
    : null) : null>
type Covers<Have, Reach, X, W> = AtMost<Reach, Have> extends true ? null : `conv2d: kernel of ${Show<ShapeOf<W>>} reaches over ${Text<Reach>}, padded input ${Show<ShapeOf<X>>} has ${Text<Have>}`
type Divides<Op extends string, Which extends string, N, G> =
  [G] extends [1] ? null : [N, G] extends [number, number] ? (Mod<N, G> extends 0 ? null : `${Op}: ${Text<N>} ${Which} channels do not divide into ${Text<G>} groups`) : null
type Conved<X, W, O> = Result<ConvedShape<X, W, O>>
type ConvedShape<X, W, O> = ShapeOf<X> extends readonly [unknown, infer H, infer V] ? (ShapeOf<W> extends readonly [infer N, unknown, infer K, infer L]
  ? [N, ConvOut<H, K, Y<Stride<O>>, Y<Pad<O>>, Y<Dilation<O>>>, ConvOut<V, L, X_<Stride<O>>, X_<Pad<O>>, X_<Dilation<O>>>] : never) : never
/** null where every option is a literal */
export type Fixed<Op extends string, O> = [Exclude<keyof O, Allowed[Op & keyof Allowed]>] extends [never] ? Literal<Op, O> : `${Op}: there is no option ${Exclude<keyof O, Allowed[Op & keyof Allowed]> & string}`
type Allowed = { readonly conv2d: keyof ConvOptions; readonly convTranspose2d: keyof ConvTransposeOptions }
type Literal<Op extends string, O> = Loose<O> extends true ? `${Op}: options must be literals; write them in place or declare them 'as const'` : null

/** null where the output padding is less than the stride or the dilation, along both axes: more would only be zeros. */
export type Outputs<Op extends string, O> =
  [OutputPad<O>] extends [0] ? null
  : Then<Rest<Op, Y<OutputPad<O>>, Y<Stride<O>>, Y<Dilation<O>>>, Rest<Op, X_<OutputPad<O>>, X_<Stride<O>>, X_<Dilation<O>>>>
type Rest<Op extends string, Q, S, D> =
  true extends AtMost<Add<Q, 1>, S> | AtMost<Add<Q, 1>, D> ? null : `${Op}: outputPadding ${Text<Q>} must be less than the stride ${Text<S>} or the dilation ${Text<D>}`

/** null where a weight [in, out / groups, kh, kw] fits an input [in, h, w] */
type TransposeFits<X, W, O> = Then<Kernel<'convTranspose2d', W>,
  ShapeOf<X> extends readonly [infer C, infer H, infer V] ? (ShapeOf<W> extends readonly [infer I, unknown, infer K, infer L]
    ? Same<I, C> extends true
      ? Divides<'convTranspose2d', 'input', C, Groups<O>> extends infer E ? ([E] extends [null]
        ? Then<Remains<ConvTransposeOut<H, K, Y<Stride<O>>, Y<Pad<O>>, Y<Dilation<O>>, Y<OutputPad<O>>>, X, W>, Remains<ConvTransposeOut<V, L, X_<Stride<O>>, X_<Pad<O>>, X_<Dilation<O>>, X_<OutputPad<O>>>, X, W>> : E) : never
      : `convTranspose2d: weight ${Show<ShapeOf<W>>} takes ${Text<I>} channels, input ${Show<ShapeOf<X>>} has ${Text<C>} [${Text<I>} != ${Text<C>}]`
    : null) : null>
type Remains<N, X, W> = [N] extends [never] ? `convTranspose2d: padding removes all of the output of ${Show<ShapeOf<W>>} over ${Show<ShapeOf<X>>}` : null
type ConvedT<X, W, O> = Result<ConvedTShape<X, W, O>>
type ConvedTShape<X, W, O> = ShapeOf<X> extends readonly [unknown, infer H, infer V] ? (ShapeOf<W> extends readonly [unknown, infer N, infer K, infer L]
  ? [Mul<N, Groups<O>>, ConvTransposeOut<H, K, Y<Stride<O>>, Y<Pad<O>>, Y<Dilation<O>>, Y<OutputPad<O>>>, ConvTransposeOut<V, L, X_<Stride<O>>, X_<Pad<O>>, X_<Dilation<O>>, X_<OutputPad<O>>>] : never) : never

// ---- bodies -------------------------------------------------------------------------------------------------------
const pairOf = (v: Both): readonly [number, number] => (typeof v === 'number' ? [v, v] : v)
const reshaped = (x: Any, shape: readonly number[]): Any => op('reshape', [x], { shape })

/**
 * Cross-correlation, as in PyTorch: `y[o, i, j] = sum over c, k, l of x[c, i s - p + k d, j s - p + l d] * weight[o, c, k, l]`,
 * zero outside. x is [in, h, w], weight [out, in / groups, kh, kw].
 */
export const conv2d = <X extends Any, W extends Any, const O extends ConvOptions = {}>(
  x: Check<Image<'conv2d', X>, X>, weight: Check<ConvFits<X, W, O>, W>, options?: Check<Fixed<'conv2d', O>, O>,
): Conved<X, W, O> => typed(correlate(untyped(x), untyped(weight), (options ?? {}) as ConvOptions))

const correlate = (x: Any, weight: Any, { stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvOptions): Any => {
  const [channels, h, w] = shapeOf(x) as readonly [number, number, number]
  const [out, part, kh, kw] = shapeOf(weight) as readonly [number, number, number, number]
  const [sy, sx] = pairOf(stride)
  const [py, px] = pairOf(padding)
  const [dy, dx] = pairOf(dilation)
  const oh = Math.floor((h + 2 * py - dy * (kh - 1) - 1) / sy) + 1
  const ow = Math.floor((w + 2 * px - dx * (kw - 1) - 1) / sx) + 1
  const rows = { p: 'y', k: 'k', stride: sy, dilation: dy, pad: py, base: 1 }
  const columns = { p: 'x', k: 'l', stride: sx, dilation: dx, pad: px, base: 1 }
  const sizes = { o: out / groups, c: part, k: kh, l: kw, y: oh, x: ow }
  return groups === 1
    ? op('contract', [weight, x], { sizes, a: ['o', 'c', 'k', 'l'], b: ['c', rows, columns], out: ['o', 'y', 'x'] })
    : reshaped(
        op('contract', [reshaped(weight, [groups, out / groups, part, kh, kw]), reshaped(x, [groups, channels / groups, h, w])], {
          sizes: { g: groups, ...sizes }, a: ['g', 'o', 'c', 'k', 'l'], b: ['g', 'c', rows, columns], out: ['g', 'o', 'y', 'x'],
        }),
        [out, oh, ow],
      )
}

/**
 * Transposed convolution, as in PyTorch: every input pixel adds a kernel to the output, `stride` pixels apart. x is
 * [in, h, w], weight [in, out / groups, kh, kw]. The output row y reads the input row (y + p - k d) / s where that is whole.
 */
export const convTranspose2d = <X extends Any, W extends Any, const O extends ConvTransposeOptions = {}>(
  x: Check<Image<'convTranspose2d', X>, X>, weight: Check<TransposeFits<X, W, O>, W>, options?: Check<Then<Fixed<'convTranspose2d', O>, Outputs<'convTranspose2d', O>>, O>,
): ConvedT<X, W, O> => typed(spread(untyped(x), untyped(weight), (options ?? {}) as ConvTransposeOptions))

/** The output padding along an axis; refused where it is neither less than the stride nor less than the dilation. */
const least = (padding: Both, axis: 0 | 1, stride: number, dilation: number): number => {
  const q = pairOf(padding)[axis]
  return q === 0 || q < Math.max(stride, dilation) ? q
    : refuse({ kind: 'shape', operation: 'convTranspose2d', message: `outputPadding ${q} must be less than the stride ${stride} or the dilation ${dilation}` })
}

const spread = (x: Any, weight: Any, { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 }: ConvTransposeOptions): Any => {
  const [channels, h, w] = shapeOf(x) as readonly [number, number, number]
  const [, part, kh, kw] = shapeOf(weight) as readonly [number, number, number, number]
  const [sy, sx] = pairOf(stride)
  const [py, px] = pairOf(padding)
  const [dy, dx] = pairOf(dilation)
  const [qy, qx] = [least(outputPadding, 0, sy, dy), least(outputPadding, 1, sx, dx)]
  const oh = (h - 1) * sy - 2 * py + dy * (kh - 1) + qy + 1
  const ow = (w - 1) * sx - 2 * px + dx * (kw - 1) + qx + 1
  const rows = { p: 'y', k: 'k', stride: 1, dilation: -dy, pad: 0 - py, base: sy }
  const columns = { p: 'x', k: 'l', stride: 1, dilation: -dx, pad: 0 - px, base: sx }
  const sizes = { o: part, c: channels / groups, k: kh, l: kw, y: oh, x: ow }
  return groups === 1
    ? op('contract', [weight, x], { sizes, a: ['c', 'o', 'k', 'l'], b: ['c', rows, columns], out: ['o', 'y', 'x'] })
    : reshaped(
        op('contract', [reshaped(weight, [groups, channels / groups, part, kh, kw]), reshaped(x, [groups, channels / groups, h, w])], {
          sizes: { g: groups, ...sizes }, a: ['g', 'c', 'o', 'k', 'l'], b: ['g', 'c', rows, columns], out: ['g', 'o', 'y', 'x'],
        }),
        [groups * part, oh, ow],
      )
}
