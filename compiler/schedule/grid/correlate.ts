/**
 * The schedule of products that sum over the positions of windows (weight gradients of convolutions): a long sum with a
 * small result, whose columns are the taps of the window. The grid of a block of steps is filled once and serves all
 * taps; the rows of the block are packed beside it. The steps are cut into a fixed number of parts, each with sums of its
 * own, which a last nest adds up in order.
 */
import { decode, sizeOf } from '../nest/composite.ts'
import { byStride, open } from '../nest/loops.ts'
import { addingShare, blocked, leastParts, partWork, roundUp, rowElements, shorter } from '../product/blocks.ts'
import { countOf, fill, placed, stepOffset } from './fill.ts'
import { type Line, epilogue } from './epilogue.ts'
import { type Axis, columnsOf, flipped } from './grid.ts'
import type { Gridded } from './gridded.ts'
import { multiplied } from '../nest/builder.ts'
import type { Dialect } from '../nest/expression.ts'
import type { Var } from '../kernel/kernel.ts'
import { type Scheduled, type Type, type Value, apply, constOf, i32 } from '../nest/nest.ts'
import { pack } from '../product/pack.ts'
import { distances, groupPlace } from './places.ts'
import { groupsOf, tile, tileRows } from '../product/tile.ts'

const mostElements = 256 * 1024
/** Sums of one part. */
const sumElements = 512 * 1024

