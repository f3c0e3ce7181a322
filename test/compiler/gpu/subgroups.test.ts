/** Reductions through subgroups, interpreted with subgroups of every size and shape, against trees and the meaning of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Dispatched, needsSubgroups } from '../../../compiler/schedule/gpu/dispatch.ts'
import { scheduleGpu } from '../../../compiler/schedule/gpu/choose.ts'
import { type Reducing, reduce, reduceBy } from '../../../compiler/schedule/gpu/reduce.ts'
import type { Shares } from '../../../compiler/schedule/gpu/shares.ts'
import type { Index, Kernel, Plan } from '../../../compiler/schedule/kernel/kernel.ts'
import { builder } from '../../../compiler/schedule/nest/builder.ts'
import { type Stmt, f32, i32 } from '../../../compiler/schedule/nest/nest.ts'
import type { DType } from '../../../dsl/core/prim.ts'
import { acc, buffers, guard, ix, kernel, load, planOf, samples, v, when } from '../wasm/plans.ts'
import type { Subgroups } from './interpret.ts'
import { type Schedule, dialect, disagreement, namesFor, runPlan } from './run.ts'

type Op = 'sum' | 'max' | 'min'
/** Rows of n terms, or columns, each reduced to one number. */
const reduced = (rows: number, n: number, op: Op, columns = false, dtype: DType = 'f32'): Plan => {
  const [i, j] = [v(rows, 'i'), v(n, 'j')]
  const at = columns ? ix(0, [1, i], [rows, j]) : ix(0, [n, i], [1, j])
  return planOf(buffers([rows * n, dtype], [rows, dtype]), kernel([i], { kind: 'reduce', op, vars: [j], value: load(0, at, dtype), dtype },
    { buffer: 1, at: ix(0, [1, i]), value: { kind: 'acc', dtype } }))
}

const through = (shares: Shares, subgroups = true): Schedule => (k, counters, d, names) => {
  const made = reduceBy(k as Reducing, shares, counters, d, names, subgroups) // all kernels of these tests reduce
  assert.is(made.dispatches.some(needsSubgroups), subgroups)
  return [made]
}
const suited: readonly Shares[] = [
  { outputs: 1, lanes: 256, chunks: 1, across: false }, { outputs: 1, lanes: 64, chunks: 3, across: true },
  { outputs: 8, lanes: 32, chunks: 1, across: false }, { outputs: 2, lanes: 128, chunks: 2, across: false },
]

const sizes = [4, 8, 16, 32, 64, 128] as const
const ofNeighbours = (size: number): Subgroups => thread => Math.floor(thread / size)
/** What no device promises not to do: threads far apart, subgroups of different lengths, some alone, two runs crossing over. */
const strange: Readonly<Record<string, Subgroups>> = {
  'every eighth thread': thread => thread % 8,
  'scattered': thread => (thread * 37 % 256) >> 4,
  'of growing length': thread => Math.floor(Math.sqrt(thread)),
  'one thread each': thread => thread,
  'all but one thread': thread => Number(thread === 5),
  'shifted by half': thread => Math.floor((thread + 16) / 32),
  'interleaved in pairs': thread => 2 * Math.floor(thread / 64) + thread % 2,
  'numbered backwards': thread => -Math.floor(thread / 32),
  'whose counts add up by chance': thread => ([0, 1, 4, 8].includes(thread) ? 0 : thread >= 32 && thread < 116 ? 1 : 2),
}
const mappings: readonly (readonly [string, Subgroups])[] = [...sizes.map(n => [`of ${n}`, ofNeighbours(n)] as const), ...Object.entries(strange)]

// relative to 1 + the result, whose size is up to the root of the number of terms
const tolerance = 2e-5

for (const [name, subgroups] of mappings)
  test(`subgroups ${name}: sums and extremes of every type, in every way`, () => {
    for (const shares of suited) {
      const agree = (plan: Plan, within = 0): void =>
        assert.is(disagreement(plan, within, undefined, through(shares), 0, subgroups), '', JSON.stringify(shares))
      agree(reduced(5, 777, 'sum'), tolerance)
      agree(reduced(5, 513, 'max'))
      agree(reduced(1, 1500, 'min'))
      agree(reduced(3, 500, 'sum', true), tolerance)
      for (const op of ['sum', 'max', 'min'] as const) for (const dtype of ['i32', 'u32'] as const) agree(reduced(1, 150, op, false, dtype))
      for (const op of ['max', 'min'] as const) agree(reduced(3, 70, op, false, 'bool'))
    }
  })

test('NaN, infinities, zeros and the least numbers, as trees have them', () => {
  const places = [0, 5, 200, 699] as const
  const values = [NaN, Infinity, -Infinity, 0, -0, 2 ** -126, -(2 ** -126), 3.4e38, -3.4e38]
  const nan = new Float32Array(Uint32Array.of(0xffc00001).buffer)[0]!
  for (const shares of [suited[0]!, suited[2]!])
    for (const op of ['sum', 'max', 'min'] as const)
      for (const value of [...values, nan])
        for (const subgroups of [ofNeighbours(8), ofNeighbours(64), strange['scattered']!]) {
          const plan = reduced(2, 700, op)
          const x = op === 'sum' || Math.abs(value) > 1 ? [...samples(1400, 'f32')] : Array.from({ length: 1400 }, () => (op === 'max' ? -Infinity : Infinity))
          places.forEach(p => { x[p] = value })
          assert.is(disagreement(plan, op === 'sum' ? tolerance : 0, new Map([[0, x]]), through(shares), 0, subgroups), '', `${op} of ${value}`)
          // the second row has nothing of it
          const [a, b] = [true, false].map(way => runPlan(plan, new Map([[0, x]]), through(shares, way), 0, subgroups).get(1)!)
          if (op !== 'sum') assert.equal([...a!].map(y => y + 0), [...b!].map(y => y + 0))
        }
})

