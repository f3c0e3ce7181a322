/** The nest of a gather: finds out whose the element is, computes the value of that store, and stores it. */
import { asReduce } from '../elementwise/reduce.ts'
import { collapse } from '../kernel/collapse.ts'
import type { Buffer, Kernel, Var } from '../kernel/kernel.ts'
import { builder } from '../nest/builder.ts'
import { type Dialect, type Env, lower } from '../nest/expression.ts'
import { flushed } from '../nest/flush.ts'
import { type Nest, type Value, constOf } from '../nest/nest.ts'
import { type Placing, along, axesFor, inverted, placing } from './inverse.ts'
import { total } from './total.ts'

/** One store of a kernel: the only one in it. */
export type Part = {
  readonly kernel: Kernel
  /** Strides along which the buffer is best taken apart. */
  readonly strides?: readonly number[]
}

/** Room for the numbers of unrolled terms between those of two parts: equal expressions have values of their own in each. */
const apart = 65536

const storeOf = ({ kernel }: Part) => kernel.stores[0]!
const elements = (kernel: Kernel): number => kernel.vars.reduce((n, v) => n * v.size, 1)

/** The strides of an array's dimensions. */
const stridesOf = (shape: readonly number[]): readonly number[] => shape.map((_, k) => shape.slice(k + 1).reduce((n, d) => n * d, 1))

/** Makes the nest of some parts that lie beside each other in a buffer. What none of them reaches stays what it was, or is zero where it was nothing yet. */
export const nestOf = (name: string, buffer: Buffer, given: readonly Part[], counters: readonly Var[], dialect: Dialect, fresh = false): Nest => {
  const parts = given.length === 1 ? given.map(p => ({ ...p, kernel: collapse(p.kernel) })) : given
  const extent = buffer.aval.shape.reduce((n, d) => n * d, 1)
  const b = builder(name)
  const element = b.param('i32', 'i')
  const outer = new Map(counters.map(c => [c.id, b.param('i32', c.name)]))
  const places = parts.map((p): Placing => placing(storeOf(p).at, p.kernel.vars, counters, p.kernel.name))
  const wanted = [...parts.flatMap(p => p.strides ?? []), ...places.flatMap(p => p.terms.map(t => t.coef)), ...stridesOf(buffer.aval.shape)]
  const axes = axesFor(places, extent, wanted)
  const at = along(b, axes, extent, element)
  const put = (value: Value): void => b.store(buffer.id, element, 0, value)
  const whole = parts.reduce((n, p) => n + elements(p.kernel), 0) >= extent
  const go = (n: number): void => {
    const part = parts[n]
    if (part === undefined) return put(fresh ? constOf(buffer.aval.dtype, 0) : b.load(buffer.aval.dtype, buffer.id, element))
    const { within, vars } = inverted(b, places[n]!, axes, extent, at, outer, part.kernel.name)
    const body = (): void => {
      const { reduction } = part.kernel
      const env: Env = { b, dialect, vars: new Map([...outer, ...vars]), along: null, lane: null, acc: null, copy: apart * n, skip: 0 }
      const acc = reduction === null ? null : total(env, asReduce(reduction))
      const { value } = storeOf(part)
      put(flushed(b, value, lower({ ...env, acc }, value)))
    }
    // the parts of a buffer that they fill together do not overlap: what is none of the others' is the last one's
    if (within === null || (whole && n === parts.length - 1)) body()
    else b.branch(within, body, () => go(n + 1))
  }
  go(0)
  return b.finish(extent)
}
