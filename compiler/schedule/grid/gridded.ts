/** Which products are scheduled by grids, and what their operands are then. */
import { byStride } from '../nest/loops.ts'
import { kernelIndices } from '../kernel/collapse.ts'
import { strideAlong, varsOf } from '../kernel/dependence.ts'
import { type Axis, type Grid, columnsOf, gridOf, overlapOf } from './grid.ts'
import type { Expr, Index, Kernel, Var } from '../kernel/kernel.ts'
import { type Composite, sizeOf } from '../nest/composite.ts'

export type Gridded = {
  readonly kernel: Kernel
  readonly batch: Composite
  readonly rows: Composite
  readonly steps: Composite
  readonly a: Expr
  readonly grid: Grid
  /** The axis whose columns are neighbours in memory. */
  readonly lane: Axis
  readonly sizes: (id: number) => number
}

const indicesIn = (value: Expr): readonly Index[] => kernelIndices({ reduction: { kind: 'reduce', op: 'sum', vars: [], value, dtype: 'f32' }, stores: [] })

/** The index of an expression that names most of these variables, the first of several. */
export const firstRead = (expr: Expr, vars: Composite): Index | undefined => {
  const count = (i: Index): number => i.terms.filter(t => vars.some(v => t.atom.kind === 'var' && t.atom.id === v.id)).length
  return [...indicesIn(expr)].sort((x, y) => count(y) - count(x))[0]
}

/** Rows for which copying windows costs as much as the products of one row: with few rows, padded groups of columns are cheaper. */
const packingRows = 7

/** The axis along which to load vectors. */
const laneOf = (kernel: Kernel, grid: Grid, rows: number): Axis | null => {
  const indices = indicesIn(grid.expr)
  const unit = (all: readonly Index[], v: Var): number => all.filter(i => strideAlong(i, { id: v.id, aligned: true }) === 1).length
  const scored = grid.axes.flatMap(axis => {
    const { column, step, position } = axis
    if (column === null || step === null || columnsOf(axis) < 2) return []
    const waste = (Math.ceil(columnsOf(axis) / 4) * 4) / columnsOf(axis)
    if (axis.by === 1 && waste > 1.1 + packingRows / rows) return []
    return [{ axis, score: 4 * unit(kernel.stores.map(s => s.at), column) + 2 * unit(indices, position) - 4 * waste }]
  })
  return scored.sort((x, y) => y.score - x.score)[0]?.axis ?? null
}

/** The operands of a product that reads windows, or null where the schedule by packing is better. */
export const gridded = (kernel: Kernel, fresh: () => number, counter: (id: number) => number): Gridded | null => {
  const { reduction } = kernel
  if (reduction === null || reduction.kind !== 'product') return null
  const all = [...kernel.vars, ...reduction.vars]
  const sizes = (id: number): number => all.find(v => v.id === id)?.size ?? counter(id)
  const at = kernel.stores[0]?.at
  const [inA, inB] = [varsOf(reduction.a), varsOf(reduction.b)]
  const batch = byStride(kernel.vars.filter(v => inA.has(v.id) === inB.has(v.id)), at)
  const only = (x: ReadonlySet<number>, y: ReadonlySet<number>): Composite => byStride(kernel.vars.filter(v => x.has(v.id) && !y.has(v.id)), at)
  const options = [
    { a: reduction.a, b: reduction.b, rows: only(inA, inB), columns: only(inB, inA) },
    { a: reduction.b, b: reduction.a, rows: only(inB, inA), columns: only(inA, inB) },
  ].flatMap(({ a, b, rows, columns }) => {
    const steps = sizeOf(reduction.vars)
    if (sizeOf(columns) < 8 || steps < 8 || sizeOf(rows) * sizeOf(columns) * steps < 4096) return []
    const grid = gridOf(b, columns, byStride(reduction.vars, firstRead(b, reduction.vars)), fresh, sizes)
    if (grid === null || overlapOf(grid) < 1.8) return []
    const lane = laneOf(kernel, grid, sizeOf(rows))
    if (lane === null) return []
    const coef = (i: Index | undefined, v: Var): number => Math.abs(i?.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0)
    const first = firstRead(grid.expr, grid.axes.map(x => x.position))
    const axes = [...grid.axes].sort((x, y) => coef(first, y.position) - coef(first, x.position))
    return [{ overlap: overlapOf(grid), made: { kernel, batch, rows, steps: reduction.vars, a, grid: { ...grid, axes }, lane, sizes } }]
  })
  return options.sort((x, y) => y.overlap - x.overlap)[0]?.made ?? null
}
