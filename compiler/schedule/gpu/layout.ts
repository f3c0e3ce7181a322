/** Arrays side by side in one, and what stands in a plan in the place of the kernels that are one over them (pack.ts). */
import { mapKernel } from '../kernel/collapse.ts'
import type { Buffer, Kernel, Plan, Step, Var } from '../kernel/kernel.ts'
import type { touches } from '../memory.ts'
import { type Pack, aligned, bytesFor } from './slots.ts'
import type { Sweep } from './sweep.ts'

/** The fewest kernels that are worth slots of their own, which nothing else shares. */
export const fewest = 3

/** A plan, and which of its buffers are made of others. */
export type Packed = { readonly plan: Plan; readonly packs: readonly Pack[] }

export type Touched = ReturnType<typeof touches>

/** Whether no array is part of a pack, and none is there twice. */
export const unpacked = (arrays: readonly number[], packs: readonly Pack[]): boolean =>
  new Set(arrays).size === arrays.length && packs.every(p => p.members.every(m => !arrays.includes(m.buffer)))

/** The words with which all of these begin: `state.params`; or else the name of the kernel that they meet in. */
const nameOf = (names: readonly string[], kernel: string): string => {
  const words = names.map(name => name.split('.'))
  const [first = []] = words
  const differs = first.findIndex((word, i) => words.some(w => i >= w.length - 1 || w[i] !== word))
  return differs > 0 ? first.slice(0, differs).join('.') : `all ${kernel}`
}

/** Lays out the arrays of one role of some sweeps side by side; `id` is what the whole is known as. */
export const laidOut = (plan: Plan, id: number, arrays: readonly number[], kernel: string): { readonly buffer: Buffer; readonly pack: Pack } => {
  const sizes = arrays.map(a => aligned(bytesFor(plan.buffers[a]!)))
  const members = arrays.map((buffer, i) => ({ buffer, offset: sizes.slice(0, i).reduce((n, s) => n + s, 0) }))
  const shape = [sizes.reduce((n, s) => n + s, 0) / 4]
  const name = nameOf(arrays.map(a => plan.buffers[a]!.name), kernel)
  return { buffer: { id, aval: { shape, dtype: plan.buffers[arrays[0]!]!.aval.dtype }, name, role: { kind: 'scratch' } }, pack: { buffer: id, members } }
}

/** The kernel of a sweep over other arrays, `size` elements long. */
export const over = ({ kernel, along, arrays }: Sweep, others: readonly number[], size: number): Kernel => {
  const name = (buffer: number): number => others[arrays.indexOf(buffer)] ?? buffer
  const longer = (vars: readonly Var[]): readonly Var[] => vars.map(v => (v === along ? { ...v, size } : v))
  const made = mapKernel(kernel, i => i, g => g, l => ({ ...l, buffer: name(l.buffer) }))
  const { reduction } = made
  return {
    ...made, vars: longer(made.vars), reduction: reduction === null ? null : { ...reduction, vars: longer(reduction.vars) },
    stores: made.stores.map(s => ({ ...s, buffer: name(s.buffer) })),
  }
}

export const plainName = (name: string): string => name.replace(/_\d+$/, '')
export const originsOf = (sweeps: readonly Sweep[]): Kernel['origins'] => {
  const all = new Map(sweeps.flatMap(s => s.kernel.origins).map(o => [`${o.file}:${o.line}:${o.column}`, o]))
  return [...all.values()]
}

/** Puts kernels where the last of some sweeps was, and takes all of those away; `others` stand in the place of some steps. */
export const replaced = (
  steps: readonly Step[], sweeps: readonly Sweep[], kernels: readonly Kernel[], others: ReadonlyMap<number, readonly Kernel[]> = new Map(),
): readonly Step[] => {
  const [gone, last] = [new Set(sweeps.map(s => s.at)), sweeps[sweeps.length - 1]!.at]
  return steps.flatMap((step, at): readonly Step[] => (at === last ? kernels : gone.has(at) ? [] : (others.get(at) ?? [step])))
}
