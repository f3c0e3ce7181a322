/** Plans made at random as gathers, against the meaning of plans. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { printPlan } from '../../../../compiler/schedule/kernel/print.ts'
import { filled } from '../../gpu/run.ts'
import { randomPlan } from './random.ts'
import { disagreement } from './run.ts'

for (let part = 0; part < 6; part += 1)
  test(`plans ${part}`, () => {
    for (let seed = 100 * part; seed < 100 * (part + 1); seed += 1) {
      const plan = randomPlan(seed)
      const given = new Map([...filled(plan)].filter(([id]) => plan.buffers[id]!.role.kind === 'input'))
      // float32 in chains of some sums and products, which may cancel
      assert.is(disagreement(plan, 1e-3, given), '', `seed ${seed}\n${printPlan(plan)}`)
    }
  })

test.run()
