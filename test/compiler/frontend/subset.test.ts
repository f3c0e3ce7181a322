/**
 * Differential test: what the front end lowers, interpreted as it is and after the passes, against the eager run of the
 * very same source.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { verify } from '../../../compiler/ir/verify.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { print } from '../../../dsl/errors.ts'
import * as corners from './fixtures/corners.ts'
import * as subset from './fixtures/subset.ts'
import { argumentsFor, flat, interpreted, treeOf } from './agree.ts'

/** Infinities, NaN and the sign of zero are exact. */
const agree = (a: number, b: number, tolerance: number): boolean => Object.is(a, b) || (a !== 0 && Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a)))

for (const [file, exports] of Object.entries({ subset, corners })) {
  const lowered = lowerFiles([`test/compiler/frontend/fixtures/${file}.ts`], 'test/compiler/frontend')
  const programs = lowered._tag === 'Right' ? lowered.right : []
  const eager = exports as unknown as Readonly<Record<string, { readonly call: (...args: readonly unknown[]) => unknown }>>

  test(`${file}: every program of the file is lowered`, () => {
    if (lowered._tag === 'Left') throw new Error(print(lowered.left))
    assert.equal(programs.map(p => p.name).sort(), Object.keys(exports).map(name => `fixtures/${file}/${name}`).sort())
  })

  for (const p of programs) {
    const name = p.name.split('/').at(-1) ?? ''
    test(`${file}/${name}: the IR verifies and agrees with the eager run`, () => {
      verify(p.func, 'lowering')
      for (const seed of [1, 2]) {
        const args = argumentsFor(p.func.params, seed)
        const expected = flat(eager[name]?.call(...treeOf(p.func.params, args)))
        // float64 throughout: sums may be taken in another order; the passes round the constants that they fold to f32
        for (const [stage, func, tolerance] of [['lowered', p.func, 1e-12], ['optimised', optimise(p.func), 1e-6]] as const) {
          const ours = interpreted({ ...p, func }, args)
          assert.equal([...ours.keys()].sort(), expected.map(([at]) => at).sort(), 'the paths of the results')
          for (const [at, x] of expected) {
            const y = ours.get(at)
            assert.equal(y?.shape, x.shape, `${at}: shape`)
            assert.equal(y?.dtype, x.dtype, `${at}: element type`)
            x.data.forEach((v, i) => assert.ok(agree(v, y?.data[i] ?? NaN, tolerance), `${at}[${i}]: eager ${v}, ${stage} ${y?.data[i]}`))
          }
        }
      }
    })
  }
}

test.run()
