/**
 * Kernels scheduled and printed, once for all that differ in names alone (key.ts): of one compile, all programs ask the same `Kernels`. What it
 * gives does not depend on what it was asked before: a shader's names, comments and source lines are filled in where it is used.
 */
import type { DType } from '../../../dsl/core/prim.ts'
import type { Matrices } from '../../../runtime/gpu-program.ts'
import { scheduleGpu } from '../../schedule/gpu/choose.ts'
import { type Dispatch, type Dispatched, sharedBytesOf, subgroupThreads } from '../../schedule/gpu/dispatch.ts'
import type { Names } from '../../schedule/choose.ts'
import type { Kernel, Plan, Var } from '../../schedule/kernel/kernel.ts'
import { costOf } from '../../schedule/kernel/stats.ts'
import { eachAccess } from '../../schedule/nest/accesses.ts'
import { type Stmt, scalarOf } from '../../schedule/nest/nest.ts'
import { keyOf } from '../text/key.ts'
import { wgsl } from './functions.ts'
import { type Template, templateOf } from './print.ts'

/** One dispatch; `label` follows the kernel's name. The spaces of the template are numbers of operands and, from `operands.length` on, of scratch. */
export type Ready = {
  readonly label: string
  readonly template: Template
  readonly threads: number
  readonly groups: number
  /** What a dispatch with matrices needs of a device; null of any other. */
  readonly matrices: Matrices | null
}
/** Dispatches in order, and bytes of the scratch between them, the largest first. */
export type Way = { readonly dispatches: readonly Ready[]; readonly scratch: readonly number[] }
/** A kernel: FLOPs and bytes of one run, and the ways to dispatch it, the best by default first. */
export type Made = { readonly flops: number; readonly bytes: number; readonly ways: readonly Way[] }
/** The kernel with the buffers that are its operands. */
export type Placed = Made & { readonly operands: readonly number[] }
/** `tried`: a device may choose from several ways, and from those with matrices where it has tensor cores. */
export type Kernels = (kernel: Kernel, plan: Plan, counters: readonly Var[], tried: boolean) => Placed

/** The type of what a nest keeps in a space that is no buffer of the plan. */
const typeIn = (body: readonly Stmt[], space: number): DType | null => {
  const found: DType[] = []
  eachAccess(body, access => {
    if (access.space === space) found.push(scalarOf(access.type))
  })
  return found[0] ?? null
}

const matricesOf = (dispatch: Dispatch): Matrices | null =>
  dispatch.subgroup === undefined ? null : { m: 16, n: 16, k: 16, subgroup: subgroupThreads, bytes: sharedBytesOf(dispatch) }

/** The ways to dispatch a kernel whose buffers are numbers of operands, all or the best; `dtypes` are those of the operands. */
const waysOf = (kernel: Kernel, counters: readonly Var[], dtypes: readonly DType[], most: number): readonly Way[] => {
  let [lastVar, lastSpace] = [2 ** 30, dtypes.length]
  const names: Names = { variable: () => (lastVar += 1), space: count => (lastSpace += count) - count }
  const wayOf = ({ dispatches, scratch }: Dispatched): Way => {
    const bySize = [...scratch].sort((a, b) => b.bytes - a.bytes)
    const numberOf = new Map(bySize.map((s, i) => [s.space, dtypes.length + i]))
    return {
      scratch: bySize.map(s => s.bytes),
      dispatches: dispatches.map(dispatch => {
        const { nest, threads } = dispatch
        const template = templateOf(dispatch, space => dtypes[space] ?? (numberOf.has(space) ? typeIn(nest.body, space) : null), counters.length)
        const bound = template.bound.map(b => ({ ...b, space: numberOf.get(b.space) ?? b.space }))
        return { label: nest.name.slice(kernel.name.length), template: { ...template, bound }, threads, groups: nest.extent, matrices: matricesOf(dispatch) }
      }),
    }
  }
  return scheduleGpu(kernel, counters, wgsl, names, most, most > 1).map(wayOf)
}

/** Kernels that remember what they have made. Those that are tried are made apart from others: what one gets does not depend on what came before. */
export const kernels = (): Kernels => {
  const known = new Map<string, Made>()
  return (kernel, plan, counters, tried) => {
    const { key, operands, canonical, counters: loops } = keyOf(kernel, counters, id => plan.buffers[id]!)
    const name = `${tried ? 'tried' : 'best'}\n${key}`
    const dtypes = operands.map(id => plan.buffers[id]!.aval.dtype)
    const made = known.get(name) ?? { ...costOf(kernel, plan, counters), ways: waysOf(canonical(kernel), loops, dtypes, tried ? Infinity : 1) }
    known.set(name, made)
    return { flops: made.flops, bytes: made.bytes, operands, ways: made.ways }
  }
}
