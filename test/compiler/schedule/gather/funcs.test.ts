/** Functions as gathers, from the passes to the nests, against the reference interpreter: every primitive, its gradient, and random functions with scans. */
import fc from 'fast-check'
import { test } from 'uvu'
import { valueAndGrad } from '../../../../compiler/transform/vjp.ts'
import { arbitrarySample, randomArgs, withLoss } from '../../arbitrary.ts'
import { caseFuncs } from '../../cases.ts'
import { check } from './check.ts'

// Tolerances as of the other targets (compiled.test.ts): a few units in the last place of float32, more for sums and chains of a dozen operations.
for (const { name, func } of caseFuncs()) test(name, () => check(name, func, randomArgs(func, 5), 1e-6))

for (const { name, func } of caseFuncs(c => c.smooth === true))
  test(`gradient of ${name}`, () => {
    const loss = withLoss(func)
    const wrt = loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))
    check(name, valueAndGrad(loss, wrt), randomArgs(loss, 6), 4e-6)
  })

test('random functions with scans', () =>
  fc.assert(
    fc.property(arbitrarySample({ steps: 12, scans: true, smooth: true }), ({ func, args }) => check('random', func, args, 2e-4)),
    { numRuns: 120, seed: 11 },
  ))

test('gradients of random functions with scans', () =>
  fc.assert(
    fc.property(arbitrarySample({ steps: 8, scans: true, smooth: true }), ({ func, args }) => {
      const loss = withLoss(func)
      check('random', valueAndGrad(loss, loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))), args, 2e-4)
    }),
    { numRuns: 80, seed: 12 },
  ))

test.run()
