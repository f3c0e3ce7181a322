/** Affine maps of vectors, and the pair of them that parameterises a distribution. */
import { op } from '../core/apply.ts'
import { shapeOf, typed, untyped } from '../ops/border.ts'
import type { Dim, Same, Show, Text } from '../shape.ts'
import type { Any, Check, DTypeOf, Describe, KnownDims, ShapeOf, Tensor, Vec } from '../tensor.ts'

/** weight is [out, in], as in PyTorch. */
export type Linear<I extends Dim, O extends Dim> = { readonly weight: Tensor<[O, I]>; readonly bias: Vec<NoInfer<O>> }

/** null where x is a vector of the I features that a weight [O, I] takes. */
export type Features<Op extends string, I, O, X> =
  Same<DTypeOf<X>, 'f32'> extends true
    ? ShapeOf<X> extends readonly [infer J]
      ? Same<I, J> extends true ? KnownDims<Op, X> : `${Op}: weight ${Show<[O, I]>} takes ${Text<I>} features, input has ${Text<J>} [${Text<I>} != ${Text<J>}]`
      : `${Op}: input is ${Describe<X>}, not a vector; vmap over its leading axes`
    : `${Op}: input is ${Describe<X>}; cast it to f32 first`

/** Border: weight x + bias of an input that has passed its check. */
export const affine = (p: { readonly weight: Any; readonly bias: Any }, x: Any): Any => {
  const [o, i] = shapeOf(p.weight)
  return op('add', [op('contract', [p.weight, x], { sizes: { o: o!, i: i! }, a: ['o', 'i'], b: ['i'], out: ['o'] }), p.bias], {})
}

/** weight x + bias */
export const linear = <I extends Dim, O extends Dim, X extends Any>(p: Linear<I, O>, x: Check<Features<'linear', I, O, X>, X>): Vec<O> => typed(affine(p, untyped(x)))
