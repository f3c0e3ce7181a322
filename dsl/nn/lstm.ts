/**
 * Long short-term memory in PyTorch's layout: gates i, f, g, o stacked along the rows of [4H, I] and [4H, H].
 *
 *     i, f, o = sigmoid(...)   g = tanh(...)   c' = f c + i g   h' = o tanh(c')
 */
import { op } from '../core/apply.ts'
import { scan } from '../combinators.ts'
import { fill, shapeOf, sizes, typed, untyped } from '../ops/border.ts'
import { add, cast, mul, sigmoid, tanh } from '../ops/elementwise.ts'
import { concat } from '../ops/slicing.ts'
import { randomBernoulli } from '../random.ts'
import type { Literals } from '../ops/create.ts'
import type { Key } from '../random.ts'
import type { Dim, Mul, Plain, Same, Shape, Show, Text } from '../shape.ts'
import type { Any, Check, DTypeOf, Describe, ShapeOf, Tensor, Vec } from '../tensor.ts'
import { affine, type Features } from './linear.ts'

export type Lstm<I extends Dim, H extends Dim> = {
  readonly weightIh: Tensor<[Mul<4, NoInfer<H>>, I]>
  readonly weightHh: Tensor<[Mul<4, NoInfer<H>>, H]>
  readonly biasIh: Vec<Mul<4, NoInfer<H>>>
  readonly biasHh: Vec<Mul<4, NoInfer<H>>>
}
/** Hidden and cell state. */
export type LstmState<H extends Dim> = { readonly h: Vec<H>; readonly c: Vec<H> }
/** The hidden state at every time, and the state after the last one (the first one where it runs backwards). */
export type LstmRun<T extends Dim, H extends Dim> = { readonly outputs: Tensor<[T, H]>; readonly final: LstmState<H> }

type AnyLstm = { readonly weightIh: Any; readonly weightHh: Any; readonly biasIh: Any; readonly biasHh: Any }
type AnyState = { readonly h: Vec<'H'>; readonly c: Vec<'H'> }

/** Border: one step over shapes that have passed their check; H stands for whatever the size is. */
const step = (p: AnyLstm, { h, c }: AnyState, x: Any): AnyState => {
  const size = shapeOf(h)[0]!
  const gates = op('add', [affine({ weight: p.weightIh, bias: p.biasIh }, x), affine({ weight: p.weightHh, bias: p.biasHh }, h)], {})
  const gate = (k: number): Vec<'H'> => typed(op('slice', [gates], { start: [k * size], limit: [(k + 1) * size], step: [1] }))
  const next = add(mul(sigmoid(gate(1)), c), mul(sigmoid(gate(0)), tanh(gate(2))))
  return { h: mul(sigmoid(gate(3)), tanh(next)), c: next }
}

/** One step: the next state from the last one and an input. */
export const lstmCell = <I extends Dim, H extends Dim, X extends Any>(p: Lstm<I, H>, state: LstmState<NoInfer<H>>, x: Check<Features<'lstmCell', I, Mul<4, H>, X>, X>): LstmState<H> =>
  step(p, state as unknown as AnyState, untyped(x)) as unknown as LstmState<H>

/** h = c = 0 */
export const lstmZero = <const H extends Dim>(h: H): LstmState<H> => ({ h: typed(fill(sizes([h]), 'f32', 0)), c: typed(fill(sizes([h]), 'f32', 0)) })

/** null where X is a sequence of vectors of I features. */
type Sequence<Op extends string, I, H, X> =
  Same<DTypeOf<X>, 'f32'> extends true
    ? ShapeOf<X> extends readonly [unknown, infer J]
      ? Same<I, J> extends true ? null : `${Op}: weight ${Show<[Mul<4, H>, I]>} takes ${Text<I>} features, input ${Describe<X>} has ${Text<J>}`
      : `${Op}: input is ${Describe<X>}, not [time, features]; vmap over its leading axes`
    : `${Op}: input is ${Describe<X>}; cast it to f32 first`
type TimeOf<X> = ShapeOf<X> extends readonly [infer T extends Dim, unknown] ? T : never

type Direction = { readonly reverse?: boolean }
const runOf = (p: AnyLstm, state: AnyState, xs: Tensor<['T', 'I']>, { reverse = false }: Direction): LstmRun<'T', 'H'> => {
  const [final, outputs] = scan(state, xs, (carry, x) => {
    const next = step(p, carry, x)
    return [next, next.h]
  }, { reverse })
  return { outputs, final }
}

/** A layer over time: xs is [T, I]. With `reverse` it starts at the last time; outputs stay in the order of xs. */
export const lstm = <I extends Dim, H extends Dim, X extends Any>(
  p: Lstm<I, H>, state: LstmState<NoInfer<H>>, xs: Check<Sequence<'lstm', I, H, X>, X>, direction: Direction = {},
): LstmRun<TimeOf<X>, H> => runOf(p, state as unknown as AnyState, typed(untyped(xs)), direction) as unknown as LstmRun<TimeOf<X>, H>