/** Schedules a product over a grid whose columns are few and whose steps are many, or null where a block would be too large. */
export const correlated = (g: Gridded, counters: readonly Var[], dialect: Dialect, space: number, fresh: () => number): Scheduled | null => {
  const { kernel, batch, rows, lane } = g
  const { unit } = dialect
  const stepped = g.grid.axes.filter(a => a.step !== null)
  const order = [...g.steps.filter(s => !stepped.some(a => a.step === s)), ...stepped.map(a => a.step!)]
  const { outer, inner, chunk } = shorter(blocked(order), Math.ceil(leastParts / sizeOf(batch)))
  const first = inner[0]!
  const below = sizeOf(inner.slice(1))
  const chunks: Var = { id: fresh(), size: Math.ceil(first.size / chunk), name: 'block' }
  const cut = (a: Axis): boolean => a.step !== null && (outer.includes(a.step) || (a.step === first && chunks.size > 1))
  if (g.grid.axes.some(a => a.by > 1 || (cut(a) && a === lane && (a.m > 1 || a.e < 0)))) return null
  // steps that are cut go forwards
  const grid = g.grid.axes.filter(a => cut(a) && a.e < 0).reduce((now, a) => flipped(now, a, fresh, g.sizes), g.grid)

  const [m, mp] = [sizeOf(rows), roundUp(sizeOf(rows), tileRows)]
  const axes = [...grid.axes.filter(a => a !== lane), lane]
  const stepsMost = (a: Axis): number => (a.step === null || outer.includes(a.step) ? 1 : a.step === first ? chunk : a.step.size)
  const layout = (base: (a: Axis) => Value, reach: Value) =>
    placed(axes.map(axis => {
      const count = countOf(axis, columnsOf(axis), stepsMost(axis))
      return { axis, count, base: base(axis), here: axis.step === first && chunks.size > 1 ? reach : i32(count) }
    }))
  const { elements, axes: still } = layout(() => i32(0), i32(0))
  const columns = axes.flatMap(a => (a.column === null || a === lane ? [] : [a.column]))
  const columnAxes = byStride(columns, kernel.stores[0]?.at).map(v => axes.find(a => a.column === v)!)
  const laneGroups = Math.ceil(columnsOf(lane) / 4)
  const groups = columnAxes.reduce((n, a) => n * columnsOf(a), 1) * laneGroups
  const perTile = groupsOf(m)
  const rowStride = roundUp(groups, perTile) * 4
  const depth = chunk * below
  if (elements > mostElements || mp * rowStride > sumElements || mp * depth > 4 * rowElements) return null

  const turns = sizeOf(outer) * chunks.size
  const work = m * groups * 4 * sizeOf(g.steps)
  const wanted = Math.max(1, Math.min(turns, Math.ceil(leastParts / sizeOf(batch)), Math.floor(work / partWork)))
  const each = Math.ceil(turns / wanted)
  const splits = Math.ceil(turns / each)
  const [spaceA, spaceT, spaceG, spaceC] = [space, space + 1, space + 2, space + 3]
  const sumBytes = 4 * mp * rowStride
  const scratch = [
    { space: spaceA, bytes: 4 * mp * depth, each: 'thread' as const },
    { space: spaceT, bytes: 4 * depth, each: 'thread' as const },
    { space: spaceG, bytes: 4 * elements, each: 'thread' as const },
    { space: spaceC, bytes: splits > 1 ? sumBytes * splits * sizeOf(batch) : sumBytes, each: splits > 1 ? ('kernel' as const) : ('thread' as const) },
  ]
  const lines: readonly Line[] = [...columnAxes, lane].map((a, i, all) => ({
    column: a.column!, from: i32(0), to: i32(a.column!.size), by: 1, start: i32(0), classes: 0,
    stride: a === lane ? 1 : 4 * laneGroups * all.slice(i + 1, -1).reduce((n, x) => n * columnsOf(x), 1),
  }))

  const main = (): Scheduled['nests'][number] => {
    const scope = open(kernel.name, counters, dialect)
    const { b, own } = scope
    for (const s of [spaceA, spaceT, spaceG, spaceC]) b.changes(s)
    const plus = (x: Value, y: Value): Value => b.call('add', 'i32', x, y)
    const table = (): void =>
      distances(b, unit, inner.map(v => (v === first ? { ...v, size: chunk } : v)), (step, i) => {
        const axis = still.find(p => p.axis.step?.id === step.id)
        return axis === undefined ? i32(0) : stepOffset(b, axis, step.size, 0, i)
      }, (index, distance) => b.store(spaceT, plus(own, multiplied(b, index, unit)), 0, distance))
    const block = (vars: ReadonlyMap<number, Value>, from: Value, sums: Value): void => {
      const steps = chunks.size === 1 ? i32(first.size) : b.call('min', 'i32', i32(chunk), b.call('sub', 'i32', i32(first.size), from))
      const base = (a: Axis): Value => {
        if (a.step !== null && outer.includes(a.step)) return multiplied(b, vars.get(a.step.id)!, a.e)
        return a.step === first && chunks.size > 1 ? multiplied(b, from, a.e) : i32(0)
      }
      const cutAxis = axes.find(a => a.step === first)
      const more = multiplied(b, b.call('sub', 'i32', steps, i32(1)), cutAxis?.e ?? 0)
      const reach = plus(more, i32(cutAxis === undefined ? 1 : countOf(cutAxis, columnsOf(cutAxis), 1)))
      const now = layout(base, reach).axes
      fill(scope, vars, grid.expr, now, spaceG, own, fresh, g.sizes)
      const here = multiplied(b, steps, below)
      const panels = { expr: g.a, vars: rows, space: spaceA, width: 4 as const, many: true }
      pack(scope, vars, panels, { vars: inner, from, to: plus(from, steps) }, here, i32(0), i32(mp / tileRows))
      const groupAt = groupPlace(b, unit, columnAxes.map(a => now.find(p => p.axis === a)!), laneGroups, fresh, own)
      const tall = Math.min(mp, Math.max(tileRows, Math.floor(rowElements / depth / tileRows) * tileRows))
      const length = multiplied(b, here, tileRows * unit)
      b.loop('chunk', i32(0), i32(mp), tall, start => {
        const end = tall === mp ? i32(mp) : b.call('min', 'i32', plus(start, i32(tall)), i32(mp))
        b.loop('group', i32(0), i32(groups), perTile, group => {
          const several = Array.from({ length: perTile }, (_, at) => groupAt(at === 0 ? group : b.call('min', 'i32', plus(group, i32(at)), i32(groups - 1))))
          const column = plus(sums, multiplied(b, group, 4 * unit))
          b.loop('row', start, end, tileRows, row =>
            tile(b, unit, {
              left: { space: spaceA, at: plus(own, multiplied(b, b.call('mul', 'i32', row, here), unit)) },
              right: { kind: 'grid', space: spaceG, groups: several, table: { space: spaceT, at: own } },
              length, fresh: each === 1,
              sums: { space: spaceC, at: plus(column, multiplied(b, row, rowStride * unit)), stride: rowStride, rows: Math.min(m, tileRows) },
            }),
          )
        })
      })
    }
    const parts: Var = { id: fresh(), size: splits, name: 'split' }
    b.loop('part', scope.lo, scope.hi, 1, part => {
      const decoded = decode(b, [...batch, parts], part)
      const vars = new Map([...scope.vars, ...decoded])
      const sums = splits > 1 ? multiplied(b, part, (sumBytes / 4) * unit) : own
      table()
      if (each > 1) b.loop('z', i32(0), i32((sumBytes / 4) * unit), 4 * unit, z => b.store(spaceC, plus(sums, z), 0, constOf('f32x4', 0)))
      const from = multiplied(b, decoded.get(parts.id)!, each)
      const to = turns % each === 0 ? plus(from, i32(each)) : b.call('min', 'i32', plus(from, i32(each)), i32(turns))
      b.loop('turn', from, to, 1, turn => {
        const at = decode(b, [...outer, chunks], turn)
        block(new Map([...vars, ...at]), chunks.size === 1 ? i32(0) : multiplied(b, at.get(chunks.id)!, chunk), sums)
      })
      if (splits === 1)
        epilogue(scope, vars, kernel.stores, { rows, from: i32(0), to: i32(m), rowStride, lines, sums: (type, at) => b.load(type, spaceC, plus(own, at)) })
    })
    return b.finish(sizeOf(batch) * splits)
  }

  const total = (): Scheduled['nests'][number] => {
    const scope = open(`${kernel.name}_sum`, counters, dialect)
    const { b } = scope
    const plus = (x: Value, y: Value): Value => b.call('add', 'i32', x, y)
    const row: Var = { id: fresh(), size: m, name: 'row' }
    b.loop('part', scope.lo, scope.hi, 1, part => {
      const decoded = decode(b, [...batch, row], part)
      const vars = new Map([...scope.vars, ...decoded])
      const i = decoded.get(row.id)!
      const start = plus(multiplied(b, b.call('div', 'i32', part, i32(m)), (splits * sumBytes / 4) * unit), multiplied(b, i, rowStride * unit))
      const sums = (type: Type, at: Value): Value =>
        Array.from({ length: splits }, (_, s) => b.load(type, spaceC, plus(start, at), s * (sumBytes / 4))).reduce((x, y) => b.let(apply('add', type, x, y)))
      epilogue(scope, vars, kernel.stores, { rows, from: i, to: plus(i, i32(1)), rowStride, lines, sums })
    })
    return b.finish(sizeOf(batch) * m)
  }
  const shares = [1, addingShare(splits, sizeOf(g.steps))]
  return splits > 1 ? { nests: [main(), total()], scratch, shares } : { nests: [main()], scratch }
}
