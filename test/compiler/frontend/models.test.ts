/** The whole of VDSM in its test size: the lowered programs, interpreted, against the eager run of the models' own source. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { print } from '../../../dsl/errors.ts'
import * as tiny from '../../../models/vdsm/tiny.ts'
import { argumentsFor, flat, interpreted, treeOf } from './agree.ts'

const lowered = lowerFiles(['models/vdsm/tiny.ts'], 'models')
const programs = lowered._tag === 'Right' ? lowered.right : []
const eager = tiny as unknown as Readonly<Record<string, { readonly call: (...args: readonly unknown[]) => unknown }>>

test('every program of the model is lowered', () => {
  if (lowered._tag === 'Left') throw new Error(print(lowered.left))
  assert.equal(programs.map(p => p.name).sort(), Object.keys(tiny).map(name => `vdsm/tiny/${name}`).sort())
})

for (const p of programs) {
  test(`${p.name} agrees with the eager run`, () => {
    verify(p.func, 'lowering')
    // arguments above zero: the optimiser takes roots of its second moments
    const args = argumentsFor(p.func.params, 3).map(x => ({ ...x, data: x.data.map(v => Math.abs(v)) }))
    const ours = interpreted(p, args)
    const expected = flat(eager[p.name.split('/').at(-1) ?? '']?.call(...treeOf(p.func.params, args)))
    assert.equal([...ours.keys()].sort(), expected.map(([at]) => at).sort())
    for (const [at, x] of expected) {
      const y = ours.get(at)
      assert.equal(y?.shape, x.shape, `${at}: shape`)
      // float64 on both sides; the two gradients add their terms in different orders
      const worst = Array.from(x.data).reduce((w, v, i) => Math.max(w, Math.abs(v - (y?.data[i] ?? NaN)) / Math.max(1, Math.abs(v))), 0)
      assert.ok(worst <= 1e-10, `${at}: off by ${worst}`)
    }
  })
}

test.run()
