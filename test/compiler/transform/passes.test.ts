/** Every pass, and the pipeline, preserve the meaning of random functions, of their gradients and of their batches. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import fc from 'fast-check'
import type { Dense } from '../../../dsl/core/dense.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { range } from '../../../compiler/ir/view.ts'
import { keyOf } from '../../../compiler/transform/cse.ts'
import { batch } from '../../../compiler/transform/batch.ts'
import { optimise, passes, runPass } from '../../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../../compiler/transform/vjp.ts'
import { arbitrarySample, difference, randomArgs, type Sample, withLoss } from '../arbitrary.ts'

/** Sums may run in another order, and folded constants are single precision: the tolerance says which. */
const same = (func: Func, made: Func, args: readonly Dense[], tolerance: number): void => {
  const error = difference(interpret(func, args), interpret(made, args))
  assert.ok(error <= tolerance, `differs by ${error}\n${printFunc(func)}\nbecame\n${printFunc(made)}`)
}

const exact = 1e-11
const single = 2e-4

const random = arbitrarySample({ scans: true })
const smooth = arbitrarySample({ scans: true, smooth: true, steps: 7 })
const kinds: Readonly<Record<string, fc.Arbitrary<Sample>>> = {
  functions: random,
  gradients: smooth.map(({ func, args }) => ({ func: valueAndGrad(withLoss(func), range(func.params.length)), args })),
  batches: fc.tuple(smooth, fc.nat(63), fc.nat(999)).map(([{ func }, bits, seed]) => {
    const gradient = valueAndGrad(withLoss(func), range(func.params.length))
    const batched = batch(gradient, gradient.params.map((_, i) => ((bits >> i) & 1) === 1), 2)
    return { func: batched, args: randomArgs(batched, seed) }
  }),
}

for (const [kind, arbitrary] of Object.entries(kinds)) {
  for (const pass of new Set(passes)) {
    test(`${pass.name} of ${kind}`, () => {
      fc.assert(
        fc.property(arbitrary, ({ func, args }) => same(func, runPass(pass, func), args, pass.name === 'fold' ? single : exact)),
        { numRuns: 60, seed: 9 },
      )
    })
  }
  test(`all passes on ${kind}`, () => {
    fc.assert(
      fc.property(arbitrary, ({ func, args }) => {
        const made = optimise(func)
        same(func, made, args, single)
        assert.is(keyOf(optimise(made)), keyOf(made), 'the pipeline reaches a fixpoint')
      }),
      { numRuns: 100, seed: 10 },
    )
  })
}

test.run()
