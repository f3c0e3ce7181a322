/** Bounds go through the compiler as they run eagerly. */
import { resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { interpret } from '../../../compiler/ir/interpret.ts'
import { toDense } from '../../../dsl/core/apply.ts'
import { print } from '../../../dsl/errors.ts'
import { item, key, leaves, randomNormal, tensor, toArray } from '../../../dsl/index.ts'
import { bound, gradient } from './fixtures/bounds.ts'

const root = resolve('test/dsl/prob/fixtures')
const read = lowerFiles([resolve(root, 'bounds.ts')], root)
if (read._tag === 'Left') throw new Error(print(read.left))

const p = { loc: tensor([2], [0.3, -0.4]), scale: tensor([2], [0.8, 1.1]), slope: tensor([], [0.7]) }
const x = tensor([2], [0.5, -1])
const eps = randomNormal(key(3), [6, 2])

for (const { name, func } of read.right)
  test(`${name}: lowered = eager`, () => {
    const wanted = (name === 'bounds/bound' ? [bound.call(p, x, eps)] : leaves(gradient.call(p, x, eps))).map(t => toArray(t))
    const found = interpret(func, [p.loc, p.scale, p.slope, x, eps].map(toDense)).map(t => [...t.data])
    assert.equal(found.map(v => v.length), wanted.map(v => v.length))
    found.flat().forEach((v, i) => assert.ok(Math.abs(v - wanted.flat()[i]!) < 1e-12, `${v} against ${wanted.flat()[i]}`))
  })

test('the gradient is that of differences, through the draws', () => {
  const { grad } = gradient.call(p, x, eps)
  const at = (h: number): number => item(bound.call({ ...p, scale: tensor([2], [0.8 + h, 1.1]) }, x, eps))
  assert.ok(Math.abs(toArray(grad.scale)[0]! - (at(1e-5) - at(-1e-5)) / 2e-5) < 1e-8)
})

test.run()
