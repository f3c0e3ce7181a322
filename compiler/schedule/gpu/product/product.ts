/**
 * Products - matrix products, convolutions and their gradients - on a grid of workgroups: each computes a tile of results in
 * registers, whose operands pass through workgroup memory (tiles.ts: which tile; staging.ts: how operands come; sums.ts: the
 * arithmetic and the stores). Padding, strides and what is applied to the operands disappear in the staging: the arithmetic is
 * that of a matrix product. A long sum over few results is cut into parts, whose tiles a second dispatch adds in a fixed order.
 *
 * Left to the schedules that give each result to a thread or a group of threads are products with fewer than three rows or
 * columns (matrix times vector, depthwise convolutions: no element of an operand serves two results of a tile), sums of fewer
 * than eight steps (outer products: the stores take longest), and those with fewer than 2^14 multiply-adds in all.
 */
import type { Names } from '../../choose.ts'
import type { Kernel, Var } from '../../kernel/kernel.ts'
import { expressions, loadsOf } from '../../kernel/walk.ts'
import { divided, multiplied } from '../../nest/builder.ts'
import type { Dialect } from '../../nest/expression.ts'
import type { Vars } from '../../nest/loops.ts'
import { type Value, i32 } from '../../nest/nest.ts'
import type { Alternatives, Dispatch, Dispatched, Shared } from '../dispatch.ts'
import { type Threads, openThreads } from '../threads.ts'
import { type Corner, cornersOf } from './corners.ts'
import { matrixWays, withMatrices } from './matrices.ts'
import type { MatrixCut } from './matrix-tiles.ts'
import { type Grid, type Sized, sized } from './sized.ts'
import { type Copies, type Side, type Way, copying, rowAt, stager } from './staging.ts'
import { type Sums, accumulate, finish, fresh, multiply, slotsFor, standOf, sumOfParts } from './sums.ts'
import { type Cut, type Size, alone, columnsOf, cutsFor, rowsOf, threadsOf, tilesOf } from './tiles.ts'

const [leastSide, leastSteps, leastWork] = [3, 8, 2 ** 14]
/** How many ways a device may choose from. */
const mostAlternatives = 4

const touched = (kernel: Kernel): ReadonlySet<number> => new Set([...loadsOf(expressions(kernel)).map(l => l.buffer), ...kernel.stores.map(s => s.buffer)])

