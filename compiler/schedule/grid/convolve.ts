/**
 * The schedule of products one of whose operands reads overlapping windows (grid.ts): convolutions, their gradients to the
 * input, and transposed convolutions. That operand is not copied window by window: its grid is filled once for a block of
 * columns, and tiles read it where it lies. The other operand is packed first, for all blocks. Columns in residue classes
 * (strides going backwards) share one grid; each class has its own steps, and the stores put the classes together.
 */
import { packingShare, roundUp, rowElements } from '../product/blocks.ts'
import { type Builder, multiplied } from '../nest/builder.ts'
import { decode, sizeOf } from '../nest/composite.ts'
import { planOf } from './cuts.ts'
import { type Line, epilogue } from './epilogue.ts'
import type { Dialect } from '../nest/expression.ts'
import { countOf, fill, stepOffset } from './fill.ts'
import { type Axis, columnsOf, slope } from './grid.ts'
import type { Gridded } from './gridded.ts'
import type { Var } from '../kernel/kernel.ts'
import { type Vars, open } from '../nest/loops.ts'
import { type Nest, type Scheduled, type Value, i32 } from '../nest/nest.ts'
import { pack } from '../product/pack.ts'
import { distances, groupPlace } from './places.ts'
import { tile, tileRows } from '../product/tile.ts'

