/**
 * The sums of a tile: a thread's 4p x 4q of them, the loop over turns of staged steps that adds to them, and the stores that
 * take them. A warp is four threads down and eight across, so that what its threads read at a time from workgroup memory is
 * 64 and 128 bytes: no more than memory gives in one access.
 */
import { type Builder, divided, multiplied } from '../../nest/builder.ts'
import { type Composite, decode, sizeOf } from '../../nest/composite.ts'
import { type Dialect, type Env, perform } from '../../nest/expression.ts'
import type { Store } from '../../kernel/kernel.ts'
import type { Vars } from '../../nest/loops.ts'
import { type Local, type Value, apply, constOf, i32 } from '../../nest/nest.ts'
import { type Copies, type Side, type Stager, pitchOf, rowAt } from './staging.ts'
import type { Tile } from './tiles.ts'

/** Where a thread stands in the grid of threads of its tile. */
export type Stand = { readonly down: Value; readonly across: Value }

export const standOf = (b: Builder, thread: Value, { down, across }: Tile): Stand => {
  if (down % 4 !== 0 || across % 8 !== 0) return { down: divided(b, thread, 'div', across), across: divided(b, thread, 'mod', across) }
  const [warp, lane] = [divided(b, thread, 'div', 32), divided(b, thread, 'mod', 32)]
  const both = (outer: Value, size: number, inner: Value): Value => b.call('add', 'i32', multiplied(b, outer, size), inner)
  const wide = across / 8
  return {
    down: both(wide === 1 ? warp : divided(b, warp, 'div', wide), 4, divided(b, lane, 'div', 8)),
    across: both(wide === 1 ? i32(0) : divided(b, warp, 'mod', wide), 8, divided(b, lane, 'mod', 8)),
  }
}

/** Slots of a thread's rows (or columns): one for each of its p (or q) vectors. */
export const slotsFor = (b: Builder, at: Value, threads: number, count: number): readonly Value[] =>
  Array.from({ length: count }, (_, i) => b.call('add', 'i32', at, i32(i * threads)))

/** The sums of a thread: by row, then by vector of four columns. */
export type Sums = readonly (readonly Local[])[]
export const fresh = (b: Builder, { p, q }: Tile): Sums =>
  Array.from({ length: 4 * p }, (_, r) => Array.from({ length: q }, (_, c) => {
    const sum = b.variable('f32x4', `c${r}_${c}`)
    b.set(sum, constOf('f32x4', 0))
    return sum
  }))

export type Operand = { readonly side: Side; readonly stager: Stager }

/** Adds a turn of steps that lies in workgroup memory. */
export const multiply = (b: Builder, depth: number, sums: Sums, [left, right]: readonly [Operand, Operand], bases: readonly [Value, Value]): void => {
  for (let step = 0; step < depth; step += 1) {
    const rows = left.stager.own(bases[0], step)
    const columns = right.stager.own(bases[1], step)
    sums.forEach((row, r) => {
      const one: Value = apply('splat', 'f32x4', { kind: 'lane', type: 'f32', of: rows[Math.floor(r / 4)]!, lane: r % 4 })
      row.forEach((sum, c) => b.set(sum, apply('fma', 'f32x4', one, columns[c]!, sum)))
    })
  }
}

/**
 * Turns from .. to-1. Turn t is read while the sums take turn t - 1, and stored when that is done: the loop runs once more
 * than there are turns. With two buffers nobody reads what is being stored; with one all wait before. `take` adds a turn that
 * lies in workgroup memory, from these slots on of either operand.
 */
export const accumulate = (
  b: Builder, tile: Pick<Tile, 'depth' | 'buffers'>, operands: readonly [Operand, Operand], from: Value, to: Value,
  take: (bases: readonly [Value, Value]) => void,
): void => {
  const sizes = operands.map(o => tile.depth * pitchOf(o.side))
  for (const { side } of operands) if (side.space !== null) b.changes(side.space)
  b.loop('turn', from, b.call('add', 'i32', to, i32(1)), 1, turn => {
    const odd = tile.buffers === 1 ? i32(0) : b.call('and', 'i32', turn, i32(1))
    const now = sizes.map(size => multiplied(b, odd, size))
    const before = tile.buffers === 1 ? now : sizes.map((size, i) => b.call('sub', 'i32', i32(size), now[i]!))
    const more = b.call('lt', 'bool', turn, to)
    b.branch(more, () => operands.forEach(o => o.stager.read(turn)))
    b.branch(b.call('gt', 'bool', turn, from), () => take([before[0]!, before[1]!]))
    if (tile.buffers === 1) b.barrier()
    b.branch(more, () => operands.forEach((o, i) => o.stager.store(now[i]!)))
    b.barrier()
  })
}

/** The sum of a vector over all parts, in their order: part p lies `length` elements behind part p - 1. */
export const sumOfParts = (b: Builder, space: number, first: Value, parts: number, length: number): Local => {
  const sum = b.variable('f32x4', 'sum')
  b.set(sum, { kind: 'load', type: 'f32x4', space, at: first, offset: 0 })
  const chunk = 4
  const wide = 1 + Math.floor((parts - 1) / chunk) * chunk
  const take = (part: Value, count: number): void => {
    const at = b.call('add', 'i32', first, multiplied(b, part, length))
    const some = Array.from({ length: count }, (_, i) => b.load('f32x4', space, at, i * length))
    some.forEach(x => b.set(sum, apply('add', 'f32x4', sum, x)))
  }
  b.loop('part', i32(1), i32(wide), chunk, part => take(part, chunk))
  b.loop('part', i32(wide), i32(parts), 1, part => take(part, 1))
  b.settle(sum)
  return sum
}

export type Results = {
  readonly dialect: Dialect
  readonly vars: Vars
  readonly stores: readonly Store[]
  readonly rows: Composite
  readonly columns: Composite
  /** Whether no tile has rows (or columns) beyond the last. */
  readonly inside: { readonly row: boolean; readonly column: boolean }
  /** Whether four neighbouring columns are stored as vectors. */
  readonly vectors: boolean
  readonly copies: Copies
}

/** Performs the stores for four columns of one row; `row` and the slot of the columns count from the beginning of all rows and columns. */
export const finish = (
  b: Builder, { dialect, vars, stores, rows, columns, vectors, copies, inside }: Results, side: Pick<Side, 'extent' | 'neighbours'>,
  row: Value, first: Value, slot: Value, sum: Value,
): void => {
  const [m, n] = [sizeOf(rows), sizeOf(columns)]
  const here = new Map([...vars, ...decode(b, rows, row)])
  const guarded = (column: Value, body: () => void): void => {
    const checks = [...(inside.row ? [] : [b.call('lt', 'bool', row, i32(m))]), ...(inside.column ? [] : [b.call('lt', 'bool', column, i32(n))])]
    if (checks.length === 0) body()
    else b.branch(checks.reduce((x, y) => b.call('and', 'bool', x, y)), body)
  }
  const one = (lane: number, more: Partial<Env>): void => {
    const column = b.call('add', 'i32', first, rowAt(b, side, slot, lane))
    const place = new Map([...here, ...decode(b, columns, column)])
    guarded(column, () => perform({ b, dialect, vars: place, along: null, lane: null, acc: null, copy: copies(), skip: 0, ...more }, stores))
  }
  const last = columns[columns.length - 1]
  if (vectors && last !== undefined) return one(0, { along: { id: last.id, aligned: true }, acc: sum })
  for (let lane = 0; lane < 4; lane += 1) one(lane, { acc: b.lane(sum, lane) })
}
