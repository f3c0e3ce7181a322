/**
 * A kernel as a product for a grid of workgroups: its sides, how each of them is staged and stored whatever the tiles are, and its size, which
 * tiles are chosen by.
 */
import type { Names } from '../../choose.ts'
import { collapse } from '../../kernel/collapse.ts'
import { elementsRead } from '../../kernel/footprint.ts'
import type { Kernel, Var } from '../../kernel/kernel.ts'
import { loadsOf, walk } from '../../kernel/walk.ts'
import { type Composite, sizeOf } from '../../nest/composite.ts'
import { slow } from '../../nest/extent.ts'
import { quadsAlong } from '../elementwise.ts'
import { residues } from './residues.ts'
import { type Sides, isQuad, plainLoad, sectors, sidesOf } from './sides.ts'
import type { Way } from './staging.ts'
import type { Size } from './tiles.ts'

/** How each side is staged and stored, apart from tiles. */
export type Ways = { readonly a: Way; readonly b: Way; readonly vectors: boolean; readonly quads: ReadonlySet<number> }

/**
 * Vectors where everything that touches a buffer can take it in vectors: a buffer is one or the other. Elsewhere the way in
 * which fewer sectors of memory are touched.
 */
const waysOf = ({ kernel, rows, columns, steps, a, b }: Sides): Ways => {
  const scalar = (expr: Sides['a'], vars: Composite): Way => (sectors(expr, vars, 32) <= 4 * sectors(expr, steps, 8) ? 'spread' : 'deep')
  const last = (vars: Composite): Var | undefined => vars[vars.length - 1]
  const [loadA, loadB] = [plainLoad(a), plainLoad(b)]
  const own = (load: ReturnType<typeof plainLoad>, vars: Composite, others: readonly Sides['a'][]): number | null => {
    if (load === null || !isQuad(load.at, last(vars))) return null
    return loadsOf(others).some(l => l.buffer === load.buffer) || kernel.stores.some(s => s.buffer === load.buffer) ? null : load.buffer
  }
  const values = kernel.stores.map(s => s.value)
  const [quadA, quadB] = [own(loadA, rows, [b, ...values]), own(loadB, columns, [a, ...values])]
  const ways = { a: quadA === null ? scalar(a, rows) : 'quads', b: quadB === null ? scalar(b, columns) : 'quads' } as const
  const edge = last(columns)
  const stored = edge === undefined || ways.b === 'spread' ? null : quadsAlong({ ...kernel, reduction: null }, edge)
  // what the operands read one by one is stored one by one
  const single = new Set([...(ways.a === 'quads' ? [] : loadsOf([a])), ...(ways.b === 'quads' ? [] : loadsOf([b]))].map(l => l.buffer))
  const vectors = stored !== null && ![...stored].some(buffer => single.has(buffer))
  return { ...ways, vectors, quads: new Set([quadA, quadB, ...(vectors ? stored : [])].filter(x => x !== null)) }
}

/** Operations for one element of an operand, roughly: an address and a load, and those of its checks and of what is applied to it. */
const costOf = (way: Way, expr: Sides['a']): number => {
  let cost = 3
  walk([expr], e => {
    if (e.kind === 'when') cost += 1 + e.guards.length
    if (e.kind === 'op') cost += slow.has(e.prim) ? 20 : 1
    if (e.kind === 'random') cost += 80
    if (e.kind === 'load') cost += 2
  })
  return way === 'quads' ? 1 : cost
}

/** Steps after which the summed variables that only few elements lie between are back where they were. */
const tapsOf = ({ steps, a, b }: Sides): number => {
  const guarded = (): boolean => {
    let found = false
    walk([a, b], e => {
      found ||= e.kind === 'when'
    })
    return found
  }
  const taps = sizeOf(steps.slice(1))
  return steps.length > 1 && taps <= 16 && guarded() ? taps : 1
}

/** The sides of a product, how they are staged, and its size. */
export type Sized = { readonly sides: Sides; readonly ways: Ways; readonly size: Size }
export type Grid = Pick<Size, 'batch' | 'rows' | 'columns' | 'steps'>

/** The sides of a product and its size; null for a kernel of another kind, or whose residues are not alike, or that is not `wanted`. */
export const sized = (given: Kernel, counters: readonly Var[], names: Names, wanted: (grid: Grid) => boolean): Sized | null => {
  if (given.reduction?.kind !== 'product') return null
  const split = residues(given, names.variable, id => counters.find(c => c.id === id)?.size ?? 1)
  const sides = split === null ? null : sidesOf(collapse(split))
  if (sides === null) return null
  const [rows, columns, steps] = [sizeOf(sides.rows), sizeOf(sides.columns), sizeOf(sides.steps)]
  const grid: Grid = { batch: sizeOf(sides.batch), rows, columns, steps }
  if (!wanted(grid)) return null
  const ways = waysOf(sides)
  const read = [...elementsRead(given, () => 2 ** 28, counters).values()].reduce((n, m) => n + m, 0)
  const elements = read + given.stores.length * sizeOf(given.vars)
  const costs = [costOf(ways.a, sides.a), costOf(ways.b, sides.b)] as const
  const beside = [ways.a !== 'deep', ways.b !== 'deep'] as const
  return { sides, ways, size: { ...grid, elements, beside, taps: tapsOf(sides), costs } }
}
