/**
 * The inner loop of all products: a tile of up to 4 x 8 sums (2 x 16 where there are no more rows), kept in vectors over all
 * steps. Rows come from a packed panel (four rows side by side for every step); the groups of four columns come from a
 * packed panel of eight, or from anywhere in a grid, at the distance that a table gives for every step.
 *
 * GFLOP/s of one core whose peak is 64, panels in the cache: V8 of Node 20 4 x 8 57, 2 x 16 57, 3 x 8 46, 6 x 8 42 (it spills),
 * two steps at a time 41 and less; of Node 24 4 x 8 57, 6 x 8 65, two steps at a time no faster. A whole training step with 4 x 12 over grids
 * takes an eighth longer on both. The table costs nothing.
 */
import type { Builder } from '../nest/builder.ts'
import { type Value, apply, constOf, i32 } from '../nest/nest.ts'

export const tileRows = 4
export const tileColumns = 8
/** Groups of four columns of a tile over a grid: enough sums to keep the machine busy. */
export const groupsOf = (rows: number): number => (rows <= 2 ? 4 : 2)

export type Right =
  | { readonly kind: 'panel'; readonly space: number; readonly at: Value }
  /** Positions of the groups, and the table of distances (in units). */
  | { readonly kind: 'grid'; readonly space: number; readonly groups: readonly Value[]; readonly table: { readonly space: number; readonly at: Value } }

export type Tile = {
  readonly left: { readonly space: number; readonly at: Value }
  readonly right: Right
  /** Steps times four units: how far the left panel reaches. */
  readonly length: Value
  /** Where the sums are kept: `rows` rows (at most four), `stride` elements apart. */
  readonly sums: { readonly space: number; readonly at: Value; readonly stride: number; readonly rows: number }
  /** Whether sums begin at zero, or with what is kept already. */
  readonly fresh: boolean
}

const vector = (space: number, at: Value, offset: number): Value => ({ kind: 'load', type: 'f32x4', space, at, offset })

/** Adds all steps of a panel of rows times a panel of columns to a tile of sums. */
export const tile = (b: Builder, unit: number, { left, right, length, sums, fresh }: Tile): void => {
  const rows = Array.from({ length: sums.rows }, (_, r) => r)
  const groups = right.kind === 'panel' ? [0, 1] : right.groups.map((_, c) => c)
  const kept = rows.map(r => groups.map(c => b.variable('f32x4', `c${r}${c}`)))
  kept.forEach((row, r) =>
    row.forEach((sum, c) => b.set(sum, fresh ? constOf('f32x4', 0) : vector(sums.space, sums.at, r * sums.stride + 4 * c))),
  )
  const next = b.variable('i32', 'next')
  b.set(next, right.kind === 'panel' ? right.at : right.table.at)
  b.loop('pa', left.at, b.call('add', 'i32', left.at, length), tileRows * unit, at => {
    const columns = groups.map(c => b.variable('f32x4', `b${c}`))
    if (right.kind === 'panel') columns.forEach((local, c) => b.set(local, vector(right.space, next, 4 * c)))
    else {
      const distance = b.variable('i32', 'd')
      b.set(distance, { kind: 'load', type: 'i32', space: right.table.space, at: next, offset: 0 })
      columns.forEach((local, c) => b.set(local, vector(right.space, apply('add', 'i32', right.groups[c]!, distance), 0)))
    }
    kept.forEach((row, r) => {
      const one = b.variable('f32x4', `a${r}`)
      b.set(one, apply('splat', 'f32x4', { kind: 'load', type: 'f32', space: left.space, at, offset: r }))
      row.forEach((sum, c) => b.set(sum, apply('fma', 'f32x4', one, columns[c]!, sum)))
    })
    b.set(next, apply('add', 'i32', next, i32((right.kind === 'panel' ? tileColumns : 1) * unit)))
  })
  kept.forEach((row, r) => row.forEach((sum, c) => b.store(sums.space, sums.at, r * sums.stride + 4 * c, sum)))
}
