/** The whole back end for tests: passes, fusion, memory plan, schedule and module of a function, run on arrays. */
import * as assert from 'uvu/assert'
import v8 from 'node:v8'
import { plan as planOf } from '../../compiler/fuse/plan.ts'
import type { Func } from '../../compiler/ir/ir.ts'
import { interpret } from '../../compiler/ir/interpret.ts'
import { printFunc } from '../../compiler/ir/print.ts'
import type { Plan } from '../../compiler/schedule/kernel/kernel.ts'
import { planMemory } from '../../compiler/schedule/memory.ts'
import { emitWasm } from '../../compiler/targets/wasm/index.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { type Dense, dense } from '../../dsl/core/dense.ts'

v8.setFlagsFromString('--experimental-wasm-relaxed-simd')

const views = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Uint32Array } as const

/** Runs a plan twice on arguments, in memory full of NaNs: nothing may be taken to be zero, and nothing left by the call before. */
export const runPlan = (made: Plan, results: number, args: readonly Dense[], fma: boolean): readonly ArrayLike<number>[] => {
  const { offsets, bytes } = planMemory(made)
  const module = emitWasm(made, offsets, bytes, { fma })
  const pages = Math.ceil((module.memoryBytes + module.threadBytes) / 65536)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
  new Uint32Array(memory.buffer).fill(0x7fc00001)
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes), { env: { memory } })
  const at = (id: number): Float32Array | Int32Array | Uint32Array => {
    const { aval } = made.buffers[id]!
    return new views[aval.dtype](memory.buffer, offsets[id]!, aval.shape.reduce((n, s) => n * s, 1))
  }
  for (const b of made.buffers) if (b.role.kind === 'input') at(b.id).set(args[b.role.index]!.data)
  const run = instance.exports['run'] as () => void
  run()
  // a second run starts from what the first left
  run()
  for (const b of made.buffers) if (b.role.kind === 'input') assert.equal([...at(b.id)], [...new views[b.aval.dtype](args[b.role.index]!.data)], 'an input is changed')
  return Array.from({ length: results }, (_, i) => at(made.buffers.find(b => b.role.kind === 'output' && b.role.index === i)!.id))
}

/** The arguments as float32 holds them, so that both sides start from the same numbers. */
const rounded = (args: readonly Dense[]): readonly Dense[] => args.map(a => (a.dtype === 'f32' ? dense(a.shape, Float64Array.from(Float32Array.from(a.data)), 'f32') : a))

/** Compiled in both variants, a function gives what the interpreter gives, up to `tolerance` of each result's largest element. */
export const check = (name: string, func: Func, args: readonly Dense[], tolerance: number, passes: (func: Func) => Func = optimise): void => {
  const given = rounded(args)
  const expected = interpret(func, given)
  const made = planOf(passes(func))
  for (const fma of [false, true]) {
    const actual = runPlan(made, func.results.length, given, fma)
    expected.forEach((want, i) => {
      const scale = Array.from(want.data, Math.abs).filter(Number.isFinite).reduce((m, x) => Math.max(m, x), 1)
      assert.is(actual[i]!.length, want.data.length)
      want.data.forEach((x, j) => {
        const got = actual[i]![j]!
        const fits = Object.is(x, got) || x === got || (Number.isNaN(x) && Number.isNaN(got)) || Math.abs(x - got) <= tolerance * scale
        if (!fits) assert.unreachable(`${name}${fma ? ' (fma)' : ''}: result ${i} at ${j} is ${got}, not ${x}\n${printFunc(func)}`)
      })
    })
  }
}
