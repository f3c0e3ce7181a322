/**
 * The closed set of primitives: their names, their static attributes, and the interface (`Build`) over which rules are
 * written once and used both by the eager float64 meaning and by the compiler's IR.
 *
 * Everything else in the language is a composition of these. Binary and ternary element-wise primitives take operands of
 * ONE shape: the typed functions of `dsl/ops` broadcast scalars first, explicitly.
 */

export type DType = 'f32' | 'i32' | 'u32' | 'bool'

/** What is known of a tensor before its values are: its shape and element type. */
export type Aval = { readonly shape: readonly number[]; readonly dtype: DType }

type None = Readonly<Record<never, never>>

/**
 * One dimension of an operand of `contract`: a label, or a window over two labels.
 * A window reads the operand at `(p * stride + k * dilation - pad) / base`; where that is not a whole number, or falls
 * outside the operand, the operand counts as zero. Convolution, its two gradients, transposed convolution and matrix
 * products are all this one primitive.
 */
export type Window = {
  readonly p: string
  readonly k: string
  readonly stride: number
  readonly dilation: number
  readonly pad: number
  readonly base: number
}
export type Dimension = string | Window

/**
 * `out[o...] = sum over every label of a and b that is not in out of a[...] * b[...]`, in the spirit of Einstein summation.
 * `sizes` gives the extent of every label. Each operand lists one entry per dimension. `out` has plain labels only,
 * each occurring in a or b; a label occurs at most once within one operand.
 */
export type Contraction = {
  readonly sizes: Readonly<Record<string, number>>
  readonly a: readonly Dimension[]
  readonly b: readonly Dimension[]
  readonly out: readonly string[]
}

/** Static attributes by primitive. A comment gives inputs -> output. */
export type Attrs = {
  // constants: () -> tensor
  readonly fill: { readonly shape: readonly number[]; readonly dtype: DType; readonly value: number }
  readonly literal: { readonly shape: readonly number[]; readonly dtype: DType; readonly data: readonly number[] }
  /** Counts 0, 1, ... along `axis`. */
  readonly iota: { readonly shape: readonly number[]; readonly dtype: 'f32' | 'i32' | 'u32'; readonly axis: number }
  /** key u32[...batch, 2] -> u32[...batch, ...shape]: Threefry-2x32, 20 rounds (see dsl/core/threefry.ts). */
  readonly randomBits: { readonly shape: readonly number[] }

  // element-wise, one operand, shape kept
  readonly neg: None
  readonly abs: None
  readonly sign: None
  readonly floor: None
  readonly exp: None
  readonly log: None
  readonly log1p: None
  readonly expm1: None
  readonly sqrt: None
  readonly rsqrt: None
  readonly sin: None
  readonly cos: None
  readonly tanh: None
  readonly sigmoid: None
  /** log(1 + exp(x)), stable. */
  readonly softplus: None
  readonly pow: { readonly exponent: number }
  /** bool -> bool */
  readonly not: None
  readonly cast: { readonly dtype: DType }
  /** The identity; its gradient is zero. */
  readonly stopGradient: None

  // element-wise, two operands of one shape and dtype
  readonly add: None
  readonly sub: None
  readonly mul: None
  readonly div: None
  readonly maximum: None
  readonly minimum: None
  /** bool or integer */
  readonly and: None
  readonly or: None
  readonly xor: None
  /** u32 or i32; counts modulo 32; shr is logical on u32, arithmetic on i32 */
  readonly shl: None
  readonly shr: None
  /** -> bool */
  readonly eq: None
  readonly ne: None
  readonly lt: None
  readonly le: None
  readonly gt: None
  readonly ge: None
  /** (bool, x, x) -> x, one shape */
  readonly select: None

  // shape
  readonly reshape: { readonly shape: readonly number[] }
  /** Output axis i is input axis perm[i]. */
  readonly transpose: { readonly perm: readonly number[] }
  /** Input axis i becomes output axis axes[i] (strictly ascending, sizes equal); every other output axis repeats. */
  readonly broadcast: { readonly shape: readonly number[]; readonly axes: readonly number[] }
  /** One or more inputs, equal beyond `axis`. */
  readonly concat: { readonly axis: number }
  /** Per axis start (inclusive), limit (exclusive), step >= 1. */
  readonly slice: { readonly start: readonly number[]; readonly limit: readonly number[]; readonly step: readonly number[] }
  /** Per axis `low` and `high` elements of `value` around and `interior` between neighbours; low and high >= 0. */
  readonly pad: { readonly low: readonly number[]; readonly high: readonly number[]; readonly interior: readonly number[]; readonly value: number }
  readonly flip: { readonly axes: readonly number[] }
  /**
   * (x, indices i32) -> x[:axis] + indices[batch:] + x[axis+1:]. The first `batch` axes of both agree and come first;
   * axis >= batch counts in x. Indices are clamped into range.
   */
  readonly gather: { readonly axis: number; readonly batch: number }

  // reductions over ascending axes, which disappear
  readonly sum: { readonly axes: readonly number[] }
  readonly max: { readonly axes: readonly number[] }
  readonly min: { readonly axes: readonly number[] }

  // linear algebra: (a, b) -> out, f32
  readonly contract: Contraction
}

export type Prim = keyof Attrs

/** Element-wise primitives: the output at an index depends on the inputs at that index only. */
export const elementwise = [
  'neg', 'abs', 'sign', 'floor', 'exp', 'log', 'log1p', 'expm1', 'sqrt', 'rsqrt', 'sin', 'cos', 'tanh', 'sigmoid', 'softplus',
  'pow', 'not', 'cast', 'stopGradient', 'add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'and', 'or', 'xor', 'shl', 'shr',
  'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'select',
] as const satisfies readonly Prim[]
export type Elementwise = (typeof elementwise)[number]

/** What a rule may do: apply primitives to values of some representation T (eager tensors, IR values). */
export interface Build<T> {
  readonly op: <P extends Prim>(prim: P, inputs: readonly T[], attrs: Attrs[P]) => T
  readonly aval: (x: T) => Aval
}
