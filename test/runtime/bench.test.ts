/** The least time of a kernel, from its counts and a machine's rates; the modules that measure those rates run and end. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeHost } from '../../runtime/device/node.ts'
import { better, measureRates, type Rates } from '../../runtime/device/rates.ts'
import { floorOf, floorOfAll, nearLimit } from '../../runtime/measure/floor.ts'
import { median } from '../../runtime/measure/times.ts'

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

for (const threads of [1, 2]) {
  test(`rates on ${threads} thread(s) are plausible numbers`, async () => {
    nodeHost('').prepare()
    const measured = better(await measureRates(threads, 10), rates)
    assert.is(measured.threads, threads)
    for (const rate of [measured.peakGflops, measured.productGflops, measured.farGBs, measured.nearGBs]) assert.ok(rate > 0.05 && rate < 1e5, String(rate))
  })
}

test.run()
