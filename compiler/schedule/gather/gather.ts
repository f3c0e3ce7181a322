/**
 * Kernels as gathers, for devices whose threads cannot say where they write: an element of a buffer computes itself. Every buffer that a
 * kernel stores to is a nest of its own that makes it anew, by the store whose place inverts to the element (inverse.ts); what no
 * store reaches is passed on. Before that kernels are rewritten:
 *
 * - chunks.ts: long reductions with few results are cut.
 * - shared.ts, reuse.ts: what several stores need is computed once.
 * - few.ts: no gather reads many buffers.
 * - straight.ts, residues.ts: places of stores become plain sums, strided sums go over their own terms only.
 * - merge.ts: stores that fill a buffer together are one gather, where that can be.
 */
import { refuse } from '../../../dsl/errors.ts'
import type { Origin } from '../../ir/ir.ts'
import { asReduce } from '../elementwise/reduce.ts'
import { usesAcc } from '../gpu/split.ts'
import type { Buffer, Kernel, Plan, Step, Var } from '../kernel/kernel.ts'
import { costOf } from '../kernel/stats.ts'
import type { Nest } from '../nest/nest.ts'
import type { Part, Pieces } from './body.ts'
import { chunked } from './chunks.ts'
import { fewInputs } from './few.ts'
import { type Fresh, eachKernel, freshFor, sizeOf } from './fresh.ts'
import { type Draft, type Target, inputsOf, merged, readBy } from './merge.ts'
import { withoutResidues } from './residues.ts'
import { reusing } from './reuse.ts'
import { sharing } from './shared.ts'
import { straightened } from './straight.ts'

/**
 * Makes the whole of `buffer` anew. `made`, of its pieces, as a rule is a nest (body.ts): its params are [i, ...counters of the enclosing
 * loops, from the outside in], its extent is the number of elements; for each i every path through it stores once, last, to space
 * `buffer` at position i. Spaces are the plan's buffers; it may load from `buffer`, too: what was there before.
 */
export type Gather<M = Nest> = { readonly name: string; readonly origins: readonly Origin[]; readonly made: M; readonly buffer: number }

/** All gathers of a kernel step read the arrays as they were before the step. FLOPs and bytes are of one execution. */
export type GatherStep<M = Nest> =
  | {
    readonly kind: 'kernel'; readonly name: string; readonly origins: readonly Origin[]; readonly flops: number; readonly bytes: number
    readonly gathers: readonly Gather<M>[]
  }
  | { readonly kind: 'copy'; readonly from: number; readonly to: number }
  | { readonly kind: 'loop'; readonly counter: Var; readonly steps: readonly GatherStep<M>[] }

/** Buffers, the plan's own and scratch behind them, and the steps over them. */
export type GatherPlan<M = Nest> = { readonly buffers: readonly Buffer[]; readonly steps: readonly GatherStep<M>[] }

/** The most buffers that a gather reads. */
export const mostInputs = 7

const elements = (buffer: Buffer): number => buffer.aval.shape.reduce((n, d) => n * d, 1)

/** Kernels that compute once what their stores have in common. */
const shared = (kernel: Kernel, fresh: Fresh, extent: (buffer: number) => number): readonly Kernel[] => {
  const turns = reusing(kernel, fresh)
  const reducing = turns.filter(k => k.reduction !== null)
  return reducing.length <= 1 ? turns.flatMap(k => sharing(k, fresh, extent)) : sharing(kernel, fresh, extent).flatMap(k => reusing(k, fresh))
}

/** Kernels of which every store can be a gather. */
const prepared = (plan: Plan, fresh: Fresh): readonly Step[] => {
  const extent = (id: number): number => elements(fresh.buffers()[id]!)
  return eachKernel(plan.steps, (kernel, counters) =>
    chunked(kernel, counters, fresh)
      .flatMap(k => shared(k, fresh, extent))
      .flatMap(k => fewInputs(k, fresh, mostInputs, s => sizeOf(k.vars) < extent(s.buffer))))
}

const partsOf = (kernel: Kernel, counters: readonly Var[], fresh: Fresh): readonly Part[] =>
  kernel.stores.map((store): Part => {
    const reduction = kernel.reduction === null || !usesAcc(store.value) ? null : asReduce(kernel.reduction)
    const part = straightened({ ...kernel, reduction, stores: [store] }, counters, fresh)
    return part.reduction === null ? part : withoutResidues({ ...part, reduction: part.reduction }, counters, fresh)
  })

