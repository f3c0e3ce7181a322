/**
 * Products on tensor cores: the tiles, the staging and the stores of any product, but the sums are matrices that subgroups hold (matrix-tiles.ts
 * says which). Operands are rounded to half precision as they are stored to workgroup memory, sums are f32. There a step of an operand lies
 * behind the step before, so that its matrices are loaded as they stand, whatever padding, strides and functions the staging has done away with.
 *
 * In the end every subgroup stores one matrix after the other for all threads of the workgroup to read, four neighbouring results at a time; the
 * sums of a part go to memory straight away. Nothing is assumed of which threads make a subgroup, but for how many they are.
 */
import type { Names } from '../../choose.ts'
import type { Var } from '../../kernel/kernel.ts'
import { expressions, loadsOf } from '../../kernel/walk.ts'
import { type Builder, divided, multiplied } from '../../nest/builder.ts'
import type { Dialect } from '../../nest/expression.ts'
import type { Vars } from '../../nest/loops.ts'
import { type Local, type Matrix, type Value, apply, i32 } from '../../nest/nest.ts'
import type { Dispatch, Dispatched, Shared } from '../dispatch.ts'
import { type Threads, openThreads } from '../threads.ts'
import { type Corner, cornersOf } from './corners.ts'
import {
  type MatrixCut, type MatrixTile, matrixColumns, matrixCutsFor, matrixRows, matrixThreads, matrixTilesOf, padding, resultPitch, side, subgroupsOf,
} from './matrix-tiles.ts'
import type { Sized } from './sized.ts'
import { type Copies, type Side, copying, pitchOf, slotsOf, stager } from './staging.ts'
import { accumulate, finish, sumOfParts } from './sums.ts'
import type { Size } from './tiles.ts'

/** How many ways with matrices a device may choose from, besides those without: every one is a shader more in the program's file. */
const mostWays = ({ batch, rows, columns, steps }: Size): number => (batch * rows * columns * steps < 2 ** 28 ? 1 : 2)

/** Where the matrices of a subgroup begin in a tile, in rows and columns of 16. */
type Stand = { readonly down: Value; readonly across: Value }
const standOf = (b: Builder, subgroup: Value, { across, p, q }: MatrixTile): Stand => ({
  down: multiplied(b, across === 1 ? subgroup : divided(b, subgroup, 'div', across), p),
  across: multiplied(b, across === 1 ? i32(0) : divided(b, subgroup, 'mod', across), q),
})

const plus = (b: Builder, x: Value, y: Value): Value => b.call('add', 'i32', x, y)

/** The row of a tile whose elements lie at place `at` of every step. */
const rowIn = (b: Builder, of: Side, at: Value): Value =>
  of.neighbours ? at : plus(b, divided(b, at, 'div', 4), multiplied(b, divided(b, at, 'mod', 4), slotsOf(of)))

