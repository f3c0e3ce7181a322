/**
 * Makes contractions of what is one: a sum or transpose of a contraction that nothing else reads becomes part of its
 * result's labels, and a sum over a product of repeated operands becomes a contraction.
 */
import { elementwise, type Prim } from '../../dsl/core/prim.ts'
import type { Func, Id } from '../ir/ir.ts'
import { at, count, range } from '../ir/view.ts'
import { defines, rewrite, type Site } from './rewrite.ts'

export const mergeContracts = (func: Func): Func =>
  rewrite(func, (site, op) => {
    if (op.prim === 'sum') return sumOfContract(site, op.attrs.axes) ?? sumOfProduct(site, op.attrs.axes)
    return op.prim === 'transpose' ? transposed(site, op.attrs.perm) : null
  })

const sumOfContract = (site: Site, axes: readonly number[]): Id | null => {
  const inner = defines(site.b, at(site.inputs, 0), 'contract')
  if (inner === null || site.uses(0) !== 1) return null
  return site.b.op('contract', inner.inputs, { ...inner.attrs, out: inner.attrs.out.filter((_, axis) => !axes.includes(axis)) })
}

const transposed = (site: Site, perm: readonly number[]): Id | null => {
  const inner = defines(site.b, at(site.inputs, 0), 'contract')
  if (inner === null || site.uses(0) !== 1) return null
  return site.b.op('contract', inner.inputs, { ...inner.attrs, out: perm.map(axis => at(inner.attrs.out, axis)) })
}

/** An element-wise result fuses into a plain sum, but would have to be stored for a contraction. */
const fuses = ({ b }: Site, id: Id): boolean => (elementwise as readonly (Prim | undefined)[]).includes(b.definition(id)?.prim)

/** sum(broadcast(x) * y): worth it where an operand is smaller than the product, and nothing that fuses is lost. */
const sumOfProduct = (site: Site, axes: readonly number[]): Id | null => {
  const { b } = site
  const product = defines(b, at(site.inputs, 0), 'mul')
  if (product === null || site.uses(0) !== 1 || b.aval(at(site.inputs, 0)).dtype !== 'f32') return null
  const { shape } = b.aval(at(site.inputs, 0))
  const operands = product.inputs.map(id => {
    const repeated = defines(b, id, 'broadcast')
    return repeated === null ? { id, axes: range(shape.length) } : { id: at(repeated.inputs, 0), axes: repeated.attrs.axes }
  })
  const [x, y] = [at(operands, 0), at(operands, 1)]
  const covered = range(shape.length).every(axis => x.axes.includes(axis) || y.axes.includes(axis))
  const smaller = operands.some(o => o.axes.length > 0 && count(b.aval(o.id).shape) < count(shape))
  // something has to be shared and summed, or this is no product worth the name
  if (!covered || !smaller || operands.some(o => fuses(site, o.id)) || !axes.some(axis => x.axes.includes(axis) && y.axes.includes(axis))) return null
  const label = (axis: number): string => `d${axis}`
  return b.op('contract', [x.id, y.id], {
    sizes: Object.fromEntries(shape.map((size, axis) => [label(axis), size])),
    a: x.axes.map(label),
    b: y.axes.map(label),
    out: range(shape.length).filter(axis => !axes.includes(axis)).map(label),
  })
}
