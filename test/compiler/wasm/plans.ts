/**
 * Small constructors for plans written by hand, and a runner that compiles a plan, runs it and compares every written
 * buffer with the float64 interpreter.
 */
import v8 from 'node:v8'
import { emitWasm } from '../../../compiler/targets/wasm/index.ts'
import type { Buffer, Expr, Guard, Index, Kernel, Plan, Reduction, Step, Store, Var } from '../../../compiler/schedule/kernel/kernel.ts'
import { add, constant, scale, shift, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { DType, Elementwise } from '../../../dsl/core/prim.ts'
import { interpret } from '../plan-interpreter.ts'

v8.setFlagsFromString('--experimental-wasm-relaxed-simd')

let ids = 0
/** A fresh variable. */
export const v = (size: number, name = 'i'): Var => ({ id: ++ids, size, name })
/** offset + sum of coef * var */
export const ix = (offset: number, ...terms: readonly (readonly [number, Var])[]): Index => shift(terms.reduce((sum, [coef, x]) => add(sum, scale(variable(x), coef)), constant(0)), offset)
export const load = (buffer: number, at: Index, dtype: DType = 'f32'): Expr => ({ kind: 'load', buffer, at, dtype })
export const op = (prim: Elementwise, args: readonly Expr[], dtype: DType = 'f32', exponent?: number): Expr => ({ kind: 'op', prim, args, dtype, ...(exponent === undefined ? {} : { exponent }) })
export const num = (value: number, dtype: DType = 'f32'): Expr => ({ kind: 'const', value, dtype })
export const acc: Expr = { kind: 'acc', dtype: 'f32' }
export const guard = (of: Index, below: number, by = 1): Guard => ({ of, below, by })
export const when = (guards: readonly Guard[], then: Expr, otherwise: Expr = num(0)): Expr => ({ kind: 'when', guards, then, otherwise, dtype: then.dtype })
export const kernel = (vars: readonly Var[], reduction: Reduction | null, ...stores: readonly Store[]): Kernel => ({ kind: 'kernel', name: 'k', vars, reduction, stores, origins: [] })
export const product = (vars: readonly Var[], a: Expr, b: Expr): Reduction => ({ kind: 'product', vars, a, b, dtype: 'f32' })
export const buffers = (...sizes: readonly (number | readonly [number, DType])[]): readonly Buffer[] =>
  sizes.map((s, id) => ({ id, aval: { shape: [typeof s === 'number' ? s : s[0]], dtype: typeof s === 'number' ? 'f32' : s[1] }, name: `b${id}`, role: { kind: 'scratch' } }))

/** Deterministic values in [-2, 2) (f32 representable) or small integers. */
export const samples = (n: number, dtype: DType, seed = 1): readonly number[] => {
  let state = seed * 7919 + 12345
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return Array.from({ length: n }, () => (dtype === 'f32' ? Math.fround(next() * 4 - 2) : dtype === 'bool' ? Number(next() < 0.5) : dtype === 'i32' ? Math.floor(next() * 200 - 100) : Math.floor(next() * 200)))
}

const arrays = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Int32Array } as const

/** Byte offsets one after the other. */
export const layout = (plan: Plan): { offsets: readonly number[]; top: number } => {
  const offsets: number[] = []
  let top = 64
  for (const b of plan.buffers) {
    offsets.push(top)
    top += Math.ceil((4 * b.aval.shape.reduce((n, s) => n * s, 1)) / 64) * 64
  }
  return { offsets, top }
}

export type Running = { readonly exports: Record<string, () => void>; readonly read: (buffer: number) => Float32Array | Int32Array | Uint32Array; readonly bytes: Uint8Array }

/** Compiles and instantiates a plan with its buffers filled. */
export const start = (plan: Plan, given: ReadonlyMap<number, ArrayLike<number>>, fma = false): Running => {
  const { offsets, top } = layout(plan)
  const { bytes, memoryBytes, threadBytes } = emitWasm(plan, offsets, top, { fma })
  const pages = Math.ceil((memoryBytes + threadBytes) / 65536)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
  const view = (buffer: number): Float32Array | Int32Array | Uint32Array => {
    const { aval } = plan.buffers[buffer]!
    return new arrays[aval.dtype](memory.buffer, offsets[buffer]!, aval.shape.reduce((n, s) => n * s, 1))
  }
  for (const [id, data] of given) view(id).set(data)
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } })
  return { exports: instance.exports as Record<string, () => void>, read: view, bytes } // every export of ours is a function without arguments
}

const filled = (plan: Plan): ReadonlyMap<number, readonly number[]> =>
  new Map(plan.buffers.filter(b => b.role.kind !== 'constant').map(b => [b.id, samples(b.aval.shape.reduce((n, s) => n * s, 1), b.aval.dtype, b.id + 1)]))

/**
 * Compiles and runs a plan, in both variants, and compares all buffers with the interpreter: |x - y| <= tolerance * (1 + |y|).
 * Returns a message where they differ, '' where all agree.
 */
export const disagreement = (plan: Plan, tolerance = 1e-5, given: ReadonlyMap<number, ArrayLike<number>> = filled(plan)): string => {
  const expected = interpret(plan, given)
  for (const fma of [false, true]) {
    const running = start(plan, given, fma)
    running.exports['run']!()
    for (const { id, aval } of plan.buffers) {
      const got = running.read(id)
      const want = expected[id]!
      for (let i = 0; i < got.length; i += 1) {
        const [x, y] = [got[i]!, aval.dtype === 'f32' ? Math.fround(want[i]!) : want[i]!]
        if (Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance * (1 + Math.abs(y))) continue
        return `buffer ${id} element ${i}: ${x}, expected ${y} (fma ${fma})`
      }
    }
  }
  return ''
}

export const planOf = (all: readonly Buffer[], ...steps: readonly Step[]): Plan => ({ buffers: all, steps })
