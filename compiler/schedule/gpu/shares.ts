/**
 * How a reduction is shared out: results and lanes of a workgroup, and chunks of the terms. Every way is estimated in
 * nanoseconds on a large device; the figures are rough, and only have to tell few long sums from many short ones.
 */
import { powerAbove, processors } from './threads.ts'

/**
 * `outputs` times `lanes` threads make a workgroup; `chunks` of the terms are on their own. `across`: neighbouring threads have
 * neighbouring results, otherwise neighbouring terms.
 */
export type Shares = { readonly outputs: number; readonly lanes: number; readonly chunks: number; readonly across: boolean }

/** Sectors of memory (eight elements) that a load of n neighbouring results, or terms, touches. */
export type Reads = { readonly results: (n: number) => number; readonly terms: (n: number) => number }

/** Of a turn of a loop, with four loads under way; of one level of a tree; of a dispatch. Bytes moved in one. */
const [turn, level, launch, bandwidth] = [100, 80, 3000, 2500]
/** Threads that run at one time. */
const running = processors * 2048
const warp = 32

/** How many times as many sectors a warp touches as it has to; what it reads in vain is mostly found in a cache soon after. */
const spreadOf = (reads: Reads, { outputs, lanes, across }: Shares): number => {
  const side = across ? Math.min(warp, outputs) : warp / Math.min(warp, lanes)
  const deep = warp / side
  const touched = Math.min(side * reads.terms(deep), deep * reads.results(side))
  return Math.sqrt(Math.max(1, touched / (warp / 8)))
}

const timeOf = (results: number, terms: number, spread: number, { lanes, chunks }: Shares): number => {
  const turns = Math.ceil(terms / (lanes * chunks))
  const waves = Math.max(1, (results * lanes * chunks) / running)
  const reading = Math.max(turns * turn * waves, (4 * results * terms * spread) / bandwidth)
  const joining = chunks === 1 ? 0 : launch + Math.ceil(chunks / 32) * turn + (4 * results * chunks) / bandwidth
  return reading + Math.log2(lanes) * level + joining
}

/** Reductions of fewer terms in all are too short to measure; of so few terms each, a thread alone is best. */
const [worthMeasuring, fewTerms] = [2 ** 20, 64]
const mostWays = 3

/** Ways to share out a reduction, the one that takes least time by the estimate first; others only where they might be as good. */
export const sharesFor = (results: number, terms: number, reads: Reads, chunked: boolean): readonly [Shares, ...Shares[]] => {
  const powers = (from: number, to: number): readonly number[] => (from > to ? [] : [from, ...powers(2 * from, to)])
  const single: Shares = { outputs: results >= 2 * 256 * processors ? 256 : 64, lanes: 1, chunks: 1, across: true }
  const several = powers(2, Math.min(256, powerAbove(terms))).flatMap(lanes => {
    const most = Math.min(256 / lanes, powerAbove(results))
    const chunks = chunked ? [1, ...powers(2, Math.min(1024, Math.floor(terms / (lanes * 8))))] : [1]
    // a group is a warp at least, where there is as much to do; of two that are as good, the larger
    const sizes = [...powers(1, most).filter(n => n === most || n * lanes >= warp)].reverse()
    return [false, true].flatMap(across => (across ? sizes : [most]).flatMap(outputs => chunks.map((c): Shares => ({ outputs, lanes, chunks: c, across }))))
  })
  const spread = new Map<string, number>()
  const timed = [single, ...several].map(shares => {
    const key = `${shares.across} ${shares.across ? shares.outputs : shares.lanes}`
    const known = spread.get(key) ?? spreadOf(reads, shares)
    spread.set(key, known)
    return { shares, time: timeOf(results, terms, known, shares) }
  })
  const ranked = [...timed].sort((x, y) => x.time - y.time)
  const [best] = ranked
  if (best === undefined) return [single]
  if (results * terms < worthMeasuring || !chunked || (best.shares.lanes === 1 && terms <= fewTerms)) return [best.shares]
  // one for each number of lanes
  const others = ranked.filter((x, i) => x.time < 1.5 * best.time && ranked.findIndex(y => y.shares.lanes === x.shares.lanes) === i && x !== best)
  return [best.shares, ...others.slice(0, mostWays - 1).map(x => x.shares)]
}
