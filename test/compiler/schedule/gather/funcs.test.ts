/** Functions as gathers, from the passes to the nests, against the reference interpreter: every primitive, its gradient, and random functions with scans. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan as planOf } from '../../../../compiler/fuse/plan.ts'
import { interpret } from '../../../../compiler/ir/interpret.ts'
import type { Func } from '../../../../compiler/ir/ir.ts'
import { printFunc } from '../../../../compiler/ir/print.ts'
import { gatherPlan } from '../../../../compiler/schedule/gather/gather.ts'
import type { Plan } from '../../../../compiler/schedule/kernel/kernel.ts'
import { optimise } from '../../../../compiler/transform/passes.ts'
import { valueAndGrad } from '../../../../compiler/transform/vjp.ts'
import type { Dense } from '../../../../dsl/core/dense.ts'
import { arbitrarySample, randomArgs, withLoss } from '../../arbitrary.ts'
import { caseFuncs } from '../../cases.ts'
import { rounded } from '../../together.ts'
import { arrayOf, dialect, runGathers } from './run.ts'

/** The results of a plan, run twice: the second run finds what the first has left. */
const results = (made: Plan, count: number, args: readonly Dense[]): readonly ArrayLike<number>[] => {
  const gathers = gatherPlan(made, dialect)
  const given = () => made.buffers.flatMap(b => {
    if (b.role.kind !== 'input') return []
    const data = arrayOf(b.aval.dtype, args[b.role.index]!.data.length)
    data.set(args[b.role.index]!.data)
    return [[b.id, data] as const]
  })
  const memory = runGathers(gathers, new Map(given()))
  for (const [id, data] of given()) {
    assert.equal(memory.get(id), data, 'an input is changed')
    memory.set(id, data)
  }
  runGathers(gathers, memory)
  return Array.from({ length: count }, (_, i) => memory.get(made.buffers.find(b => b.role.kind === 'output' && b.role.index === i)!.id)!)
}

/** A function gives what the interpreter gives, up to `tolerance` of each result's largest element; integers to the bit. */
const check = (name: string, func: Func, args: readonly Dense[], tolerance: number): void => {
  const given = args.map(rounded)
  const got = results(planOf(optimise(func)), func.results.length, given)
  interpret(func, given).forEach((want, i) => {
    const scale = Array.from(want.data, Math.abs).filter(Number.isFinite).reduce((m, x) => Math.max(m, x), 1)
    const least = want.dtype === 'f32' ? tolerance * scale : 0
    assert.is(got[i]!.length, want.data.length)
    want.data.forEach((x, j) => {
      const y = got[i]![j]!
      const fits = Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= least
      if (!fits) assert.unreachable(`${name}: result ${i} at ${j} is ${y}, not ${x}\n${printFunc(func)}`)
    })
  })
}

// Tolerances as of the other targets (compiled.test.ts): a few units in the last place of float32, more for sums and chains of a dozen operations.
for (const { name, func } of caseFuncs()) test(name, () => check(name, func, randomArgs(func, 5), 1e-6))

for (const { name, func } of caseFuncs(c => c.smooth === true))
  test(`gradient of ${name}`, () => {
    const loss = withLoss(func)
    const wrt = loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))
    check(name, valueAndGrad(loss, wrt), randomArgs(loss, 6), 4e-6)
  })

test('random functions with scans', () =>
  fc.assert(fc.property(arbitrarySample({ steps: 12, scans: true, smooth: true }), ({ func, args }) => check('random', func, args, 2e-4)), { numRuns: 120, seed: 11 }))

test('gradients of random functions with scans', () =>
  fc.assert(
    fc.property(arbitrarySample({ steps: 8, scans: true, smooth: true }), ({ func, args }) => {
      const loss = withLoss(func)
      check('random', valueAndGrad(loss, loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))), args, 2e-4)
    }),
    { numRuns: 80, seed: 12 },
  ))

test.run()
