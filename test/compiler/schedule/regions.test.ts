/** Which calls may run together, which are chained, and how they are cut: by hand, for random programs, and run on threads. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Block, type Call, type Node, type Range, type Task, partsOf, regions, serial, usefulThreads } from '../../../compiler/schedule/regions.ts'
import { load } from '../parallel.ts'
import { type Change, type Work, counting, expected } from '../wasm/counting.ts'

let calls = 0
const none: readonly Range[] = []
const at = (from: number, to: number): readonly Range[] => [{ from, to }]
/** Short and whole, unless said otherwise. */
const call = (reads: readonly Range[], writes: readonly Range[], cost = 1_000, extent = 100): Call => ({ fn: (calls += 1), extent, reads, writes, cost })
const node = (c: Call): Node => ({ kind: 'call', call: c })
const loop = (nodes: readonly Node[], size = 3): Node => ({ kind: 'loop', counter: { id: 0, size, name: 'i' }, nodes })
/** Regions as lists of tasks as lists of functions; a loop is the list of its blocks behind 'loop'. */
type Shown = readonly (readonly (readonly number[])[] | readonly ['loop', Shown])[]
const shown = (blocks: readonly Block[]): Shown => blocks.map(b => (b.kind === 'loop' ? ['loop', shown(b.blocks)] : b.tasks.map(t => t.calls.map(c => c.fn))))
const grouped = (...list: readonly Call[]): Shown => shown(regions(list.map(node)))
/** Longer than a chain may be. */
const long = 100_000

test('calls that touch nothing of each other share a region', () => {
  const [a, b, c] = [call(at(0, 8), at(8, 16), long), call(at(0, 8), at(16, 24)), call(none, at(24, 32), long)]
  assert.equal(grouped(a, b, c), [[[a.fn], [b.fn], [c.fn]]])
})

test('what is written and then read or written, or read and then written, separates', () => {
  for (const [x, y] of [[[none, at(0, 8)], [at(0, 8), none]], [[at(0, 8), none], [none, at(0, 8)]], [[none, at(0, 8)], [none, at(0, 8)]]] as const) {
    const [a, b] = [call(x[0], x[1], long), call(y[0], y[1], long)]
    assert.equal(grouped(a, b), [[[a.fn]], [[b.fn]]])
  }
})

test('ranges that overlap by a byte separate, neighbours do not', () => {
  const first = call(none, at(8, 16), long)
  for (const [from, to, apart] of [[0, 8, false], [16, 24, false], [0, 9, true], [15, 24, true], [10, 12, true], [0, 24, true]] as const) {
    const second = call(at(from, to), at(100, 104), long)
    assert.equal(grouped(first, second), apart ? [[[first.fn]], [[second.fn]]] : [[[first.fn], [second.fn]]])
  }
})

test('a call waits for the whole region that it follows from, and later ones with it', () => {
  const [a, b, c, d] = [call(none, at(0, 8), long), call(none, at(8, 16), long), call(at(0, 8), at(16, 24), long), call(none, at(24, 32), long)]
  assert.equal(grouped(a, b, c, d), [[[a.fn], [b.fn]], [[c.fn], [d.fn]]])
})

test('short calls that follow from each other are chained, in order', () => {
  const [a, b, c, other] = [call(none, at(0, 8)), call(at(0, 8), at(8, 16)), call(at(8, 16), at(0, 8)), call(none, at(100, 108), long)]
  assert.equal(grouped(a, b, other, c), [[[other.fn], [a.fn, b.fn, c.fn]]])
  const [x, y, both] = [call(none, at(0, 8)), call(none, at(8, 16)), call(at(0, 16), at(16, 24))]
  assert.equal(grouped(x, y, both), [[[x.fn, y.fn, both.fn]]], 'a call that follows from two joins them')
})

test('chains end where they would take longer than two waits', () => {
  const list = Array.from({ length: 7 }, () => call(at(0, 8), at(0, 8), 10_000))
  assert.equal(grouped(...list), [[list.slice(0, 3).map(c => c.fn)], [list.slice(3, 6).map(c => c.fn)], [[list[6]!.fn]]])
})

test('what is cut into parts is no link of a chain', () => {
  const [a, b] = [call(none, at(0, 8), 20_000), call(at(0, 8), at(8, 16))]
  assert.is(partsOf(a), 2)
  assert.equal(grouped(a, b), [[[a.fn]], [[b.fn]]])
})

test('loops stand alone, with regions of their own', () => {
  const [a, b, c, d] = [call(none, at(0, 8)), call(none, at(8, 16), long), call(at(8, 16), at(16, 24), long), call(none, at(24, 32))]
  assert.equal(shown(regions([node(a), loop([node(b), loop([node(c)])]), node(d)])), [[[a.fn]], ['loop', [[[b.fn]], ['loop', [[[c.fn]]]]]], [[d.fn]]])
})

test('a call without parts is left out', () => assert.equal(grouped(call(none, at(0, 8), 1, 0)), []))

test('a loop is for one thread where nothing in it is worth cutting', () => {
  assert.ok(serial([node(call(none, none)), node(call(none, none, 15_000))]))
  assert.not(serial([node(call(none, none)), node(call(none, none, long))]))
  assert.ok(serial([node(call(none, none, long, 1))]), 'one part cannot be cut')
  assert.not(serial([loop([])]))
})

