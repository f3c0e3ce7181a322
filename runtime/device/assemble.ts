/** Bytes of small WebAssembly modules that measure this machine, put together by hand: the runtime has no compiler in it. */

export type Code = readonly number[]

/** An unsigned number. */
export const leb = (n: number): Code => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)])
/** A signed number, as constants take it. */
const signed = (n: number): Code => (n >= -64 && n < 64 ? [n & 127] : [(n & 127) | 128, ...signed(n >> 7)])
const section = (id: number, content: Code): Code => [id, ...leb(content.length), ...content]
const named = (name: string): Code => [name.length, ...new TextEncoder().encode(name)]

/** f(0), f(1), ..., one after the other. */
export const times = <T>(n: number, f: (i: number) => readonly T[]): readonly T[] => Array.from({ length: n }, (_, i) => f(i)).flat()

export const get = (local: number): Code => [0x20, ...leb(local)]
export const set = (local: number): Code => [0x21, ...leb(local)]
export const i32 = (value: number): Code => [0x41, ...signed(value)]
export const f32 = (value: number): Code => [0x43, ...new Uint8Array(new Float32Array([value]).buffer)]
export const simd = (code: number): Code => [0xfd, ...leb(code)]
export const plus: Code = [0x6a]
/** Of two i32 values, as signed numbers. */
export const below: Code = [0x48]
export const drop: Code = [0x1a]
/** Repeats the body as long as what it leaves on the stack is not zero. */
export const loop = (body: Code): Code => [0x03, 0x40, ...body, 0x0d, 0, 0x0b]
/** local += by, left on the stack. */
export const advance = (local: number, by: number): Code => [...get(local), ...i32(by), ...plus, 0x22, ...leb(local)]

export const splat = simd(0x13)
export const add = simd(0xe4)
/** acc = x * y + acc, on the stack: with relaxed fused multiply-add, or as two operations (the sum's other operand comes first). */
export const multiplyAdd = (fma: boolean, x: Code, y: Code, sum: Code): Code =>
  (fma ? [...x, ...y, ...sum, ...simd(0x105)] : [...sum, ...x, ...y, ...simd(0xe6), ...add])
export const firstLane: Code = [...simd(0x1f), 0]
/** A vector at an address, or one number four times. */
export const load = (address: Code, offset: number): Code => [...address, ...simd(0x00), 0, ...leb(offset)]
export const loadSplat = (address: Code, offset: number): Code => [...address, ...simd(0x09), 0, ...leb(offset)]
export const store = (address: Code, offset: number, value: Code): Code => [...address, ...value, ...simd(0x0b), 0, ...leb(offset)]
export const copyBytes = (to: Code, from: Code, bytes: Code): Code => [...to, ...from, ...bytes, 0xfc, 0x0a, 0, 0]

/** Locals of a function beyond its parameters. */
export type Locals = { readonly i32: number; readonly v128: number }
export type Made = { readonly name: string; readonly params: number; readonly locals: Locals; readonly body: Code; readonly returns: 'f32' | null }

/** A module with a memory of its own of `pages`, and functions of i32 parameters. */
export const moduleOf = (pages: number, functions: readonly Made[]): Uint8Array => {
  const code = ({ locals, body }: Made): Code => {
    const declared = [...(locals.i32 > 0 ? [[...leb(locals.i32), 0x7f]] : []), ...(locals.v128 > 0 ? [[...leb(locals.v128), 0x7b]] : [])]
    const whole = [declared.length, ...declared.flat(), ...body, 0x0b]
    return [...leb(whole.length), ...whole]
  }
  const n = functions.length
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [n, ...functions.flatMap(f => [0x60, f.params, ...times(f.params, () => [0x7f]), ...(f.returns === null ? [0] : [1, 0x7d])])]),
    ...section(3, [n, ...functions.map((_, i) => i)]),
    ...section(5, [1, 1, ...leb(pages), ...leb(pages)]),
    ...section(7, [n, ...functions.flatMap((f, i) => [...named(f.name), 0, i])]),
    ...section(10, [n, ...functions.flatMap(code)]),
  ])
}

/** The functions of a module's new instance; one that is not there is an error of ours. */
export const functionsOf = (bytes: Uint8Array): ((name: string) => (...args: readonly number[]) => unknown) => {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes))
  return name => {
    const f = exports[name]
    // Border: what a module exports as a function takes and gives numbers.
    return typeof f === 'function' ? (f as (...args: readonly number[]) => unknown) : () => NaN
  }
}

/** The most work a millisecond that `run` reaches, in calls that each do `work`, over about so many milliseconds. */
export const bestRate = (milliseconds: number, work: number, run: () => void): number => {
  const end = performance.now() + milliseconds
  let best = 0
  do {
    const start = performance.now()
    run()
    best = Math.max(best, work / (performance.now() - start))
  } while (performance.now() < end)
  return best
}
