/** Every kernel of VDSM's test size as gathers, one by one, against the meaning of plans; and into how many gathers whole programs become. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../../compiler/frontend/lower.ts'
import { kernels } from '../../../../compiler/fuse/plan.ts'
import type { Kernel, Plan, Step, Var } from '../../../../compiler/schedule/kernel/kernel.ts'
import { buffersOf } from '../../../../compiler/schedule/gpu/split.ts'
import { optimise } from '../../../../compiler/transform/passes.ts'
import { print } from '../../../../dsl/errors.ts'
import { type Dense, dense } from '../../../../dsl/core/dense.ts'
import type { GatherStep } from '../../../../compiler/schedule/gather/gather.ts'
import { runPlan } from '../../backend.ts'
import { samples } from '../../wasm/plans.ts'
import { arrayOf, disagreement, gathersOf, runGathers } from './run.ts'

const lowered = lowerFiles(['models/vdsm/tiny/frames.ts', 'models/vdsm/tiny/video.ts'], 'models')
if (lowered._tag === 'Left') throw new Error(print(lowered.left))
const funcs = new Map(lowered.right.map(p => [p.name, p.func]))
const plans = new Map(lowered.right.map(p => [p.name, kernels(optimise(p.func), p.updates)]))

type Inner = { readonly kernel: Kernel; readonly counters: readonly Var[] }
const kernelsIn = (steps: readonly Step[], counters: readonly Var[] = []): readonly Inner[] =>
  steps.flatMap(s => (s.kind === 'kernel' ? [{ kernel: s, counters }] : s.kind === 'loop' ? kernelsIn(s.steps, [...counters, s.counter]) : []))
const size = (vars: readonly Var[]): number => vars.reduce((n, v) => n * v.size, 1)

/** A kernel as a plan of its own, within its loops; buffers that it does not touch are empty. */
const alone = (plan: Plan, { kernel, counters }: Inner): Plan => {
  const touched = buffersOf(kernel)
  const step = counters.reduceRight<Step>((inner, counter) => ({ kind: 'loop', counter, steps: [inner] }), kernel)
  return { buffers: plan.buffers.map(b => (touched.has(b.id) ? b : { ...b, aval: { ...b.aval, shape: [0] }, role: { kind: 'scratch' } })), steps: [step] }
}

for (const name of ['vdsm/tiny/frames/trainStep', 'vdsm/tiny/video/gradient', 'vdsm/tiny/video/transfer', 'vdsm/tiny/video/generate'])
  test(name, () => {
    const plan = plans.get(name)!
    for (const inner of kernelsIn(plan.steps)) {
      const { kernel, counters } = inner
      const terms = size(counters) * size(kernel.vars) * size(kernel.reduction?.vars ?? [])
      // the interpreter of plans is slow; the tolerance is that of sums over thousands of numbers around 1, in float32
      if (terms <= 60_000) assert.is(disagreement(alone(plan, inner), 2e-4), '', kernel.name)
    }
  })

/** Small numbers, not negative where the second moments of an optimiser are; keys are any words. */
const argumentsOf = (plan: Plan): readonly Dense[] =>
  plan.buffers.flatMap(({ aval, role, name, id }) => (role.kind === 'input' ? [{ aval, name, id, index: role.index }] : []))
    .toSorted((x, y) => x.index - y.index)
    .map(({ aval, name, id }) => {
      const given = samples(aval.shape.reduce((n, d) => n * d, 1), aval.dtype, id + 1)
      return dense(aval.shape, Float64Array.from(given, x => (aval.dtype !== 'f32' ? x : name.startsWith('params') ? x / 16 : Math.abs(x) / 8)), aval.dtype)
    })

for (const name of ['vdsm/tiny/frames/trainStep', 'vdsm/tiny/video/trainStep', 'vdsm/tiny/video/transfer', 'vdsm/tiny/video/generate'])
  test(`${name} as a whole, against WebAssembly`, () => {
    const plan = plans.get(name)!
    const args = argumentsOf(plan)
    const memory = runGathers(gathersOf(plan), new Map(plan.buffers.flatMap(b => {
      if (b.role.kind !== 'input') return []
      const data = arrayOf(b.aval.dtype, args[b.role.index]!.data.length)
      data.set(args[b.role.index]!.data)
      return [[b.id, data]]
    })))
    const outputs = plan.buffers.flatMap(b => (b.role.kind === 'output' ? [{ ...b, at: b.role.over ?? b.id, index: b.role.index }] : []))
    const want = runPlan(kernels(optimise(funcs.get(name)!)), outputs.length, args, false)
    for (const { at, index, aval } of outputs) {
      const [x, y] = [memory.get(at)!, want[index]!]
      const scale = Array.from(y, Math.abs).reduce((m, n) => Math.max(m, n), 1e-3)
      // float32 in another order, through the whole network and back; words to the bit
      const least = aval.dtype === 'f32' ? 1e-4 * scale : 0
      assert.ok(x.every((n, i) => Number.isFinite(n) && Math.abs(n - y[i]!) <= least), `result ${index}: ${x.slice(0, 3)}, not ${Array.from(y).slice(0, 3)}`)
    }
  })

// what a change of the schedule does to whole programs: kernels of the plan, gathers, how often these run in a call, buffers and bytes added
test('counts', () => {
  const gathersIn = (steps: readonly GatherStep[]): number =>
    steps.reduce((n, s) => n + (s.kind === 'kernel' ? s.gathers.length : s.kind === 'loop' ? gathersIn(s.steps) : 0), 0)
  const runsOf = (steps: readonly GatherStep[]): number =>
    steps.reduce((n, s) => n + (s.kind === 'kernel' ? s.gathers.length : s.kind === 'loop' ? s.counter.size * runsOf(s.steps) : 0), 0)
  const counts = (name: string) => {
    const plan = plans.get(name)!
    const { buffers, steps } = gathersOf(plan)
    const added = buffers.slice(plan.buffers.length)
    const scratch = { buffers: added.length, bytes: added.reduce((n, b) => n + 4 * b.aval.shape.reduce((m, d) => m * d, 1), 0) }
    return { kernels: kernelsIn(plan.steps).length, gathers: gathersIn(steps), runs: runsOf(steps), scratch }
  }
  assert.equal(counts('vdsm/tiny/frames/trainStep'), { kernels: 191, gathers: 291, runs: 291, scratch: { buffers: 22, bytes: 500_216 } })
  assert.equal(counts('vdsm/tiny/video/transfer'), { kernels: 76, gathers: 86, runs: 175, scratch: { buffers: 0, bytes: 0 } })
})

test.run()
