/**
 * Each store of a kernel is a gather of its own. A reduced value that several of them need, and that takes long, is kept first: in the
 * buffer of the store that is nothing but that value, or else in a scratch buffer.
 */
import { usesAcc, withAcc } from '../gpu/split.ts'
import { readsOf } from '../gpu/parts.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { type Fresh, kept, sizeOf } from './fresh.ts'

/** Terms that may be added up once more for a kernel less. */
const fewTerms = 2 ** 15

/** The kernels that do what one does, with long reductions computed once; `whole`: the number of elements of a buffer. */
export const sharing = (kernel: Kernel, fresh: Fresh, whole: (buffer: number) => number): readonly Kernel[] => {
  const { reduction, stores, vars } = kernel
  if (reduction === null) return [kernel]
  const using = stores.filter(s => usesAcc(s.value))
  if ((using.length - 1) * sizeOf(vars) * sizeOf(reduction.vars) <= fewTerms) return [kernel]
  const own = using.find(s =>
    s.value.kind === 'acc' && whole(s.buffer) === sizeOf(vars) && s.at.terms.every(t => t.atom.kind === 'var') &&
    stores.every(o => o === s || (o.buffer !== s.buffer && !readsOf(o.value).has(s.buffer))))
  const { kernel: first, load } = own === undefined ? kept(fresh, kernel, { kind: 'acc', dtype: reduction.dtype }, vars, 'reduced')
    : { kernel: { ...kernel, stores: [own] }, load: { kind: 'load' as const, buffer: own.buffer, at: own.at, dtype: reduction.dtype } }
  const put = withAcc(load)
  const rest = stores.filter(s => s !== own).map(s => ({ ...s, value: put(s.value) }))
  return [first, { ...kernel, name: own === undefined ? kernel.name : fresh.name(kernel.name), reduction: null, stores: rest }]
}
