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
/** An operand each of whose elements serves one thread alone needs no workgroup memory: the columns of one row of threads, the rows of one column. */
export const alone = ({ down, across }: Tile): readonly [rows: boolean, columns: boolean] => [across === 1, down === 1]

const shape = (down: number, across: number, p: number, q: number): Omit<Tile, 'depth' | 'buffers'> => ({ down, across, p, q })
/** All have powers of two, at most 256 threads, and at least two warps. */
const shapes = [
  shape(16, 16, 2, 2), shape(16, 8, 2, 2), shape(8, 16, 2, 2), shape(8, 8, 2, 2), shape(16, 16, 1, 1),
  shape(8, 16, 2, 1), shape(8, 16, 1, 2), shape(16, 8, 2, 1), shape(8, 8, 1, 2), shape(8, 8, 2, 1), shape(8, 16, 1, 1), shape(8, 8, 1, 1),
  shape(4, 32, 1, 2), shape(4, 16, 1, 2), shape(4, 16, 1, 1), shape(16, 4, 1, 1),
  shape(2, 32, 1, 1), shape(1, 64, 2, 1), shape(1, 64, 1, 1), shape(32, 2, 1, 1), shape(64, 1, 1, 2), shape(64, 1, 1, 1),
]

export type Size = {
  readonly batch: number
  readonly rows: number
  readonly columns: number
  readonly steps: number
  /** Elements of memory that are read or written, each once. */
  readonly elements: number
  /** Whether threads that read rows (columns) of their own read beside each other. */
  readonly beside: readonly [boolean, boolean]
  /** Steps after which the fastest summed variables are back where they were: a depth that it divides fixes them for each thread. */
  readonly taps: number
  /** Integer operations for one staged element, roughly, of the two operands, where the depth of a tile is a multiple of `taps`; else twice as many. */
  readonly costs: readonly [number, number]
}
export type Cut = { readonly tile: Tile; readonly parts: number }

/** Vectors that a thread has under way for one step of the loop, at most. */
const mostStaged = 8
/** Registers for what is staged and for the sums, at most, in vectors: with operands and addresses they stay within 128 registers. */
const mostVectors = 22
/** Which operands go straight to the threads. */
const directIn = ({ beside }: Size, t: Tile): readonly [boolean, boolean] => [alone(t)[0] && beside[0], alone(t)[1] && beside[1]]
const sidesOf = (size: Size, t: Tile): readonly { readonly extent: number; readonly direct: boolean }[] =>
  [rowsOf(t), columnsOf(t)].map((extent, i) => ({ extent, direct: directIn(size, t)[i]! }))
/** Vectors that a thread holds of both operands: what goes straight to it is held twice, for this turn and for the next. */
const stagedBy = (size: Size, t: Tile): number =>
  sidesOf(size, t).reduce((n, { extent, direct }) => n + Math.ceil((extent * t.depth) / 4 / threadsOf(t)) * (direct ? 2 : 1), 0)
/** Bytes of workgroup memory. */
const sharedBytes = (size: Size, t: Tile): number => sidesOf(size, t).reduce((n, { extent, direct }) => n + (direct ? 0 : 4 * t.buffers * t.depth * extent), 0)

const tilesFor = (size: Size): readonly Tile[] =>
  shapes.flatMap(s => {
    const light = (t: Tile): boolean => {
      const staged = stagedBy(size, t)
      return (staged <= (directIn(size, t).includes(true) ? mostVectors : mostStaged) && staged + 4 * t.p * t.q <= mostVectors) || t.depth === 4
    }
    const all = ([2, 1] as const).flatMap(buffers => [32, 16, 8, 4].map((depth): Tile => ({ ...s, depth, buffers })))
    const fits = all.filter(t => sharedBytes(size, t) <= 16384 && light(t))
    // two buffers before one, the deepest first - but what fixes the taps before all else
    const first = fits.find(t => t.depth % size.taps === 0) ?? fits[0]
    return first === undefined ? [] : [first]
  })