/** One way to dispatch a product. */
const dispatched = ({ sides, ways, size }: Sized, { tile, parts: wished }: Cut, counters: readonly Var[], dialect: Dialect, names: Names): Dispatched => {
  const { kernel, batch, rows, columns, steps } = sides
  const [m, n, threads] = [rowsOf(tile), columnsOf(tile), threadsOf(tile)]
  const spaceOf = (way: Way, straight: boolean): number | null => (straight && way !== 'deep' ? null : names.space(1))
  const [spaceA, spaceB] = [spaceOf(ways.a, alone(tile)[0]), spaceOf(ways.b, alone(tile)[1])]
  const left: Side = { expr: sides.a, vars: rows, extent: m, padding: 0, way: ways.a, neighbours: ways.a !== 'spread', space: spaceA }
  const neighbours = ways.b === 'quads' || (ways.b === 'deep' && ways.vectors)
  const right: Side = { expr: sides.b, vars: columns, extent: n, padding: 0, way: ways.b, neighbours, space: spaceB }
  const [down, across] = [Math.ceil(size.rows / m), Math.ceil(size.columns / n)]
  const tiles = tilesOf(size, tile)
  const turns = Math.ceil(size.steps / tile.depth)
  const each = Math.ceil(turns / wished)
  const parts = Math.ceil(turns / each)
  const inside = { row: size.rows % m === 0, column: size.columns % n === 0 }
  const elements = (side: Side): number => (tile.buffers * tile.depth * side.extent) / 4
  const shared = [left, right].flatMap((side): readonly Shared[] =>
    side.space === null ? [] : [{ space: side.space, type: 'f32x4', elements: elements(side) }])

  const cornerOf = cornersOf({ batch, down, across, rows: m, columns: n })
  const results = (vars: Vars, copies: Copies) => ({ dialect, vars, stores: kernel.stores, rows, columns, inside, vectors: ways.vectors, copies })
  const vectors = 4 * tile.p * tile.q

  type Take = (scope: Threads, corner: Corner, copies: Copies, sums: Sums) => void
  /** The main dispatch; `take` gets the sums. */
  const main = (name: string, quads: ReadonlySet<number>, take: Take): Dispatch => {
    const scope = openThreads(name, counters, dialect)
    const { b, group, thread } = scope
    const part = parts === 1 ? i32(0) : divided(b, group, 'div', tiles)
    const corner = cornerOf(scope, parts === 1 ? group : divided(b, group, 'mod', tiles))
    const stand = standOf(b, thread, tile)
    const copies = copying()
    const place = { b, dialect, thread, threads, vars: corner.vars, copies }
    const summed = { vars: steps, depth: tile.depth, ragged: size.steps % tile.depth !== 0 }
    const sums = fresh(b, tile)
    const operands = [
      { side: left, stager: stager(place, left, corner.row, slotsFor(b, stand.down, tile.down, tile.p), summed) },
      { side: right, stager: stager(place, right, corner.column, slotsFor(b, stand.across, tile.across, tile.q), summed) },
    ] as const
    const from = multiplied(b, part, each)
    const next = b.call('add', 'i32', from, i32(each))
    const to = parts === 1 ? i32(turns) : turns % each === 0 ? next : b.call('min', 'i32', next, i32(turns))
    accumulate(b, tile, operands, from, to, bases => multiply(b, tile.depth, sums, operands, bases))
    sums.flat().forEach(b.settle)
    take(scope, corner, copies, sums)
    return { nest: b.finish(tiles * parts), threads, shared, quads }
  }

  if (parts === 1) {
    const whole = main(kernel.name, ways.quads, ({ b, thread }, corner, copies, sums) => {
      const stand = standOf(b, thread, tile)
      const [ups, sideways] = [slotsFor(b, stand.down, tile.down, tile.p), slotsFor(b, stand.across, tile.across, tile.q)]
      sums.forEach((row, r) => {
        const at = b.call('add', 'i32', corner.row, rowAt(b, left, ups[Math.floor(r / 4)]!, r % 4))
        row.forEach((sum, c) => finish(b, results(corner.vars, copies), right, at, corner.column, sideways[c]!, sum))
      })
    })
    return { dispatches: [whole], scratch: [] }
  }

  const space = names.space(1)
  /** Vector v of the sums of all threads of a tile lies together. */
  const placed = ({ b, thread }: Threads, at: Value, v: Value): Value =>
    multiplied(b, b.call('add', 'i32', multiplied(b, b.call('add', 'i32', multiplied(b, at, vectors), v), threads), thread), 4)
  const read = new Set(loadsOf([sides.a, sides.b]).map(l => l.buffer))
  const only = (buffers: ReadonlySet<number>): ReadonlySet<number> => new Set([...ways.quads].filter(q => buffers.has(q)).concat(space))
  const first = main(`${kernel.name}_parts`, only(read), (scope, _corner, _copies, sums) =>
    sums.flat().forEach((sum, v) => scope.b.store(space, placed(scope, scope.group, i32(v)), 0, sum)))

  const scope = openThreads(kernel.name, counters, dialect)
  const { b, group, thread } = scope
  const [tileAt, vector] = [divided(b, group, 'div', vectors), divided(b, group, 'mod', vectors)]
  const corner = cornerOf(scope, tileAt)
  const stand = standOf(b, thread, tile)
  const length = vectors * threads * 4 * tiles
  const sum = sumOfParts(b, space, placed(scope, tileAt, vector), parts, length)
  const [r, c] = tile.q === 1 ? [vector, i32(0)] : [divided(b, vector, 'div', tile.q), divided(b, vector, 'mod', tile.q)]
  const slotDown = b.call('add', 'i32', stand.down, multiplied(b, divided(b, r, 'div', 4), tile.down))
  const laneDown = divided(b, r, 'mod', 4)
  const row = left.neighbours ? b.call('add', 'i32', multiplied(b, slotDown, 4), laneDown) : b.call('add', 'i32', slotDown, multiplied(b, laneDown, m / 4))
  const slot = b.call('add', 'i32', stand.across, multiplied(b, c, tile.across))
  finish(b, results(corner.vars, copying()), right, b.call('add', 'i32', corner.row, row), corner.column, slot, sum)
  const written = ways.vectors ? touched({ ...kernel, reduction: null }) : new Set<number>()
  const second: Dispatch = { nest: b.finish(tiles * vectors), threads, shared: [], quads: only(written) }
  return { dispatches: [first, second], scratch: [{ space, bytes: 4 * length * parts, each: 'kernel' }] }
}

/** Whether tiles are better than a thread, or a group of threads, for each result. */
const worthwhile = ({ batch, rows, columns, steps }: Grid): boolean =>
  rows >= leastSide && columns >= leastSide && steps >= leastSteps && batch * rows * columns * steps >= leastWork

/** Schedules a product by one cut, worthwhile or not; null for a kernel of another kind, or whose residues are not alike. */
export const productBy = (kernel: Kernel, cut: (size: Size) => Cut, counters: readonly Var[], dialect: Dialect, names: Names): Dispatched | null => {
  const found = sized(kernel, counters, names, () => true)
  return found === null ? null : dispatched(found, cut(found.size), counters, dialect, names)
}

/**
 * Schedules a product, in so many ways at most; null where another schedule is better, or the kernel has to be parted by residues first.
 * `matrices`: besides them, behind all others, ways for devices with tensor cores, which need no more scratch memory than the others.
 */
export const product = (
  kernel: Kernel, counters: readonly Var[], dialect: Dialect, names: Names, most = mostAlternatives, matrices = false,
): Alternatives | null => {
  const found = sized(kernel, counters, names, worthwhile)
  if (found === null) return null
  const [first, ...others] = cutsFor(found.size).slice(0, Math.min(most, mostAlternatives)).map(cut => dispatched(found, cut, counters, dialect, names))
  if (first === undefined) return null
  const room = Math.max(...[first, ...others].map(({ scratch }) => scratch.reduce((n, { bytes }) => n + bytes, 0)))
  return [first, ...others, ...(matrices ? matrixWays(found, room, counters, dialect, names) : [])]
}

/** Schedules a product with matrices by one cut; null for a kernel of another kind, or whose residues are not alike. */
export const matricesBy = (kernel: Kernel, cut: (size: Size) => MatrixCut, counters: readonly Var[], dialect: Dialect, names: Names): Dispatched | null => {
  const found = sized(kernel, counters, names, () => true)
  return found === null ? null : withMatrices(found, cut(found.size), counters, dialect, names)
}
