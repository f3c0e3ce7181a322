/**
 * Barriers and shared work under stress: many short dependent regions, one long kernel, every way of waiting, more threads
 * than parts, threads that fail; and random programs at sizes that are cut, on three threads as on one.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { plan as planOf } from '../../../compiler/fuse/plan.ts'
import { batch } from '../../../compiler/transform/batch.ts'
import { valueAndGrad } from '../../../compiler/transform/vjp.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import type { Func } from '../../../compiler/ir/ir.ts'
import { avalsOf, count } from '../../../compiler/ir/view.ts'
import { arbitrarySample, randomArgs, withLoss } from '../arbitrary.ts'
import { composed } from '../composed.ts'
import { type Running, differing, load } from '../parallel.ts'
import { adam, f, made, product, spread, unary } from '../shapes.ts'
import { type Prepared, cutKernels, prepare, rounded } from '../together.ts'
import { type Change, type Work, counting, expected } from './counting.ts'

const words = 1024
/** A call that is cut into `parts`: word[to ..] from word[from ..]. */
const change = (id: number, to: number, from: number, parts: number, extent = 64): Change =>
  ({ kind: 'change', id, to, from, reach: extent, extent, cost: 8_000 * parts })
/** Each reads what the one before wrote, in another order. */
const chain = (length: number, parts: number): readonly Work[] => Array.from({ length }, (_, i) => change(i, 64 * (i % 5), 64 * ((i + 4) % 5), parts))
const start = (work: readonly Work[]): { readonly running: Running; readonly values: Int32Array; readonly want: Int32Array } => {
  const first = Int32Array.from({ length: words }, (_, i) => i * i - 7)
  const running = load(counting(words, work), buffer => new Int32Array(buffer, 0, words).set(first))
  return { running, values: new Int32Array(running.buffer, 0, words), want: Int32Array.from(first) }
}
/** Runs the work so many times, each from what the last has left. */
const stress = (work: readonly Work[], runs: readonly (readonly [threads: number, runs: number])[], spins = 100): void => {
  const { running, values, want } = start(work)
  for (const [threads, times] of runs)
    for (let i = 0; i < times; i += 1) {
      expected(want, work)
      running.run(threads, 'run', spins)
      assert.equal(values.slice(), want, `${threads} threads, run ${i}`)
    }
}

test('two hundred short regions, each after the other, two hundred times', () => stress(chain(200, 8), [[2, 120], [3, 40], [4, 20], [5, 20]]))
test('regions in loops', () => {
  const inner: Work = { kind: 'turns', times: 4, steps: [change(2, 64, 0, 5), change(3, 128, 0, 2)] }
  stress([{ kind: 'turns', times: 10, steps: [change(1, 0, 64, 3), inner] }], [[2, 20], [3, 20], [5, 20]])
})
test('more threads than parts', () => stress([change(1, 0, 64, 2, 3), change(2, 64, 0, 1), change(3, 0, 64, 3, 3), change(4, 0, 64, 9, 1)], [[5, 50]]))
test('many independent calls in one region', () => {
  const independent = Array.from({ length: 12 }, (_, i) => change(i, 64 * i, 900, 1 + (i % 4), 17 + i))
  stress([...independent, change(99, 0, 64, 64)], [[2, 30], [3, 30], [5, 30]])
})
test('threads that sleep at once', () => stress(chain(40, 4), [[2, 20], [3, 20], [5, 10]], 1))
test('threads that look for long before they sleep', () => stress(chain(20, 4), [[2, 20]], 100_000))
test('threads that never sleep', () => stress(chain(10, 4), [[2, 10], [3, 1]], 0))
test('from two threads to five and back', () => stress(chain(5, 8), Array.from({ length: 40 }, (_, i) => [[1, 2, 5, 3, 4, 2, 1, 5][i % 8]!, 1] as const)))

// ---- failures -----------------------------------------------------------------------------------------------------------

/** The word that counts the threads which have arrived at the barrier: it begins the second line of the sync words. */
const arrived = 64 / 4

test('-1 in the first word ends threads that wait, asleep or not', () => {
  const work = chain(10, 4)
  for (const spins of [1, 1_000_000, 0]) {
    const { running, values, want } = start(work)
    // thread 0 never comes
    const failure = running.without0(3, spins, () => {
      for (const until = Date.now() + 10_000; Atomics.load(running.sync, arrived) < 2 && Date.now() < until; );
      Atomics.store(running.sync, 0, -1)
      Atomics.notify(running.sync, 0)
    })
    assert.match(failure, /unreachable/, `spins ${spins}`)
    assert.equal(values.slice(), want, 'nothing is done before all have come')
    // who comes later fails too
    assert.throws(() => running.run(3), /unreachable/)
    running.sync.fill(0)
    for (const threads of [3, 2, 5]) {
      expected(want, work)
      running.run(threads)
      assert.equal(values.slice(), want, `${threads} threads afterwards`)
    }
  }
})

test('a thread that fails within a region ends the others', () => {
  const work: readonly Work[] = [...chain(4, 4), { ...change(7, 512, 0, 16), fails: 1000 }, ...chain(6, 4)]
  const { running, values } = start(work)
  for (const threads of [1, 2, 3, 5]) {
    running.reset()
    values[1000] = 1
    assert.throws(() => running.run(threads), /by zero/)
    running.reset()
    values[1000] = 0
    const want = values.slice()
    expected(want, work)
    running.run(threads)
    assert.equal(values.slice(), want, `${threads} threads afterwards`)
  }
})

