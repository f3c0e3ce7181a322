/** Kernels gathered into blocks of rows: which are, that they mean the same in any order of their blocks, and compiled, on several threads. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan } from '../../../compiler/fuse/plan.ts'
import { type Limits, rows } from '../../../compiler/fuse/rows.ts'
import { interpret as reference } from '../../../compiler/ir/interpret.ts'
import { printFunc } from '../../../compiler/ir/print.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import { add, scale, variable } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Plan, Step } from '../../../compiler/schedule/kernel/kernel.ts'
import { printPlan } from '../../../compiler/schedule/kernel/print.ts'
import { kernelsOf } from '../../../compiler/schedule/kernel/stats.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import type { Dense } from '../../../dsl/core/dense.ts'
import { arbitrarySample, randomArgs } from '../arbitrary.ts'
import { interpret as runPlan } from '../plan-interpreter.ts'
import { binary, caseOf, f, like, made, pairwise, softmax, spread, t, unary } from '../shapes.ts'
import { checkTogether } from '../together.ts'
import { acc, buffers, disagreement, ix, kernel, load, num, op, planOf, v } from '../wasm/plans.ts'

/** Everything that may go by rows does, in blocks as small as these. */
const eager = (block: number, parts = 2): Limits => ({ passed: 1, block, row: 1 << 16, least: 1, parts })

const blocksIn = (steps: readonly Step[]): number =>
  steps.reduce((n, s) => n + (s.kind !== 'loop' ? 0 : s.independent === true ? 1 : blocksIn(s.steps)), 0)

/** Whether the plan means what the function means; how many loops of blocks it has. */
const agrees = (func: Func, args: readonly Dense[], limits: Limits): number => {
  const expected = reference(func, args)
  const cut = rows(plan(func), limits)
  const actual = runPlan(cut, new Map(cut.buffers.flatMap(b => (b.role.kind === 'input' ? [[b.id, args[b.role.index]!.data] as const] : []))))
  for (const b of cut.buffers) {
    if (b.role.kind !== 'output') continue
    expected[b.role.index]!.data.forEach((want, i) => {
      const got = actual[b.id]![i]!
      const same = Object.is(got, want) || got === want || Math.abs(got - want) <= 1e-9 * (1 + Math.abs(got) + Math.abs(want))
      if (!same) assert.unreachable(`result ${b.role.kind} at ${i}: ${got} is not ${want}\n${printFunc(func)}\n\n${printPlan(cut)}`)
    })
  }
  return blocksIn(cut.steps)
}

/** Rows less their mean, divided by their deviation. */
const normalised = (m: number, n: number): Func =>
  made([f(m, n)], (b, x) => {
    const mean = (id: number): number => binary(b, 'mul', b.op('sum', [id], { axes: [1] }), like(b, b.op('sum', [id], { axes: [1] }), 1 / n))
    const centred = binary(b, 'sub', x!, spread(b, mean(x!), [m, n], [0]))
    const variance = mean(binary(b, 'mul', centred, centred))
    return [binary(b, 'mul', centred, spread(b, unary(b, 'rsqrt', binary(b, 'add', variance, like(b, variance, 1e-3))), [m, n], [0]))]
  })

test('long arrays of rows go block by block, as one kernel: softmax with logSumExp, its gradient, normalised rows', () => {
  for (const func of [softmax([512, 200], 1), softmax([8, 64, 200], 2), normalised(512, 200)]) {
    const whole = plan(optimise(func))
    assert.is(kernelsOf(whole.steps), 1, printPlan(whole))
    assert.is(blocksIn(whole.steps), 1)
  }
  const text = printPlan(plan(optimise(normalised(512, 200))))
  assert.match(text, /^blocks t < \d+\n {2}kernel sum\w* for i0 < (\d+) .*\n {4}acc = sum over r1 < 200 of \S+\[\d+\*t \+ 200\*i0 \+ r1\]\n/)
  // what stays in the cache anyway, few rows, columns: as they were
  for (const func of [softmax([20, 20], 1), softmax([8, 20000], 1), softmax([512, 200], 0)]) assert.is(blocksIn(plan(optimise(func)).steps), 0)
})

test('softmax and its gradient along the first, a middle and the last axis', () => {
  const sizes = [1, 3, 7, 17, 63, 65]
  const found = pairwise({ n: sizes, m: [1, 3, 8, 17], axis: [0, 1, 2], block: [30, 300] }).map(({ n, m, axis, block }) => {
    const func = optimise(softmax([4, m, m].with(axis, n), axis))
    return agrees(func, randomArgs(func, n), eager(block))
  })
  assert.ok(found.filter(n => n > 0).length >= 8, `${found.join(' ')}`)
})

