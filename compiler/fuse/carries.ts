/**
 * Carries in place: a scan's loop writes the next value of a carry into a buffer of its own and copies it over the
 * current one at the end of the step. Where nothing of the step still reads the current value by then - the kernels that
 * read it have run, and the one that writes reads at most the element that it replaces - it is written there at once.
 */
import { mapKernel } from '../schedule/collapse.ts'
import { equal } from '../schedule/indexing.ts'
import type { Copy, Kernel, Loop, Plan, Step, Store } from '../schedule/kernel.ts'
import { touches } from '../schedule/memory.ts'
import { expressions, loadsOf } from '../schedule/walk.ts'

export const carries = ({ buffers, steps }: Plan): Plan => ({ buffers, steps: steps.map(inStep) })

const inStep = (step: Step): Step => (step.kind === 'loop' ? inPlace({ ...step, steps: step.steps.map(inStep) }) : step)

/** Whether a kernel may write `store` over buffer `over`: it reads of that what it replaces, and no reduction does. */
const replaces = (kernel: Kernel, store: Store, over: number): boolean => {
  const { reduction } = kernel
  const reduced = reduction === null ? [] : loadsOf(expressions({ reduction, stores: [] }))
  const loads = loadsOf(kernel.stores.map(s => s.value))
  return reduced.every(l => l.buffer !== over) && loads.every(l => l.buffer !== over || equal(l.at, store.at))
}

/** The stores in an order in which none reads what an earlier one has replaced; null where there is none. */
const ordered = (stores: readonly Store[]): readonly Store[] | null => {
  const reads = new Map(stores.map(s => [s, new Set(loadsOf([s.value]).map(l => l.buffer))]))
  const left = [...stores]
  const done: Store[] = []
  while (left.length > 0) {
    const next = left.findIndex(s => left.every(other => other === s || reads.get(other)?.has(s.buffer) !== true))
    if (next < 0) return null
    done.push(...left.splice(next, 1))
  }
  return done
}

/** A step that reads and writes `to` instead of `from`. */
const redirect = (step: Step, from: number, to: number): Step => {
  const other = (id: number): number => (id === from ? to : id)
  switch (step.kind) {
    case 'copy':
      return { ...step, from: other(step.from), to: other(step.to) }
    case 'loop':
      return { ...step, steps: step.steps.map(s => redirect(s, from, to)) }
    case 'kernel': {
      const { stores, ...kernel } = mapKernel(step, i => i, g => g, e => (e.buffer === from ? { ...e, buffer: to } : e))
      return { ...kernel, stores: stores.map(s => ({ ...s, buffer: other(s.buffer) })) }
    }
  }
}

const inPlace = (loop: Loop): Loop =>
  loop.steps.filter(s => s.kind === 'copy').reduce((made, copy) => attempt(made, copy) ?? made, loop)

/** The loop without one of its copies, if that can be. */
const attempt = (loop: Loop, { from, to }: Copy): Loop | null => {
  const rest = loop.steps.filter(s => !(s.kind === 'copy' && s.from === from && s.to === to))
  const touched = rest.map(touches)
  const writers = rest.filter((_, i) => touched[i]!.writes.has(from))
  const [writer] = writers
  if (writer === undefined || writers.length > 1 || writer.kind !== 'kernel') return null
  const at = rest.indexOf(writer)
  const [store, ...others] = writer.stores.filter(s => s.buffer === from)
  const readLater = rest.some((_, i) => i > at && touched[i]!.reads.has(to))
  if (store === undefined || others.length > 0 || readLater || touched.some(t => t.writes.has(to)) || !replaces(writer, store, to)) return null
  const stores = ordered(writer.stores.map(s => (s === store ? { ...s, buffer: to } : s)))
  if (stores === null) return null
  return { ...loop, steps: rest.map((s, i) => redirect(i === at ? { ...writer, stores } : s, from, to)) }
}
