/**
 * Carries in place: a scan's loop writes the next value of a carry into a buffer of its own and copies it over the
 * current one at the end of the step. Where nothing of the step still reads the current value by then - the kernels that
 * read it have run, and the one that writes reads at most the element that it replaces - it is written there at once.
 */
import type { Copy, Loop, Plan, Step } from '../schedule/kernel/kernel.ts'
import { touches } from '../schedule/memory.ts'
import { mayReplace, ordered, rename } from './inplace.ts'

export const carries = ({ buffers, steps }: Plan): Plan => ({ buffers, steps: steps.map(inStep) })

const inStep = (step: Step): Step => (step.kind === 'loop' ? inPlace({ ...step, steps: step.steps.map(inStep) }) : step)

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
  if (store === undefined || others.length > 0 || readLater || touched.some(t => t.writes.has(to)) || !mayReplace(writer, store, id => id === to)) return null
  const name = (id: number): number => (id === from ? to : id)
  return ordered(writer.stores, name) === null ? null : { ...loop, steps: rest.map(s => rename(s, name)) }
}