/** Schedules a product over a grid whose columns are many, or null where a block would be too large. */
export const convolved = (g: Gridded, counters: readonly Var[], dialect: Dialect, space: number, fresh: () => number): Scheduled | null => {
  const plan = planOf(g, fresh)
  if (plan === null) return null
  const { kernel, batch, rows, lane } = g
  const { within, order, split, classes, units, cut, size, cuts, inner, laneGroups, innerGroups, rowsEach, rowParts, perTile, layout } = plan
  const { unit } = dialect
  const m = sizeOf(rows)
  const mp = roundUp(m, tileRows)
  const rowStride = roundUp(size * innerGroups, perTile) * 4
  const classElements = rowsEach * rowStride
  const [spaceA, spaceT, spaceG, spaceC] = [space, space + 1, space + 2, space + 3]
  const starts = (counts: readonly number[]): readonly number[] => counts.map((_, i) => counts.slice(0, i).reduce((x, y) => x + y, 0))
  const tableAt = starts(classes.map(c => c.count))
  const packedAt = starts(classes.map(c => c.count * mp))
  const packedElements = classes.reduce((n, c) => n + c.count * mp, 0)
  const { elements, axes: grid } = layout(size, i32(0), i32(0))
  const each = within ? ('thread' as const) : ('kernel' as const)
  const scratch = [
    { space: spaceA, bytes: 4 * packedElements * (within ? 1 : sizeOf(batch)), each },
    { space: spaceT, bytes: 4 * classes.reduce((n, c) => n + c.count, 0), each },
    { space: spaceG, bytes: 4 * elements, each: 'thread' as const },
    { space: spaceC, bytes: 4 * classes.length * classElements, each: 'thread' as const },
  ]

  const panels = mp / tileRows
  /** The distances of all steps, from a position on. */
  const tables = (b: Builder, start: Value): void =>
    classes.forEach((c, i) =>
      distances(b, unit, c.steps, (step, at) => {
        const axis = grid.find(p => p.axis.step === order[c.steps.indexOf(step)])
        return axis === undefined ? i32(0) : stepOffset(b, axis, axis.axis.step!.size, c.rests.get(axis.axis) ?? 0, at)
      }, (index, distance) => b.store(spaceT, b.call('add', 'i32', start, multiplied(b, index, unit)), tableAt[i]!, distance)))
  /** Packs four rows, all classes of them (together they read whole lines); those of this batch begin at `start`. */
  const panel = (b: Builder, vars: Vars, start: Value, index: Value): void =>
    classes.forEach((c, i) => {
      const place = b.call('add', 'i32', multiplied(b, index, tileRows * c.count * unit), i32(packedAt[i]! * unit))
      const sides = { expr: c.a, vars: rows, space: spaceA, width: 4 as const, many: false }
      const depth = { vars: c.steps, from: i32(0), to: i32(c.steps[0]?.size ?? 1) }
      pack({ b, dialect, own: b.call('add', 'i32', start, place) }, vars, sides, depth, i32(c.count), index, b.call('add', 'i32', index, i32(1)))
    })

  const packing = (): Nest => {
    const scope = open(`${kernel.name}_pack`, counters, dialect)
    const { b } = scope
    const last = panels * sizeOf(batch)
    b.loop('part', scope.lo, scope.hi, 1, part =>
      b.branch(b.call('eq', 'bool', part, i32(last)), () => tables(b, i32(0)), () => {
        const which = b.call('div', 'i32', part, i32(panels))
        const vars = new Map([...scope.vars, ...decode(b, batch, which)])
        panel(b, vars, multiplied(b, which, packedElements * unit), b.call('rem', 'i32', part, i32(panels)))
      }),
    )
    return b.finish(last + 1)
  }

  const main = (): Nest => {
    const scope = open(kernel.name, counters, dialect)
    const { b, own } = scope
    for (const s of scratch) if (s.each === 'thread') b.changes(s.space)
    const plus = (x: Value, y: Value): Value => b.call('add', 'i32', x, y)
    const cutColumns = cut === undefined ? 1 : columnsOf(cut)
    const cutVar: Var = { id: fresh(), size: cuts, name: 'cut' }
    const rowVar: Var = { id: fresh(), size: rowParts, name: 'rows' }
    const parts = [...batch, ...units, cutVar, rowVar]
    b.loop('part', scope.lo, scope.hi, 1, part => {
      const decoded = decode(b, parts, part)
      const which = b.call('div', 'i32', part, i32(sizeOf(units) * cuts * rowParts))
      const from = multiplied(b, decoded.get(cutVar.id)!, size)
      const columns = cuts * size === cutColumns ? i32(size) : b.call('min', 'i32', i32(size), b.call('sub', 'i32', i32(cutColumns), from))
      const row0 = rowParts === 1 ? i32(0) : multiplied(b, decoded.get(rowVar.id)!, rowsEach)
      const rowEnd = (of: number): Value => (rowParts === 1 ? i32(of) : b.call('min', 'i32', plus(row0, i32(rowsEach)), i32(of)))
      const positions = units.map((v): [number, Value] => [g.grid.axes.find(a => a.column === v)!.position.id, decoded.get(v.id)!])
      const vars = new Map([...scope.vars, ...decoded, ...positions])
      const base = cut === undefined ? i32(0) : multiplied(b, from, slope(cut))
      const reach = cut === undefined ? 0 : countOf(cut, 1, cut.step?.size ?? 1)
      const here = cut === undefined ? i32(1) : plus(multiplied(b, b.call('sub', 'i32', columns, i32(1)), slope(cut)), i32(reach))
      const axes = layout(size, base, here).axes
      if (within) {
        tables(b, own)
        b.loop('panel', i32(0), i32(panels), 1, index => panel(b, vars, own, index))
      }
      fill(scope, vars, g.grid.expr, axes, spaceG, own, fresh, g.sizes)

      const groups = multiplied(b, columns, innerGroups)
      const lastGroup = b.call('sub', 'i32', groups, i32(1))
      const counted = [...(cut === undefined ? [] : [cut]), ...inner].map(a => axes.find(p => p.axis === a)!)
      const groupAt = groupPlace(b, unit, counted, laneGroups, fresh, own)
      classes.forEach((c, i) => {
        const chunk = Math.max(tileRows, Math.floor(rowElements / Math.max(1, c.count) / tileRows) * tileRows)
        const start = plus(within ? own : multiplied(b, which, packedElements * unit), i32(packedAt[i]! * unit))
        const table = { space: spaceT, at: within ? plus(own, i32(tableAt[i]! * unit)) : i32(tableAt[i]! * unit) }
        const left = (row: Value): Value => plus(start, multiplied(b, row, c.count * unit))
        const rowsEnd = rowEnd(mp)
        b.loop('chunk', row0, rowsEnd, Math.min(chunk, mp), first => {
          const end = chunk >= rowsEach ? rowsEnd : b.call('min', 'i32', plus(first, i32(chunk)), rowsEnd)
          b.loop('group', i32(0), groups, perTile, group => {
            const several = Array.from({ length: perTile }, (_, at) => groupAt(at === 0 ? group : b.call('min', 'i32', plus(group, i32(at)), lastGroup)))
            const sum = plus(plus(own, multiplied(b, group, 4 * unit)), i32(i * classElements * unit))
            b.loop('row', first, end, tileRows, row => {
              const at = plus(sum, multiplied(b, rowParts === 1 ? row : b.call('sub', 'i32', row, row0), rowStride * unit))
              tile(b, unit, {
                left: { space: spaceA, at: left(row) },
                right: { kind: 'grid', space: spaceG, groups: several, table },
                length: i32(c.count * tileRows * unit), fresh: true,
                sums: { space: spaceC, at, stride: rowStride, rows: Math.min(m, tileRows) },
              })
            })
          })
        })
      })

      // strides of the classes: the last axis fastest
      const classStride = (a: Axis): number => classElements * split.slice(split.indexOf(a) + 1).reduce((n, x) => n * x.by, 1)
      const innerStride = (i: number): number => 4 * laneGroups * inner.slice(i + 1).reduce((n, a) => n * columnsOf(a), 1)
      const line = (a: Axis, stride: number, start: Value, to: Value): Line =>
        ({ column: a.column!, from: multiplied(b, start, a.by), to, by: a.by, start, classes: classStride(a), stride })
      const cutEnd = cut === undefined ? i32(0) : b.call('min', 'i32', multiplied(b, plus(from, columns), cut.by), i32(cut.column!.size))
      epilogue(scope, vars, kernel.stores, {
        rows, from: row0, to: rowEnd(m), rowStride,
        lines: [
          ...(cut === undefined ? [] : [line(cut, innerGroups * 4, from, cutEnd)]),
          ...inner.map((a, i) => line(a, innerStride(i), i32(0), i32(a.column!.size))),
          line(lane, 1, i32(0), i32(lane.column!.size)),
        ],
        sums: (type, at) => b.load(type, spaceC, plus(own, at)),
      })
    })
    return b.finish(sizeOf(parts))
  }
  if (within) return { nests: [main()], scratch }
  const columns = sizeOf(units) * (cut === undefined ? 1 : columnsOf(cut)) * innerGroups * 4
  return { nests: [packing(), main()], scratch, shares: [packingShare(columns), 1] }
}
