/**
 * Each store of a kernel is a gather of its own, and would compute again what it has in common with the others. Where the whole value of one
 * store is part of that of another, as the moments of an optimiser are part of its step, the other reads what the first has stored:
 * the kernel becomes several, one after the other.
 */
import { readsOf } from '../gpu/parts.ts'
import { usesAcc } from '../gpu/split.ts'
import type { Expr, Kernel, Store } from '../kernel/kernel.ts'
import { replacing, walk } from '../kernel/walk.ts'
import type { Fresh } from './fresh.ts'

const contains = (root: Expr, part: Expr): boolean => {
  let found = false
  walk([root], e => {
    found ||= e === part
  })
  return found
}

/** The stores in turns: what a store of a later turn shares with one of an earlier it reads. One turn where that does not work out. */
const turnsOf = (stores: readonly Store[]): readonly (readonly Store[])[] => {
  const computed = (s: Store): boolean => s.value.kind === 'op' || s.value.kind === 'random' || s.value.kind === 'when'
  /** Of two equal values the first is the one that is computed. */
  const before = (t: Store, s: Store): boolean =>
    t !== s && computed(t) && (t.value === s.value ? stores.indexOf(t) < stores.indexOf(s) : contains(s.value, t.value))
  const sources = new Map(stores.map(s => [s, stores.filter(t => before(t, s))]))
  const depth = (s: Store): number => sources.get(s)!.reduce((n, t) => Math.max(n, depth(t) + 1), 0)
  const depths = stores.map(depth)
  const placed = (s: Store, load: (t: Store) => Expr): Store => {
    const loads = new Map(sources.get(s)!.map(t => [t.value, load(t)]))
    return { ...s, value: replacing(e => loads.get(e))(s.value) }
  }
  const nothing = (t: Store): Expr => ({ kind: 'const', value: 0, dtype: t.value.dtype })
  // what a store reads besides must not have been written in an earlier turn
  const late = stores.some((s, i) => stores.some((t, j) => depths[j]! < depths[i]! && readsOf(placed(s, nothing).value).has(t.buffer)))
  const same = new Set(stores.map(s => s.buffer)).size < stores.length
  if (late || same || depths.every(d => d === 0)) return [stores]
  const done = stores.map(s => placed(s, t => ({ kind: 'load', buffer: t.buffer, at: t.at, dtype: t.value.dtype })))
  return [...new Set(depths)].toSorted((x, y) => x - y).map(d => done.filter((_, i) => depths[i] === d))
}

/** The kernels that do one after the other what one does. */
export const reusing = (kernel: Kernel, fresh: Fresh): readonly Kernel[] => {
  const turns = turnsOf(kernel.stores)
  if (turns.length === 1) return [kernel]
  return turns.map((stores, i): Kernel => ({
    ...kernel, stores, name: i === turns.length - 1 ? kernel.name : fresh.name(`${kernel.name}_first`),
    reduction: stores.some(s => usesAcc(s.value)) ? kernel.reduction : null,
  }))
}
