/**
 * Buffers that several stores fill together: concatenations, slices. Every store alone would make the whole buffer anew and pass on what
 * the others have written. Where no step in between minds, and their inputs are few enough, one gather does the work of several.
 */
import type { Origin } from '../../ir/ir.ts'
import { readsOf, union } from '../gpu/parts.ts'
import type { Var } from '../kernel/kernel.ts'
import { loadsOf, expressions } from '../kernel/walk.ts'
import { type Part, covering } from './body.ts'

/** One buffer that a step makes anew: the stores to it. `blank`: nothing has been there before, so what is not stored is zero. */
export type Target = { readonly buffer: number; readonly parts: readonly Part[]; readonly blank: boolean }
/** A step before its nests are made. */
export type Draft =
  | {
    readonly kind: 'kernel'; readonly name: string; readonly origins: readonly Origin[]; readonly flops: number; readonly bytes: number
    readonly targets: readonly Target[]
  }
  | { readonly kind: 'copy'; readonly from: number; readonly to: number }
  | { readonly kind: 'loop'; readonly counter: Var; readonly steps: readonly Draft[] }
type Kernels = Extract<Draft, { kind: 'kernel' }>

/** The buffers that parts read. */
export const readBy = (parts: readonly Part[]): ReadonlySet<number> => new Set(parts.flatMap(p => loadsOf(expressions(p)).map(l => l.buffer)))

/** What a target's gather reads: also the buffer itself, where it passes on some of it. */
export const inputsOf = ({ buffer, parts, blank }: Target, extent: (buffer: number) => number): ReadonlySet<number> =>
  union(readBy(parts), new Set(blank || covering(parts, extent(buffer)) ? [] : [buffer]))

const touched = (draft: Draft, extent: (buffer: number) => number): { readonly reads: ReadonlySet<number>; readonly writes: ReadonlySet<number> } => {
  switch (draft.kind) {
    case 'copy':
      return { reads: new Set([draft.from]), writes: new Set([draft.to]) }
    case 'kernel':
      return { reads: union(...draft.targets.map(t => readBy(t.parts))), writes: new Set(draft.targets.map(t => t.buffer)) }
    case 'loop': {
      const all = draft.steps.map(s => touched(s, extent))
      return { reads: union(...all.map(a => a.reads)), writes: union(...all.map(a => a.writes)) }
    }
  }
}

const meet = (x: ReadonlySet<number>, y: ReadonlySet<number>): boolean => [...x].some(b => y.has(b))

/** Joins the stores to one buffer of the steps of one list, where that can be. */
export const merged = (given: readonly Draft[], extent: (buffer: number) => number, most: number): readonly Draft[] => {
  const drafts = given.map(d => (d.kind === 'loop' ? { ...d, steps: merged(d.steps, extent, most) } : d))
  const partial = (t: Target): boolean => !covering(t.parts, extent(t.buffer))
  /** Puts one target in the place of those of two steps, the later or the earlier one of which it stays in. */
  const joined = (at: number, by: number, target: Target, other: Target, whole: Target, stays: 'at' | 'by'): void => {
    const [x, y] = [drafts[at] as Kernels, drafts[by] as Kernels] // both have a target
    const put = (k: Kernels, old: Target, keep: boolean): Kernels =>
      ({ ...k, targets: keep ? k.targets.map(t => (t === old ? whole : t)) : k.targets.filter(t => t !== old) })
    drafts[at] = put(x, target, stays === 'at')
    drafts[by] = put(y, other, stays === 'by')
  }
  for (let by = 1; by < drafts.length; by += 1) {
    const later = drafts[by]!
    if (later.kind !== 'kernel') continue
    for (const other of later.targets.filter(partial)) {
      const { buffer } = other
      const at = drafts.slice(0, by).findLastIndex(d => touched(d, extent).writes.has(buffer))
      const earlier = drafts[at]
      const target = earlier?.kind === 'kernel' ? earlier.targets.find(t => t.buffer === buffer && partial(t)) : undefined
      if (earlier?.kind !== 'kernel' || target === undefined) continue
      const whole: Target = { buffer, parts: [...target.parts, ...other.parts], blank: target.blank }
      const [before, after] = [readBy(target.parts), readBy(other.parts)]
      if (before.has(buffer) || after.has(buffer) || inputsOf(whole, extent).size > most) continue
      const between = drafts.slice(at + 1, by).map(d => touched(d, extent))
      const now = drafts[by] as Kernels // as it is after other targets of it were joined
      const others = now.targets.filter(t => t.buffer !== buffer)
      if (between.some(t => t.reads.has(buffer)) || others.some(t => readBy(t.parts).has(buffer))) continue
      const writes = union(touched(earlier, extent).writes, ...between.map(t => t.writes))
      const own = union(...earlier.targets.filter(t => t !== target).map(t => new Set([t.buffer])), ...between.map(t => t.writes))
      if (!meet(before, own)) joined(at, by, target, other, whole, 'by')
      else if (!meet(after, writes)) joined(at, by, target, other, whole, 'at')
    }
  }
  return drafts.flatMap(d => (d.kind === 'kernel' && d.targets.length === 0 ? [] : [d]))
}