// ---- whole programs -----------------------------------------------------------------------------------------------------

const args = (func: Func, seed: number) => randomArgs(func, seed).map(rounded)

test('one long kernel, twenty times', () => {
  const func = made([f(100_003)], (b, x) => [unary(b, 'softplus', x!)])
  const { running, module } = prepare(planOf(optimise(func)), args(func, 1))(true)
  assert.ok(module.threads > 1)
  running.run()
  const want = running.words.slice()
  for (const threads of [2, 3, 5]) for (let i = 0; i < 20; i += 1) {
    running.reset()
    running.run(threads)
    assert.is(differing(running, want), '', `${threads} threads`)
  }
})

test('steps one by one do what the whole program does', () => {
  const one = product({ m: 65, n: 63, k: 130, turned: 'b', out: 'mn', batched: 'both', around: 'epilogue' })
  const func = made(one.params.map(p => p.aval), (b, ...ids) => {
    const [x, y] = b.inline(one, ids) as [number, number]
    const sum = b.op('sum', [unary(b, 'exp', x)], { axes: [2] })
    return [x, y, sum, b.op('mul', [y, spread(b, sum, b.aval(y).shape, [0, 1])], {})]
  })
  const plan = planOf(optimise(func))
  const { running } = prepare(plan, args(func, 2))(false)
  running.run()
  const want = running.words.slice()
  for (const threads of [1, 2, 3, 5]) {
    running.reset()
    plan.steps.forEach((_, i) => running.run(threads, `s${i}`))
    assert.is(differing(running, want), '', `${threads} threads`)
  }
})

test('inputs that a program updates in place', () => {
  const sizes = [7, 1000, 30_001, 65, 4097]
  const func = optimise(adam(sizes))
  // parameters and first moments come back where they were
  const updates = sizes.flatMap((_, i) => [[3 * i, 4 * i], [3 * i + 1, 4 * i + 2]] as const)
  const results = ({ running, read }: Prepared): readonly (readonly number[])[] => func.results.map((_, i) => [...read(running.buffer, 'output', i)])
  const apart = prepare(planOf(func), args(func, 3))(true)
  apart.running.run()
  const want = results(apart)
  const within = prepare(planOf(func, updates), args(func, 3))(true)
  assert.ok(within.module.memoryBytes < apart.module.memoryBytes)
  within.running.run(1)
  assert.equal(results(within), want)
  within.running.run(1)
  const after = within.running.words.slice()
  for (const threads of [2, 3, 5]) {
    within.running.reset()
    within.running.run(threads)
    within.running.run(threads)
    assert.is(differing(within.running, after), '', `${threads} threads, second step`)
  }
})

/** The same bits on three threads as on one; how many runs of kernels are worth cutting. */
const agrees = (func: Func, seed: number, fma: boolean): number => {
  const plan = planOf(optimise(func))
  const { running, place } = prepare(plan, args(func, seed))(fma)
  running.run(1)
  const want = running.words.slice()
  for (const turn of ['first', 'second']) {
    if (turn === 'first') running.reset()
    running.run(3)
    const found = differing(running, want)
    if (found !== '') assert.unreachable(`${turn} run: ${found} ${place(Number(/^byte (\d+)/.exec(found)![1]))}`)
  }
  return cutKernels(plan)
}
/** Programs that hang take long: few are tried then. */
const interruptAfterTimeLimit = 60_000

/** Of so many at once that its largest value has some ten thousand elements; part of the arguments is shared. */
const batched = (func: Func): Func => {
  const largest = Math.max(1, ...[...avalsOf(func).values()].map(a => count(a.shape)))
  return batch(func, func.params.map((_, i) => i % 3 !== 2), Math.min(2000, Math.max(2, Math.ceil(40_000 / largest))))
}

test('compositions at sizes that are cut', () => {
  let [cut, programs] = [0, 0]
  fc.assert(fc.property(fc.nat(99_999), fc.boolean(), (seed, fma) => {
    const found = agrees(batched(composed(seed, 3)), seed, fma)
    programs += 1
    cut += found > 0 ? 1 : 0
  }), { numRuns: 60, seed: 21, interruptAfterTimeLimit })
  assert.ok(cut > programs / 3, `only ${cut} of ${programs} programs have kernels that are cut`)
})

test('random functions and gradients at sizes that are cut', () => {
  let [cut, programs] = [0, 0]
  fc.assert(fc.property(arbitrarySample({ steps: 8, scans: true, smooth: true }), fc.boolean(), fc.boolean(), ({ func }, gradient, fma) => {
    const loss = gradient ? withLoss(func) : func
    const whole = gradient ? valueAndGrad(loss, loss.params.flatMap((p, i) => (p.aval.dtype === 'f32' ? [i] : []))) : func
    const found = agrees(batched(whole), 5, fma)
    programs += 1
    cut += found > 0 ? 1 : 0
  }), { numRuns: 40, seed: 22, interruptAfterTimeLimit })
  assert.ok(cut > programs / 3, `only ${cut} of ${programs} programs have kernels that are cut`)
})

test.run()
