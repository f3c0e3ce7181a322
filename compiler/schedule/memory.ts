/**
 * The static memory plan: a byte offset for every buffer. Inputs and constants live for the whole call; outputs from
 * their first write to the end; scratch from its first write to its last read, so that buffers whose lives do not
 * overlap share bytes. A buffer touched inside a loop lives for the whole loop.
 */
import type { Buffer, Plan, Step } from './kernel/kernel.ts'
import { expressions, walk } from './kernel/walk.ts'

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

/** A buffer from its first step to its last; -1 is before all of them. */
export type Life = { readonly id: number; readonly from: number; readonly to: number; readonly bytes: number }
type Placement = { readonly starts: ReadonlyMap<number, number>; readonly bytes: number }
type Order = (a: Life, b: Life) => number

/** Orders of placement: the largest first, what takes most room over time, what lives longest, what is first. */
const orders: readonly Order[] = [
  (a, b) => b.bytes - a.bytes,
  (a, b) => b.bytes * (b.to - b.from + 1) - a.bytes * (a.to - a.from + 1),
  (a, b) => b.to - b.from - (a.to - a.from) || b.bytes - a.bytes,
  (a, b) => a.from - b.from || b.bytes - a.bytes,
]

/** Puts each into the first gap that holds it: what lives throughout, then the others in an order. */
const packed = (lives: readonly Life[], order: Order): Placement => {
  const placed: { readonly from: number; readonly to: number; readonly start: number; readonly stop: number }[] = [] // by start
  const starts = new Map<number, number>()
  const whole = lives.filter(l => l.from === -1)
  const others = lives.filter(l => l.from !== -1).sort((a, b) => order(a, b) || a.id - b.id)
  for (const life of [...whole, ...others]) {
    let start = 0
    for (const p of placed) {
      if (p.from > life.to || life.from > p.to) continue
      if (p.start - start >= life.bytes) break
      start = Math.max(start, p.stop)
    }
    starts.set(life.id, start)
    const at = placed.findIndex(p => p.start > start)
    placed.splice(at < 0 ? placed.length : at, 0, { from: life.from, to: life.to, start, stop: start + life.bytes })
  }
  return { starts, bytes: placed.reduce((n, p) => Math.max(n, p.stop), 0) }
}

/** The lives of a plan's buffers, by steps: inputs and constants (those that are read) throughout, outputs (that have a place of their own) to the end. */
export const livesOf = (plan: Plan): readonly Life[] => {
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
  return plan.buffers.flatMap(b => {
    switch (b.role.kind) {
      case 'input':
      case 'constant':
        return b.role.kind === 'constant' && !first.has(b.id) ? [] : [{ id: b.id, from: -1, to: end, bytes: align(Math.max(4, bytesOf(b))) }]
      case 'output':
        return b.role.over !== undefined ? [] : [{ id: b.id, from: first.get(b.id) ?? -1, to: end, bytes: align(Math.max(4, bytesOf(b))) }]
      case 'scratch':
        return first.has(b.id) ? [{ id: b.id, from: first.get(b.id)!, to: last.get(b.id)!, bytes: align(Math.max(4, bytesOf(b))) }] : []
    }
  })
}

export const planMemory = (plan: Plan): Memory => {
  const lives = livesOf(plan)
  const offsets = plan.buffers.map(() => -1)
  /** Where an output takes the place of an input, its bytes are that one's. */
  const owner = ({ id, role }: Buffer): number => (role.kind === 'output' ? (role.over ?? id) : id)
  const live = plan.steps.reduce((most, _, at) => Math.max(most, lives.filter(l => l.from <= at && at <= l.to).reduce((n, l) => n + l.bytes, 0)), 0)
  // No order is best always: the first that needs no more than what lives at once, or else the one that needs least.
  const best = orders.reduce<Placement | null>((found, order) => {
    if (found !== null && found.bytes === live) return found
    const made = packed(lives, order)
    return found === null || made.bytes < found.bytes ? made : found
  }, null)
  for (const [id, start] of best?.starts ?? []) offsets[id] = start
  return { offsets: plan.buffers.map(b => offsets[owner(b)]!), bytes: best?.bytes ?? 0, live, sum: lives.reduce((n, l) => n + l.bytes, 0) }
}
