/**
 * Kernels that do the same to many arrays become one kernel over all of them: an optimiser's step over every parameter, the sum of the squares
 * of every gradient. The arrays of each role - parameters, first moments, gradients - are laid out side by side in one slot, each at a multiple of
 * 256 bytes, in one order for all roles; the one kernel runs over the whole range. What it makes of the gaps nobody reads; of arrays
 * that only the plan's kernels write, they hold zero, and add nothing to a sum.
 */
import { isConstant } from '../kernel/indexing.ts'
import type { Plan, Step } from '../kernel/kernel.ts'
import { expressions, loadsOf } from '../kernel/walk.ts'
import { touches } from '../memory.ts'
import { type Packed, type Touched, fewest, laidOut, originsOf, over, plainName, replaced, unpacked } from './layout.ts'
import type { Pack } from './slots.ts'
import { summed } from './sums.ts'
import { type Sweep, elementwise, total } from './sweep.ts'

export type { Packed } from './layout.ts'

const grouped = <A>(items: readonly A[], key: (a: A) => string): readonly (readonly A[])[] => {
  const groups = new Map<string, A[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group === undefined) groups.set(key(item), [item])
    else group.push(item)
  }
  return [...groups.values()]
}

/** The largest. */
const most = <A>(groups: readonly (readonly A[])[]): readonly A[] | undefined => [...groups].sort((a, b) => b.length - a.length)[0]

/** Those of the sweeps whose arrays are part of no pack, nor of another sweep before them. */
const apart = (sweeps: readonly Sweep[], packs: readonly Pack[]): readonly Sweep[] =>
  sweeps.reduce<readonly Sweep[]>((taken, s) => (unpacked([...taken.flatMap(t => t.arrays), ...s.arrays], packs) ? [...taken, s] : taken), [])

/** Those of the sweeps that may wait for the last: nothing in between touches what they write, or writes what they read. */
const waiting = (sweeps: readonly Sweep[], touched: readonly Touched[]): readonly Sweep[] => {
  const last = sweeps[sweeps.length - 1]?.at ?? 0
  return sweeps.filter(({ at }) => {
    const own = touched[at]!
    return touched.slice(at + 1, last + 1).every(({ reads, writes }) =>
      ![...own.writes].some(b => reads.has(b) || writes.has(b)) && ![...own.reads].some(b => writes.has(b)))
  })
}

/** Buffers of which a kernel reads single elements. */
const singles = ({ kernel }: Sweep): readonly number[] => loadsOf(expressions(kernel)).filter(l => isConstant(l.at)).map(l => l.buffer)

/** Makes one kernel of element-wise kernels that do the same, if that can be. */
const merged = ({ plan, packs }: Packed, group: readonly Sweep[]): Packed | null => {
  const common = new Set(group.flatMap(singles))
  if (group.length < fewest || group.some(s => s.arrays.some(a => common.has(a)))) return null
  const first = group[0]!
  const sides = first.arrays.map((_, role) => laidOut(plan, plan.buffers.length + role, group.map(s => s.arrays[role]!), plainName(first.kernel.name)))
  const kernel = over(first, sides.map(s => s.buffer.id), sides[0]!.buffer.aval.shape[0]!)
  const steps = replaced(plan.steps, group, [{ ...kernel, name: plainName(first.kernel.name), origins: originsOf(group) }])
  return { plan: { buffers: [...plan.buffers, ...sides.map(s => s.buffer)], steps }, packs: [...packs, ...sides.map(s => s.pack)] }
}

type Find = (plan: Plan, at: number, step: Step) => Sweep | null

/** The same, but a step is looked at once only. */
const remembering = (find: Find): Find => {
  const known = new Map<Step, Sweep | null>()
  return (plan, at, step) => {
    const found = known.get(step) ?? (known.has(step) ? null : find(plan, at, step))
    known.set(step, found)
    return found === null ? null : { ...found, at }
  }
}

/** Packs what can be packed. The buffers of the plan keep their ids; those that packs are known as come after them. */
export const pack = (given: Plan): Packed => {
  const round = (packed: Packed, every: Find, make: (packed: Packed, group: readonly Sweep[], touched: readonly Touched[]) => Packed | null): Packed => {
    const keys = new Set<string>()
    const find = remembering(every)
    for (let now = packed; ;) {
      const { plan } = now
      const touched = plan.steps.map(touches)
      const sweeps = plan.steps.flatMap((step, at) => find(plan, at, step) ?? [])
      const group = most(grouped(sweeps, s => s.key).filter(g => g.length >= fewest && !keys.has(g[0]!.key)))
      if (group === undefined) return now
      keys.add(group[0]!.key)
      now = make(now, group, touched) ?? now
    }
  }
  const swept = round({ plan: given, packs: [] }, elementwise, (packed, group, touched) => merged(packed, waiting(apart(group, packed.packs), touched)))
  return round(swept, total, summed)
}
