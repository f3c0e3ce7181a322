/** Convolution layers with a bias and a square kernel: `conv2d` and `convTranspose2d` of dsl/ops as layers. */
import { op } from '../core/apply.ts'
import { conv2d, convTranspose2d } from '../ops/convolution.ts'
import { shapeOf, typed, untyped } from '../ops/border.ts'
import type { ConvOut, ConvTransposeOut, Outputs } from '../ops/convolution.ts'
import type { AtMost, Dim, Mul, Same, Show, Text } from '../shape.ts'
import type { Any, Check, DTypeOf, Describe, KnownDims, ShapeOf, Tensor, Then, Vec } from '../tensor.ts'

/** I to O channels; weight is [out, in, k, k], as in PyTorch (with groups, I counts the channels of one group). */
export type Conv<I extends Dim, O extends Dim, K extends Dim> = { readonly weight: Tensor<[O, I, K, K]>; readonly bias: Vec<NoInfer<O>> }
/** I to O channels; weight is [in, out, k, k], as in PyTorch (with groups, O counts the channels of one group). */
export type ConvT<I extends Dim, O extends Dim, K extends Dim> = { readonly weight: Tensor<[I, O, K, K]>; readonly bias: Vec<NoInfer<O>> }

/** Defaults: stride 1, padding 0, dilation 1, one group. Literals, written in place or declared `as const`. */
export type Options = { readonly stride?: number; readonly padding?: number; readonly dilation?: number; readonly groups?: number }
/** `outputPadding` adds rows and columns at the end, fewer than the stride or the dilation. */
export type TransposeOptions = { readonly stride?: number; readonly padding?: number; readonly dilation?: number; readonly outputPadding?: number }

type Option<O, K extends string, Default> = O extends { readonly [P in K]: infer V } ? V : Default
type Loose<O> = true extends { [K in keyof O]: number extends O[K] ? true : false }[keyof O] ? true : false
type Fixed<Op extends string, O> = Loose<O> extends true ? `${Op}: options must be literals; write them in place or declare them 'as const'` : null

/** null where x is an image of I channels; W is the shape of the weight. */
type Channels<Op extends string, I, W extends readonly unknown[], X> =
  Same<DTypeOf<X>, 'f32'> extends true
    ? ShapeOf<X> extends readonly [infer C, infer H, infer V]
      ? [H, V] extends [number, number]
        ? Same<I, C> extends true ? KnownDims<Op, X> : `${Op}: weight ${Show<W>} takes ${Text<I>} channels, input ${Describe<X>} has ${Text<C>} [${Text<I>} != ${Text<C>}]`
        : `${Op}: height and width must be numbers, input is ${Describe<X>}`
      : `${Op}: input is ${Describe<X>}, not [channels, height, width]; vmap over further leading axes`
    : `${Op}: input is ${Describe<X>}; cast it to f32 first`
type Covered<K, X, O> = ShapeOf<X> extends readonly [unknown, infer H, infer W] ? (false extends Covers<H, K, O> | Covers<W, K, O> ? `conv: a kernel of ${Text<K>} does not fit into ${Describe<X>}` : null) : null
type Covers<H, K, O> = Same<Option<O, 'dilation', 1>, 1> extends true ? AtMost<K, AddTwice<H, Option<O, 'padding', 0>>> : true
type AddTwice<H, P> = ConvOut<H, 1, 1, P>

type Conved<O, K, X, Opt> = ShapeOf<X> extends readonly [unknown, infer H, infer W]
  ? Tensor<[O, ConvOut<H, K, Option<Opt, 'stride', 1>, Option<Opt, 'padding', 0>, Option<Opt, 'dilation', 1>>, ConvOut<W, K, Option<Opt, 'stride', 1>, Option<Opt, 'padding', 0>, Option<Opt, 'dilation', 1>>]>
  : never
type ConvedT<O, K, X, Opt> = ShapeOf<X> extends readonly [unknown, infer H, infer W]
  ? Tensor<[O, ConvTransposeOut<H, K, Option<Opt, 'stride', 1>, Option<Opt, 'padding', 0>, Option<Opt, 'dilation', 1>, Option<Opt, 'outputPadding', 0>>,
      ConvTransposeOut<W, K, Option<Opt, 'stride', 1>, Option<Opt, 'padding', 0>, Option<Opt, 'dilation', 1>, Option<Opt, 'outputPadding', 0>>]>
  : never

// Border: the primitives without the types that the layers' own checks replace.
const correlate = conv2d as unknown as (x: Any, weight: Any, options: Options) => Any
const spread = convTranspose2d as unknown as (x: Any, weight: Any, options: TransposeOptions) => Any
/** y + bias, one number for each channel. */
const shifted = (y: Any, bias: Any): Any => op('add', [y, op('broadcast', [bias], { shape: shapeOf(y), axes: [0] })], {})

/** Cross-correlation with the layer's weight, plus its bias for each output channel. */
export const conv = <I extends Dim, O extends Dim, K extends Dim, X extends Any, const Opt extends Options = {}>(
  p: Conv<I, O, K>, x: Check<Then<Channels<'conv', Mul<I, Option<Opt, 'groups', 1>>, [O, I, K, K], X>, Covered<K, X, Opt>>, X>, options?: Check<Fixed<'conv', Opt>, Opt>,
): Conved<O, K, X, Opt> => typed(shifted(correlate(untyped(x), p.weight, (options ?? {}) as Options), p.bias))

/** Transposed convolution with the layer's weight, plus its bias for each output channel. */
export const convTranspose = <I extends Dim, O extends Dim, K extends Dim, X extends Any, const Opt extends TransposeOptions = {}>(
  p: ConvT<I, O, K>, x: Check<Channels<'convTranspose', I, [I, O, K, K], X>, X>, options?: Check<Then<Fixed<'convTranspose', Opt>, Outputs<'convTranspose', Opt>>, Opt>,
): ConvedT<O, K, X, Opt> => typed(shifted(spread(untyped(x), p.weight, (options ?? {}) as TransposeOptions), p.bias))