test('random functions in blocks of rows', () => {
  let found = 0
  fc.assert(fc.property(arbitrarySample({ steps: 14 }), fc.integer({ min: 1, max: 40 }), ({ func, args }, block) => {
    found += agrees(func, args, eager(block))
  }), { numRuns: 200 })
  fc.assert(fc.property(arbitrarySample({ steps: 12, scans: true }), fc.integer({ min: 1, max: 40 }), ({ func, args }, block) => {
    found += agrees(func, args, eager(block))
  }), { numRuns: 100 })
  assert.ok(found > 20, `only ${found} loops of blocks`)
})

test('rows that are passed on cut otherwise, or read from elsewhere, stay apart', () => {
  const [i, j, k, l] = [v(8), v(6), v(8), v(6)]
  const first = kernel([i, j], null, { buffer: 1, at: ix(0, [6, i], [1, j]), value: op('neg', [load(0, ix(0, [6, i], [1, j]))]) })
  const second = (at: ReturnType<typeof ix>): Plan =>
    rows(planOf(buffers(54, 54, 48), first, kernel([k, l], null, { buffer: 2, at: ix(0, [6, k], [1, l]), value: load(1, at) })), eager(12))
  const checked = (p: Plan, loops: number): void => {
    assert.is(blocksIn(p.steps), loops, printPlan(p))
    assert.is(disagreement(p), '')
  }
  checked(second(ix(0, [6, k], [1, l])), 1)
  checked(second(ix(5, [6, k], [-1, l])), 1) // backwards within its row
  checked(second(ix(1, [6, k], [1, l])), 0)
  checked(second(ix(0, [1, k], [8, l])), 0)
  checked(second(ix(42, [-6, k], [1, l])), 0)
})

test('kernels in between that have nothing to do with it do not part two', () => {
  const vars = (): readonly [ReturnType<typeof v>, ReturnType<typeof v>] => [v(8), v(6)]
  const over = (from: number, to: number) => {
    const [i, j] = vars()
    return kernel([i], { kind: 'reduce', op: 'sum', vars: [j], value: load(from, ix(0, [6, i], [1, j])), dtype: 'f32' }, { buffer: to, at: ix(0, [1, i]), value: acc })
  }
  const spreadOver = (of: number, from: number, to: number) => {
    const [i, j] = vars()
    const at = add(scale(variable(i), 6), variable(j))
    return kernel([i, j], null, { buffer: to, at, value: op('div', [load(of, at), op('maximum', [load(from, variable(i)), num(1)])]) })
  }
  const all = buffers(48, 8, 48, 48, 8, 48)
  const apart = rows(planOf(all, over(0, 1), over(3, 4), spreadOver(0, 1, 2), spreadOver(3, 4, 5)), eager(24))
  assert.equal(apart.steps.map(s => (s.kind === 'loop' ? s.steps.length : 0)), [2, 2])
  assert.is(disagreement(apart), '')
  // one that needs the rows of another order has to run first
  const i = v(8)
  const turned = kernel([i], null, { buffer: 4, at: ix(0, [1, i]), value: load(1, ix(7, [-1, i])) })
  const after = rows(planOf(all, over(0, 1), turned, spreadOver(0, 4, 2)), eager(24))
  assert.equal(after.steps.map(s => s.kind), ['kernel', 'loop'])
  assert.is(disagreement(after), '')
})

test('turns whose kernels need memory together run one after the other', () => {
  const [n, t0] = [60_000, v(3, 't')]
  const j = v(n)
  const sum = kernel([], { kind: 'reduce', op: 'sum', vars: [j], value: op('exp', [load(0, ix(0, [n, t0], [1, j]))]), dtype: 'f32' }, { buffer: 1, at: ix(0, [1, t0]), value: acc })
  assert.is(disagreement(planOf(buffers(3 * n, 3), { kind: 'loop', counter: t0, independent: true, steps: [sum] })), '')
})

test('compiled, on several threads', () => {
  const sizes = [1, 3, 7, 17, 63, 65, 1000]
  const cases = pairwise({ n: sizes, m: [1, 3, 8], axis: [0, 1, 2] }).map(({ n, m, axis }) => caseOf(`softmax ${n} ${m} axis ${axis}`, softmax([6, m, m].with(axis, n), axis)))
  const others = [
    caseOf('normalised', normalised(65, 63)),
    caseOf('integers', made([t('i32', 60, 20)], (b, x) => {
      const top = b.op('max', [x!], { axes: [1] })
      const least = binary(b, 'sub', x!, spread(b, top, [60, 20], [0]))
      return [b.op('min', [least], { axes: [1] }), least]
    })),
  ]
  let loops = 0
  const all = [...cases, ...others]
  for (let i = 0; i < all.length; i += 12)
    checkTogether(all.slice(i, i + 12), p => {
      const cut = rows(p, eager(300))
      loops += blocksIn(cut.steps)
      return cut
    })
  assert.ok(loops >= 10, `${loops}`)
  // as they are cut when nothing is forced: with use for several threads
  assert.ok(checkTogether([caseOf('softmax of long rows', softmax([300, 300], 1)), caseOf('normalised', normalised(640, 260))]).threads > 1)
})

test.run()
