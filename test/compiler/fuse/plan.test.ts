/** Fusion keeps the meaning: a plan, run by its direct interpreter, against the function that it was made from. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan } from '../../../compiler/fuse/plan.ts'
import { interpret as reference } from '../../../compiler/ir/interpret.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import { valueAndGrad } from '../../../compiler/transform/vjp.ts'
import { printPlan } from '../../../compiler/schedule/kernel/print.ts'
import { planMemory, touches } from '../../../compiler/schedule/memory.ts'
import { type Builder, builder, define } from '../../../compiler/ir/build.ts'
import type { Func, Id } from '../../../compiler/ir/ir.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import type { Kernel, Plan, Step } from '../../../compiler/schedule/kernel/kernel.ts'
import type { Aval } from '../../../dsl/core/prim.ts'
import { type Sample, arbitrarySample, randomArgs, withLoss } from '../arbitrary.ts'
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

const kernelsOf = (steps: readonly Step[]): readonly Kernel[] => steps.flatMap(s => (s.kind === 'kernel' ? [s] : s.kind === 'loop' ? kernelsOf(s.steps) : []))

test('the inputs of a stored concatenation are written straight into their parts', () => {
  const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })
  const func = define([f(16, 24), f(16, 24), f(16, 16), f(64, 8)].map(aval => ({ aval, path: 'p' })), (b, [x, y, z, w]) => {
    const parts = [b.op('exp', [x!], {}), b.op('tanh', [z!], {}), b.op('add', [x!, y!], {})]
    const joined = b.op('concat', parts, { axis: 1 })
    return [b.op('contract', [joined, w!], { sizes: { i: 16, k: 64, j: 8 }, a: ['i', 'k'], b: ['k', 'j'], out: ['i', 'j'] }), parts[0]!]
  })
  agrees(func, randomArgs(func, 5))
  // exp and add share a kernel, tanh has another shape, and the product reads one buffer
  const kernels = kernelsOf(plan(func).steps)
  assert.equal(kernels.map(k => k.stores.length), [3, 1, 1])
  assert.ok(!printPlan(plan(func)).includes('?'))
})

test('carries are written in place where the step has read them', () => {
  const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })
  const copies = (step: (b: Builder, w: Id, x: Id, y: Id) => readonly Id[]): number => {
    const inner = builder()
    const [w, x, y] = [inner.param(f(8, 8)), inner.param(f(8)), inner.param(f(8))]
    const body = inner.finish(step(inner, w, x, y))
    const func = define([f(8, 8), f(8), f(8)].map(aval => ({ aval, path: 'p' })), (b, ids) =>
      b.scan({ length: 3, reverse: false, consts: [ids[0]!], init: [ids[1]!, ids[2]!], xs: [], body }),
    )
    agrees(func, randomArgs(func, 6))
    return plan(func).steps.flatMap(s => (s.kind === 'loop' ? s.steps : [])).filter(s => s.kind === 'copy').length
  }
  const times = (b: Builder, w: Id, x: Id): Id => b.op('contract', [w, x], { sizes: { o: 8, i: 8 }, a: ['o', 'i'], b: ['i'], out: ['o'] })
  const cell = (b: Builder, w: Id, x: Id, y: Id): readonly Id[] => {
    const next = b.op('add', [b.op('tanh', [times(b, w, x)], {}), y], {})
    return [b.op('sin', [next], {}), next]
  }
  assert.is(copies((b, _, x, y) => [b.op('add', [x, y], {}), b.op('tanh', [y], {})]), 0)
  assert.is(copies(cell), 1, 'a product reads all of what it would replace')
  assert.is(copies((b, _, x, y) => [b.op('sin', [y], {}), b.op('tanh', [x], {})]), 1, 'the first of two that change places waits')
  assert.is(copies((b, _, x, y) => [b.op('sin', [x], {}), b.op('flip', [y], { axes: [0] })]), 1, 'an element from elsewhere')
})

test('a result takes the place of an operand that nothing reads later, element by element', () => {
  const f = (...shape: readonly number[]): Aval => ({ shape, dtype: 'f32' })
  type Make = (b: Builder, p: Id, m: Id, g: Id) => readonly Id[]
  /** Which results take the place of p and m; run in one memory, the plan gives what the function means. */
  const replaced = (make: Make): readonly boolean[] => {
    const func = define([f(6), f(6), f(6)].map(aval => ({ aval, path: 'p' })), (b, [p, m, g]) => make(b, p!, m!, g!))
    const args = randomArgs(func, 8)
    const expected = reference(func, args)
    const made = plan(func, [[0, 0], [1, 1]])
    const actual = runPlan(made, new Map(made.buffers.flatMap(b => (b.role.kind === 'input' ? [[b.id, args[b.role.index]!.data] as const] : []))))
    const { offsets } = planMemory(made)
    return made.buffers.flatMap(b => {
      if (b.role.kind !== 'output') return []
      const at = b.role.over ?? b.id
      assert.is(offsets[b.id], offsets[at])
      expected[b.role.index]!.data.forEach((x, i) => assert.ok(close(actual[at]![i]!, x)))
      return [b.role.over !== undefined]
    })
  }
  const two = (b: Builder, prim: 'add' | 'sub' | 'mul', x: Id, y: Id): Id => b.op(prim, [x, y], {})
  const momentum: Make = (b, p, m, g) => {
    const next = two(b, 'add', m, g)
    return [two(b, 'sub', p, next), next]
  }
  assert.equal(replaced(momentum), [true, true])
  assert.equal(replaced((b, p, m, g) => [two(b, 'sub', p, g), b.op('flip', [m], { axes: [0] })]), [true, false], 'elements change places')
  assert.equal(replaced((b, p, m, g) => [two(b, 'add', m, g), two(b, 'sub', p, g)]).filter(x => x).length, 1, 'each needs the other')
  const late: Make = (b, p, m, g) => {
    const next = two(b, 'mul', p, g)
    const total = b.op('sum', [two(b, 'mul', next, next)], { axes: [0] })
    const wide = b.op('broadcast', [total], { shape: [6], axes: [] })
    return [next, two(b, 'add', m, wide), two(b, 'add', p, wide)]
  }
  assert.equal(replaced(late), [false, true, false], 'p is read later')
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
