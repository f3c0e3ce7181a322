/**
 * This machine's peak: how many floating-point operations a second one thread reaches with nothing but independent SIMD
 * multiply-adds in registers, measured with a tiny module that is assembled here, byte by byte. Speeds of programs are
 * reported as shares of it, since absolute figures differ from machine to machine and from minute to minute.
 */

/** Independent chains, enough to hide the latency of a multiply-add, few enough for 16 registers. */
const chains = 12
const unroll = 4
const flopsPerTurn = chains * unroll * 4 * 2

const f32 = (value: number): readonly number[] => [0x43, ...new Uint8Array(new Float32Array([value]).buffer)]
const get = (local: number): readonly number[] => [0x20, local]
const set = (local: number): readonly number[] => [0x21, local]
const simd = (code: number): readonly number[] => [0xfd, ...leb(code)]
const leb = (n: number): readonly number[] => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)])
const section = (id: number, content: readonly number[]): readonly number[] => [id, ...leb(content.length), ...content]
const times = <T>(n: number, f: (i: number) => readonly T[]): readonly T[] => Array.from({ length: n }, (_, i) => f(i)).flat()

const splat = simd(0x13)
const add = simd(0xe4)
const mul = simd(0xe6)
const relaxedMadd = simd(0x105)

/** A module with `peak(turns: i32): f32`: locals 1 to 12 are the chains x = x * a + b, 13 is a, 14 is b. */
const assemble = (fma: boolean): Uint8Array => {
  const [a, b] = [chains + 1, chains + 2]
  const chain = (i: number): readonly number[] =>
    (fma ? [...get(i + 1), ...get(a), ...get(b), ...relaxedMadd, ...set(i + 1)] : [...get(i + 1), ...get(a), ...mul, ...get(b), ...add, ...set(i + 1)])
  const body = [
    1, chains + 2, 0x7b,
    ...times(chains, i => [...f32(i / 8), ...splat, ...set(i + 1)]),
    ...f32(0.5), ...splat, ...set(a),
    ...f32(0.25), ...splat, ...set(b),
    0x03, 0x40,
    ...times(unroll, () => times(chains, chain)),
    ...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b,
    ...get(1), ...times(chains - 1, i => [...get(i + 2), ...add]),
    ...simd(0x1f), 0,
    0x0b,
  ]
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7d]),
    ...section(3, [1, 0]),
    ...section(7, [1, 4, 0x70, 0x65, 0x61, 0x6b, 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ])
}

export type Peak = { readonly gflops: number; readonly fma: boolean }

/**
 * Measures for about `milliseconds`, best of several; prefers relaxed fused multiply-add where the engine has it (the
 * host's `prepare` comes first on Node 20).
 */
export const measurePeak = (milliseconds = 200): Peak => {
  const fused = assemble(true)
  const fma = WebAssembly.validate(fused)
  const peak = new WebAssembly.Instance(new WebAssembly.Module(fma ? fused : assemble(false))).exports['peak']
  if (typeof peak !== 'function') return { gflops: NaN, fma }
  const turns = 20_000
  const rate = (): number => {
    const start = performance.now()
    peak(turns)
    return (turns * flopsPerTurn) / (performance.now() - start) / 1e6
  }
  const end = performance.now() + milliseconds
  let best = 0
  while (performance.now() < end) best = Math.max(best, rate())
  return { gflops: best, fma }
}
