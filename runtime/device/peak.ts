/**
 * What one thread of this machine computes at best, in floating-point operations a second, measured with tiny modules that
 * are assembled here. Speeds of programs are reported as shares of it, since absolute figures differ from machine to machine
 * and from minute to minute. Two figures: independent multiply-adds in registers, which no program reaches, and the inner
 * loop of a matrix product over packed panels in the first cache, which a good one does.
 */
import {
  add, advance, below, bestRate, f32, firstLane, functionsOf, get, i32, load, loadSplat, loop, moduleOf, multiplyAdd, set, splat, times, type Made,
} from './assemble.ts'

/** Independent chains, enough to hide the latency of a multiply-add, few enough for 16 registers. */
const chains = 12
const unroll = 4
const flopsPerTurn = chains * unroll * 4 * 2

/** `peak(turns)`: locals 1 to 12 are the chains x = x * a + b, 13 is a, 14 is b. */
const registers = (fma: boolean): Made => {
  const [a, b] = [chains + 1, chains + 2]
  return {
    name: 'peak', params: 1, returns: 'f32', locals: { i32: 0, v128: chains + 2 },
    body: [
      ...times(chains, i => [...f32(i / 8), ...splat, ...set(i + 1)]),
      ...f32(0.5), ...splat, ...set(a),
      ...f32(0.25), ...splat, ...set(b),
      ...loop([...times(unroll, () => times(chains, i => [...multiplyAdd(fma, get(i + 1), get(a), get(b)), ...set(i + 1)])), ...advance(0, -1)]),
      ...get(1), ...times(chains - 1, i => [...get(i + 2), ...add]), ...firstLane,
    ],
  }
}

/** A register tile of a matrix product: rows, vectors of four columns, steps of the inner loop written out. */
type Tile = { readonly rows: number; readonly vectors: number; readonly unroll: number }
/** What suits the engines that there are; the best of them counts. */
const tiles: readonly Tile[] = [{ rows: 4, vectors: 2, unroll: 1 }, { rows: 6, vectors: 2, unroll: 1 }, { rows: 6, vectors: 2, unroll: 2 }]
/** Terms of a sum: both panels together take about a third of a first cache of 32 KiB. */
const depth = 192
const panelB = 16384

/** `gemmN(turns)`: each turn is one tile, sums over packed panels of `depth` steps; locals 1 and 2 point into them. */
const product = (fma: boolean, { rows, vectors, unroll }: Tile, at: number): Made => {
  const [a, b] = [1, 2]
  const [sums, column, row] = [3, 3 + rows * vectors, 3 + rows * vectors + vectors]
  const step = (k: number) => [
    ...times(vectors, v => [...load(get(b), 16 * (k * vectors + v)), ...set(column + v)]),
    ...times(rows, r => [
      ...loadSplat(get(a), 4 * (k * rows + r)), ...set(row),
      ...times(vectors, v => [...multiplyAdd(fma, get(row), get(column + v), get(sums + r * vectors + v)), ...set(sums + r * vectors + v)]),
    ]),
  ]
  return {
    name: `gemm${at}`, params: 1, returns: 'f32', locals: { i32: 2, v128: rows * vectors + vectors + 1 },
    body: [
      ...loop([
        ...i32(0), ...set(a), ...i32(panelB), ...set(b),
        ...loop([
          ...times(unroll, step), ...advance(a, 4 * rows * unroll), ...set(a),
          ...advance(b, 16 * vectors * unroll), ...i32(panelB + 16 * vectors * depth), ...below,
        ]),
        ...advance(0, -1),
      ]),
      ...get(sums), ...times(rows * vectors - 1, i => [...get(sums + 1 + i), ...add]), ...firstLane,
    ],
  }
}

const assemble = (fma: boolean): Uint8Array => moduleOf(1, [registers(fma), ...tiles.map((tile, i) => product(fma, tile, i))])

/** The better module that the engine accepts: relaxed fused multiply-add where it has it (the host's `prepare` comes first on Node 20). */
const chosen = (): { readonly fma: boolean; readonly named: ReturnType<typeof functionsOf> } => {
  const fused = assemble(true)
  const fma = WebAssembly.validate(fused)
  return { fma, named: functionsOf(fma ? fused : assemble(false)) }
}

export type Peak = { readonly gflops: number; readonly fma: boolean }

/** Multiply-adds in registers, best of several runs over about so many milliseconds. */
export const measurePeak = (milliseconds = 200): Peak => {
  const { fma, named } = chosen()
  const peak = named('peak')
  const turns = 20_000
  return { gflops: bestRate(milliseconds, turns * flopsPerTurn, () => peak(turns)) / 1e6, fma }
}

/** GFLOP/s of a packed inner loop, of the tile that does best here. */
export const measureProduct = (milliseconds = 200): number => {
  const { named } = chosen()
  const turns = 256
  return Math.max(...tiles.map(({ rows, vectors }, i) => {
    const gemm = named(`gemm${i}`)
    return bestRate(milliseconds / tiles.length, 2 * rows * 4 * vectors * depth * turns, () => gemm(turns)) / 1e6
  }))
}
