/** Tiny programs after the compiler's passes over them, against the eager meaning, number by number. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { interpret } from '../../compiler/ir/interpret.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { toDense } from '../../dsl/core/apply.ts'
import type { Dense } from '../../dsl/core/dense.ts'
import { cases } from './fixtures/cases.ts'
import { lowered } from './fixtures/lowered.ts'
import { named } from './fixtures/trees.ts'

/** Compares arrays up to rounding: constants that are folded become float32, such as 1 / 6; otherwise everything is float64. */
const agree = (what: string, found: Dense, wanted: Dense): void => {
  assert.equal(found.shape, wanted.shape, what)
  const size = Math.sqrt([...wanted.data].reduce((sum, v) => sum + v * v, 0) / Math.max(1, wanted.data.length))
  found.data.forEach((v, i) => assert.ok(Math.abs(v - wanted.data[i]!) <= 3e-7 * Math.max(size, 1e-3), `${what}[${i}]: ${v} against ${wanted.data[i]}`))
}

// A training step is its gradient and an update, a loss what the gradient begins with; compiled, they are compared as well.
for (const [name, { args, eager }] of Object.entries(cases).filter(([name]) => !/(trainStep|loss)$/.test(name)))
  test(`${name}: optimised = eager`, () => {
    const { func, outputs } = lowered.get(`models/vdsm/tiny/${name}`) ?? (assert.unreachable(name) as never)
    const given = new Map(named(args))
    const wanted = new Map(named(eager()))
    for (const { path } of func.params) assert.ok(given.has(path), path)
    assert.equal(outputs.toSorted(), [...wanted.keys()].toSorted())
    const results = interpret(optimise(func), func.params.map(p => toDense(given.get(p.path)!)))
    outputs.forEach((path, i) => agree(path, results[i]!, toDense(wanted.get(path)!)))
  })

test.run()
