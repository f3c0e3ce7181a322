/**
 * Trees: records, arrays and tuples of tensors (parameters, states, batches). Numbers, strings and booleans in a tree are
 * static: they are kept as they are.
 */
import { isTensor } from './core/apply.ts'
import type { Any, DType, DTypeOf, ShapeOf, Tensor } from './tensor.ts'
import type { Shape, Tail } from './shape.ts'

/** What a tree may hold beside tensors. */
export type Static = number | string | boolean | null | undefined

/** Every tensor of the tree with a new leading axis B. */
export type Batched<B, T> = T extends Any ? Tensor<[B, ...ShapeOf<T>], DTypeOf<T>> : T extends Static ? T : { [K in keyof T]: Batched<B, T[K]> }
/** Every tensor of the tree without its leading axis. */
export type Each<T> = T extends Any ? Tensor<Tail<ShapeOf<T>>, DTypeOf<T>> : T extends Static ? T : { [K in keyof T]: Each<T[K]> }
/** The leading axis of every tensor of the tree, as a union: one member where all agree. */
export type Leads<T> =
  T extends Any ? ShapeOf<T>[0] : T extends Static ? never : T extends readonly unknown[] ? { [K in keyof T]: Leads<T[K]> }[number] : { [K in keyof T]: Leads<T[K]> }[keyof T]

/** The place K within the place At: `bank.0.weight`; elements of arrays whose length is not known are `[i]`. */
export type Path<At extends string, K> = `${At}${At extends '' ? '' : '.'}${K extends string ? K : '[i]'}`
/** A union of texts as one text; the order is the checker's. */
export type Listed<U> = [U] extends [never] ? '' : LastMember<U> extends infer L extends string ? ([Exclude<U, L>] extends [never] ? L : `${Listed<Exclude<U, L>>}, ${L}`) : ''
type LastMember<U> = (U extends unknown ? (x: () => U) => void : never) extends (x: infer I) => void ? (I extends () => infer L ? L : never) : never

/** The element types of the tensors of a tree, as a union; f32 where it has none. */
type DTypes<T> = DTypesIn<T> extends infer D extends DType ? ([D] extends [never] ? 'f32' : D) : never
type DTypesIn<T> = T extends Any ? DTypeOf<T> : T extends Static ? never : { [K in keyof T]: DTypesIn<T[K]> }[T extends readonly unknown[] ? number & keyof T : keyof T]

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === 'object' && x !== null
const childOf = (x: unknown, k: string | number): unknown => (x as Readonly<Record<string | number, unknown>>)[k] // trees of one structure
const mapped = (f: (...xs: readonly Any[]) => Any, tree: unknown, trees: readonly unknown[]): unknown =>
  isTensor(tree) ? f(tree as Any, ...(trees as readonly Any[]))
  : Array.isArray(tree) ? (tree as readonly unknown[]).map((t, i) => mapped(f, t, trees.map(u => childOf(u, i))))
  : isRecord(tree) ? Object.fromEntries(Object.entries(tree).map(([k, t]) => [k, mapped(f, t, trees.map(u => childOf(u, k)))]))
  : tree

/**
 * f on every tensor of a tree, and on the tensors in the same places of further trees of the same type: an update rule,
 * say. f keeps the shape, whatever it is, and the element type: where the tree holds several, f must take each of them.
 */
export const treeMap = <T>(
  f: <S extends Shape>(x: Tensor<S, DTypes<T>>, ...xs: readonly Tensor<S, DTypes<T>>[]) => Tensor<S, DTypes<T>>, tree: T, ...trees: readonly NoInfer<T>[]
): T =>
  mapped(f as unknown as (...xs: readonly Any[]) => Any, tree, trees) as T // the marked border: f is applied leaf by leaf

/** The tensors of a tree, in the order of its keys. */
export const treeLeaves = <T>(tree: T): readonly Leaf<DTypes<T>>[] => leaves(tree) as unknown as readonly Leaf<DTypes<T>>[]
type Leaf<D> = D extends DType ? Tensor<Shape, D> : never

/** The tensors of a tree of any element types, in the order of its keys. */
export const leaves = (tree: unknown): readonly Any[] =>
  isTensor(tree) ? [tree as Any] : Array.isArray(tree) ? (tree as readonly unknown[]).flatMap(leaves) : isRecord(tree) ? Object.values(tree).flatMap(leaves) : []
