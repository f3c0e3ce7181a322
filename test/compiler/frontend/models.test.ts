/** The whole of VDSM in its test size: the lowered programs, interpreted, against the eager run of the models' own source. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { print } from '../../../dsl/errors.ts'
import * as frames from '../../../models/vdsm/tiny/frames.ts'
import * as video from '../../../models/vdsm/tiny/video.ts'
import { argumentsFor, flat, interpreted, treeOf } from './agree.ts'

const lowered = lowerFiles(['models/vdsm/tiny/frames.ts', 'models/vdsm/tiny/video.ts'], 'models')
const programs = lowered._tag === 'Right' ? lowered.right : []
const named = (stage: string, all: object) => Object.entries(all).map(([name, p]) => [`vdsm/tiny/${stage}/${name}`, p as { readonly call: (...args: readonly unknown[]) => unknown }] as const)
const eager = new Map<string, { readonly call: (...args: readonly unknown[]) => unknown }>([...named('frames', frames), ...named('video', video)])

test('every program of the model is lowered', () => {
  if (lowered._tag === 'Left') throw new Error(print(lowered.left))
  assert.equal(programs.map(p => p.name).sort(), [...eager.keys()].sort())
})

for (const p of programs) {
  test(`${p.name} agrees with the eager run`, () => {
    verify(p.func, 'lowering')
    // arguments above zero: the optimiser takes roots of its second moments
    const args = argumentsFor(p.func.params, 3).map(x => ({ ...x, data: x.data.map(v => Math.abs(v)) }))
    const ours = interpreted(p, args)
    const expected = flat(eager.get(p.name)?.call(...treeOf(p.func.params, args)))
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