/** The nest without what it does where subgroups are not runs of neighbours: who comes there waits for ever. */
const without = (made: Dispatched): Dispatched => {
  let found = 0
  const cut = (body: readonly Stmt[], depth: number): readonly Stmt[] =>
    body.map((s): Stmt => {
      if (s.kind !== 'if') return s
      if (depth === 1 && s.then.some(t => t.kind === 'for') && s.condition.kind === 'local') {
        found += 1
        return { ...s, then: [{ kind: 'barrier' }] }
      }
      return { ...s, then: cut(s.then, depth + 1) }
    })
  const dispatches = made.dispatches.map(d => ({ ...d, nest: { ...d.nest, body: cut(d.nest.body, 0) } }))
  assert.is(found, made.dispatches.filter(needsSubgroups).length)
  return { ...made, dispatches }
}

test('every slot is read only where subgroups are no runs of neighbours, or have several results', () => {
  for (const shares of suited) {
    const quick: Schedule = (...given) => through(shares)(...given).map(without)
    const run = (subgroups: Subgroups): string => disagreement(reduced(16, 600, 'sum'), tolerance, undefined, quick, 0, subgroups)
    for (const size of sizes) {
      if (shares.outputs === 1 || size <= shares.lanes) assert.is(run(ofNeighbours(size)), '')
      else assert.throws(() => run(ofNeighbours(size)), /barrier/)
    }
    assert.throws(() => run(strange['scattered']!), /barrier/)
  }
})

test('the same bits whatever the numbers of subgroups, and from run to run', () => {
  const plan = reduced(3, 5000, 'sum')
  const given = new Map([[0, samples(15000, 'f32')]])
  const run = (subgroups: Subgroups): readonly number[] => [...runPlan(plan, given, through(suited[0]!), 0, subgroups).get(1)!]
  assert.equal(run(ofNeighbours(32)), run(strange['numbered backwards']!))
  assert.equal(run(ofNeighbours(32)), run(thread => (Math.floor(thread / 32) * 5) % 8))
})

test('a way with subgroups stands in front of the same way without; short and crossed lanes have none', () => {
  const waysOf = (plan: Plan, most?: number): readonly boolean[] => {
    const k = plan.steps[0] as Kernel // the only step
    return reduce(k as Reducing, [], dialect, namesFor(2), most).map(way => way.dispatches.some(needsSubgroups))
  }
  assert.equal(waysOf(reduced(1, 1000, 'sum'), 1), [true, false])
  assert.equal(waysOf(reduced(4, 2 ** 20, 'max'), 1), [true, false])
  assert.equal(waysOf(reduced(1000, 7, 'sum')), [false])
  assert.equal(waysOf(reduced(4096, 4096, 'sum', true)).at(-1), false)
  for (const rows of [1, 100, 4096]) {
    const all = waysOf(reduced(rows, 4096, 'sum'))
    all.forEach((needs, i) => assert.ok(!needs || all[i + 1] === false))
    assert.is(all.at(-1), false)
  }
})

test('what becomes several kernels can be run without subgroups as a whole', () => {
  // the gradient of a window that moves by two: its residues are kernels of their own
  const [i, j, k] = [v(8, 'i'), v(4, 'j'), v(1024, 'k')]
  const above = ix(1, [1, i], [-1, j])
  const at: Index = { offset: 0, terms: [{ coef: 1024, atom: { kind: 'div', of: above, by: 2 } }, { coef: 1, atom: { kind: 'var', id: k.id } }] }
  const value = when([guard(above, 7, 2)], load(0, at))
  const sum = kernel([i], { kind: 'reduce', op: 'sum', vars: [j, k], value, dtype: 'f32' }, { buffer: 1, at: ix(0, [1, i]), value: acc })
  assert.is(disagreement(planOf(buffers(4096, 8), sum), tolerance), '')
  for (const most of [1, Infinity]) {
    const ways = scheduleGpu(sum, [], dialect, namesFor(2), most)
    ways.forEach(way => assert.ok(way.dispatches.length > 1))
    assert.ok(ways.some(way => way.dispatches.some(needsSubgroups)))
    assert.ok(ways.some(way => !way.dispatches.some(needsSubgroups)))
  }
})

test('threads join only where all of them are, and f32 only in sums', () => {
  const b = builder('nest')
  const thread = b.param('i32', 'thread')
  b.branch(b.call('lt', 'bool', thread, i32(3)), () => assert.throws(() => b.join('sum', thread, 'all'), /within a branch/))
  assert.throws(() => b.join('max', f32(1), 'all'), /no max of f32/)
  // neither shared nor moved: what they give depends on who is there
  b.loop('i', i32(0), i32(2), 1, () => assert.is.not(b.join('sum', thread, 'all'), b.join('sum', thread, 'all')))
  const loop = b.finish(1).body.find(s => s.kind === 'for')
  assert.equal(loop?.kind === 'for' && loop.body.map(s => s.kind), ['join', 'join'])
})

test.run()
