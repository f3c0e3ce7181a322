/**
 * Functions of functions: `vmap` over a leading axis, `scan` over time, `grad` and `valueAndGrad`. Data come first, so that
 * lambdas need no annotations; what a lambda closes over is shared by all slices. The bodies are the eager meaning (plain
 * loops and a tape); the compiler lowers these four names itself.
 */
import { aval, isTensor, op } from './core/apply.ts'
import { differentiate } from './core/tape.ts'
import { refuse } from './errors.ts'
import type { Any, Check, DTypeOf, Describe, IsScalar, LooseOf, ShapeOf } from './tensor.ts'
import type { Clash, Same, Show, ShowLoose } from './shape.ts'
import type { Batched, Each, Leads, Listed, Path, Static } from './tree.ts'
import { leaves } from './tree.ts'
import { at } from './ops/slicing.ts'

// ---- one leading axis ---------------------------------------------------------------------------------------------
/** The leading dim in a tuple (so that comparisons resolve for generic dims); empty for a scalar. */
type Lead<S> = S extends readonly [infer A, ...unknown[]] ? [A] : S extends readonly [] ? [] : [number]
type LeadsOf<T> = T extends Any ? Lead<ShapeOf<T>> : T extends Static ? never : { [K in keyof T]: LeadsOf<T[K]> }[T extends readonly unknown[] ? number & keyof T : keyof T]
/** never where every leading axis is B, otherwise one text per leaf */
type Odd<T, B, At extends string> =
  T extends Any ? (Same<Lead<ShapeOf<T>>, B> extends true ? never : `${At}${At extends '' ? '' : ' '}is ${Show<ShapeOf<T>>}`)
  : T extends Static ? never
  : { [K in keyof T]: Odd<T[K], B, Path<At, K>> }[T extends readonly unknown[] ? number & keyof T : keyof T]
/** null where all tensors of Xs have one leading axis. */
export type OneLead<Op extends string, Xs> = Agree<Op, Xs, LeadsOf<Xs>>
type Agree<Op extends string, Xs, B> =
  [B] extends [never] ? `${Op}: there is no tensor to go over`
  : Same<B, [number]> extends true ? `${Op}: the leading axis is a plain number, not a literal`
  : [Odd<Xs, B, ''>] extends [infer E] ? ([E] extends [never] ? (Same<B, []> extends true ? `${Op}: a scalar has no leading axis` : Sharp<Op, Vague<Xs, ''>>) : `${Op}: leading axes differ: ${Listed<E>}`) : never

/** One text per tensor with a dim that is not one literal, as a union. */
type Vague<T, At extends string> =
  T extends Any ? (Same<LooseOf<T>, [true]> extends true ? `${At}${At extends '' ? '' : ' '}is ${ShowLoose<ShapeOf<T>>}` : never)
  : T extends Static ? never
  : { [K in keyof T]: Vague<T[K], Path<At, K>> }[T extends readonly unknown[] ? number & keyof T : keyof T]
type Sharp<Op extends string, V> = [V] extends [never] ? null : `${Op}: a dimension is not one literal: ${Listed<V>}`

// ---- eager trees (not in the pure subset: the compiler has its own) -------------------------------------------------
const entries = (x: object): readonly (readonly [string, unknown])[] => Object.entries(x)
const each = (f: (x: Any) => Any, tree: unknown): unknown =>
  isTensor(tree) ? f(tree as Any)
  : Array.isArray(tree) ? tree.map(t => each(f, t))
  : typeof tree === 'object' && tree !== null ? Object.fromEntries(entries(tree).map(([k, t]) => [k, each(f, t)]))
  : tree
/** The tree of `like` with other tensors, in order. */
const rebuilt = (like: unknown, tensors: readonly Any[]): unknown => {
  const rest = [...tensors]
  return each(() => rest.shift()!, like)
}
const entry = (tree: unknown, i: number): unknown => each(x => at(x as never, i) as unknown as Any, tree)
const joined = (xs: readonly Any[]): Any => op('concat', xs.map(x => op('reshape', [x], { shape: [1, ...aval(x).shape] })), { axis: 0 })
/** Trees of one structure, stacked leaf by leaf. */
const stacked = (trees: readonly unknown[]): unknown => {
  const columns = trees.map(leaves)
  return rebuilt(trees[0], columns[0]!.map((_, i) => joined(columns.map(column => column[i]!))))
}
const lengthOf = (operation: string, xs: unknown): number => {
  const lengths = leaves(xs).map(x => aval(x).shape[0])
  const n = lengths[0]
  return n === undefined || n === 0 || lengths.some(m => m !== n)
    ? refuse({ kind: 'shape', operation, message: `leading axes must be equal and at least 1; they are ${lengths.map(m => m ?? 'none').join(', ')}` })
    : n
}
const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** f on every slice along the leading axis of every tensor in xs; results get that axis in front. */
export const vmap = <const Xs, const R>(xs: Check<OneLead<'vmap', Xs>, Xs>, f: (x: Each<Xs>) => R): Batched<Leads<Xs>, R> =>
  stacked(upTo(lengthOf('vmap', xs)).map(i => f(entry(xs, i) as Each<Xs>))) as Batched<Leads<Xs>, R> // the marked border: slices are Each, stacks are Batched

