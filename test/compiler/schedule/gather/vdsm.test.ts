/** Every kernel of VDSM's test size as gathers, one by one, against the meaning of plans; and into how many gathers whole programs become. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../../compiler/frontend/lower.ts'
import { kernels } from '../../../../compiler/fuse/plan.ts'
import type { Kernel, Plan, Step, Var } from '../../../../compiler/schedule/kernel/kernel.ts'
import { buffersOf } from '../../../../compiler/schedule/gpu/split.ts'
import { optimise } from '../../../../compiler/transform/passes.ts'
import { print } from '../../../../dsl/errors.ts'
import { disagreement } from './run.ts'

const lowered = lowerFiles(['models/vdsm/tiny/frames.ts', 'models/vdsm/tiny/video.ts'], 'models')
if (lowered._tag === 'Left') throw new Error(print(lowered.left))
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

test.run()
