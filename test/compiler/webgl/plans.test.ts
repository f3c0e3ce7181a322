/**
 * Functions as programs for WebGL, run in gpu.js's mode for processors, against the reference interpreter: every primitive, its gradient, and
 * random functions with scans.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan as planOf } from '../../../compiler/fuse/plan.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../../compiler/transform/vjp.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import { arbitrarySample, randomArgs, withLoss } from '../arbitrary.ts'
import { caseFuncs } from '../cases.ts'
import { rounded } from '../together.ts'
import { openEngine, programOf, runGl } from './run.ts'

const engine = await openEngine()

/** Runs twice, where the second run finds what the first has left: results up to `tolerance` of each one's largest element, integers to the bit. */
const check = async (name: string, func: Func, args: readonly Dense[], tolerance: number): Promise<void> => {
  const given = args.map(rounded)
  const program = programOf(planOf(optimise(func)))
  const got = await runGl(engine, program, given, 2)
  interpret(func, given).forEach((want, i) => {
    const scale = Array.from(want.data, Math.abs).filter(Number.isFinite).reduce((m, x) => Math.max(m, x), 1)
    const least = want.dtype === 'f32' ? tolerance * scale : 0
    assert.is(got[i]!.length, want.data.length)
    want.data.forEach((x, j) => {
      const y = got[i]![j]!
      const fits = x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= least
      if (!fits) assert.unreachable(`${name}: result ${i} at ${j} is ${y}, not ${x}\n${printFunc(func)}\n${program.kernels.map(k => k.code).join('\n')}`)
    })
  })
}
const gradientOf = (func: Func): Func => {
  const loss = withLoss(func)
  return valueAndGrad(loss, loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : [])))
}

// Tolerances as of the other targets (compiled.test.ts): a few units in the last place of float32, more for sums and chains of a dozen operations.
for (const { name, func } of caseFuncs()) test(name, () => check(name, func, randomArgs(func, 5), 1e-6))

for (const { name, func } of caseFuncs(c => c.smooth === true))
  test(`gradient of ${name}`, () => check(name, gradientOf(func), randomArgs(withLoss(func), 6), 4e-6))

test('random functions with scans', () =>
  fc.assert(
    fc.asyncProperty(arbitrarySample({ steps: 12, scans: true, smooth: true }), ({ func, args }) => check('random', func, args, 2e-4)),
    { numRuns: 25, seed: 11 },
  ))

test('gradients of random functions with scans', () =>
  fc.assert(
    fc.asyncProperty(arbitrarySample({ steps: 8, scans: true, smooth: true }), ({ func, args }) => check('random', gradientOf(func), args, 2e-4)),
    { numRuns: 15, seed: 12 },
  ))

test.run()
