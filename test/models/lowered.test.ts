/** Every tiny program after the compiler's passes over it, against the eager meaning, number by number. */
import { resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../compiler/frontend/lower.ts'
import { interpret } from '../../compiler/ir/interpret.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { toDense } from '../../dsl/core/apply.ts'
import { print } from '../../dsl/errors.ts'
import type { Dense } from '../../dsl/core/dense.ts'
import { cases } from './fixtures/cases.ts'
import { named } from './fixtures/trees.ts'

const root = resolve('models')
const read = lowerFiles(['frames', 'video'].map(stage => resolve(root, `vdsm/tiny/${stage}.ts`)), root)
if (read._tag === 'Left') throw new Error(print(read.left))
const lowered = read.right

/** Compares arrays up to rounding: constants that are folded become float32, such as 1 / 6; otherwise everything is float64. */
const agree = (what: string, found: Dense, wanted: Dense): void => {
  assert.equal(found.shape, wanted.shape, what)
  const size = Math.sqrt([...wanted.data].reduce((sum, v) => sum + v * v, 0) / Math.max(1, wanted.data.length))
  found.data.forEach((v, i) => assert.ok(Math.abs(v - wanted.data[i]!) <= 3e-7 * Math.max(size, 1e-3), `${what}[${i}]: ${v} against ${wanted.data[i]}`))
}

test('every program was read', () => assert.equal(lowered.map(p => p.name).toSorted(), Object.keys(cases).map(name => `vdsm/tiny/${name}`).toSorted()))

for (const program of lowered)
  test(`${program.name} optimised = eager`, () => {
    const { args, eager } = cases[program.name.replace('vdsm/tiny/', '')]!
    const given = new Map(named(args))
    const wanted = new Map(named(eager()))
    for (const { path } of program.func.params) assert.ok(given.has(path), path)
    assert.equal(program.outputs.toSorted(), [...wanted.keys()].toSorted())
    const results = interpret(optimise(program.func), program.func.params.map(p => toDense(given.get(p.path)!)))
    program.outputs.forEach((path, i) => agree(path, results[i]!, toDense(wanted.get(path)!)))
  })

test.run()
