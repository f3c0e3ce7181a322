/**
 * Tiles of results whose sums subgroups hold as matrices, on tensor cores, and which of them fits a product.
 *
 * A subgroup keeps p x q matrices of 16 x 16 sums, eight registers of each thread for every one, and reads p + q matrices for p * q products
 * of 16 steps: the more of them, the less is read from workgroup memory for each. Tensor cores take in a clock what eight ordinary ones do,
 * so that moving operands, from far and through workgroup memory, decides: tiles are as large as registers allow.
 */
import { mostMatrixBytes, subgroupThreads } from '../dispatch.ts'
import { processors } from '../threads.ts'
import type { Size } from './tiles.ts'

export type MatrixTile = {
  /** Subgroups down and across. */
  readonly down: number
  readonly across: number
  /** Matrices of 16 x 16 sums in a subgroup, down and across. */
  readonly p: number
  readonly q: number
  /** Steps of the sum between barriers, a multiple of 16. */
  readonly depth: number
  /** See `Tile`. */
  readonly buffers: 1 | 2
}
export type MatrixCut = { readonly tile: MatrixTile; readonly parts: number }

export const side = 16
export const matrixRows = ({ down, p }: MatrixTile): number => side * down * p
export const matrixColumns = ({ across, q }: MatrixTile): number => side * across * q
export const subgroupsOf = ({ down, across }: MatrixTile): number => down * across
export const matrixThreads = (tile: MatrixTile): number => subgroupThreads * subgroupsOf(tile)

/** Slots left free behind every step of an operand: eight steps of eight rows then lie in different banks of memory. */
export const padding = 2
/** From a row of results to the next, where each subgroup stores one matrix for its threads to read. */
export const resultPitch = 20

/** Bytes of workgroup memory. */
export const matrixBytes = (tile: MatrixTile): number =>
  2 * tile.buffers * tile.depth * (matrixRows(tile) + matrixColumns(tile) + 8 * padding) + 4 * side * resultPitch * subgroupsOf(tile)

const shape = (down: number, across: number, p: number, q: number) => ({ down, across, p, q })
/** All have powers of two, and four or eight subgroups. */
const shapes = [
  shape(2, 4, 4, 2), shape(2, 2, 4, 2), shape(2, 2, 2, 4), shape(2, 2, 2, 2), shape(2, 2, 1, 2), shape(2, 2, 2, 1), shape(2, 2, 1, 1),
  shape(1, 4, 2, 1), shape(1, 4, 1, 2), shape(4, 1, 2, 1),
]

/** Vectors of four that a thread has under way, at most: with 64 sums, 48 registers of operands and addresses that is what 168 registers hold. */
const mostStaged = 8

const tilesFor = (size: Size): readonly MatrixTile[] =>
  shapes.flatMap(s => {
    const all = ([2, 1] as const).flatMap(buffers => [32, 16].map((depth): MatrixTile => ({ ...s, depth, buffers })))
    const staged = (t: MatrixTile): number => ((matrixRows(t) + matrixColumns(t)) * t.depth) / 4 / matrixThreads(t)
    const fits = all.filter(t => matrixBytes(t) <= mostMatrixBytes && staged(t) <= mostStaged)
    const first = fits.find(t => t.depth % size.taps === 0) ?? fits[0]
    return first === undefined ? [] : [first]
  })

/** Clocks until a dispatch begins, of a barrier and the waiting around it, and until what is read from far memory is there. */
const [launch, waiting, latency] = [5000, 60, 500]
/** Bytes that a multiprocessor moves in a clock, from far memory and from the cache that all share; multiply-adds of its tensor cores. */
const [far, cached, products] = [12, 24, 512]
const [leastSteps, leastSide] = [256, 16]

export const matrixTilesOf = (size: Size, tile: MatrixTile): number =>
  size.batch * Math.ceil(size.rows / matrixRows(tile)) * Math.ceil(size.columns / matrixColumns(tile))

/** Clocks that a product takes, roughly. */
const clocksOf = (size: Size, { tile: t, parts }: MatrixCut): number => {
  const [m, n, threads] = [matrixRows(t), matrixColumns(t), matrixThreads(t)]
  const groups = matrixTilesOf(size, t) * parts
  const turns = Math.ceil(size.steps / parts / t.depth)
  const [a, b] = t.depth % size.taps === 0 ? size.costs : size.costs.map(c => 2 * c) as [number, number] // both of the two
  const step = Math.max((m * n) / products, (4 * (m + n)) / cached) + (m * a + n * b) / 96
  const single = latency + (3 - t.buffers) * waiting + 100
  const each = Math.ceil(groups / processors)
  const live = Math.max(1, Math.min(each, Math.floor((t.p * t.q > 4 ? 512 : 768) / threads)))
  const computing = (each / live) * turns * Math.max(live * t.depth * step, single)
  const adding = parts === 1 ? 0 : launch + (8 * groups * m * n) / (cached * processors) + 40 * parts
  return Math.max(computing + latency, (4 * size.elements) / (far * processors)) + 0.05 * computing + adding
}

/** Into how many parts a sum may be cut, their results in no more than `room` bytes. */
const partsFor = (size: Size, tile: MatrixTile, room: number): readonly number[] => {
  const tiles = matrixTilesOf(size, tile)
  const most = Math.min(Math.floor(size.steps / leastSteps), Math.floor(room / (4 * tiles * matrixRows(tile) * matrixColumns(tile))))
  return [1, ...[1, 2, 4].map(n => Math.floor((n * processors) / tiles)).filter(parts => parts > 1 && parts <= most)]
}

/** Parts of whole turns of the loop, none of them empty. */
const even = (size: Size, { tile, parts }: MatrixCut): MatrixCut => {
  const turns = Math.ceil(size.steps / tile.depth)
  return { tile, parts: Math.ceil(turns / Math.ceil(turns / parts)) }
}

/** Ways to cut a product, the best by the estimate above first, one for each tile; none for one that would leave most of a matrix empty. */
export const matrixCutsFor = (size: Size, room: number): readonly MatrixCut[] => {
  if (size.rows < leastSide || size.columns < leastSide || size.steps < leastSide) return []
  const best = tilesFor(size).map(tile =>
    partsFor(size, tile, room).map(parts => even(size, { tile, parts })).map(cut => ({ cut, clocks: clocksOf(size, cut) }))
      .reduce((x, y) => (y.clocks < x.clocks ? y : x)))
  return best.sort((x, y) => x.clocks - y.clocks).map(({ cut }) => cut)
}
