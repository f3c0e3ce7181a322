/** Differential test: what the front end lowers, interpreted, against the eager run of the very same source. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { print } from '../../../dsl/errors.ts'
import * as subset from './fixtures/subset.ts'
import { argumentsFor, flat, interpreted, treeOf } from './agree.ts'

const path = 'test/compiler/frontend/fixtures/subset.ts'
const lowered = lowerFiles([path], 'test/compiler/frontend')
const programs = lowered._tag === 'Right' ? lowered.right : []
const eager = subset as unknown as Readonly<Record<string, { readonly call: (...args: readonly unknown[]) => unknown }>>

test('every program of the file is lowered', () => {
  if (lowered._tag === 'Left') throw new Error(print(lowered.left))
  assert.equal(programs.map(p => p.name).sort(), Object.keys(subset).map(name => `fixtures/subset/${name}`).sort())
})

for (const p of programs) {
  const name = p.name.split('/').at(-1) ?? ''
  test(`${name}: the IR verifies and agrees with the eager run`, () => {
    verify(p.func, 'lowering')
    for (const seed of [1, 2]) {
      const args = argumentsFor(p.func.params, seed)
      const ours = interpreted(p, args)
      const expected = flat(eager[name]?.call(...treeOf(p.func.params, args)))
      assert.equal([...ours.keys()].sort(), expected.map(([at]) => at).sort(), 'the paths of the results')
      for (const [at, x] of expected) {
        const y = ours.get(at)
        assert.equal(y?.shape, x.shape, `${at}: shape`)
        assert.equal(y?.dtype, x.dtype, `${at}: element type`)
        // both run in float64; sums may be taken in another order
        x.data.forEach((v, i) => assert.ok(Math.abs(v - (y?.data[i] ?? NaN)) <= 1e-12 * Math.max(1, Math.abs(v)), `${at}[${i}]: eager ${v}, lowered ${y?.data[i]}`))
      }
    }
  })
}

test.run()
