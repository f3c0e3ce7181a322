/**
 * How a product over a grid (grid.ts) is cut into parts: its columns into blocks whose grid and sums fit the cache, its rows
 * too where there are few columns; and the classes of columns that meet the same steps.
 */
import { leastParts, partWork, roundUp, rowElements } from '../product/blocks.ts'
import { type Composite, sizeOf } from '../nest/composite.ts'
import { countOf, placed } from './fill.ts'
import { type Axis, columnsOf, inClass, stepsOf } from './grid.ts'
import { type Gridded, firstRead } from './gridded.ts'
import type { Expr } from '../kernel/kernel.ts'
import { byStride } from '../nest/loops.ts'
import { type Value, i32 } from '../nest/nest.ts'
import { groupsOf, tileRows } from '../product/tile.ts'

/** Elements of a block: of its grid, and of its sums. */
const gridElements = 48 * 1024
const sumElements = 64 * 1024
/** Beyond this a grid is not kept whole for even one row of columns. */
const mostElements = 256 * 1024
/** Columns of a block that are few for the rows that pass by, and enough. */
const fewColumns = 128
const enoughColumns = 256
/** Rows of a part, at least. */
const leastRows = 32

/** Columns that meet the same steps: one residue of each axis that has residues. */
export type Class = { readonly rests: ReadonlyMap<Axis, number>; readonly steps: Composite; readonly a: Expr; readonly count: number }

const classesOf = (g: Gridded, order: Composite, split: readonly Axis[], fresh: () => number): readonly Class[] => {
  const rests = split.reduce<readonly ReadonlyMap<Axis, number>[]>(
    (all, a) => all.flatMap(m => Array.from({ length: a.by }, (_, r) => new Map([...m, [a, r]]))), [new Map()])
  return rests.map(rests => {
    const renamed = split.flatMap(a => {
      const { first, size } = stepsOf(a, rests.get(a)!)
      return a.step === null ? [] : [{ step: a.step, to: { id: fresh(), size, name: a.step.name }, by: a.by, first }]
    })
    const steps = order.map(s => renamed.find(x => x.step === s)?.to ?? s)
    return { rests, steps, a: inClass(g.a, renamed, g.sizes), count: sizeOf(steps) }
  })
}

export type Plan = {
  /** Whether rows serve one part only, and are packed there. */
  readonly within: boolean
  readonly order: Composite
  /** Axes with residues, and their classes, the last axis fastest. */
  readonly split: readonly Axis[]
  readonly classes: readonly Class[]
  /** Columns of single positions: each value is a block of its own. */
  readonly units: Composite
  /** The axis whose columns are cut, `size` to a block; those that a block has whole. */
  readonly cut: Axis | undefined
  readonly size: number
  readonly cuts: number
  readonly inner: readonly Axis[]
  /** Groups of four columns along the lane, and for each column of the cut. */
  readonly laneGroups: number
  readonly innerGroups: number
  /** Rows of a part, and of how many parts. */
  readonly rowsEach: number
  readonly rowParts: number
  /** Groups of a tile. */
  readonly perTile: number
  readonly layout: (count: number, from: Value, here: Value) => ReturnType<typeof placed>
}

/**
 * Blocks are whole in all columns but those of single positions and the first of the windows, or, where that leaves few
 * columns, hold several of the single positions.
 */
export const planOf = (g: Gridded, fresh: () => number): Plan | null => {
  const { batch, rows, lane } = g
  const order = byStride(g.steps, firstRead(g.a, g.steps))
  const windows = g.grid.axes.filter(a => a.column !== null && a.step !== null && a !== lane)
  const split = [...windows, lane].filter(a => a.by > 1)
  const classes = classesOf(g, order, split, fresh)
  const laneGroups = Math.ceil(columnsOf(lane) / 4)
  const single = g.grid.axes.filter(a => a.column !== null && a.step === null)
  const last = windows.reduce((n, a) => n * columnsOf(a), 4 * laneGroups) < fewColumns ? single[single.length - 1] : undefined
  const units = single.filter(a => a !== last).map(a => a.column!)
  const whole = last === undefined ? windows : [last, ...windows]
  const cut: Axis | undefined = whole[0]
  const inner = whole.slice(1)
  const cutColumns = cut === undefined ? 1 : columnsOf(cut)
  const alone = g.grid.axes.filter(a => a.column === null)
  const innerGroups = inner.reduce((n, a) => n * columnsOf(a), 1) * laneGroups
  const mp = roundUp(sizeOf(rows), tileRows)
  const blocks = sizeOf(batch) * sizeOf(units)
  const layout = (count: number, from: Value, here: Value) => {
    const all = (axis: Axis) => ({ axis, count: axis.position.size, base: i32(0), here: i32(axis.position.size) })
    const first = cut === undefined ? [] : [{ axis: cut, count: countOf(cut, count, cut.step?.size ?? 1), base: from, here }]
    return placed([...alone.map(all), ...first, ...inner.map(all), all(lane)])
  }
  const perColumn = classes.reduce((n, c) => n + c.count, 0) * mp
  // with parts enough in the batch, blocks may be larger: few rows can then be packed for one part alone
  const few = sizeOf(batch) >= leastParts && perColumn <= 4 * rowElements
  const room = few ? 4 : 1
  const work = perColumn * cutColumns * innerGroups * 4 * blocks
  const wanted = Math.min(leastParts, Math.ceil(work / partWork))
  const elementsOf = (count: number): number => layout(count, i32(0), i32(0)).elements
  const sumsOf = (count: number): number => classes.length * mp * count * innerGroups * 4
  const fits = (count: number): boolean =>
    elementsOf(count) <= room * gridElements && sumsOf(count) <= room * sumElements &&
    blocks * Math.ceil(cutColumns / count) >= Math.min(wanted, blocks * cutColumns) &&
    (last === undefined || count * innerGroups * 4 <= room * enoughColumns)
  // the most that fit: fewer always do
  let [most, tooMany] = [1, cutColumns + 1]
  while (tooMany - most > 1) {
    const middle = (most + tooMany) >> 1
    if (fits(middle)) most = middle
    else tooMany = middle
  }
  const cuts = Math.ceil(cutColumns / most)
  const size = Math.ceil(cutColumns / cuts)
  // rows, too, where columns do not give parts enough
  const rowsEach = roundUp(Math.max(leastRows, Math.ceil(mp / Math.ceil(wanted / (blocks * cuts)))), tileRows)
  const rowParts = Math.ceil(mp / rowsEach)
  if (elementsOf(size) > mostElements || sumsOf(size) / rowParts > 4 * sumElements) return null
  const perTile = groupsOf(sizeOf(rows))
  const within = few && sizeOf(units) * cuts * rowParts === 1
  return { within, order, split, classes, units, cut, size, cuts, inner, laneGroups, innerGroups, rowsEach: Math.min(mp, rowsEach), rowParts, perTile, layout }
}
