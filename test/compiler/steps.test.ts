/** Twice the frames are twice the work of the same code: what the training step of videos compiles to for 8 and for 16 of them. */
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../compiler/frontend/lower.ts'
import { plan } from '../../compiler/fuse/plan.ts'
import type { Kernel, Plan, Step } from '../../compiler/schedule/kernel/kernel.ts'
import { kernelsOf, statsOf } from '../../compiler/schedule/kernel/stats.ts'
import { planMemory } from '../../compiler/schedule/memory.ts'
import { emitWasm } from '../../compiler/targets/wasm/module.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { print } from '../../dsl/errors.ts'
import { small } from '../../models/vdsm/config.ts'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const lowered = lowerFiles([path('fixtures/steps.ts')], path('fixtures'))
const programs = E.isRight(lowered) ? lowered.right : (assert.unreachable(print(lowered.left)) as never)

/** What stands in the plan, loops with their bodies once: the names do not count. */
const written = (steps: readonly Step[]): readonly unknown[] =>
  steps.map(s => (s.kind === 'loop' ? written(s.steps) : s.kind === 'kernel' ? `${s.reduction?.kind ?? 'cell'} ${s.stores.length}` : s.kind))

const planned = (name: string): Plan => {
  const { func, updates } = programs.find(p => p.name === `steps/${name}`) ?? (assert.unreachable(name) as never)
  return plan(optimise(func), updates)
}
const eightFrames = planned('eight')

const compiled = (made: Plan) => {
  const memory = planMemory(made)
  const work = statsOf(made)
  return {
    written: written(made.steps),
    kernels: kernelsOf(made.steps),
    loops: made.steps.flatMap(s => (s.kind === 'loop' ? [s.counter.size] : [])),
    bytes: emitWasm(made, memory.offsets, memory.bytes, { fma: false }).bytes.length,
    memory: memory.bytes,
    flops: work.reduce((n, s) => n + s.runs * s.flops, 0),
    moved: work.reduce((n, s) => n + s.runs * s.bytes, 0),
  }
}

test('16 frames for 8: the same kernels, and at most twice the work and the memory', () => {
  const [eight, sixteen] = [compiled(eightFrames), compiled(planned('sixteen'))]
  assert.equal(sixteen.written, eight.written)
  assert.equal(eight.loops, Array.from({ length: 8 }, () => 8))
  assert.equal(sixteen.loops, eight.loops.map(n => 2 * n))
  assert.ok(sixteen.bytes < 1.02 * eight.bytes, `${sixteen.bytes} for ${eight.bytes} bytes of code`)
  for (const of of ['flops', 'moved', 'memory'] as const) assert.ok(sixteen[of] <= 2 * eight[of], `${of}: ${sixteen[of]} for ${eight[of]}`)
})

test('what is frozen has no gradient', () => {
  const kernels = (steps: readonly Step[]): readonly Kernel[] => steps.flatMap(s => (s.kind === 'kernel' ? [s] : s.kind === 'loop' ? kernels(s.steps) : []))
  const all = kernels(eightFrames.steps)
  // the encoder as it runs forward: four convolutions, each blurred, one more, and the embedding of the identity
  assert.is(all.filter(k => k.origins.some(o => o.file.endsWith('encoder.ts'))).length, 10)
  // nothing in the shape of a layer's bank is written
  const banks = eightFrames.buffers.flatMap(({ role, aval }) => (role.kind === 'input' && aval.shape.length === 5 && aval.shape[0] === small.sizes.S ? [aval.shape.join()] : []))
  assert.is(banks.length, 5)
  const written = all.flatMap(k => k.stores.map(store => eightFrames.buffers[store.buffer]?.aval.shape.join()))
  assert.equal(written.filter(shape => shape !== undefined && banks.includes(shape)), [])
})

test.run()