/** Parts of a target in groups that read few buffers together. */
const groupsOf = (target: Target, extent: (buffer: number) => number): readonly Target[] =>
  target.parts
    .reduce<readonly Target[]>((all, part) => {
      const i = all.findIndex(t => inputsOf({ ...t, parts: [...t.parts, part] }, extent).size <= mostInputs)
      return i < 0 ? [...all, { ...target, parts: [part] }] : all.with(i, { ...all[i]!, parts: [...all[i]!.parts, part] })
    }, [])
    // what comes first passes on nothing that is not there yet
    .map((t, i) => (i === 0 ? t : { ...t, blank: false }))

/** The steps of a kernel: one, but where so many of its stores fill one buffer together that they read too much. Those come before the others. */
const drafted = (kernel: Kernel, counters: readonly Var[], fresh: Fresh, blank: (buffer: number) => boolean): readonly Draft[] => {
  const { name, origins } = kernel
  const plan: Plan = { buffers: fresh.buffers(), steps: [] }
  const { flops, bytes } = costOf(kernel, plan, counters)
  const extent = (id: number): number => elements(plan.buffers[id]!)
  const parts = partsOf(kernel, counters, fresh)
  const buffers = [...new Set(parts.map(p => p.stores[0]!.buffer))]
  const targets = buffers.map(buffer => groupsOf({ buffer, parts: parts.filter(p => p.stores[0]!.buffer === buffer), blank: blank(buffer) }, extent))
  const early = targets.filter(t => t.length > 1).flat()
  const late = targets.flatMap(t => (t.length === 1 ? t : []))
  if (early.some(t => readBy(parts).has(t.buffer)))
    refuse({ kind: 'limit', what: name, message: 'it reads in place what several of its stores fill together', remedy: 'WebGPU and WebAssembly run it.' })
  const steps = [...early.map(t => [t]), ...(late.length === 0 ? [] : [late])]
  return steps.map((targets, i): Draft => {
    const last = i === steps.length - 1
    return { kind: 'kernel', name: last ? name : fresh.name(`${name}_part`), origins, flops: last ? flops : 0, bytes: last ? bytes : 0, targets }
  })
}

/** Buffers that nothing has written to before: what is not stored to them is zero. Steps are asked about in their order. */
const blanks = (plan: Plan): ((buffer: number, counters: readonly Var[]) => boolean) => {
  const written = new Set(plan.buffers.filter(b => b.role.kind === 'input' || b.role.kind === 'constant').map(b => b.id))
  return (buffer, counters) => {
    const first = !written.has(buffer) && counters.length === 0
    written.add(buffer)
    return first
  }
}

/** A plan as gathers, each of them made of its pieces. Refuses what cannot be one, with the kernel's name. */
export const gatherPlan = <M>(plan: Plan, make: (pieces: Pieces, buffers: readonly Buffer[]) => M): GatherPlan<M> => {
  const fresh = freshFor(plan)
  const given = prepared(plan, fresh)
  const blank = blanks(plan)
  const buffers = fresh.buffers()
  const drafts = (steps: readonly Step[], counters: readonly Var[]): readonly Draft[] =>
    steps.flatMap((step): readonly Draft[] => {
      switch (step.kind) {
        case 'copy':
          blank(step.to, counters)
          return [step]
        case 'loop':
          return [{ kind: 'loop', counter: step.counter, steps: drafts(step.steps, [...counters, step.counter]) }]
        case 'kernel':
          return drafted(step, counters, fresh, id => blank(id, counters))
      }
    })
  const extent = (id: number): number => elements(buffers[id]!)
  const finished = (steps: readonly Draft[], counters: readonly Var[]): readonly GatherStep<M>[] =>
    steps.map((step): GatherStep<M> => {
      switch (step.kind) {
        case 'copy':
          return step
        case 'loop':
          return { ...step, steps: finished(step.steps, [...counters, step.counter]) }
        case 'kernel': {
          const { targets, ...about } = step
          const gathers = targets.map(({ buffer, parts, blank }, n): Gather<M> => {
            const name = targets.length === 1 ? step.name : `${step.name}_${n + 1}`
            return { name, origins: step.origins, made: make({ name, buffer: buffers[buffer]!, parts, counters, blank }, buffers), buffer }
          })
          return { ...about, gathers }
        }
      }
    })
  return { buffers, steps: finished(merged(drafts(given, []), extent, mostInputs), []) }
}
