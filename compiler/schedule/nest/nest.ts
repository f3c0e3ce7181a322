/**
 * The loop-nest kernel language: what a schedule produces and a target prints. A nest is a function over typed locals,
 * counted loops, branches, loads and stores. Nothing here belongs to one target; a vector has four lanes everywhere.
 *
 * Positions in memory count `unit`s: a target chooses how many units one element takes (4 where it addresses bytes, 1
 * where it indexes arrays), so that a schedule can scale strides once instead of every access scaling its position.
 */
export type Scalar = 'f32' | 'i32' | 'u32' | 'bool'
export type Vector = 'f32x4' | 'i32x4' | 'u32x4' | 'boolx4'
export type Type = Scalar | Vector

export type Local = { readonly kind: 'local'; readonly id: number; readonly type: Type; readonly name: string }

/**
 * Functions of values. All operands and the result have the type of the call unless said otherwise. Comparisons take two
 * operands of one type and give a bool of as many lanes; `select` is (bool, a, b); `fma` is a * b + c with one or two
 * roundings, as the target likes; `convert` changes the type and keeps the value, `bits` keeps the bits; `splat` repeats
 * a scalar, `lanes` gathers four; `floor`, `nearest` (ties to even) and `sqrt` are for f32; shifts take their count as
 * an i32 scalar constant; `not` is for bools; `div` and `rem` of integers truncate and must not divide by zero.
 */
export const functions = [
  'add', 'sub', 'mul', 'div', 'rem', 'min', 'max', 'neg', 'abs', 'sqrt', 'floor', 'nearest', 'and', 'or', 'xor', 'not', 'shl', 'shr',
  'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'select', 'fma', 'splat', 'lanes', 'convert', 'bits',
] as const
export type Fn = (typeof functions)[number]

/** Functions of f32 that a target may have as functions of its own instead of in place: pow with its exponent. */
export type Named = 'exp' | 'log' | 'log1p' | 'expm1' | 'sin' | 'cos' | 'tanh' | 'sigmoid' | 'softplus' | { readonly pow: number }

export type Value =
  /** One number; in a vector type every lane has it. */
  | { readonly kind: 'const'; readonly type: Type; readonly value: number }
  | Local
  /** Memory of `space` at position `at` plus `offset` elements; a vector loads four neighbours. Bools are stored as 0 or 1. */
  | { readonly kind: 'load'; readonly type: Type; readonly space: number; readonly at: Value; readonly offset: number }
  | { readonly kind: 'apply'; readonly fn: Fn; readonly type: Type; readonly args: readonly Value[] }
  /** A function that the target writes down once and calls by name; `maths.ts` says what it computes. All types are equal. */
  | { readonly kind: 'named'; readonly name: Named; readonly type: Type; readonly args: readonly Value[] }
  /** One lane of a vector. */
  | { readonly kind: 'lane'; readonly type: Scalar; readonly of: Value; readonly lane: number }
  /** Four lanes out of the eight of a then b. */
  | { readonly kind: 'shuffle'; readonly type: Vector; readonly a: Value; readonly b: Value; readonly lanes: readonly [number, number, number, number] }

/**
 * A matrix of 16 rows and 16 columns that the 32 threads of a subgroup hold together: which of them has which element, nobody knows.
 * `left` and `right` are the factors of a product, in half precision; `result` is a sum of products, in f32.
 */
export type Matrix = { readonly id: number; readonly role: 'left' | 'right' | 'result'; readonly name: string }

/**
 * What a subgroup does with matrices, all of its threads together, none of them in a branch that others do not take. In memory, what is
 * added over lies far apart: element (r, c) of a left one is at position `at + offset + c * stride + r`, of all others at
 * `at + offset + r * stride + c`; `at` is the same for all threads of a subgroup. `zero` is the first of a result, and stands at the top
 * of a nest; a left or right one is loaded once, in the block that multiplies with it. `multiply` adds left * right to `matrix`.
 */
export type MatrixStep =
  | { readonly op: 'zero'; readonly matrix: Matrix }
  | { readonly op: 'load' | 'store'; readonly matrix: Matrix; readonly space: number; readonly at: Value; readonly offset: number; readonly stride: number }
  | { readonly op: 'multiply'; readonly matrix: Matrix; readonly left: Matrix; readonly right: Matrix }

/** How the threads of a subgroup join what they have. */
export type Joining = 'sum' | 'max' | 'min'

