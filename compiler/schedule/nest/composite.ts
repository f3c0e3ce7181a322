/** Several loop variables counted as one number. */
import { type Builder, divided } from './builder.ts'
import type { Var } from '../kernel/kernel.ts'
import type { Value } from './nest.ts'

/** The last variable counts fastest. */
export type Composite = readonly Var[]
export const sizeOf = (vars: Composite): number => vars.reduce((n, v) => n * v.size, 1)

/** The value of each variable at a composite index. */
export const decode = (b: Builder, vars: Composite, index: Value): ReadonlyMap<number, Value> => {
  const values: [number, Value][] = []
  let rest = index
  for (let i = vars.length - 1; i >= 0; i -= 1) {
    const v = vars[i]!
    values.push([v.id, i === 0 ? rest : divided(b, rest, 'mod', v.size)])
    if (i > 0) rest = divided(b, rest, 'div', v.size)
  }
  return new Map(values.reverse())
}