/** A product by one cut. */
export const withMatrices = (
  { sides, ways, size }: Sized, { tile, parts: wished }: MatrixCut, counters: readonly Var[], dialect: Dialect, names: Names,
): Dispatched => {
  const { kernel, batch, rows, columns, steps } = sides
  const [m, n, threads, subgroups] = [matrixRows(tile), matrixColumns(tile), matrixThreads(tile), subgroupsOf(tile)]
  const [spaceA, spaceB] = [names.space(1), names.space(1)]
  const left: Side = { expr: sides.a, vars: rows, extent: m, padding, way: ways.a, neighbours: ways.a !== 'spread', space: spaceA }
  const neighbours = ways.b === 'quads' || (ways.b === 'deep' && ways.vectors)
  const right: Side = { expr: sides.b, vars: columns, extent: n, padding, way: ways.b, neighbours, space: spaceB }
  const [down, across] = [Math.ceil(size.rows / m), Math.ceil(size.columns / n)]
  const tiles = matrixTilesOf(size, tile)
  const turns = Math.ceil(size.steps / tile.depth)
  const each = Math.ceil(turns / wished)
  const parts = Math.ceil(turns / each)
  const inside = { row: size.rows % m === 0, column: size.columns % n === 0 }
  const cornerOf = cornersOf({ batch, down, across, rows: m, columns: n })
  const results = (vars: Vars, copies: Copies) => ({ dialect, vars, stores: kernel.stores, rows, columns, inside, vectors: ways.vectors, copies })
  const staged = [left, right].map((of): Shared =>
    ({ space: of.space!, type: 'f32', elements: 4 * tile.buffers * tile.depth * pitchOf(of), kept: 'half' })) // both have a space, above

  type Sum = { readonly matrix: Matrix; readonly r: number; readonly c: number }
  type Take = (scope: Threads & { readonly subgroup: Local }, corner: Corner, copies: Copies, sums: readonly Sum[]) => void

  /** The main dispatch; `take` gets the sums. */
  const main = (name: string, shared: readonly Shared[], quads: ReadonlySet<number>, take: Take): Dispatch => {
    const scope = openThreads(name, counters, dialect)
    const { b, group, thread } = scope
    const subgroup = b.param('i32', 'subgroup')
    const part = parts === 1 ? i32(0) : divided(b, group, 'div', tiles)
    const corner = cornerOf(scope, parts === 1 ? group : divided(b, group, 'mod', tiles))
    const stand = standOf(b, subgroup, tile)
    const copies = copying()
    const place = { b, dialect, thread, threads, vars: corner.vars, copies }
    const summed = { vars: steps, depth: tile.depth, ragged: size.steps % tile.depth !== 0 }
    const sums = Array.from({ length: tile.p * tile.q }, (_, i): Sum =>
      ({ matrix: b.matrix('result', `c${Math.floor(i / tile.q)}_${i % tile.q}`), r: Math.floor(i / tile.q), c: i % tile.q }))
    sums.forEach(({ matrix }) => b.withMatrix({ op: 'zero', matrix }))
    const operands = [
      { side: left, stager: stager(place, left, corner.row, [], summed) },
      { side: right, stager: stager(place, right, corner.column, [], summed) },
    ] as const
    const own = [multiplied(b, stand.down, side), multiplied(b, stand.across, side)] as const
    const matrices = (role: 'left' | 'right', of: Side, base: Value, first: Value, count: number, step: number): readonly Matrix[] =>
      Array.from({ length: count }, (_, i) => {
        const matrix = b.matrix(role, role === 'left' ? 'a' : 'b')
        const stride = 4 * pitchOf(of)
        b.withMatrix({ op: 'load', matrix, space: of.space!, at: plus(b, multiplied(b, base, 4), first), offset: step * stride + side * i, stride })
        return matrix
      })
    const from = multiplied(b, part, each)
    const next = plus(b, from, i32(each))
    const to = parts === 1 ? i32(turns) : turns % each === 0 ? next : b.call('min', 'i32', next, i32(turns))
    accumulate(b, tile, operands, from, to, bases => {
      for (let step = 0; step < tile.depth; step += side) {
        const factors = [matrices('left', left, bases[0], own[0], tile.p, step), matrices('right', right, bases[1], own[1], tile.q, step)] as const
        sums.forEach(({ matrix, r, c }) => b.withMatrix({ op: 'multiply', matrix, left: factors[0][r]!, right: factors[1][c]! }))
      }
    })
    take({ ...scope, subgroup }, corner, copies, sums)
    return { nest: b.finish(tiles * parts), threads, shared: [...staged, ...shared], quads, subgroup }
  }

  if (parts === 1) {
    const space = names.space(1)
    const each = side * resultPitch
    const shared: Shared = { space, type: 'f32', elements: each * subgroups, kept: 'full' }
    const whole = main(kernel.name, [shared], ways.quads, ({ b, thread, subgroup }, corner, copies, sums) => {
      b.changes(space)
      const inMatrix = (side * side) / 4
      sums.forEach(({ matrix, r, c }, i) => {
        if (i > 0) b.barrier()
        b.withMatrix({ op: 'store', matrix, space, at: multiplied(b, subgroup, each), offset: 0, stride: resultPitch })
        b.barrier()
        for (let v = 0; v < (subgroups * inMatrix) / threads; v += 1) {
          const vector = plus(b, thread, i32(v * threads))
          const [of, within] = [divided(b, vector, 'div', inMatrix), divided(b, vector, 'mod', inMatrix)]
          const [row, quad] = [divided(b, within, 'div', side / 4), divided(b, within, 'mod', side / 4)]
          const stand = standOf(b, of, tile)
          const at = plus(b, plus(b, multiplied(b, of, each), multiplied(b, row, resultPitch)), multiplied(b, quad, 4))
          const four = apply('lanes', 'f32x4', ...[0, 1, 2, 3].map(lane => b.load('f32', space, at, lane)))
          const down = plus(b, multiplied(b, plus(b, stand.down, i32(r)), side), row)
          const slot = plus(b, multiplied(b, plus(b, stand.across, i32(c)), side / 4), quad)
          finish(b, results(corner.vars, copies), right, plus(b, corner.row, rowIn(b, left, down)), corner.column, slot, b.let(four, 'sum'))
        }
      })
    })
    return { dispatches: [whole], scratch: [] }
  }

  const space = names.space(1)
  const read = new Set(loadsOf([sides.a, sides.b]).map(l => l.buffer))
  const first = main(`${kernel.name}_parts`, [], new Set([...ways.quads].filter(q => read.has(q))), ({ b, group, subgroup }, _corner, _copies, sums) => {
    const stand = standOf(b, subgroup, tile)
    const own = plus(b, multiplied(b, plus(b, multiplied(b, group, m), multiplied(b, stand.down, side)), n), multiplied(b, stand.across, side))
    sums.forEach(({ matrix, r, c }) => b.withMatrix({ op: 'store', matrix, space, at: own, offset: side * (r * n + c), stride: n }))
  })

  const scope = openThreads(kernel.name, counters, dialect)
  const { b, group, thread } = scope
  const groups = (m * n) / 4 / threads
  const [tileAt, vector] = [divided(b, group, 'div', groups), plus(b, multiplied(b, divided(b, group, 'mod', groups), threads), thread)]
  const corner = cornerOf(scope, tileAt)
  const length = m * n * tiles
  const sum = sumOfParts(b, space, multiplied(b, plus(b, multiplied(b, tileAt, (m * n) / 4), vector), 4), parts, length)
  const [row, slot] = [divided(b, vector, 'div', n / 4), divided(b, vector, 'mod', n / 4)]
  finish(b, results(corner.vars, copying()), right, plus(b, corner.row, rowIn(b, left, row)), corner.column, slot, sum)
  const touched = new Set([...loadsOf(expressions({ ...kernel, reduction: null })).map(l => l.buffer), ...kernel.stores.map(s => s.buffer)])
  const written = ways.vectors ? [...ways.quads].filter(q => touched.has(q)) : []
  const second: Dispatch = { nest: b.finish(tiles * groups), threads, shared: [], quads: new Set([...written, space]) }
  return { dispatches: [first, second], scratch: [{ space, bytes: 4 * length * parts, each: 'kernel' }] }
}

/** Ways to schedule a product with matrices, the best first, that need no more than `room` bytes of scratch memory; none where none is worthwhile. */
export const matrixWays = (found: Sized, room: number, counters: readonly Var[], dialect: Dialect, names: Names): readonly Dispatched[] =>
  matrixCutsFor(found.size, room).slice(0, mostWays(found.size)).map(cut => withMatrices(found, cut, counters, dialect, names))
