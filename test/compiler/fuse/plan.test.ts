/** Fusion keeps the meaning: a plan, run by its direct interpreter, against the function that it was made from. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan } from '../../../compiler/fuse/plan.ts'
import { interpret as reference } from '../../../compiler/ir/interpret.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { valueAndGrad } from '../../../compiler/transform/vjp.ts'
import { printPlan } from '../../../compiler/schedule/print.ts'
import { planMemory, touches } from '../../../compiler/schedule/memory.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import type { Plan } from '../../../compiler/schedule/kernel.ts'
import { type Sample, arbitrarySample, withLoss } from '../arbitrary.ts'
import { interpret as runPlan } from '../plan-interpreter.ts'

const close = (a: number, b: number): boolean => Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= 1e-9 * (1 + Math.abs(a) + Math.abs(b))

const agrees = (func: Func, args: readonly Dense[]): void => {
  const expected = reference(func, args)
  const made = plan(func)
  const given = new Map(made.buffers.flatMap(b => (b.role.kind === 'input' ? [[b.id, args[b.role.index]!.data] as const] : [])))
  const actual = runPlan(made, given)
  made.buffers.forEach(b => {
    if (b.role.kind !== 'output') return
    const want = expected[b.role.index]!.data
    const got = actual[b.id]!
    for (let i = 0; i < want.length; i++)
      if (!close(got[i]!, want[i]!)) assert.unreachable(`result ${b.role.index} at ${i}: ${got[i]} is not ${want[i]}\n${printFunc(func)}\n\n${printPlan(made)}`)
  })
}

const check = ({ func, args }: Sample): void => agrees(func, args)

test('random functions', () => {
  fc.assert(fc.property(arbitrarySample({ steps: 14 }), check), { numRuns: 300 })
})

test('random functions with scans', () => {
  fc.assert(fc.property(arbitrarySample({ steps: 12, scans: true }), check), { numRuns: 200 })
})

test('gradients of random functions', () => {
  fc.assert(fc.property(arbitrarySample({ steps: 10, scans: true, smooth: true }), ({ func, args }) => {
    const loss = withLoss(func)
    const wrt = loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))
    agrees(valueAndGrad(loss, wrt), args)
  }), { numRuns: 100 })
})

/** No two buffers that are alive at one step may share bytes. */
const disjoint = (made: Plan): void => {
  const { offsets, bytes, live, sum } = planMemory(made)
  const size = (id: number): number => 4 * Math.max(1, made.buffers[id]!.aval.shape.reduce((a, b) => a * b, 1))
  const uses = made.steps.map(step => { const { reads, writes } = touches(step); return new Set([...reads, ...writes]) })
  made.buffers.forEach(b => {
    if (offsets[b.id] === -1) return
    assert.is(offsets[b.id]! % 64, 0)
    const mine = uses.flatMap((u, at) => (u.has(b.id) ? [at] : []))
    const always = b.role.kind === 'input' || b.role.kind === 'constant'
    const from = always ? 0 : Math.min(...mine)
    const to = always || b.role.kind === 'output' ? made.steps.length : Math.max(...mine)
    for (let at = from; at <= Math.min(to, made.steps.length - 1); at++)
      for (const other of uses[at]!) {
        if (other === b.id) continue
        const apart = offsets[other]! >= offsets[b.id]! + size(b.id) || offsets[b.id]! >= offsets[other]! + size(other)
        assert.ok(apart, `${b.name} and ${made.buffers[other]!.name} overlap at step ${at}`)
      }
  })
  assert.ok(live <= bytes && bytes <= Math.max(sum, bytes), `${live} <= ${bytes} <= ${sum}`)
}

test('the memory plan never overlaps what lives together', () => {
  fc.assert(fc.property(arbitrarySample({ steps: 20, scans: true }), ({ func }) => disjoint(plan(func))), { numRuns: 150 })
})

test.run()