export type Stmt =
  | { readonly kind: 'set'; readonly local: Local; readonly value: Value }
  | { readonly kind: 'store'; readonly space: number; readonly at: Value; readonly offset: number; readonly value: Value }
  /** counter = from, from + step, ... while counter < to. `to` is a constant or a local that the body does not set. */
  | { readonly kind: 'for'; readonly counter: Local; readonly from: Value; readonly to: Value; readonly step: number; readonly body: readonly Stmt[] }
  | { readonly kind: 'if'; readonly condition: Value; readonly then: readonly Stmt[]; readonly otherwise: readonly Stmt[] }
  /** Every thread of a workgroup waits here for the others, and sees what they have stored. Never within a branch that some do not take. */
  | { readonly kind: 'barrier' }
  /**
   * `local` becomes the sum, the greatest or the least of what the threads of a subgroup give, the same for all of them. A subgroup is some
   * threads of a workgroup, which of them and how many is the device's affair. Numbers only, and f32 in sums only: devices differ in what NaN
   * does to extremes. Never within a branch that some do not take.
   */
  | { readonly kind: 'join'; readonly op: Joining; readonly local: Local; readonly value: Value }
  | { readonly kind: 'matrix'; readonly step: MatrixStep }

/**
 * A kernel, or one stage of it, as a function: params are [lo, hi, own, ...counters of the enclosing loops]. It does the
 * parts lo .. hi-1 of its extent; parts are independent of each other, may run in any order and on any thread, and write
 * the same bits wherever the range is cut. `own` is the position of memory that the running thread alone uses.
 */
export type Nest = {
  readonly name: string
  readonly params: readonly Local[]
  readonly locals: readonly Local[]
  readonly body: readonly Stmt[]
  readonly extent: number
}

export const lanesOf = (type: Type): 1 | 4 => (type.endsWith('x4') ? 4 : 1)
const scalars: { readonly [T in Type]: Scalar } = { f32: 'f32', i32: 'i32', u32: 'u32', bool: 'bool', f32x4: 'f32', i32x4: 'i32', u32x4: 'u32', boolx4: 'bool' }
export const scalarOf = (type: Type): Scalar => scalars[type]
export const vectorOf = (type: Type): Vector => `${scalarOf(type)}x4`
/** The type with the element of `type` and as many lanes as `like`. */
export const widened = (type: Type, like: Type): Type => (lanesOf(like) === 4 ? vectorOf(type) : scalarOf(type))

export const constOf = (type: Type, value: number): Value => ({ kind: 'const', type, value })
export const i32 = (value: number): Value => constOf('i32', value)
export const f32 = (value: number): Value => constOf('f32', value)
export const apply = (fn: Fn, type: Type, ...args: readonly Value[]): Value => ({ kind: 'apply', fn, type, args })

/** A text equal exactly where two values are; locals by id. */
export const valueKey = (value: Value): string => {
  switch (value.kind) {
    case 'const':
      return `${value.type}:${Object.is(value.value, -0) ? '-0' : value.value}`
    case 'local':
      return `%${value.id}`
    case 'load':
      return `[${value.type} ${value.space} ${valueKey(value.at)}+${value.offset}]`
    case 'apply':
      return `${value.fn}.${value.type}(${value.args.map(valueKey).join(',')})`
    case 'named':
      return `${typeof value.name === 'string' ? value.name : `pow${value.name.pow}`}.${value.type}(${value.args.map(valueKey).join(',')})`
    case 'lane':
      return `${valueKey(value.of)}.${value.lane}`
    case 'shuffle':
      return `<${valueKey(value.a)},${valueKey(value.b)},${value.lanes.join('')}>`
  }
}

/**
 * Memory that a schedule needs for itself, numbered as a space beside the buffers. `kernel`: one piece, written by one
 * stage and read by a later one. `thread`: a piece for every thread, at positions counted from `own`, which the nest adds itself.
 */
export type Scratch = { readonly space: number; readonly bytes: number; readonly each: 'kernel' | 'thread' }

/**
 * A scheduled kernel: stages in the order in which they have to seem to run. A stage that reads what an earlier one
 * writes begins when that one is done on all threads; stages that have nothing to do with each other may run together.
 * `shares`: the part of the kernel's time that each of the nests takes, where that is not the whole of it.
 */
export type Scheduled = { readonly nests: readonly Nest[]; readonly scratch: readonly Scratch[]; readonly shares?: readonly number[] }