// ---- stacks ------------------------------------------------------------------------------------------------------
/** Layers on top of each other, all of hidden size H. */
export type LstmStack<I extends Dim, H extends Dim> = readonly [Lstm<I, H>, ...Lstm<NoInfer<H>, NoInfer<H>>[]]
/** One layer that reads in both directions. */
export type BiLstm<I extends Dim, H extends Dim> = { readonly forward: Lstm<I, H>; readonly backward: Lstm<I, H> }
/** Two-way layers on top of each other: from the second on they read both directions of the one below. */
export type BiLstmStack<I extends Dim, H extends Dim> = readonly [BiLstm<I, H>, ...BiLstm<Mul<2, NoInfer<H>>, NoInfer<H>>[]]
export type BiLstmState<H extends Dim> = { readonly forward: LstmState<H>; readonly backward: LstmState<H> }

/** 0 with probability `rate`, otherwise 1 / (1 - rate): multiply by it to drop out and keep the mean. */
export const dropoutMask = <const S extends readonly Dim[]>(key: Key, rate: number, shape: Check<Literals<'dropoutMask', S>, S>): Tensor<Plain<S>> => {
  const kept = randomBernoulli as unknown as (key: Key, p: number, shape: unknown) => Tensor<Shape, 'bool'> // Border: the shape has passed its check.
  return typed(mul(cast(kept(key, 1 - rate, shape), 'f32'), 1 / (1 - rate)))
}

// Border: masks and layers are walked in step; their number is checked by the primitives' shapes alone.
const masked = (x: Any, mask: Any | undefined): Any => (mask === undefined ? x : op('mul', [x, mask], {}))
type Layer<P, S> = { readonly layer: P; readonly state: S; readonly mask: Any | undefined }
const zipped = <P, S>(layers: readonly P[], states: readonly S[], masks: readonly Any[] | undefined): readonly Layer<P, S>[] =>
  layers.map((layer, i) => ({ layer, state: states[i]!, mask: i === 0 ? undefined : masks?.[i - 1] }))

/**
 * Layers on top of each other. `states` has one state for each layer; `masks` (see `dropoutMask`), where given, multiply the
 * outputs [T, H] BETWEEN layers, so there is one less than layers.
 */
export const lstmStack = <I extends Dim, H extends Dim, X extends Any>(
  layers: LstmStack<I, H>, states: readonly LstmState<NoInfer<H>>[], xs: Check<Sequence<'lstmStack', I, H, X>, X>, masks?: readonly Tensor<[TimeOf<X>, NoInfer<H>]>[],
): { readonly outputs: Tensor<[TimeOf<X>, H]>; readonly finals: readonly LstmState<H>[] } => {
  const start: { readonly outputs: Any; readonly finals: readonly unknown[] } = { outputs: untyped(xs), finals: [] }
  const result = zipped<AnyLstm, LstmState<H>>(layers, states, masks).reduce(({ outputs, finals }, { layer, state, mask }) => {
    const run = runOf(layer, state as unknown as AnyState, typed(masked(outputs, mask)), {})
    return { outputs: run.outputs, finals: [...finals, run.final] }
  }, start)
  return { outputs: typed(result.outputs), finals: result.finals as readonly LstmState<H>[] }
}

type AnyBi = { readonly forward: AnyLstm; readonly backward: AnyLstm }
const biOf = (p: AnyBi, state: { readonly forward: AnyState; readonly backward: AnyState }, xs: Tensor<['T', 'I']>) => {
  const there = runOf(p.forward, state.forward, xs, {})
  const back = runOf(p.backward, state.backward, xs, { reverse: true })
  return { outputs: concat(there.outputs, back.outputs, 1), final: { forward: there.final, backward: back.final } }
}

/**
 * Two-way layers on top of each other: outputs are [T, 2H], forward first; `finals` holds the last state of each direction
 * of each layer. Masks as in `lstmStack`, of shape [T, 2H].
 */
export const biLstmStack = <I extends Dim, H extends Dim, X extends Any>(
  layers: BiLstmStack<I, H>, states: readonly BiLstmState<NoInfer<H>>[], xs: Check<Sequence<'biLstmStack', I, H, X>, X>, masks?: readonly Tensor<[TimeOf<X>, Mul<2, NoInfer<H>>]>[],
): { readonly outputs: Tensor<[TimeOf<X>, Mul<2, H>]>; readonly finals: readonly BiLstmState<H>[] } => {
  const start: { readonly outputs: Any; readonly finals: readonly unknown[] } = { outputs: untyped(xs), finals: [] }
  const result = zipped<AnyBi, BiLstmState<H>>(layers, states, masks).reduce(({ outputs, finals }, { layer, state, mask }) => {
    const run = biOf(layer, state as unknown as { readonly forward: AnyState; readonly backward: AnyState }, typed(masked(outputs, mask)))
    return { outputs: run.outputs, finals: [...finals, run.final] }
  }, start)
  return { outputs: typed(result.outputs), finals: result.finals as readonly BiLstmState<H>[] }
}
