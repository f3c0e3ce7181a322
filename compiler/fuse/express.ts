/**
 * The value of one element as an expression over loop variables: walks the tensor IR from a value down to buffers,
 * turning shape operations into index arithmetic and padding into guards.
 */
import type { Attrs, Dimension } from '../../dsl/core/prim.ts'
import { refuse } from '../../dsl/errors.ts'
import type { Func, Id, Op } from '../ir/ir.ts'
import { add, constant, equal, indexKey, isConstant, linear, ofAtom, scale, shift, zero } from '../schedule/kernel/indexing.ts'
import type { Indexing } from '../schedule/kernel/indexing.ts'
import type { Expr, Guard, Index } from '../schedule/kernel/kernel.ts'

/** A function being planned: its instructions, and where its values live. */
export type Scope = {
  readonly func: Func
  readonly ops: ReadonlyMap<Id, Op>
  readonly shapes: ReadonlyMap<Id, readonly number[]>
  /** Ids that are read from buffers. */
  readonly stored: ReadonlySet<Id>
  /** The element of a stored value (or parameter, or scan result) at an index per axis. */
  readonly read: (id: Id, indices: readonly Index[]) => Expr
}

/** Values that the kernel under construction holds in a register at its own position. */
export type Held = { readonly at: Index; readonly values: ReadonlyMap<Id, Expr> }

/** Thrown where a kernel would need a value that it holds, at another position than its own. */
export class Misaligned extends Error {}

const always = (algebra: Indexing, g: Guard): boolean => {
  const r = algebra.range(g.of)
  return g.by === 1 && r.min >= 0 && r.max < g.below
}

/** Positions p * stride + k * dilation - pad of a window, and what must hold for them to exist. */
const position = (algebra: Indexing, d: Dimension, size: number, label: (name: string) => Index): { at: Index; guards: readonly Guard[] } => {
  if (typeof d === 'string') return { at: label(d), guards: [] }
  const sign = d.base < 0 ? -1 : 1
  const base = d.base * sign
  const raw = shift(add(scale(label(d.p), d.stride * sign), scale(label(d.k), d.dilation * sign)), -d.pad * sign)
  const guard: Guard = { of: raw, below: (size - 1) * base + 1, by: base }
  return { at: algebra.div(raw, base), guards: always(algebra, guard) ? [] : [guard] }
}

export type Express = {
  /** Element of a value; stored values are read from their buffers, or from `held`. */
  readonly element: (id: Id, indices: readonly Index[]) => Expr
  /** Element of the definition of a value, even where it is stored. */
  readonly definition: (op: Op, indices: readonly Index[]) => Expr
  /** Operand 0 or 1 of a contraction under an index per label. */
  readonly operand: (attrs: Attrs['contract'], which: 0 | 1, id: Id, shape: readonly number[], label: (name: string) => Index) => Expr
}

