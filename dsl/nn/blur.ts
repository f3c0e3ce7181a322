/**
 * Anti-aliased down-sampling after R. Zhang, "Making Convolutional Networks Shift-Invariant Again" (2019): a fixed binomial low-pass
 * filter, then every second pixel. One contraction of a constant [k, k] filter with a window over the image; the
 * channels are a label of their own, so no weight is ever stored or learnt for them.
 */
import { op } from '../core/apply.ts'
import { shapeOf, typed, untyped } from '../ops/border.ts'
import type { Add, Div, Show, Sub } from '../shape.ts'
import type { Any, Check, DTypeOf, Describe, KnownDims, ShapeOf, Tensor } from '../tensor.ts'

/** Binomial coefficients, the rows of Pascal's triangle. */
const binomial = { 2: [1, 1], 3: [1, 2, 1], 4: [1, 3, 3, 1], 5: [1, 4, 6, 4, 1] } as const
export type Taps = keyof typeof binomial

/** ceil(h / stride): the filter is padded by zeros, (k - 1) / 2 rounded down before the image and up behind it. */
export type Blurred<H, Stride> = Add<Div<Sub<H, 1>, Stride>, 1>
type Image<X> =
  DTypeOf<X> extends 'f32'
    ? ShapeOf<X> extends readonly [unknown, infer H, infer W]
      ? [H, W] extends [number, number] ? KnownDims<'blurPool', X> : `blurPool: height and width must be numbers, input is ${Show<ShapeOf<X>>}`
      : `blurPool: input is ${Describe<X>}, not [channels, height, width]; vmap over its leading axes`
    : `blurPool: input is ${Describe<X>}; cast it to f32 first`
/** `taps`: 4 where not given. `stride`: 2 where not given, a literal. */
export type BlurOptions = { readonly taps?: Taps; readonly stride?: 1 | 2 | 3 | 4 }
type StrideOf<O> = O extends { readonly stride: infer V } ? V : 2
type Pooled<S, Stride> = S extends readonly [infer C, infer H, infer W] ? Tensor<[C, Blurred<H, Stride>, Blurred<W, Stride>]> : never

/** Blurs by a binomial filter of 2 to 5 taps, then keeps every `stride`-th row and column. */
export const blurPool = <X extends Any, const O extends BlurOptions = {}>(x: Check<Image<X>, X>, options?: O): Pooled<ShapeOf<X>, StrideOf<O>> => {
  const { taps = 4, stride = 2 } = (options ?? {}) as BlurOptions
  const [c, h, w] = shapeOf(untyped(x))
  const row: readonly number[] = binomial[taps]
  const total = 4 ** (taps - 1)
  const filter = op('literal', [], { shape: [taps, taps], dtype: 'f32', data: row.flatMap(a => row.map(b => (a * b) / total)) })
  const window = (p: string, k: string) => ({ p, k, stride, dilation: 1, pad: Math.floor((taps - 1) / 2), base: 1 })
  const half = (n: number): number => Math.floor((n - 1) / stride) + 1
  return typed(op('contract', [filter, untyped(x)], {
    sizes: { c: c!, p: half(h!), q: half(w!), i: taps, j: taps },
    a: ['i', 'j'], b: ['c', window('p', 'i'), window('q', 'j')], out: ['c', 'p', 'q'],
  }))
}
