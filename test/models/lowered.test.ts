/** The compiler's reading of every tiny program, before and after its passes, against the eager meaning, number by number. */
import { resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../compiler/frontend/lower.ts'
import { interpret } from '../../compiler/ir/interpret.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { isTensor, toDense } from '../../dsl/core/apply.ts'
import { full, key, randomNormal, randomUniform } from '../../dsl/index.ts'
import { print } from '../../dsl/errors.ts'
import type { Dense } from '../../dsl/core/dense.ts'
import * as tiny from '../../models/vdsm/tiny.ts'

/** The tensors of a tree by path, as the compiler names them. */
const named = (tree: unknown, path: string): readonly (readonly [string, Dense])[] =>
  isTensor(tree) ? [[path, toDense(tree)]]
  : Array.isArray(tree) ? tree.flatMap((t, i) => named(t, `${path}[${i}]`))
  : Object.entries(tree as object).flatMap(([k, t]) => named(t, path === '' ? k : `${path}.${k}`))

const scalar = (v: number) => full([], v)
const schedule = { learningRate: scalar(2e-3), temperature: scalar(1.5), lambdaS: scalar(0.3), lambdaZ: scalar(4) }
const { learningRate: _, ...annealing } = schedule
const state = tiny.init.call(key(1))
const { params } = state
const x = randomUniform(key(2), [2, 2, 3, 64, 64])
const eps = { s: randomNormal(key(3), [2, 2]), z: randomNormal(key(4), [2, 2, 3]) }
const { temperature } = schedule

/** Arguments by name, and what the eager program gives for them. */
const cases: Readonly<Record<keyof typeof tiny, readonly [args: object, eager: () => unknown]>> = {
  init: [{ key: key(1) }, () => state],
  trainStep: [{ state, x, key: key(7), schedule }, () => tiny.trainStep.call(state, x, key(7), schedule)],
  loss: [{ params, x, eps, schedule: annealing }, () => tiny.loss.call(params, x, eps, annealing)],
  gradient: [{ params, x, eps, schedule: annealing }, () => tiny.gradient.call(params, x, eps, annealing)],
  encode: [{ params, x }, () => tiny.encode.call(params, x)],
  decode: [{ params, ...eps, temperature }, () => tiny.decode.call(params, eps.s, eps.z, temperature)],
  reconstruct: [{ params, x, temperature }, () => tiny.reconstruct.call(params, x, temperature)],
  evaluate: [{ params, x, eps, temperature }, () => tiny.evaluate.call(params, x, eps, temperature)],
}

const root = resolve('models')
const read = lowerFiles([resolve(root, 'vdsm/tiny.ts')], root)
if (read._tag === 'Left') throw new Error(print(read.left))
const lowered = read.right

/** Compares arrays up to rounding: sums are taken in another order. */
const agree = (what: string, found: Dense, wanted: Dense): void => {
  assert.equal(found.shape, wanted.shape, what)
  const size = Math.sqrt([...wanted.data].reduce((sum, v) => sum + v * v, 0) / Math.max(1, wanted.data.length))
  found.data.forEach((v, i) => assert.ok(Math.abs(v - wanted.data[i]!) <= 1e-9 * Math.max(size, 1e-3), `${what}[${i}]: ${v} against ${wanted.data[i]}`))
}

for (const program of lowered) {
  const name = program.name.split('/').at(-1) as keyof typeof tiny
  test(`${name} as it is compiled`, () => {
    const [args, eager] = cases[name]
    const given = new Map(named(args, ''))
    const wanted = new Map(named(eager(), ''))
    assert.equal(program.func.params.map(p => p.path).toSorted(), [...given.keys()].toSorted())
    assert.equal(program.outputs.toSorted(), [...wanted.keys()].toSorted())
    for (const [stage, func] of [['lowered', program.func], ['optimised', optimise(program.func)]] as const) {
      const results = interpret(func, func.params.map(p => given.get(p.path)!))
      program.outputs.forEach((path, i) => agree(`${stage} ${path}`, results[i]!, wanted.get(path)!))
    }
  })
}

test('every program was read', () => assert.is(lowered.length, Object.keys(tiny).length))

test.run()