export const express = (algebra: Indexing, scope: Scope, held: () => Held | null): Express => {
  const memo = new Map<string, Expr>()

  const element = (id: Id, indices: readonly Index[]): Expr => {
    const now = held()
    const mine = now?.values.get(id)
    if (now !== null && mine !== undefined) {
      const op = scope.ops.get(id)!
      if (!equal(linear(indices, op.aval.shape), now.at)) throw new Misaligned()
      return mine
    }
    const op = scope.ops.get(id)
    if (op === undefined || scope.stored.has(id) || op.prim === 'literal') return scope.read(id, indices)
    return definition(op, indices)
  }

  const definition = (op: Op, indices: readonly Index[]): Expr => {
    const key = `${op.id}@${indices.map(indexKey).join(',')}`
    const known = memo.get(key)
    if (known !== undefined) return known
    const made = rule(op, indices)
    memo.set(key, made)
    return made
  }

  const shapeOf = (id: Id): readonly number[] => scope.shapes.get(id)!

  const guarded = (guards: readonly Guard[], then: () => Expr, otherwise: () => Expr): Expr => {
    const real = guards.filter(g => !always(algebra, g))
    if (real.length === 0) return then()
    if (real.some(g => isConstant(g.of) && (g.of.offset < 0 || g.of.offset >= g.below || g.of.offset % g.by !== 0))) return otherwise()
    const a = then()
    return { kind: 'when', guards: real, then: a, otherwise: otherwise(), dtype: a.dtype }
  }

  const rule = (op: Op, at: readonly Index[]): Expr => {
    const dtype = op.aval.dtype
    const input = (i: number, indices: readonly Index[]): Expr => element(op.inputs[i]!, indices)
    switch (op.prim) {
      case 'fill':
        return { kind: 'const', value: op.attrs.value, dtype }
      case 'iota':
        return { kind: 'index', of: at[op.attrs.axis]!, dtype }
      case 'randomBits': {
        const rank = op.attrs.shape.length
        const batch = at.slice(0, at.length - rank)
        const count = op.attrs.shape.reduce((a, b) => a * b, 1)
        const of = linear(at.slice(at.length - rank), op.attrs.shape)
        return { kind: 'random', key0: input(0, [...batch, zero]), key1: input(0, [...batch, constant(1)]), of, count, dtype: 'u32' }
      }
      case 'stopGradient':
        return input(0, at)
      case 'reshape':
        return input(0, algebra.split(linear(at, op.aval.shape), shapeOf(op.inputs[0]!)))
      case 'transpose': {
        const inverse: Index[] = []
        op.attrs.perm.forEach((axis, i) => {
          inverse[axis] = at[i]!
        })
        return input(0, inverse)
      }
      case 'broadcast':
        return input(0, op.attrs.axes.map(axis => at[axis]!))
      case 'slice':
        return input(0, at.map((index, i) => shift(scale(index, op.attrs.step[i]!), op.attrs.start[i]!)))
      case 'flip':
        return input(0, at.map((index, i) => (op.attrs.axes.includes(i) ? shift(scale(index, -1), op.aval.shape[i]! - 1) : index)))
      case 'pad': {
        const shape = shapeOf(op.inputs[0]!)
        const places = at.map((index, i) => {
          const by = op.attrs.interior[i]! + 1
          const raw = shift(index, -op.attrs.low[i]!)
          return { guard: { of: raw, below: (shape[i]! - 1) * by + 1, by }, at: algebra.div(raw, by) }
        })
        return guarded(places.map(p => p.guard), () => input(0, places.map(p => p.at)), () => ({ kind: 'const', value: op.attrs.value, dtype }))
      }
      case 'concat': {
        const axis = op.attrs.axis
        const starts = op.inputs.reduce<readonly number[]>((all, id) => [...all, all[all.length - 1]! + shapeOf(id)[axis]!], [0])
        // halves, so that a choice among many inputs takes few checks
        const part = (from: number, to: number): Expr => {
          if (to - from === 1) return input(from, at.map((index, j) => (j === axis ? shift(index, -starts[from]!) : index)))
          const middle = (from + to) >> 1
          const guard: Guard = { of: shift(at[axis]!, -starts[from]!), below: starts[middle]! - starts[from]!, by: 1 }
          return guarded([guard], () => part(from, middle), () => part(middle, to))
        }
        return part(0, op.inputs.length)
      }
      case 'gather': {
        const { axis, batch } = op.attrs
        const shape = shapeOf(op.inputs[0]!)
        const rank = shapeOf(op.inputs[1]!).length - batch
        const picked = input(1, [...at.slice(0, batch), ...at.slice(axis, axis + rank)])
        const size = shape[axis]!
        const clamped: Expr = {
          kind: 'op', prim: 'minimum', dtype: 'i32',
          args: [{ kind: 'op', prim: 'maximum', dtype: 'i32', args: [picked, { kind: 'const', value: 0, dtype: 'i32' }] }, { kind: 'const', value: size - 1, dtype: 'i32' }],
        }
        const chosen = size === 1 ? zero : ofAtom({ kind: 'value', expr: clamped })
        return input(0, [...at.slice(0, axis), chosen, ...at.slice(axis + rank)])
      }
      case 'pow':
        return { kind: 'op', prim: 'pow', args: [input(0, at)], dtype, exponent: op.attrs.exponent }
      case 'literal': case 'sum': case 'max': case 'min': case 'contract':
        return refuse({ kind: 'bug', where: 'fuse', message: `${op.prim} has no value at a single index` })
      case 'neg': case 'abs': case 'sign': case 'floor': case 'exp': case 'log': case 'log1p': case 'expm1': case 'sqrt': case 'rsqrt': case 'sin': case 'cos':
      case 'tanh': case 'sigmoid': case 'softplus': case 'not': case 'cast': case 'add': case 'sub': case 'mul': case 'div': case 'maximum': case 'minimum':
      case 'and': case 'or': case 'xor': case 'shl': case 'shr': case 'eq': case 'ne': case 'lt': case 'le': case 'gt': case 'ge': case 'select':
        return { kind: 'op', prim: op.prim, args: op.inputs.map((_, i) => input(i, at)), dtype }
    }
  }

  const operand: Express['operand'] = (attrs, which, id, shape, label) => {
    const places = (which === 0 ? attrs.a : attrs.b).map((d, axis) => position(algebra, d, shape[axis]!, label))
    return guarded(places.flatMap(p => p.guards), () => element(id, places.map(p => p.at)), () => ({ kind: 'const', value: 0, dtype: 'f32' }))
  }
  return { element, definition, operand }
}