/** Clocks: until a dispatch begins; of a barrier and the waiting around it; until what is read from far memory is there. */
const [launch, waiting, latency] = [5000, 60, 500]
/** Bytes that one multiprocessor moves in a clock: from far memory, from the cache that all share, and from workgroup memory. */
const [far, cached, near] = [12, 24, 128]
/** Partial results, at most. */
const scratchBytes = 64 * 2 ** 20
const leastSteps = 256

export const tilesOf = (size: Size, t: Tile): number => size.batch * Math.ceil(size.rows / rowsOf(t)) * Math.ceil(size.columns / columnsOf(t))

/** Clocks that a product takes, roughly, on a device of `processors` multiprocessors. */
export const clocksOf = (size: Size, { tile: t, parts }: Cut): number => {
  const [m, n, threads] = [rowsOf(t), columnsOf(t), threadsOf(t)]
  const groups = tilesOf(size, t) * parts
  const turns = Math.ceil(size.steps / parts / t.depth)
  const [a, b] = t.depth % size.taps === 0 ? size.costs : size.costs.map(c => 2 * c) as [number, number]
  // a step of one workgroup, whose pauses others fill: arithmetic, or what hides it, and the integers of staging
  const [straightA, straightB] = directIn(size, t)
  const vectors = (straightA ? 0 : t.p) + (straightB ? 0 : t.q)
  const working = Math.max((m * n) / 128, (0.85 * 16 * threads * vectors) / near, (4 * (m + n)) / cached) + (m * a + n * b) / 96
  // a turn of one that is alone: a warp issues an instruction in a clock, four warps at a time
  const single = Math.max(t.depth * (16 * t.p * t.q + 12) * Math.max(1, threads / 128), latency) + (3 - t.buffers) * waiting + 100
  const each = Math.ceil(groups / processors)
  const live = Math.max(1, Math.min(each, Math.floor((1280 - 192 * t.p * t.q) / threads)))
  const computing = (each / live) * turns * Math.max(live * t.depth * working, single)
  const moving = (4 * size.elements) / (far * processors)
  const adding = parts === 1 ? 0 : launch + (8 * groups * m * n) / (cached * processors) + 40 * parts
  // where memory sets the pace, the tile that computes less in vain still wins
  return Math.max(computing + latency, moving) + 0.05 * computing + adding
}

/** Into how many parts a sum may be cut so that there are enough workgroups. */
const partsFor = (size: Size, t: Tile): readonly number[] => {
  const tiles = tilesOf(size, t)
  const room = Math.floor(scratchBytes / (4 * tiles * rowsOf(t) * columnsOf(t)))
  const most = Math.min(Math.floor(size.steps / leastSteps), room, Math.ceil((4 * processors) / tiles))
  const options = [1, ...[1, 2, 4].map(n => Math.floor((n * processors) / tiles))].filter(parts => parts === 1 || parts <= most)
  return [...new Set(most > 1 && tiles < processors ? [...options, most] : options)]
}

/** Parts of whole turns of the loop, none of them empty. */
const even = (size: Size, { tile, parts }: Cut): Cut => {
  const turns = Math.ceil(size.steps / tile.depth)
  return { tile, parts: Math.ceil(turns / Math.ceil(turns / parts)) }
}

/** Ways to cut a product, the best by the estimate above first: one for each tile. */
export const cutsFor = (size: Size): readonly Cut[] => {
  const timed = (cut: Cut): { readonly cut: Cut; readonly clocks: number } => ({ cut, clocks: clocksOf(size, cut) })
  const best = tilesFor(size).map(tile => partsFor(size, tile).map(parts => timed(even(size, { tile, parts }))).reduce((x, y) => (y.clocks < x.clocks ? y : x)))
  return best.sort((x, y) => x.clocks - y.clocks).map(({ cut }) => cut)
}
