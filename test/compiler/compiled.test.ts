/**
 * The whole back end - passes, fusion, memory plan, schedule, modules - against the reference interpreter: every
 * primitive with its gradient, and random functions with scans, in both variants of the modules.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import v8 from 'node:v8'
import { plan as planOf } from '../../compiler/fuse/plan.ts'
import type { Func } from '../../compiler/ir/ir.ts'
import { interpret } from '../../compiler/ir/interpret.ts'
import { printFunc } from '../../compiler/ir/print.ts'
import { planMemory } from '../../compiler/schedule/memory.ts'
import { emitWasm } from '../../compiler/targets/wasm/index.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../compiler/transform/vjp.ts'
import { type Dense, dense } from '../../dsl/core/dense.ts'
import { arbitrarySample, randomArgs, withLoss } from './arbitrary.ts'
import { caseFuncs } from './cases.ts'

v8.setFlagsFromString('--experimental-wasm-relaxed-simd')

const views = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Uint32Array } as const

/** Compiles and runs a function on f32 copies of its arguments. */
const run = (func: Func, args: readonly Dense[], fma: boolean): readonly ArrayLike<number>[] => {
  const made = planOf(optimise(func))
  const { offsets, bytes } = planMemory(made)
  const module = emitWasm(made, offsets, bytes, { fma })
  const memory = new WebAssembly.Memory({ initial: Math.ceil(module.memoryBytes / 65536) + 1 })
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes), { env: { memory } })
  const at = (id: number): Float32Array | Int32Array | Uint32Array => {
    const { aval } = made.buffers[id]!
    return new views[aval.dtype](memory.buffer, offsets[id]!, aval.shape.reduce((n, s) => n * s, 1))
  }
  for (const b of made.buffers) if (b.role.kind === 'input') at(b.id).set(args[b.role.index]!.data)
  ;(instance.exports['run'] as () => void)()
  return func.results.map((_, i) => at(made.buffers.find(b => b.role.kind === 'output' && b.role.index === i)!.id))
}

/** The arguments as float32 holds them, so that both sides start from the same numbers. */
const rounded = (args: readonly Dense[]): readonly Dense[] => args.map(a => (a.dtype === 'f32' ? dense(a.shape, Float64Array.from(Float32Array.from(a.data)), 'f32') : a))

const check = (name: string, func: Func, args: readonly Dense[], tolerance: number): void => {
  const given = rounded(args)
  const expected = interpret(func, given)
  for (const fma of [false, true]) {
    const actual = run(func, given, fma)
    expected.forEach((want, i) => {
      const scale = Math.max(1, ...Array.from(want.data, Math.abs).filter(Number.isFinite))
      want.data.forEach((x, j) => {
        const got = actual[i]![j]!
        const fits = Object.is(x, got) || x === got || (Number.isNaN(x) && Number.isNaN(got)) || Math.abs(x - got) <= tolerance * scale
        if (!fits) assert.unreachable(`${name}${fma ? ' (fma)' : ''}: result ${i} at ${j} is ${got}, not ${x}\n${printFunc(func)}`)
      })
    })
  }
}

// A single primitive on numbers below 2: a few units in the last place of float32 (6e-8), more for its gradient, which is a short sum.
for (const { name, func } of caseFuncs()) test(name, () => check(name, func, randomArgs(func, 5), 1e-6))

for (const { name, func } of caseFuncs(c => c.smooth === true))
  test(`gradient of ${name}`, () => {
    const loss = withLoss(func)
    const wrt = loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))
    return check(name, valueAndGrad(loss, wrt), randomArgs(loss, 6), 4e-6)
  })

// Chains of a dozen operations on a fixed seed: rounding errors add up, and are judged against the largest element.
test('random functions with scans', () =>
  fc.assert(fc.property(arbitrarySample({ steps: 12, scans: true, smooth: true }), ({ func, args }) => check('random', func, args, 2e-4)), { numRuns: 120, seed: 11 }))

test('gradients of random functions with scans', () =>
  fc.assert(
    fc.property(arbitrarySample({ steps: 8, scans: true, smooth: true }), ({ func, args }) => {
      const loss = withLoss(func)
      return check('random', valueAndGrad(loss, loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))), args, 2e-4)
    }),
    { numRuns: 80, seed: 12 },
  ))

test.run()
