/**
 * Gathers read few buffers. What reads more is computed in parts: a reduction that leaves no room keeps its result in a buffer of its
 * own, a value that reads too many buffers is computed from parts that kernels before it have stored (gpu/parts.ts).
 */
import { type Keep, fitter, readsOf, readsOfIndex, union } from '../gpu/parts.ts'
import { operandsOf, usesAcc, withAcc } from '../gpu/split.ts'
import type { Kernel, Store } from '../kernel/kernel.ts'
import { type Fresh, kept } from './fresh.ts'

/** The kernels that do what one does, no store of which reads more than `most` buffers; `partial`: whether it passes on some of what was in its buffer. */
export const fewInputs = (given: Kernel, fresh: Fresh, most: number, partial: (store: Store) => boolean): readonly Kernel[] => {
  const before: Kernel[] = []
  const keep: Keep = (value, over, what) => {
    const made = kept(fresh, { ...given, reduction: null }, value, over, what)
    before.push(made.kernel)
    return made.load
  }
  const own = (s: Store) => union(readsOfIndex(s.at), new Set(partial(s) ? [s.buffer] : []))
  const reads = (s: Store) => union(readsOf(s.value), own(s))
  let { reduction, stores } = given
  if (reduction !== null) {
    const { fit } = fitter([...given.vars, ...reduction.vars], keep, most)
    if (union(...operandsOf(reduction).map(readsOf)).size > most) {
      if (reduction.kind === 'reduce') reduction = { ...reduction, value: fit(reduction.value, most) }
      else {
        // about half of the room for each side of a product, and what the other leaves of its own
        const [a, b] = [readsOf(reduction.a).size, readsOf(reduction.b).size].map(n => Math.min(n, most >> 1))
        reduction = { ...reduction, a: fit(reduction.a, most - b!), b: fit(reduction.b, most - a!) }
      }
    }
    const operands = union(...operandsOf(reduction).map(readsOf))
    if (stores.some(s => usesAcc(s.value) && union(operands, reads(s)).size > most)) {
      const made = kept(fresh, { ...given, reduction }, { kind: 'acc', dtype: reduction.dtype }, given.vars, 'reduced')
      before.push(made.kernel)
      const put = withAcc(made.load)
      stores = stores.map(s => ({ ...s, value: put(s.value) }))
      reduction = null
    }
  }
  const { fit } = fitter(given.vars, keep, most)
  const fitted = stores.map(s => (reads(s).size <= most ? s : { ...s, value: fit(s.value, most - own(s).size) }))
  return before.length === 0 ? [given] : [...before, { ...given, reduction, stores: fitted }]
}
