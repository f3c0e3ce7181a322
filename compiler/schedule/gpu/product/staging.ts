/**
 * How the elements of one operand come from global into workgroup memory. A slot of workgroup memory has four rows (or
 * columns) of one step as a vector; a thread fills whole slots, since parts of a vector must not be written by several. The
 * elements are read before the arithmetic of the step before theirs and stored after it.
 *
 * - quads: four neighbours in memory are one vector load.
 * - spread: threads beside each other read rows beside each other: lane j of slot g is row g + j * slots, so that each of the
 *   four scalar loads of a warp touches 128 bytes in a row.
 * - deep: threads beside each other read steps beside each other, of rows 4g + j. Eight threads then write the slots of eight
 *   steps, all in the same banks of memory: a slot lies at g xor step instead of g; or some slots are left free behind every step.
 *
 * What depends on a thread's rows alone is computed once, before the loop over steps, as is what depends on its step within
 * the depth of a tile. Rows beyond the last are read as the last (nobody stores what comes of them); steps beyond the last are 0.
 */
import { type Builder, divided, multiplied } from '../../nest/builder.ts'
import { type Composite, decode, sizeOf } from '../../nest/composite.ts'
import { type Dialect, lower } from '../../nest/expression.ts'
import type { Along } from '../../kernel/dependence.ts'
import type { Expr } from '../../kernel/kernel.ts'
import type { Vars } from '../../nest/loops.ts'
import { type Local, type Value, apply, constOf, i32, lanesOf } from '../../nest/nest.ts'

export type Way = 'quads' | 'spread' | 'deep'

/** One operand in workgroup memory. */
export type Side = {
  readonly expr: Expr
  readonly vars: Composite
  /** Rows of a tile. */
  readonly extent: number
  /** Slots that are left free behind those of every step, which then lie in order. */
  readonly padding: number
  readonly way: Way
  /** Lane j of slot g is row 4g + j; else g + j * slots. */
  readonly neighbours: boolean
  /** Workgroup memory, or null where each thread reads the slots that it needs itself and keeps them. */
  readonly space: number | null
}
export const slotsOf = ({ extent }: Pick<Side, 'extent'>): number => extent / 4
/** From the slots of a step to those of the next. */
export const pitchOf = (side: Pick<Side, 'extent' | 'padding'>): number => slotsOf(side) + side.padding

/** The row of a tile that a lane of a slot has. */
export const rowAt = (b: Builder, side: Pick<Side, 'extent' | 'neighbours'>, slot: Value, lane: number): Value =>
  side.neighbours ? b.call('add', 'i32', multiplied(b, slot, 4), i32(lane)) : b.call('add', 'i32', slot, i32(lane * slotsOf(side)))

/** Steps mod this many lie in slots of their own. */
const swizzled = (side: Side): number => (side.way === 'deep' && side.padding === 0 ? Math.min(8, slotsOf(side)) : 1)

/** Where the slot of a step lies, as an expression without a name: compilers decide how many of these to keep. */
const slotAt = (side: Side, base: Value, slot: Value, step: number): { readonly at: Value; readonly offset: number } => {
  const turn = step % swizzled(side)
  const turned = turn === 0 ? slot : apply('xor', 'i32', slot, i32(turn))
  return { at: apply('shl', 'i32', apply('add', 'i32', base, turned), i32(2)), offset: 4 * step * pitchOf(side) }
}

export type Steps = {
  readonly vars: Composite
  readonly depth: number
  /** Whether the last turn of the loop has fewer steps. */
  readonly ragged: boolean
}

/** The summed variables at step `within` of turn `turn`: as many as repeat with every turn depend on `within` alone. */
const stepVars = (b: Builder, { vars, depth }: Steps, turn: Value, within: Value): ReadonlyMap<number, Value> => {
  let n = vars.length
  while (n > 0 && depth % sizeOf(vars.slice(n - 1)) === 0) n -= 1
  const fixed = vars.slice(n)
  const each = sizeOf(fixed)
  const inside = fixed.length === 0 ? [] : [...decode(b, fixed, n === 0 || each === depth ? within : divided(b, within, 'mod', each))]
  if (n === 0) return new Map(inside)
  const outer = each === depth ? turn : b.call('add', 'i32', multiplied(b, turn, depth / each), each === 1 ? within : divided(b, within, 'div', each))
  // what is fixed comes first: sums begin with it, and so it leaves the loop
  return new Map([...inside, ...decode(b, vars.slice(0, n), outer)])
}

/** Environments differ in values of the same variables: each is told apart by a number of its own. */
export type Copies = () => number
export const copying = (): Copies => {
  let count = 0
  return () => (count += 1)
}

/** What a thread reads: one slot of a turn. */
type Unit = { readonly slot: Value; readonly within: Value; readonly there: Value | null; readonly kept: Local }

/**
 * What moves one operand, in the body of the loop over turns. `own`: the vectors of a thread's own slots for one step of the
 * turn that was stored last at `base`.
 */
