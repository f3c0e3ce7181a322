/** What becomes of recurrent layers: kernels of a step and around the loop, and the size of the code. */
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../compiler/frontend/lower.ts'
import { plan } from '../../compiler/fuse/plan.ts'
import type { Func } from '../../compiler/ir/ir.ts'
import type { Kernel, Plan, Step } from '../../compiler/schedule/kernel/kernel.ts'
import { planMemory } from '../../compiler/schedule/memory.ts'
import { emitWasm } from '../../compiler/targets/wasm/module.ts'
import { optimise } from '../../compiler/transform/passes.ts'
import { print } from '../../dsl/errors.ts'
import { randomArgs } from './arbitrary.ts'
import { check } from './backend.ts'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const lowered = lowerFiles([path('fixtures/recurrent.ts')], path('fixtures'))
const programs = E.isRight(lowered) ? lowered.right : (assert.unreachable(print(lowered.left)) as never)
const named = (name: string): Func => programs.find(p => p.name === `recurrent/${name}`)?.func ?? (assert.unreachable(name) as never)
const planned = (name: string): Plan => plan(optimise(named(name)))
/** What a step does: `product` or `reduce` with the number of its stores, `cell` where nothing is reduced. */
const kind = (step: Step): string =>
  step.kind !== 'kernel' ? step.kind : `${step.reduction === null ? 'cell' : step.reduction.kind} ${step.stores.length}`
const loops = (plan: Plan): readonly (readonly string[])[] => plan.steps.flatMap(s => (s.kind === 'loop' ? [s.steps.map(kind)] : []))
/** How many products each loop runs, those of loops within in lists of their own. */
type Products = readonly (number | Products)[]
const within = (steps: readonly Step[]): Products => {
  const own = steps.filter(s => s.kind === 'kernel' && s.reduction?.kind === 'product').length
  return [own, ...steps.flatMap(s => (s.kind === 'loop' ? [within(s.steps)] : []))]
}
const around = (plan: Plan): readonly Kernel[] => plan.steps.flatMap(s => (s.kind === 'kernel' ? [s] : []))
const products = (plan: Plan): number => around(plan).filter(k => k.reduction?.kind === 'product').length

test('a layer: two kernels a step each way, a product for all inputs, one for each matrix', () => {
  assert.equal(loops(planned('forward')), [['product 1', 'cell 3']])
  const backward = planned('backward')
  // what goes back: the four gates, the tanh of the cell, the cell before; forward besides the state twice
  assert.equal(loops(backward), [['product 1', 'cell 9'], ['cell 5', 'product 1']])
  assert.is(products(backward), 3)
  assert.is(around(backward).length, 9)
})

test('four matrices are one', () => {
  const four = planned('four')
  assert.equal(loops(four), [['product 1', 'cell 9'], ['cell 5', 'product 1']])
  assert.is(products(four), 3)
})

test('both directions, and a decoder that reads what it wrote', () => {
  const once = [['product 1', 'cell 9'], ['cell 5', 'product 1']]
  assert.equal(loops(planned('twoWay')), [once[0], once[0], once[1], once[1]])
  // the cell's gradient ends the product by the output's weights
  assert.equal(loops(planned('decoder')), [['product 1', 'product 1', 'cell 9', 'product 3'], ['cell 1', 'product 5', 'product 1', 'product 1']])
})

test('a scan over one layer is that layer', () => {
  assert.equal(loops(planned('reader1')), loops(planned('twoWay')))
  const written = [['product 1', 'product 1', 'cell 11'], ['cell 5', 'product 1', 'product 1']]
  assert.equal(loops(planned('writer1')), written)
  // the gradients by both matrices, behind the loop
  assert.is(products(planned('writer1')), 2)
})

test('layers as a scan: in the loop over time there is the recurrence alone', () => {
  // a product for all inputs each way, and one a step; behind all of it one for each matrix of all layers
  assert.equal(within(planned('reader2').steps), [4, [2, [1], [1]], [2, [1], [1]]])
  for (const name of ['writer2', 'writer3']) {
    // hidden states of all layers in one product; layer by layer what reads the one below
    assert.equal(within(planned(name).steps), [2, [1, [1]], [1, [1]]], name)
  }
})

test('a batch of one is none', () => {
  assert.equal(within(planned('alone').steps), within(planned('backward').steps))
  assert.equal(loops(planned('alone'))[0], loops(planned('backward'))[0])
})

// sixteen steps in single precision, or six of two or three layers
for (const name of ['forward', 'backward', 'four', 'twoWay', 'decoder', 'layers2', 'reader1', 'reader2', 'writer1', 'writer2', 'writer3', 'alone'])
  test(`${name} means what the interpreter says`, () => check(name, named(name), randomArgs(named(name), 7), 1e-4))

test('code grows with the number of layers, and not with that of steps', () => {
  const bytes = (name: string): number => {
    const made = planned(name)
    const memory = planMemory(made)
    return emitWasm(made, memory.offsets, memory.bytes, { fma: false }).bytes.length
  }
  const [one, two, four] = [bytes('backward'), bytes('layers2'), bytes('layers4')]
  assert.ok(bytes('longer') < 1.1 * one, `${bytes('longer')} for ${one}`)
  assert.ok(two < 2.2 * one && four - two < 2.2 * (two - one), `${one}, ${two}, ${four} bytes`)
  assert.equal(loops(planned('layers4')).map(steps => steps.length), [2, 2, 2, 2, 2, 2, 2, 2])
})

test.run()
