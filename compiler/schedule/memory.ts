/**
 * The static memory plan: a byte offset for every buffer. Inputs and constants live for the whole call; outputs from
 * their first write to the end; scratch from its first write to its last read, so that buffers whose lives do not
 * overlap share bytes. A buffer touched inside a loop lives for the whole loop.
 */
import type { Buffer, Plan, Step } from './kernel.ts'
import { expressions, walk } from './walk.ts'

export type Memory = {
  /** Byte offset by buffer id, multiples of 64; -1 where a buffer is never touched. */
  readonly offsets: readonly number[]
  /** Bytes in all. */
  readonly bytes: number
  /** The most bytes live at one time: no plan can be smaller. */
  readonly live: number
  /** Bytes if nothing were shared. */
  readonly sum: number
}

const align = (n: number): number => Math.ceil(n / 64) * 64
export const bytesOf = (buffer: Buffer): number => 4 * buffer.aval.shape.reduce((a, b) => a * b, 1)

/** Buffers that a step reads or writes. */
export const touches = (step: Step): { readonly reads: ReadonlySet<number>; readonly writes: ReadonlySet<number> } => {
  const reads = new Set<number>()
  const writes = new Set<number>()
  const go = (s: Step): void => {
    switch (s.kind) {
      case 'copy':
        reads.add(s.from)
        writes.add(s.to)
        return
      case 'loop':
        return s.steps.forEach(go)
      case 'kernel':
        walk(expressions(s), e => {
          if (e.kind === 'load') reads.add(e.buffer)
        })
        s.stores.forEach(store => writes.add(store.buffer))
        return
    }
  }
  go(step)
  return { reads, writes }
}

export const planMemory = (plan: Plan): Memory => {
  const first = new Map<number, number>()
  const last = new Map<number, number>()
  plan.steps.forEach((step, at) => {
    const { reads, writes } = touches(step)
    for (const id of [...reads, ...writes]) {
      if (!first.has(id)) first.set(id, at)
      last.set(id, at)
    }
  })
  const end = plan.steps.length
  const lives = plan.buffers.flatMap(b => {
    switch (b.role.kind) {
      case 'input':
      case 'constant':
        return b.role.kind === 'constant' && !first.has(b.id) ? [] : [{ id: b.id, from: -1, to: end, bytes: align(Math.max(4, bytesOf(b))) }]
      case 'output':
        return [{ id: b.id, from: first.get(b.id) ?? -1, to: end, bytes: align(Math.max(4, bytesOf(b))) }]
      case 'scratch':
        return first.has(b.id) ? [{ id: b.id, from: first.get(b.id)!, to: last.get(b.id)!, bytes: align(Math.max(4, bytesOf(b))) }] : []
    }
  })
  const offsets = plan.buffers.map(() => -1)
  const placed: { from: number; to: number; start: number; stop: number }[] = []
  // Whole-call buffers first, in order, then the largest: long-lived and large ones pack, small ones fill the gaps.
  const whole = (l: { from: number }): number => (l.from === -1 ? 0 : 1)
  for (const life of [...lives].sort((a, b) => whole(a) - whole(b) || (whole(a) === 0 ? a.id - b.id : b.bytes - a.bytes || a.id - b.id))) {
    const clash = placed.filter(p => p.from <= life.to && life.from <= p.to).sort((a, b) => a.start - b.start)
    let start = 0
    for (const p of clash) {
      if (p.start - start >= life.bytes) break
      start = Math.max(start, p.stop)
    }
    offsets[life.id] = start
    placed.push({ from: life.from, to: life.to, start, stop: start + life.bytes })
  }
  const live = plan.steps.reduce((most, _, at) => Math.max(most, lives.filter(l => l.from <= at && at <= l.to).reduce((n, l) => n + l.bytes, 0)), 0)
  return { offsets, bytes: placed.reduce((n, p) => Math.max(n, p.stop), 0), live, sum: lives.reduce((n, l) => n + l.bytes, 0) }
}