export type Stager = {
  readonly read: (turn: Value) => void
  readonly store: (base: Value) => void
  readonly own: (base: Value, step: number) => readonly Value[]
}

type Place = { readonly b: Builder; readonly dialect: Dialect; readonly thread: Value; readonly threads: number; readonly vars: Vars; readonly copies: Copies }

/** `first` is the row where the tile begins, `own` are the slots that a thread multiplies. */
export const stager = ({ b, dialect, thread, threads, vars, copies }: Place, side: Side, first: Value, own: readonly Value[], steps: Steps): Stager => {
  const { expr, extent, way, space } = side
  const [slots, depth] = [slotsOf(side), steps.depth]
  const count = slots * depth
  const total = sizeOf(side.vars)
  const whole = total % extent === 0
  const last = side.vars[side.vars.length - 1]

  const held = space === null ? Array.from({ length: depth * own.length }, () => b.variable('f32x4', 'now')) : []
  const straight = (): readonly Unit[] =>
    Array.from({ length: depth }, (_, step) => own.map((slot): Unit => ({ slot, within: i32(step), there: null, kept: b.variable('f32x4', 'next') }))).flat()
  const units = space === null ? straight() : Array.from({ length: Math.ceil(count / threads) }, (_, i): Unit => {
    const kept = b.variable('f32x4', 'next')
    const there = count < threads ? b.call('lt', 'bool', thread, i32(count)) : null
    const [fast, slow] = way === 'deep' ? [depth, slots] : [slots, depth]
    // all are powers of two
    const [x, y] = fast <= threads
      ? [divided(b, thread, 'mod', fast), b.call('add', 'i32', divided(b, thread, 'div', fast), i32((i * threads) / fast))]
      : [b.call('add', 'i32', thread, i32((i % (fast / threads)) * threads)), i32(Math.floor((i * threads) / fast))]
    const within = slow === 1 ? i32(0) : y
    return way === 'deep' ? { slot: y, within: x, there, kept } : { slot: x, within, there, kept }
  })

  /** Rows of a slot: what is to be evaluated for each lane. */
  type Lane = { readonly vars: ReadonlyMap<number, Value>; readonly along: Along | null; readonly lane: number | null }
  const lanesFor = (slot: Value): readonly Lane[] => {
    const row = (lane: number, most: number): Value => {
      const at = b.call('add', 'i32', first, rowAt(b, side, slot, lane))
      return whole ? at : b.call('min', 'i32', at, i32(most))
    }
    if (side.neighbours && last !== undefined && last.size % 4 === 0) {
      const found = decode(b, side.vars, row(0, total - 4))
      return [0, 1, 2, 3].map(lane => ({ vars: found, along: { id: last.id, aligned: true }, lane }))
    }
    return [0, 1, 2, 3].map(lane => ({ vars: decode(b, side.vars, row(lane, total - 1)), along: null, lane: null }))
  }
  const rows = units.map(u => lanesFor(u.slot))

  const value = (lanes: readonly Lane[], at: ReadonlyMap<number, Value>): Value => {
    const env = (l: Lane) => ({ b, dialect, vars: new Map([...vars, ...l.vars, ...at]), along: l.along, lane: l.lane, acc: null, copy: copies(), skip: 0 })
    const vector = way === 'quads' ? lower({ ...env(lanes[0]!), lane: null }, expr) : apply('lanes', 'f32x4', ...lanes.map(l => lower(env(l), expr)))
    return lanesOf(vector.type) === 4 ? vector : b.splat(vector)
  }
  return {
    read: turn => units.forEach((u, i) => {
      const at = stepVars(b, steps, turn, u.within)
      const load = (): void => b.set(u.kept, value(rows[i]!, at))
      const inside = steps.ragged ? b.call('lt', 'bool', b.call('add', 'i32', multiplied(b, turn, depth), u.within), i32(sizeOf(steps.vars))) : null
      const condition = inside === null || u.there === null ? inside ?? u.there : b.call('and', 'bool', inside, u.there)
      if (condition === null) return load()
      b.branch(condition, load, () => b.set(u.kept, constOf('f32x4', 0)))
    }),
    own: (base, step) => own.map((slot, i) => {
      if (space === null) return held[step * own.length + i]!
      const { at, offset } = slotAt(side, base, slot, step)
      const local = b.variable('f32x4', 'x')
      b.set(local, { kind: 'load', type: 'f32x4', space, at, offset })
      return local
    }),
    store: base => units.forEach((u, i) => {
      if (space === null) return b.set(held[i]!, u.kept)
      const mask = swizzled(side) - 1
      const slot = mask === 0 ? u.slot : b.call('xor', 'i32', u.slot, b.call('and', 'i32', u.within, i32(mask)))
      const at = b.call('add', 'i32', multiplied(b, u.within, pitchOf(side)), slot)
      const put = (): void => b.store(space, multiplied(b, b.call('add', 'i32', base, at), 4), 0, u.kept)
      if (u.there === null) put()
      else b.branch(u.there, put)
    }),
  }
}
