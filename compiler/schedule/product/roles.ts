/**
 * The two sides of a product: variables in operand a only are rows, in b only columns, in both (or neither) batches; and how
 * the product is cut into parts.
 */
import { leastParts, partWork, roundUp } from './blocks.ts'
import { kernelIndices } from '../kernel/collapse.ts'
import { type Composite, sizeOf } from '../nest/composite.ts'
import { varsOf } from '../kernel/dependence.ts'
import type { Expr, Kernel, Var } from '../kernel/kernel.ts'
import { byStride, unitStrides } from '../nest/loops.ts'

/** What a packed block, and the sums of a block, may hold, in elements. */
const blockElements = 96 * 1024
export const sumElements = 512 * 1024
/** Elements of the side that is packed for all blocks, and of the panels of one turn. */
const packedElements = 1024 * 1024
/** The least width of a block. */
export const leastBlock = 16

export type Roles = { readonly batch: Composite; readonly rows: Composite; readonly columns: Composite; readonly a: Expr; readonly b: Expr }

const strideIn = (kernel: Kernel, v: Var): number => Math.abs(kernel.stores[0]?.at.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0)

/** Which operand gives the rows: the one that makes stores contiguous and wastes least of the tile. */
export const rolesOf = (kernel: Kernel, a: Expr, b: Expr): Roles => {
  const [inA, inB] = [varsOf(a), varsOf(b)]
  const at = kernel.stores[0]?.at
  const only = (x: ReadonlySet<number>, y: ReadonlySet<number>): Composite => byStride(kernel.vars.filter(v => x.has(v.id) && !y.has(v.id)), at)
  const batch = byStride(kernel.vars.filter(v => inA.has(v.id) === inB.has(v.id)), at)
  const steps = sizeOf(kernel.reduction?.vars ?? [])
  const cost = (rows: Composite, columns: Composite): number => {
    const last = columns[columns.length - 1]
    const unit = last !== undefined && strideIn(kernel, last) === 1
    return (roundUp(sizeOf(rows), 4) * roundUp(sizeOf(columns), 8) * steps) / 16 + sizeOf(rows) * sizeOf(columns) * (unit ? 1 : 4)
  }
  const [x, y] = [only(inA, inB), only(inB, inA)]
  return cost(x, y) <= cost(y, x) ? { batch, rows: x, columns: y, a, b } : { batch, rows: y, columns: x, a: b, b: a }
}

/** Products that pay for packing: fewer where columns are not neighbours in memory, which the direct schedule would have to gather. */
const [leastWork, leastGathered] = [4096, 512]

/** Whether packing pays: enough work per packed element, and a tile that is not mostly padding. */
export const worthwhile = ({ rows, columns, b }: Roles, steps: number): boolean => {
  const [m, n] = [sizeOf(rows), sizeOf(columns)]
  const lane = columns[columns.length - 1]
  const reads = kernelIndices({ reduction: { kind: 'reduce', op: 'sum', vars: [], value: b, dtype: 'f32' }, stores: [] })
  const least = lane === undefined || unitStrides(reads, lane) > 0 ? leastWork : leastGathered
  return m >= 2 && n >= 4 && steps >= 8 && m * n * steps >= least && (m * n) / (roundUp(m, 4) * roundUp(n, 8)) >= 0.4
}

export type Plan =
  /** Blocks of the longer side; the other one is packed by a nest of its own where it serves several. */
  | { readonly kind: 'blocks'; readonly block: number; readonly count: number }
  /** Parts of the sum, each with results of its own, added up by a nest of their own. */
  | { readonly kind: 'splits'; readonly each: number; readonly count: number }

/** How a product is cut: by its size alone. `depth` steps make a turn, of which there are `turns`. */
export const planOf = (mp: number, np: number, batch: number, steps: number, depth: number, turns: number): Plan => {
  const long = Math.max(mp <= np ? np : roundUp(mp, 8), 8)
  const short = mp <= np ? mp : np
  const wanted = Math.max(1, Math.min(Math.ceil((2 * leastParts) / batch), Math.floor((mp * np * steps) / partWork)))
  const fitting = Math.max(8, Math.floor(Math.min(blockElements / depth, sumElements / short) / 8) * 8)
  // where blocks are too few, and where the side packed for all of them would take long to write and to read again
  const narrow = 2 * Math.floor(long / leastBlock) < wanted
  const heavy = short * steps * batch > packedElements && (short + long) * depth <= packedElements
  if (wanted > 1 && (narrow || heavy) && turns >= 4 && short * long <= sumElements) {
    const each = Math.ceil(turns / Math.min(turns, leastParts / Math.min(batch, leastParts)))
    const count = Math.ceil(turns / each)
    if (count > 1) return { kind: 'splits', each, count }
  }
  const width = Math.max(leastBlock, roundUp(Math.ceil(long / wanted), 8))
  const block = Math.min(roundUp(long, 8), fitting, width)
  const even = roundUp(Math.ceil(long / Math.ceil(long / block)), 8)
  return { kind: 'blocks', block: even, count: Math.ceil(long / even) }
}
