/**
 * The memory plan for devices whose memory comes as separate buffers (slots): where a program's arrays lie. Inputs and outputs have a slot of
 * their own each - an output that takes the place of an input has that one's - and the constants one together. Scratch shares: an array is
 * given a slot whole, and slots are used again by arrays whose lives do not meet. So no two arrays that one step touches ever lie in one slot,
 * but for those of a pack, which have to: they lie in it side by side.
 */
import type { Buffer, Plan } from '../kernel/kernel.ts'
import { type Life, bytesOf, livesOf } from '../memory.ts'

/** Devices bind parts of a buffer that begin at multiples of this. */
export const alignment = 256
export const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment
/** An empty array takes four bytes: nothing can be bound to none. */
export const bytesFor = (buffer: Buffer): number => Math.max(4, bytesOf(buffer))

/** Buffers that lie side by side in one slot, at these bytes: together they are what the steps know as `buffer`. */
export type Pack = { readonly buffer: number; readonly members: readonly { readonly buffer: number; readonly offset: number }[] }

/** Where something lies: the number of a slot and the byte in it, a multiple of 256. */
export type Place = { readonly slot: number; readonly offset: number }

/** Scratch that top-level step `at` needs besides the buffers of the plan: so many pieces, of so many bytes. */
export type Need = { readonly at: number; readonly bytes: readonly number[] }

export type Slots = {
  /** Bytes of every slot, multiples of 256. */
  readonly slots: readonly number[]
  /** Of every buffer of the plan, by its id; null where none is needed. */
  readonly places: readonly (Place | null)[]
  /** The slots of every need's pieces. */
  readonly needs: readonly (readonly number[])[]
  /** Bytes of all slots. */
  readonly bytes: number
  /** The most bytes live at one time: no plan can be smaller. */
  readonly live: number
}

type Slot = { readonly bytes: number; readonly lives: readonly Life[] }
type Shared = { readonly slots: readonly Slot[]; readonly of: ReadonlyMap<number, number> }
type Order = (a: Life, b: Life) => number

/** Orders in which arrays are given slots: the largest first, what takes most room over time, what is first. */
const orders: readonly Order[] = [
  (a, b) => b.bytes - a.bytes || b.to - b.from - (a.to - a.from),
  (a, b) => b.bytes * (b.to - b.from + 1) - a.bytes * (a.to - a.from + 1),
  (a, b) => a.from - b.from || b.bytes - a.bytes,
]

const meets = (a: Life, b: Life): boolean => a.from <= b.to && b.from <= a.to

/** Gives each the slot that has to grow least, and of those that need not the smallest. */
const share = (lives: readonly Life[], order: Order): Shared => {
  const slots: { bytes: number; readonly lives: Life[] }[] = []
  const of = new Map<number, number>()
  for (const life of [...lives].sort((a, b) => order(a, b) || a.id - b.id)) {
    const free = slots.filter(s => !s.lives.some(other => meets(other, life)))
    const growth = (s: Slot): number => Math.max(0, life.bytes - s.bytes)
    const [first] = free.sort((a, b) => growth(a) - growth(b) || a.bytes - b.bytes)
    const slot = first ?? { bytes: 0, lives: [] }
    if (first === undefined) slots.push(slot)
    slot.bytes = Math.max(slot.bytes, life.bytes)
    slot.lives.push(life)
    of.set(life.id, slots.indexOf(slot))
  }
  return { slots, of }
}

const total = (slots: readonly Slot[]): number => slots.reduce((n, s) => n + s.bytes, 0)

export const planSlots = (plan: Plan, packs: readonly Pack[] = [], needs: readonly Need[] = []): Slots => {
  const { buffers, steps } = plan
  const known = new Map(livesOf(plan).map(life => [life.id, life]))
  const packOf = new Map(packs.flatMap(pack => pack.members.map(m => [m.buffer, { pack, offset: m.offset }] as const)))
  const outside = (b: Buffer): boolean => b.role.kind === 'input' || (b.role.kind === 'output' && b.role.over === undefined)
  const isPack = new Set(packs.map(p => p.buffer))
  const places = new Map<number, Place>()
  const slots: number[] = []
  const own = (bytes: number): number => slots.push(aligned(bytes)) - 1

  for (const b of buffers) if (outside(b) && !packOf.has(b.id)) places.set(b.id, { slot: own(bytesFor(b)), offset: 0 })
  const constants = buffers.filter(b => b.role.kind === 'constant' && known.has(b.id))
  const ends = constants.reduce<readonly number[]>((sum, b) => [...sum, sum[sum.length - 1]! + aligned(bytesFor(b))], [0])
  const constant = constants.length === 0 ? -1 : own(ends[ends.length - 1]!)
  constants.forEach((b, i) => places.set(b.id, { slot: constant, offset: ends[i]! }))
  for (const { buffer, members } of packs) {
    const slot = own(bytesFor(buffers[buffer]!))
    places.set(buffer, { slot, offset: 0 })
    for (const m of members) places.set(m.buffer, { slot, offset: m.offset })
  }

  const scratch = buffers.flatMap((b): readonly Life[] => {
    const life = known.get(b.id)
    return b.role.kind !== 'scratch' || packOf.has(b.id) || isPack.has(b.id) || life === undefined ? [] : [{ ...life, bytes: aligned(bytesFor(b)) }]
  })
  const pieces = needs.flatMap(({ at, bytes }, i) => bytes.map((n, k) => ({ i, k, life: { id: 0, from: at, to: at, bytes: aligned(Math.max(4, n)) } })))
    .map((piece, n) => ({ ...piece, life: { ...piece.life, id: buffers.length + n } }))
  const lives = [...scratch, ...pieces.map(p => p.life)]
  const best = orders.map(order => share(lives, order)).reduce((a, b) => (total(b.slots) < total(a.slots) ? b : a))
  const first = slots.length
  slots.push(...best.slots.map(s => s.bytes))
  const slotOf = (id: number): number => first + best.of.get(id)!
  for (const { id } of scratch) places.set(id, { slot: slotOf(id), offset: 0 })

  const alive = steps.reduce((most, _, at) => Math.max(most, lives.filter(l => l.from <= at && at <= l.to).reduce((n, l) => n + l.bytes, 0)), 0)
  const whole = slots.slice(0, first).reduce((n, bytes) => n + bytes, 0)
  /** Where an output takes the place of an input, that is where it lies. */
  const owner = ({ id, role }: Buffer): number => (role.kind === 'output' ? (role.over ?? id) : id)
  return {
    slots, places: buffers.map(b => places.get(owner(b)) ?? null),
    needs: needs.map((need, i) => need.bytes.map((_, k) => slotOf(pieces.find(p => p.i === i && p.k === k)!.life.id))),
    bytes: slots.reduce((n, bytes) => n + bytes, 0), live: whole + alive,
  }
}
