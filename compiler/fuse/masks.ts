/**
 * Asks an activation for its mask: the gradient of y = select(x > 0, x, slope * x) (relu, leakyRelu) reads x > 0, which
 * is y > 0. With y in its place, x is read by nothing but y, so that one of the two is kept and not both.
 */
import type { Builder } from '../ir/build.ts'
import type { Func, Id } from '../ir/ir.ts'
import { at } from '../ir/view.ts'
import { defines, filled, rewrite } from '../transform/rewrite.ts'

/** The condition of a rectifier select(x > 0, x, slope * x) with slope >= 0, if it is one. NaN is on the same side of both. */
const conditionOf = (b: Builder, inputs: readonly Id[]): Id | null => {
  const [condition, x, other] = [at(inputs, 0), at(inputs, 1), at(inputs, 2)]
  const test = defines(b, condition, 'gt')
  if (test === null || at(test.inputs, 0) !== x || filled(b, at(test.inputs, 1)) !== 0) return null
  const scaled = defines(b, other, 'mul')
  const slopes = scaled === null ? [filled(b, other) === 0 ? 0 : null] : scaled.inputs.includes(x) ? scaled.inputs.map(id => filled(b, id)) : []
  return slopes.some(s => s !== null && s >= 0) ? condition : null
}

export const masks = (func: Func): Func => {
  const known = new WeakMap<Builder, Map<Id, { readonly y: Id; mask: Id | null }>>() // by builder: one scope per function body
  return rewrite(func, ({ b, inputs }, op) => {
    const activations = known.get(b) ?? new Map<Id, { readonly y: Id; mask: Id | null }>()
    known.set(b, activations)
    const condition = op.prim === 'select' ? conditionOf(b, inputs) : null
    if (condition !== null) {
      const y = b.copy(op, inputs)
      activations.set(condition, { y, mask: null })
      return y
    }
    if (!inputs.some(id => activations.has(id))) return null
    const asked = (id: Id): Id => {
      const found = activations.get(id)
      if (found === undefined) return id
      found.mask ??= b.op('gt', [found.y, b.op('fill', [], { ...b.aval(found.y), value: 0 })], {})
      return found.mask
    }
    return b.copy(op, inputs.map(asked))
  })
}
