/**
 * Tiles of results that a workgroup computes, and which of them fits a product.
 *
 * A thread keeps 4p x 4q sums in registers and for every step reads p + q vectors of four from workgroup memory. A
 * multiprocessor does 128 multiply-adds and reads 128 bytes of that memory in a clock, so that p = q = 2 (64 multiply-adds
 * for 64 bytes) balances without any help from broadcasts, 8 x 4 has two thirds and 4 x 4 half of that. 64 sums, 16 operands,
 * what is staged and addresses stay within 128 registers: 512 threads, of any number of workgroups, live on one
 * multiprocessor, enough to hide the latency of memory behind the arithmetic of others. Larger tiles read less from global
 * memory for each product (128 x 128: 1 byte for 16 multiply-adds, 64 x 64: 1 for 8); smaller ones give more workgroups.
 */
import { processors } from '../threads.ts'

export type Tile = {
  /** Threads down and across. */
  readonly down: number
  readonly across: number
  /** Vectors of four sums in a thread, down and across. */
  readonly p: number
  readonly q: number
  /** Steps of the sum between barriers. */
  readonly depth: number
  /** Two buffers of workgroup memory, filled in turn, with one barrier between; with one buffer it takes two barriers. */
  readonly buffers: 1 | 2
}
export const rowsOf = ({ down, p }: Tile): number => 4 * down * p
export const columnsOf = ({ across, q }: Tile): number => 4 * across * q
export const threadsOf = ({ down, across }: Tile): number => down * across
/** Bytes of workgroup memory. */
export const sharedBytes = (t: Tile): number => 4 * t.buffers * t.depth * (rowsOf(t) + columnsOf(t))

const shape = (down: number, across: number, p: number, q: number): Omit<Tile, 'depth' | 'buffers'> => ({ down, across, p, q })
/** All have powers of two, at most 256 threads, and at least two warps. */
const shapes = [
  shape(16, 16, 2, 2), shape(16, 8, 2, 2), shape(8, 16, 2, 2), shape(8, 8, 2, 2),
  shape(8, 16, 1, 2), shape(16, 8, 2, 1), shape(8, 8, 1, 2), shape(8, 8, 2, 1), shape(8, 8, 1, 1),
  shape(4, 32, 1, 2), shape(4, 16, 1, 2), shape(4, 16, 1, 1), shape(16, 4, 1, 1),
  shape(2, 32, 1, 1), shape(1, 64, 1, 1), shape(32, 2, 1, 1), shape(64, 1, 1, 1),
]

export type Size = {
  readonly batch: number
  readonly rows: number
  readonly columns: number
  readonly steps: number
  /** Steps after which the fastest summed variables are back where they were: a depth that it divides fixes them for each thread. */
  readonly taps: number
  /** Integer operations for one staged element, roughly, of the two operands. */
  readonly costs: readonly [number, number]
}
export type Cut = { readonly tile: Tile; readonly parts: number }

/** Vectors that a thread has under way for one step of the loop, at most. */
const mostStaged = 6
const stagedBy = (t: Omit<Tile, 'buffers'>): number =>
  [rowsOf({ ...t, buffers: 1 }), columnsOf({ ...t, buffers: 1 })].reduce((n, side) => n + Math.ceil((side * t.depth) / 4 / t.down / t.across), 0)

const tilesFor = ({ taps }: Size): readonly Tile[] =>
  shapes.flatMap(s => {
    const fits = [16, 8, 4].flatMap(depth => ([2, 1] as const).map((buffers): Tile => ({ ...s, depth, buffers })))
      .filter(t => sharedBytes(t) <= 16384 && (stagedBy(t) <= mostStaged || t.depth === 4))
    // the deepest, two buffers before one - but what fixes the taps comes first
    const whole = taps > 1 && taps <= 16 ? fits.find(t => t.depth % taps === 0) : undefined
    const first = whole ?? fits.find(t => t.buffers === 2) ?? fits[0]
    return first === undefined ? [] : [first]
  })

/** Clocks: until a dispatch begins; of a barrier and the waiting around it; and a second dispatch's share for each partial result. */
const [launch, waiting] = [6000, 60]
/** Bytes that one multiprocessor moves from far memory in a clock. */
const bandwidth = 12
/** Partial results, at most. */
const scratchBytes = 64 * 2 ** 20
const leastSteps = 256

export const tilesOf = (size: Size, t: Tile): number => size.batch * Math.ceil(size.rows / rowsOf(t)) * Math.ceil(size.columns / columnsOf(t))

/** Clocks that a product takes, roughly, on a device of `processors` multiprocessors. */
export const clocksOf = (size: Size, { tile: t, parts }: Cut): number => {
  const [m, n] = [rowsOf(t), columnsOf(t)]
  const groups = tilesOf(size, t) * parts
  const each = Math.ceil(groups / processors)
  const steps = Math.ceil(size.steps / parts / t.depth) * t.depth
  const threads = threadsOf(t)
  // of one workgroup, where others fill its pauses
  const arithmetic = (m * n) / 128
  const reading = (threads * (t.p + t.q)) / 16
  const staging = (m * size.costs[0] + n * size.costs[1]) / 96
  const busy = steps * (Math.max(arithmetic, reading * 0.75) + staging) + 0.02 * steps * threads / t.depth
  // and where it is alone: a step of the loop takes as long as its chain of dependent operations
  const live = Math.min(each, Math.floor(512 / threads))
  const alone = (steps / t.depth) * (waiting * (t.buffers === 1 ? 2 : 1) + t.depth * (4 * t.p * t.q + 12) + 300)
  const computing = Math.max(each * busy, Math.ceil(each / live) * alone) + 1500
  const bytes = 4 * size.batch * (size.steps * (size.rows + size.columns) + size.rows * size.columns)
  const adding = parts === 1 ? 0 : launch + (8 * groups * m * n) / (bandwidth * processors) + 40 * parts
  return Math.max(computing, bytes / (bandwidth * processors)) + adding
}

/** Into how many parts a sum may be cut so that there are enough workgroups. */
const partsFor = (size: Size, t: Tile): readonly number[] => {
  const tiles = tilesOf(size, t)
  const most = Math.min(Math.floor(size.steps / leastSteps), Math.floor(scratchBytes / (4 * tiles * rowsOf(t) * columnsOf(t))), Math.ceil((4 * processors) / tiles))
  const options = [1, ...[1, 2, 4].map(n => Math.floor((n * processors) / tiles))].filter(parts => parts === 1 || parts <= most)
  return [...new Set(most > 1 && tiles < processors ? [...options, most] : options)]
}

/** Parts of whole steps of the loop, none of them empty. */
const even = (size: Size, { tile, parts }: Cut): Cut => {
  const turns = Math.ceil(size.steps / tile.depth)
  return { tile, parts: Math.ceil(turns / Math.ceil(turns / parts)) }
}

/** Ways to cut a product, the best by the estimate above first: one for each tile. */
export const cutsFor = (size: Size): readonly Cut[] => {
  const best = tilesFor(size).map(tile => partsFor(size, tile).map(parts => even(size, { tile, parts })).reduce((x, y) => (clocksOf(size, y) < clocksOf(size, x) ? y : x)))
  return [...best].sort((x, y) => clocksOf(size, x) - clocksOf(size, y))
}
