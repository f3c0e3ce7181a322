/**
 * Initialisers: parameters from a key. Gains follow K. He et al., "Delving Deep into Rectifiers" (2015): a weight of variance gain^2 /
 * fan-in keeps the size of a signal; sqrt(2 / (1 + slope^2)) makes up for a LeakyReLU before it.
 */
import { op, sizeOf } from '../core/apply.ts'
import { fill, range, shapeOf, sizes, typed } from '../ops/border.ts'
import { add, mul, sub } from '../ops/elementwise.ts'
import { at } from '../ops/slicing.ts'
import { randomNormal, randomUniform, split } from '../random.ts'
import type { Wanted } from '../ops/create.ts'
import type { Key } from '../random.ts'
import type { Dim, Plain, Shape } from '../shape.ts'
import type { Any, Tensor } from '../tensor.ts'
import type { Batched } from '../tree.ts'
import type { Conv, ConvT } from './conv.ts'
import type { Linear } from './linear.ts'
import type { Lstm } from './lstm.ts'

type Floats = Tensor<Shape>
/** Border: draws in a shape that has passed its check. */
const normals = randomNormal as unknown as (key: Key, shape: unknown) => Floats
const uniforms = randomUniform as unknown as (key: Key, shape: unknown) => Floats

/** The gain that keeps the size of a signal through LeakyReLU of this slope; 0 is ReLU, 1 no non-linearity. */
export const leakyGain = (slope = 0.01): number => Math.sqrt(2 / (1 + slope * slope))

/** N(0, gain^2 / fanIn) */
export const kaimingNormal = <const S extends readonly Dim[]>(key: Key, shape: Wanted<'kaimingNormal', S>, fanIn: number, gain = Math.SQRT2): Tensor<Plain<S>> =>
  typed(mul(normals(key, shape), gain / Math.sqrt(fanIn)))

/** Uniform on (-b, b) with b = gain sqrt(3 / fanIn): the same variance as `kaimingNormal`. */
export const kaimingUniform = <const S extends readonly Dim[]>(key: Key, shape: Wanted<'kaimingUniform', S>, fanIn: number, gain = Math.SQRT2): Tensor<Plain<S>> =>
  typed(symmetric(key, shape, gain * Math.sqrt(3 / fanIn)))

const symmetric = (key: Key, shape: unknown, bound: number): Floats => mul(sub(uniforms(key, shape), 0.5), 2 * bound)

/** Each unit's weights (all but the leading axis) without their mean: the common part of a rectified signal is not passed on. */
export const centred = <S extends Shape>(weight: Tensor<S>): Tensor<S> => {
  const shape = shapeOf(weight)
  const rest = range(shape.length).slice(1)
  const size = rest.reduce((n, axis) => n * shape[axis]!, 1)
  const means = mul(op<Floats>('sum', [weight], { axes: rest }), 1 / size)
  return typed(sub(typed<Floats>(weight), op<Floats>('broadcast', [means], { shape, axes: [0] })))
}

/** 1 on the diagonal, otherwise 0. */
export const identityMatrix = <const N extends Dim>(n: N): Tensor<[N, N]> => {
  const shape = [sizeOf(n), sizeOf(n)]
  return typed(op('cast', [op('eq', [op('iota', [], { shape, dtype: 'i32', axis: 0 }), op('iota', [], { shape, dtype: 'i32', axis: 1 })], {})], { dtype: 'f32' }))
}

/** How a layer starts. */
export type Start = {
  /** Variance of the weights is gain^2 / fan-in; sqrt 2 (for ReLU) where none is given. */
  readonly gain?: number
  /** Whether each unit's weights are moved to mean zero. */
  readonly centred?: boolean
  /** Every bias; 0 where none is given. */
  readonly bias?: number
}

/** Border: a weight in a shape that the caller vouches for. */
const weightOf = (key: Key, shape: readonly Dim[], fanIn: number, { gain = Math.SQRT2, centred: move = false }: Start): Any => {
  const w: Floats = mul(normals(key, shape), gain / Math.sqrt(fanIn))
  return move ? centred(w) : w
}
const biasOf = (n: Dim, { bias = 0 }: Start): Any => fill(sizes([n]), 'f32', bias)

/** He-normal weight [out, in], constant bias. */
export const initLinear = <const I extends Dim, const O extends Dim>(key: Key, i: I, o: O, start: Start = {}): Linear<I, O> =>
  ({ weight: typed(weightOf(key, [o, i], sizeOf(i), start)), bias: typed(biasOf(o, start)) })