test('more threads are of use only where they save time', () => {
  const of = (...list: readonly Call[]): number => usefulThreads(regions(list.map(node)), 64)
  assert.is(of(), 1)
  assert.is(of(call(none, none)), 1)
  assert.is(of(call(none, none, 1e7, 1)), 1, 'one part')
  assert.is(of(call(none, none, 1e7, 2)), 2)
  assert.is(of(call(none, none, 1e9, 1000)), 64)
  assert.is(of(call(none, at(0, 8), 1e7, 1), call(none, at(8, 16), 1e7, 1)), 2, 'two at a time')
  assert.is(of(call(none, at(0, 8), 1e7, 1), call(at(0, 8), at(8, 16), 1e7, 1)), 1, 'one after the other')
})

// ---- random programs --------------------------------------------------------------------------------------------------

const costs = fc.oneof(fc.integer({ min: 10, max: 16_000 }), fc.integer({ min: 10, max: 2_000_000 }))

test('every part of an extent is in one part of its task', () =>
  fc.assert(fc.property(fc.integer({ min: 1, max: 100_000 }), costs, (extent, cost) => {
    const [block] = regions([node(call(none, none, cost, extent))])
    const tasks: readonly Task[] = block?.kind === 'region' ? block.tasks : []
    assert.is(tasks.length, 1)
    const { chunk, parts } = tasks[0]!
    assert.ok(parts >= 1 && parts <= 64 && (parts - 1) * chunk < extent && extent <= parts * chunk, `${parts} parts of ${chunk} of ${extent}`)
    assert.is(parts, partsOf(call(none, none, cost, extent)))
    assert.ok(parts === 1 || cost / parts >= 8_000, 'a part is worth handing over')
    // the shares of the threads are all parts, each once
    for (const threads of [1, 2, 3, 5, 64]) {
      const from = Array.from({ length: threads + 1 }, (_, v) => Math.floor((v * parts) / threads))
      assert.ok(from[0] === 0 && from[threads] === parts && from.every((x, i) => i === 0 || x >= from[i - 1]!))
    }
  }), { numRuns: 300, seed: 1 }))

const words = 400
/** Changes whose reads and writes overlap those of others at random. */
const some = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
const change: fc.Arbitrary<Change> = fc.tuple(fc.nat(9), fc.nat(19), some(40), some(40), some(9), costs)
  .map(([to, gap, extent, reach, id, cost]) => {
    const first = 40 * to
    const from = first >= words / 2 ? first - gap - reach : first + extent + gap
    return { kind: 'change', id, to: first, extent: Math.min(extent, words - first), from, reach, cost }
  })
const { work } = fc.letrec<{ work: readonly Work[]; turns: Work }>(tie => ({
  turns: fc.record({ kind: fc.constant('turns' as const), times: fc.integer({ min: 1, max: 3 }), steps: tie('work') }),
  work: fc.array(fc.oneof({ maxDepth: 2, depthSize: 'small' }, { arbitrary: change, weight: 6 }, { arbitrary: tie('turns'), weight: 1 }), {
    minLength: 1, maxLength: 14,
  }),
}))

const overlap = (a: readonly Range[], b: readonly Range[]): boolean => a.some(x => b.some(y => x.from < y.to && y.from < x.to))
const conflict = (a: Call, b: Call): boolean => overlap(a.writes, [...b.writes, ...b.reads]) || overlap(a.reads, b.writes)
/** Where a call stands: in which block, in which of its tasks, at which place of the chain. */
type Place = { readonly call: Call; readonly block: number; readonly task: number; readonly link: number }
const places = (blocks: readonly Block[]): readonly Place[] =>
  blocks.flatMap((b, block) => (b.kind === 'loop' ? [] : b.tasks.flatMap((t, task) => t.calls.map((c, link) => ({ call: c, block, task, link })))))

test('calls that conflict keep their order, and all are there once', () =>
  fc.assert(fc.property(fc.array(change, { maxLength: 30 }), list => {
    const nodes = list.map(({ to, extent, from, reach, cost }) => call(at(from, from + reach), at(to, to + extent), cost, extent))
    const blocks = regions(nodes.map(node))
    const placed = places(blocks)
    assert.equal(placed.map(p => p.call.fn).sort((x, y) => x - y), nodes.map(n => n.fn))
    for (const x of placed)
      for (const y of placed)
        if (x.call.fn < y.call.fn && conflict(x.call, y.call))
          assert.ok(x.block < y.block || (x.block === y.block && x.task === y.task && x.link < y.link), 'an order is lost')
    const tasks = blocks.flatMap(b => (b.kind === 'loop' ? [] : b.tasks))
    for (const { calls: links, parts } of tasks.filter(t => t.calls.length > 1))
      assert.ok(parts === 1 && links.every(c => partsOf(c) === 1) && links.reduce((n, c) => n + c.cost, 0) <= 32_000, 'a chain is too long')
  }), { numRuns: 300, seed: 2 }))

test('random programs on threads do what their calls do in order', () =>
  fc.assert(fc.property(work, fc.array(fc.integer(), { minLength: words, maxLength: words }), (steps, start) => {
    const running = load(counting(words, steps), buffer => new Int32Array(buffer, 0, words).set(start))
    const want = Int32Array.from(start)
    for (const threads of [undefined, 2, 3, 5, 1]) {
      // from what the run before has left
      expected(want, steps)
      running.run(threads)
      assert.equal(new Int32Array(running.buffer, 0, words).slice(), want, `${threads} threads`)
    }
  }), { numRuns: 150, seed: 3, interruptAfterTimeLimit: 60_000 }))

test.run()
