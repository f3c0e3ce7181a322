/** The nest of a gather: finds out whose the element is, computes the value of that store, and stores it. */
import { refuse } from '../../../dsl/errors.ts'
import type { Reduce } from '../elementwise/reduce.ts'
import { collapse, mapIndices } from '../kernel/collapse.ts'
import { add, isConstant, scale, shift, variable } from '../kernel/indexing.ts'
import type { Buffer, Expr, Kernel, Store, Var } from '../kernel/kernel.ts'
import { builder } from '../nest/builder.ts'
import { type Dialect, type Env, lower } from '../nest/expression.ts'
import { flushed } from '../nest/flush.ts'
import { type Nest, type Value, constOf } from '../nest/nest.ts'
import { type Placing, along, axesFor, covers, inverted, placing } from './inverse.ts'
import { sizeOf } from './fresh.ts'
import { total } from './total.ts'

/** A kernel with one store. Where it has a reduction, the store's value depends on it. */
export type Part = Omit<Kernel, 'reduction'> & { readonly reduction: Reduce | null }

/**
 * What one gather is made of: parts that lie beside each other in a buffer, within the loops of some counters. What none of them reaches
 * stays what it was, or is zero where it was nothing yet (`blank`).
 */
export type Pieces = {
  readonly name: string; readonly buffer: Buffer; readonly parts: readonly Part[]; readonly counters: readonly Var[]; readonly blank: boolean
}

/** Room for the numbers of unrolled terms between those of two parts: equal expressions have values of their own in each. */
const apart = 65536

const storeOf = ({ stores }: Part): Store => stores[0]!

/** Variables that are used as one become one. */
const flat = (part: Part): Part => {
  const kernel = collapse(part)
  return { ...kernel, reduction: kernel.reduction as Part['reduction'] } // collapsing keeps the kind of a reduction
}

/** The number of the element itself, as a variable of no kernel. */
const own: Var = { id: -1, size: Infinity, name: 'i' }
/** The value of a store, in which places that are a fixed distance from its own count from the element. */
const fromElement = ({ at, value }: Store): Expr => {
  const negative = scale(at, -1)
  return mapIndices(index => {
    const distance = add(index, negative)
    return isConstant(distance) && !isConstant(index) ? shift(variable(own), distance.offset) : index
  })(value)
}

/** Whether parts, no two of which meet, fill so many elements. */
export const covering = (parts: readonly Part[], extent: number): boolean => parts.reduce((n, p) => n + sizeOf(p.vars), 0) >= extent

/** The strides of an array's dimensions. */
const stridesOf = (shape: readonly number[]): readonly number[] => shape.map((_, k) => shape.slice(k + 1).reduce((n, d) => n * d, 1))

/** The nest of a gather (gather.ts). */
export const nestOf = ({ name, buffer, parts: given, counters, blank }: Pieces, dialect: Dialect): Nest => {
  const parts = given.length === 1 ? given.map(flat) : given
  const extent = buffer.aval.shape.reduce((n, d) => n * d, 1)
  const b = builder(name)
  const element = b.param('i32', 'i')
  const outer = new Map(counters.map(c => [c.id, b.param('i32', c.name)]))
  const places = parts.map((p): Placing => placing(storeOf(p).at, p.vars, counters, p.name))
  parts.forEach((p, n) => {
    if (!covers(places[n]!, p.vars)) refuse({ kind: 'bug', where: 'gather', message: `${p.name} stores to one place several times` })
  })
  const wanted = [...places.flatMap(p => p.terms.map(t => t.coef)), ...stridesOf(buffer.aval.shape)]
  const axes = axesFor(places, extent, wanted)
  const at = along(b, axes, extent, element)
  const put = (value: Value): void => b.store(buffer.id, element, 0, value)
  const whole = covering(parts, extent)
  const go = (n: number): void => {
    const part = parts[n]
    if (part === undefined) return put(blank ? constOf(buffer.aval.dtype, 0) : b.load(buffer.aval.dtype, buffer.id, element))
    const { within, vars } = inverted(b, places[n]!, axes, extent, at, outer, part.name)
    const body = (): void => {
      const { reduction } = part
      const env: Env = { b, dialect, vars: new Map([...outer, ...vars, [own.id, element]]), along: null, lane: null, acc: null, copy: apart * n, skip: 0 }
      const acc = reduction === null ? null : total(env, reduction)
      const value = fromElement(storeOf(part))
      put(flushed(b, value, lower({ ...env, acc }, value)))
    }
    // the parts of a buffer that they fill together do not overlap: what is none of the others' is the last one's
    if (within === null || (whole && n === parts.length - 1)) body()
    else b.branch(within, body, () => go(n + 1))
  }
  go(0)
  return b.finish(extent)
}