// ---- scan ---------------------------------------------------------------------------------------------------------
type Drift<C, N, At extends string> =
  C extends Any
    ? N extends Any
      ? Same<ShapeOf<C>, ShapeOf<N>> extends true ? Same<DTypeOf<C>, DTypeOf<N>> extends true ? never : Changed<C, N, At> : Changed<C, N, At>
      : `scan: the carry${In<At>} enters as ${Describe<C>} and does not leave as a tensor`
    : C extends Static ? never
    : { [K in keyof C]: K extends keyof N ? Drift<C[K], N[K], Path<At, K>> : `scan: the carry${In<At>} loses ${K & string}` }[C extends readonly unknown[] ? number & keyof C : keyof C] | Gained<C, N, At>
type Gained<C, N, At extends string> = C extends readonly unknown[] ? never : [Exclude<keyof N, keyof C>] extends [never] ? never : `scan: the carry${In<At>} gains ${Exclude<keyof N, keyof C> & string}`
type In<At extends string> = At extends '' ? '' : ` ${At}`
type Changed<C, N, At extends string> = `scan: the carry${In<At>} enters as ${Describe<C>} and leaves as ${Describe<N>}${Clash<ShapeOf<C>, ShapeOf<N>>}`
type Kept<C, N> = [Drift<C, N, ''>] extends [infer E] ? ([E] extends [never] ? null : E) : never
type NoNumber<C> = C extends Any ? never : C extends number ? 'number' : C extends Static ? never : { [K in keyof C]: NoNumber<C[K]> }[C extends readonly unknown[] ? number & keyof C : keyof C]
type Carried<C> = [NoNumber<C>] extends [never] ? Sharp<'scan', Vague<C, ''>> : 'scan: the initial carry holds a number; write zeros([]) or full([], value)'

/**
 * Runs f along the leading axis of xs, last first where `reverse`: `f(carry, x)` gives `[next carry, y]`. The result is the
 * final carry and every y; the y of slice t lands at index t, also where `reverse`.
 */
export const scan = <const Carry, const Xs, const Next, const Y>(
  init: Check<Carried<Carry>, Carry>,
  xs: Check<OneLead<'scan', Xs>, Xs>,
  f: (carry: Carry, x: Each<Xs>) => readonly [Check<Kept<Carry, Next>, Next>, Y],
  { reverse = false }: { readonly reverse?: boolean } = {},
): readonly [Carry, Batched<Leads<Xs>, Y>] => {
  const order = reverse ? upTo(lengthOf('scan', xs)).toReversed() : upTo(lengthOf('scan', xs))
  const { carry, ys } = order.reduce<{ readonly carry: unknown; readonly ys: readonly Y[] }>(({ carry, ys }, i) => {
    const [next, y] = f(carry as Carry, entry(xs, i) as Each<Xs>)
    return { carry: next, ys: reverse ? [y, ...ys] : [...ys, y] }
  }, { carry: init, ys: [] })
  return [carry as Carry, stacked(ys) as Batched<Leads<Xs>, Y>] // the marked border: carries keep their type by Kept
}

// ---- gradients ----------------------------------------------------------------------------------------------------
type ScalarLoss<Op extends string, L> = L extends readonly [infer S, unknown] ? Suits<Op, S> : Suits<Op, L>
type Suits<Op extends string, S> =
  S extends Any ? (IsScalar<S> extends true ? ([DTypeOf<S>] extends ['f32'] ? null : `${Op}: the loss must hold f32, it is ${Describe<S>}`) : `${Op}: the loss must be a scalar, it is ${Describe<S>}`)
  : `${Op}: the loss must be a scalar tensor, or [scalar, what else to return]`
/** The hint that makes `[loss, aux]` a tuple. */
type Loss = Any | readonly [unknown, unknown] | {}

const isF32 = (x: Any): boolean => aval(x).dtype === 'f32'
const derive = (loss: (p: unknown, ...rest: readonly unknown[]) => unknown, p: unknown, rest: readonly unknown[]): { readonly value: unknown; readonly grad: unknown } => {
  const tensors = leaves(p)
  const seen: { shape: unknown } = { shape: null }
  const { value, aux, grads } = differentiate(xs => {
    const by = [...xs] as Any[]
    const returned = loss(rebuilt(p, tensors.map(x => (isF32(x) ? by.shift()! : x))), ...rest)
    seen.shape = returned
    return isTensor(returned) ? returned : (leaves(returned) as unknown as readonly [Any, ...Any[]])
  }, tensors.filter(isF32))
  const gradients = [...grads] as Any[]
  return {
    value: rebuilt(seen.shape, [value, ...aux] as Any[]),
    grad: rebuilt(p, tensors.map(x => (isF32(x) ? gradients.shift()! : op('fill', [], { ...aval(x), value: 0 })))),
  }
}
type Erased = (p: unknown, ...rest: readonly unknown[]) => unknown

/**
 * The gradient of a scalar loss by its first argument, in the type of that argument. Where the loss returns
 * `[scalar, what else]`, the rest is dropped. Tensors that do not hold f32 get zeros.
 */
export const grad = <P, A extends readonly unknown[], const L extends Loss>(loss: (p: P, ...rest: A) => Check<ScalarLoss<'grad', L>, L>): ((p: P, ...rest: A) => P) =>
  (p, ...rest) => derive(loss as unknown as Erased, p, rest).grad as P // the marked border: gradients have the type of p

/** Both what the loss returns, as `value`, and its gradient by the first argument, as `grad`. */
export const valueAndGrad = <P, A extends readonly unknown[], const L extends Loss>(
  loss: (p: P, ...rest: A) => Check<ScalarLoss<'valueAndGrad', L>, L>,
): ((p: P, ...rest: A) => { readonly value: L; readonly grad: P }) =>
  (p, ...rest) => derive(loss as unknown as Erased, p, rest) as { readonly value: L; readonly grad: P } // the marked border
