/**
 * Concats of very many inputs become concats of concats: one kernel that chooses among thousands of buffers would be
 * larger than targets allow (an engine takes 50,000 locals in a function).
 */
import type { Func, Id } from '../ir/ir.ts'
import { range } from '../ir/view.ts'
import { rewrite } from '../transform/rewrite.ts'

/** Inputs of one concat. */
const widest = 256

export const narrow = (func: Func): Func => {
  if (!func.insts.some(inst => inst.kind === 'scan' || (inst.prim === 'concat' && inst.inputs.length > widest))) return func
  return rewrite(func, ({ b, inputs }, op) => {
    if (op.prim !== 'concat' || inputs.length <= widest) return null
    const join = (ids: readonly Id[]): Id => {
      if (ids.length <= widest) return b.op('concat', ids, op.attrs)
      const parts = range(Math.ceil(ids.length / widest)).map(i => ids.slice(i * widest, (i + 1) * widest))
      return join(parts.map(part => (part.length === 1 ? part[0]! : b.op('concat', part, op.attrs))))
    }
    return join(inputs)
  })
}
