/** Where columns and steps lie within a grid (fill.ts): what tiles over it add up. */
import { type Builder, multiplied } from '../nest/builder.ts'
import { type Composite, decode } from '../nest/composite.ts'
import { type Placed, columnStride } from './fill.ts'
import { columnsOf } from './grid.ts'
import type { Var } from '../kernel/kernel.ts'
import { type Value, i32 } from '../nest/nest.ts'

/** Calls `put` with the index of every combination of `steps`, the last fastest, and the sum of their distances (in units). */
export const distances = (
  b: Builder, unit: number, steps: Composite, distance: (step: Var, value: Value) => Value, put: (index: Value, distance: Value) => void,
): void => {
  const go = ([first, ...rest]: Composite, index: Value, sum: Value): void => {
    if (first === undefined) return put(index, multiplied(b, sum, unit))
    b.loop(first.name, i32(0), i32(first.size), 1, i =>
      go(rest, b.call('add', 'i32', multiplied(b, index, first.size), i), b.call('add', 'i32', sum, distance(first, i))))
  }
  go(steps, i32(0), i32(0))
}

/**
 * Where a group of four columns begins, in units from `start`: groups count through the columns of `axes`, then along the
 * lane, of which there are `laneGroups`.
 */
export const groupPlace = (
  b: Builder, unit: number, axes: readonly Placed[], laneGroups: number, fresh: () => number, start: Value,
): ((group: Value) => Value) => {
  const all = [
    ...axes.map(p => ({ v: { id: fresh(), size: columnsOf(p.axis), name: 'g' }, distance: columnStride(p) })),
    { v: { id: fresh(), size: laneGroups, name: 'g' }, distance: 4 },
  ]
  // columns of an axis that is flipped go down from the last
  const back = all.reduce((n, { v, distance }) => n + Math.max(0, -distance * (v.size - 1)), 0)
  const first = b.call('add', 'i32', start, i32(back * unit))
  return group => {
    const values = decode(b, all.map(x => x.v), group)
    return all.reduce<Value>((sum, { v, distance }) => b.call('add', 'i32', sum, multiplied(b, values.get(v.id)!, distance * unit)), first)
  }
}
