/**
 * Results over operands: where a kernel reads an array for the last time, and each element of it only at the place of one
 * of its stores, that store takes the array's memory. Half of what an element-wise kernel moves is then in the cache
 * already, and less is alive at one time. `replaced` are pairs of an output and the input whose place it takes.
 */
import { mapKernel } from '../schedule/kernel/collapse.ts'
import { equal } from '../schedule/kernel/indexing.ts'
import type { Buffer, Kernel, Plan, Step, Store } from '../schedule/kernel/kernel.ts'
import { touches } from '../schedule/memory.ts'
import { expressions, loadsOf } from '../schedule/kernel/walk.ts'

/** Whether a kernel may write `store` over a buffer: it reads of that what it replaces at most, and no reduction does. */
export const mayReplace = ({ reduction, stores }: Kernel, store: Store, is: (buffer: number) => boolean): boolean => {
  const reduced = reduction === null ? [] : loadsOf(expressions({ reduction, stores: [] }))
  const loads = loadsOf(stores.map(s => s.value))
  return reduced.every(l => !is(l.buffer)) && loads.every(l => !is(l.buffer) || equal(l.at, store.at))
}

/** The stores in an order in which none reads what an earlier one has replaced; null where there is none. */
export const ordered = (stores: readonly Store[], name: (buffer: number) => number = id => id): readonly Store[] | null => {
  const reads = new Map(stores.map(s => [s, new Set(loadsOf([s.value]).map(l => name(l.buffer)))]))
  const left = [...stores]
  const done: Store[] = []
  while (left.length > 0) {
    const next = left.findIndex(s => left.every(other => other === s || reads.get(other)?.has(name(s.buffer)) !== true))
    if (next < 0) return null
    done.push(...left.splice(next, 1))
  }
  return done
}

/** A step under other names of buffers. */
export const rename = (step: Step, name: (buffer: number) => number): Step => {
  switch (step.kind) {
    case 'copy':
      return { ...step, from: name(step.from), to: name(step.to) }
    case 'loop':
      return { ...step, steps: step.steps.map(s => rename(s, name)) }
    case 'kernel': {
      const { reads, writes } = touches(step)
      if ([...reads, ...writes].every(id => name(id) === id)) return step
      const { stores, ...kernel } = mapKernel(step, i => i, g => g, e => (name(e.buffer) === e.buffer ? e : { ...e, buffer: name(e.buffer) }))
      const renamed = stores.map(s => ({ ...s, buffer: name(s.buffer) }))
      return { ...kernel, stores: ordered(renamed) ?? renamed }
    }
  }
}

const sameType = ({ aval: a }: Buffer, { aval: b }: Buffer): boolean =>
  a.dtype === b.dtype && a.shape.reduce((n, s) => n * s, 1) === b.shape.reduce((n, s) => n * s, 1)

/** Input by output, as ids of buffers. */
export type Replaced = ReadonlyMap<number, number>

export const inPlace = (plan: Plan, replaced: Replaced = new Map()): Plan => {
  const { buffers, steps } = plan
  const touched = steps.map(touches)
  const first = new Map<number, number>()
  const last = new Map<number, number>()
  const writers = new Map<number, number>()
  touched.forEach(({ reads, writes }, at) => {
    for (const id of [...reads, ...writes]) {
      if (!first.has(id)) first.set(id, at)
      last.set(id, at)
    }
    for (const id of writes) writers.set(id, (writers.get(id) ?? 0) + 1)
  })
  const names = new Map<number, number>()
  const taken = new Set<number>()
  const name = (id: number): number => {
    const other = names.get(id)
    return other === undefined ? id : name(other)
  }
  /** Gives `from` the name `to`, whose life then goes on to the end of the later one; undone where the kernel's stores have no order. */
  const take = (kernel: Kernel, from: number, to: number): boolean => {
    names.set(from, to)
    if (ordered(kernel.stores, name) === null) {
      names.delete(from)
      return false
    }
    taken.add(to)
    first.set(to, Math.min(first.get(to) ?? Infinity, first.get(from) ?? Infinity))
    last.set(to, Math.max(last.get(to) ?? -1, last.get(from) ?? -1))
    return true
  }
  /** Finds a place for one store. */
  const place = (kernel: Kernel, at: number, store: Store): void => {
    const to = store.buffer
    const whole = first.get(to) === at && writers.get(to) === 1 && kernel.stores.filter(s => s.buffer === to).length === 1
    if (!whole || name(to) !== to || taken.has(to)) return
    const buffer = buffers[to]!
    const input = replaced.get(to)
    if (input !== undefined && (last.get(input) ?? -1) <= at && mayReplace(kernel, store, id => id === input) && take(kernel, to, input)) return
    if (buffer.role.kind !== 'scratch' && buffer.role.kind !== 'output') return
    const written = new Set(kernel.stores.map(s => name(s.buffer)))
    const dying = [...new Set([...touched[at]!.reads].map(name))].filter(id => last.get(id) === at && !written.has(id) && sameType(buffers[id]!, buffer))
    for (const from of dying) {
      const { kind } = buffers[from]!.role
      if (kind !== 'scratch' || !mayReplace(kernel, store, id => name(id) === from)) continue
      if (buffer.role.kind === 'scratch' ? take(kernel, to, from) : take(kernel, from, to)) return
    }
  }
  steps.forEach((step, at) => {
    if (step.kind === 'kernel') step.stores.forEach(store => place(step, at, store))
  })
  if (names.size === 0) return plan
  const over = (b: Buffer): Buffer => (b.role.kind === 'output' && name(b.id) !== b.id ? { ...b, role: { ...b.role, over: name(b.id) } } : b)
  return { buffers: buffers.map(over), steps: steps.map(s => rename(s, name)) }
}
