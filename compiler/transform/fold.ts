/**
 * Constant folding: an op on constants becomes a constant, computed by the eager meaning and rounded to its type.
 */
import { evaluate } from '../../dsl/core/eager.ts'
import { type Dense, dense, filled as denseOf } from '../../dsl/core/dense.ts'
import { elementwise, type Attrs, type Aval, type Prim } from '../../dsl/core/prim.ts'
import type { Builder } from '../ir/build.ts'
import type { Func, Id, Op } from '../ir/ir.ts'
import { at, count } from '../ir/view.ts'
import { defines, filled, rewrite, type Site } from './rewrite.ts'

/** A result this small is folded whatever it is made of; a larger one only if it is no larger than a literal that it is made of. */
const small = 256
const largest = 4096

const isElementwise = new Set<Prim>(elementwise)

export const fold = (func: Func): Func => rewrite(func, foldOp)

const foldOp = ({ b, inputs }: Site, op: Op): Id | null => {
  if (inputs.length === 0) return null
  const values = inputs.map(id => filled(b, id))
  // an element-wise op on fills is one scalar op, whatever the shape
  if (isElementwise.has(op.prim) && values.every(v => v !== null)) {
    const scalars = inputs.map((id, i) => denseOf([], at(values as readonly number[], i), b.aval(id).dtype))
    const value = rounded(evaluate<Prim>(op.prim, scalars, op.attrs as Attrs[Prim])).data[0]
    return value === undefined || !Number.isFinite(value) ? null : b.op('fill', [], { shape: op.aval.shape, dtype: op.aval.dtype, value })
  }
  const literals = inputs.map(id => count(defines(b, id, 'literal')?.attrs.shape ?? [0]))
  const size = count(op.aval.shape)
  if (size === 0 || size > Math.max(small, Math.min(largest, Math.max(...literals)))) return null
  if (inputs.some(id => count(b.aval(id).shape) > largest)) return null
  const constants = inputs.map(id => constant(b, id))
  if (constants.some(c => c === null)) return null
  return toLiteral(b, rounded(evaluate<Prim>(op.prim, constants as readonly Dense[], op.attrs as Attrs[Prim])))
}

/** The value of a constant, if it is one. */
const constant = (b: Builder, id: Id): Dense | null => {
  const op = b.definition(id)
  if (op === undefined || op.inputs.length > 0) return null
  return evaluate<Prim>(op.prim, [], op.attrs as Attrs[Prim])
}

/** f32 is rounded to single precision, as a target holds it. */
const rounded = (x: Dense): Dense => (x.dtype === 'f32' ? dense(x.shape, Float64Array.from(x.data, Math.fround), 'f32') : x)

const toLiteral = (b: Builder, { shape, dtype, data }: Dense): Id | null => {
  const values = Array.from(data)
  if (!values.every(Number.isFinite)) return null
  const aval: Aval = { shape, dtype }
  const first = at(values, 0)
  return values.every(v => Object.is(v, first)) ? b.op('fill', [], { ...aval, value: first }) : b.op('literal', [], { ...aval, data: values })
}