/** He-normal weight [out, in, k, k], constant bias. */
export const initConv = <const I extends Dim, const O extends Dim, const K extends number>(key: Key, i: I, o: O, k: K, start: Start = {}): Conv<I, O, K> =>
  ({ weight: typed(weightOf(key, [o, i, k, k], sizeOf(i) * k * k, start)), bias: typed(biasOf(o, start)) })

/**
 * He-normal weight [in, out, k, k], constant bias. An output pixel hears k / stride rows and columns of the kernel, so
 * fan-in is in * (k / stride)^2; `stride` k is the layer that unfolds one pixel into k x k.
 */
export const initConvT = <const I extends Dim, const O extends Dim, const K extends number>(key: Key, i: I, o: O, k: K, stride: number, start: Omit<Start, 'centred'> = {}): ConvT<I, O, K> =>
  ({ weight: typed(weightOf(key, [i, o, k, k], (sizeOf(i) * k * k) / (stride * stride), start)), bias: typed(biasOf(o, start)) })

/**
 * N transposed convolutions that start partly alike, for a mixture of experts whose weights are blended:
 * W_k = deviation (sqrt(shared) W + sqrt(1 - shared) V_k) with W and V_k standard normal. Under a uniform mixture the blend
 * has variance shared + (1 - shared) / N of that; `deviation` makes up for it, so the blended layer starts as He has it.
 */
export const initExpertsConvT = <const N extends Dim, const I extends Dim, const O extends Dim, const K extends number>(
  key: Key, n: N, i: I, o: O, k: K, stride: number, shared: number, { gain = Math.SQRT2, bias = 0 }: Omit<Start, 'centred'> = {},
): Batched<N, ConvT<I, O, K>> => {
  const keys = split(key, 2)
  const blend = shared + (1 - shared) / sizeOf(n)
  const deviation = gain / Math.sqrt((blend * sizeOf(i) * k * k) / (stride * stride))
  const common: Floats = mul(normals(at(keys, 0), [i, o, k, k]), deviation * Math.sqrt(shared))
  const own: Floats = mul(normals(at(keys, 1), [n, i, o, k, k]), deviation * Math.sqrt(1 - shared))
  const weight = add(own, op<Floats>('broadcast', [common], { shape: shapeOf(own), axes: [1, 2, 3, 4] }))
  return { weight: typed(weight), bias: typed(fill(sizes([n, o]), 'f32', bias)) } as unknown as Batched<N, ConvT<I, O, K>> // Border: Batched of generic dims.
}

/** PyTorch's default: weight and bias uniform on (-b, b), b = 1 / sqrt(in). */
export const defaultLinear = <const I extends Dim, const O extends Dim>(key: Key, i: I, o: O): Linear<I, O> => {
  const keys = split(key, 2)
  const bound = 1 / Math.sqrt(sizeOf(i))
  return { weight: typed(symmetric(at(keys, 0), [o, i], bound)), bias: typed(symmetric(at(keys, 1), [o], bound)) }
}

/** PyTorch's default: weight and bias uniform on (-b, b), b = 1 / sqrt(in k k). */
export const defaultConv = <const I extends Dim, const O extends Dim, const K extends number>(key: Key, i: I, o: O, k: K): Conv<I, O, K> => {
  const keys = split(key, 2)
  const bound = 1 / Math.sqrt(sizeOf(i) * k * k)
  return { weight: typed(symmetric(at(keys, 0), [o, i, k, k], bound)), bias: typed(symmetric(at(keys, 1), [o], bound)) }
}

/** PyTorch's default, weights uniform on (-b, b), b = 1 / sqrt(hidden); biases 0, but 1 for the forget gate, so that a cell starts by keeping. */
export const initLstm = <const I extends Dim, const H extends Dim>(key: Key, i: I, h: H): Lstm<I, H> => {
  const keys = split(key, 2)
  const [inputs, size] = [sizeOf(i), sizeOf(h)]
  const bound = 1 / Math.sqrt(size)
  const bias: Any = op('concat', [fill([size], 'f32', 0), fill([size], 'f32', 1), fill([2 * size], 'f32', 0)], { axis: 0 })
  return {
    weightIh: typed(symmetric(at(keys, 0), [4 * size, inputs], bound)), weightHh: typed(symmetric(at(keys, 1), [4 * size, size], bound)),
    biasIh: typed(bias), biasHh: typed(fill([4 * size], 'f32', 0)),
  }
}

/** The identity map: ones on the diagonal, no bias. */
export const identityLinear = <const N extends Dim>(n: N): Linear<N, N> => ({ weight: identityMatrix(n), bias: typed(fill(sizes([n]), 'f32', 0)) })
