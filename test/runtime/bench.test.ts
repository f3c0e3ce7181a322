/** The least time of a kernel, from its counts and a machine's rates; the modules that measure those rates run and end; the table of the benchmarks. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeHost } from '../../runtime/device/node.ts'
import { better, measureRates, type Rates } from '../../runtime/device/rates.ts'
import { floorOf, floorOfAll, nearLimit } from '../../runtime/measure/floor.ts'
import { profileOf, profileText } from '../../runtime/measure/profile.ts'
import { median, msText } from '../../runtime/measure/times.ts'
import type { Measured, Speed } from '../bench/measure.ts'
import { markdown, type Results } from '../bench/table.ts'

/** 2 GFLOP/s of products, 4 GB/s beyond the caches, 8 within. */
const rates: Rates = { threads: 1, peakGflops: 3, productGflops: 2, farGBs: 4, nearGBs: 8 }

test('a kernel takes as long as its operations or its bytes, whichever is more', () => {
  assert.equal(floorOf({ work: 2e6, bytes: 4000, count: 1 }, rates), { ms: 1, bound: 'arithmetic' })
  assert.equal(floorOf({ work: 2e6, bytes: 8e6, count: 1 }, rates), { ms: 2, bound: 'memory' })
  assert.equal(floorOf({ work: 0, bytes: nearLimit, count: 3 }, rates), { ms: (3 * nearLimit) / 8e6, bound: 'cache' })
  assert.equal(floorOf({ work: 0, bytes: nearLimit + 4, count: 1 }, rates).bound, 'memory')
})

test('kernels one after the other add up, as often as they run', () => {
  const kernel = { name: 'k', places: [], flops: 1, step: 0 }
  assert.is(floorOfAll([{ ...kernel, work: 2e6, bytes: 0, count: 5 }, { ...kernel, work: 0, bytes: 8e6, count: 1 }], rates), 7)
})

test('medians of odd and even numbers of times', () => {
  assert.equal([median([3, 1, 2]), median([4, 1, 3, 2])], [2, 2.5])
})

test('milliseconds are told to two digits at least', () => {
  assert.equal([123.45, 9.8765, 0.12345, 0.0123, 0.0000034, 0, -0.0456].map(msText), ['123.5 ms', '9.877 ms', '0.123 ms', '0.012 ms', '0.0000034 ms', '0.000 ms', '-0.046 ms'])
})

test('a profile: the best run of each step beside its floor, and what is lost', () => {
  const kernel = { places: ['models/m.ts:3:4', 'models/m.ts:5:6'], flops: 2e6, work: 2e6, bytes: 0, count: 1 }
  const kernels = [{ ...kernel, name: 'first', step: 0 }, { ...kernel, name: 'second', step: 1 }]
  const profile = profileOf({ kernels }, [[2, 1.5, 3], [5, 4]], rates)
  assert.equal(profile.steps.map(({ step, ms, medianMs, floorMs, gap, lostMs }) => ({ step, ms, medianMs, floorMs, gap, lostMs })), [
    { step: 1, ms: 4, medianMs: 4.5, floorMs: 1, gap: 4, lostMs: 3 }, { step: 0, ms: 1.5, medianMs: 2, floorMs: 1, gap: 1.5, lostMs: 0.5 },
  ])
  assert.equal([profile.ms, profile.floorMs, profile.gap], [5.5, 2, 2.75])
  const lines = profileText(profile).split('\n')
  assert.is(lines[2], '      4.000  72.7%      0.5     1.000   4.00     3.000  85.7%  s1 second                        m.ts:3:4 +1')
  // Faster than the floor: nothing is lost.
  assert.not.match(profileText(profileOf({ kernels }, [[0.5], [0.9]], rates)), /NaN/)
  assert.not.match(profileText(profileOf({ kernels: [] }, [[0.5]], rates)), /NaN|Infinity/)
})

for (const threads of [1, 2]) {
  test(`rates on ${threads} thread(s) are plausible numbers`, async () => {
    nodeHost('').prepare()
    const measured = better(await measureRates(threads, 10), rates)
    assert.is(measured.threads, threads)
    for (const rate of [measured.peakGflops, measured.productGflops, measured.farGBs, measured.nearGBs]) assert.ok(rate > 0.05 && rate < 1e5, String(rate))
  })
}

test('the table of the benchmarks: a line for each row, with what is not there left out', () => {
  const speed: Speed = { threads: 1, ms: 4, bestMs: 3.5, gflops: 2.5, peakShare: 0.5, floorMs: 3, gap: 4 / 3 }
  const row: Measured = { name: 'a', what: 'some product', program: 'y/a', flops: 1e9, kernels: 1, wasmBytes: 2345, one: speed, all: { ...speed, threads: 2, ms: 2 }, ratio: 2, overCopy: null }
  const results: Results = {
    version: 1, date: '2026-01-02', machine: { cpu: 'A CPU', cores: 2, node: '20.0.0', v8: '11', flags: ['--some-flag'] },
    rates: { one: rates, all: { ...rates, threads: 2 } },
    rows: [row, { ...row, name: 'b', what: 'a pass', flops: 1e6, all: null, ratio: null, overCopy: 1.25 }],
    compile: [{ what: 'the yardsticks', programs: 2, coldSeconds: 1.25, warmSeconds: 0 }],
    allocation: { program: 'm/trainStep', threads: 2, steps: 200, growth: 12.3, longestPause: 0.5, pauses: 3 },
    peers: [{ row: 'a', library: 'one', version: '1.2.3', threads: 1, ms: 40, ratio: 10, note: 'batch 4' }, { row: 'a', library: 'other', error: 'it broke' }],
  }
  const lines = markdown(results).split('\n')
  assert.is(lines[0], 'A CPU, 2 cores, Node 20.0.0 (V8 11; --some-flag), 2026-01-02; medians (best calls).')
  for (const line of [
    '| some product (1.00 GFLOP) | 4.00 (3.50) ms | 2.5 | 50% | 3.00 ms | 2.00 (3.50) ms | 2.5 | 50% | 3.00 ms | 2.00x | 2.3 kB |',
    '| a pass (1.25 x a copy, 1 thread) | 4.00 (3.50) ms | 2.5 | 50% | 3.00 ms | - | - | - | - | - | 2.3 kB |',
    '| the yardsticks | 2 | 1.3 s | 0.0 s |',
    'Allocation: m/trainStep on 2 threads, 200 steps: the heap grows by 12 bytes a step; 3 collections, the longest pause 0.50 ms.',
    '| some product | one 1.2.3 (batch 4) | 1 | 40.0 ms | 10x |',
    '| some product | other | - | - | failed: it broke |',
  ]) assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`)
  assert.not.match(markdown({ ...results, peers: [], allocation: null }), /other|Allocation/)
})

test.run()
