/**
 * The whole back end - passes, fusion, memory plan, schedule, modules - against the reference interpreter: every
 * primitive with its gradient, and random functions with scans, in both variants of the modules.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import { valueAndGrad } from '../../compiler/transform/vjp.ts'
import { arbitrarySample, randomArgs, withLoss } from './arbitrary.ts'
import { check } from './backend.ts'
import { caseFuncs } from './cases.ts'

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
