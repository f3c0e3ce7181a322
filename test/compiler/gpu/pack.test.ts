/** Kernels that do the same to many arrays become one over all of them, and nothing else changes: what a packed plan means, and when it is left alone. */
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { kernels } from '../../../compiler/fuse/plan.ts'
import { variable, zero } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Buffer, Expr, Kernel, Plan, Step } from '../../../compiler/schedule/kernel/kernel.ts'
import { type Packed, pack } from '../../../compiler/schedule/gpu/pack.ts'
import { planSlots } from '../../../compiler/schedule/gpu/slots.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { print } from '../../../dsl/errors.ts'
import { type Within, interpret } from '../plan-interpreter.ts'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const lowered = lowerFiles([path('../fixtures/optimisers.ts')], path('../fixtures'))
const programs = E.isRight(lowered) ? lowered.right : (assert.unreachable(print(lowered.left)) as never)
const planned = (name: string): Plan => {
  const { func, updates } = programs.find(p => p.name === `optimisers/${name}`) ?? (assert.unreachable(name) as never)
  return kernels(optimise(func), updates)
}

const within = ({ packs }: Packed): Within =>
  new Map(packs.flatMap(p => p.members.map(m => [m.buffer, { of: p.buffer, from: m.offset / 4 }] as const)))
const elements = ({ aval }: Buffer): number => aval.shape.reduce((n, d) => n * d, 1)
/** How many kernels sum to one number. */
const totals = ({ steps }: Plan): number => steps.filter(s => s.kind === 'kernel' && s.vars.length === 0 && s.reduction !== null).length

/** Runs both plans twice on the same inputs and compares what a caller sees: outputs and inputs. */
const same = (plan: Plan, packed: Packed): void => {
  const inputs = new Map(plan.buffers.flatMap(b =>
    b.role.kind === 'input' ? [[b.id, Array.from({ length: elements(b) }, (_, i) => Math.abs(Math.sin(1 + 7 * b.id + i)) + 0.01)] as const] : []))
  const seen = (p: Plan, within: Within): ReadonlyMap<number, readonly number[]> => {
    const once = interpret(p, inputs, within)
    const again = interpret(p, new Map(plan.buffers.flatMap(b => (b.role.kind === 'input' ? [[b.id, [...once[b.id]!]] as const] : []))), within)
    return new Map(plan.buffers.flatMap(b => (b.role.kind === 'output' ? [[b.id, [...again[b.role.over ?? b.id]!]] as const] : [])))
  }
  const [want, got] = [seen(plan, new Map()), seen(packed.plan, within(packed))]
  for (const [id, values] of want)
    values.forEach((x, i) => {
      const other = got.get(id)![i]!
      assert.ok(Math.abs(x - other) <= 1e-12 * Math.max(1, Math.abs(x)), `${plan.buffers[id]!.name}[${i}]: ${other} for ${x}`)
    })
}

test('a step of Adam is one kernel over all parameters, and the norm of all gradients one sum', () => {
  const plan = planned('clipped')
  const packed = pack(plan)
  same(plan, packed)
  assert.equal([totals(plan), totals(packed.plan)], [7, 2], 'of the squares of six gradients, and of the loss')
  assert.is(plan.steps.length - packed.plan.steps.length, 10, 'six kernels and six sums are one each')
  const names = packed.packs.map(p => packed.plan.buffers[p.buffer]!.name)
  assert.ok(['state.params', 'state.optimizer.m', 'state.optimizer.v'].every(n => names.includes(n)), names.join())
})

test('where new moments take the place of the gradients, what is in their gaps would count: the sums stay apart', () => {
  const plan = planned('kept')
  const packed = pack(plan)
  same(plan, packed)
  assert.equal([totals(plan), totals(packed.plan)], [7, 7])
  assert.is(plan.steps.length - packed.plan.steps.length, 5)
})

test('packed arrays lie in one slot at multiples of 256 bytes, in the same order for every role', () => {
  const { plan, packs } = pack(planned('clipped'))
  const { places, slots } = planSlots(plan, packs)
  assert.is(packs.length, 4)
  for (const p of packs) {
    assert.equal(p.members.map(m => m.offset), packs[0]!.members.map(m => m.offset))
    for (const m of p.members) assert.equal(places[m.buffer], { slot: places[p.buffer]!.slot, offset: m.offset })
    assert.ok(p.members.every(m => m.offset % 256 === 0))
    assert.is(slots[places[p.buffer]!.slot], 4 * elements(plan.buffers[p.buffer]!))
  }
})

test('gradients that are results are packed with what is made of them', () => {
  const plan = planned('halves')
  const packed = pack(plan)
  same(plan, packed)
  assert.ok(packed.plan.steps.length < plan.steps.length)
})

const i = { id: 1, size: 5, name: 'i' }
const buffer = (id: number, role: 'input' | 'output' | 'scratch', size = 5): Buffer =>
  ({ id, aval: { shape: [size], dtype: 'f32' }, name: `b${id}`, role: role === 'scratch' ? { kind: role } : { kind: role, index: id } })
const load = (b: number, at = variable(i)): Expr => ({ kind: 'load', buffer: b, at, dtype: 'f32' })
const plus = (a: Expr, b: Expr): Expr => ({ kind: 'op', prim: 'add', args: [a, b], dtype: 'f32' })
const sweep = (to: number, value: Expr): Kernel =>
  ({ kind: 'kernel', name: `k_${to}`, vars: [i], reduction: null, origins: [], stores: [{ buffer: to, at: variable(i), value }] })
const twice = (to: number, from: number, other: Expr = load(from)): Kernel => sweep(to, plus(load(from), other))
const square = (from: number): Expr => ({ kind: 'op', prim: 'mul', args: [load(from), load(from)], dtype: 'f32' })
const acc: Expr = { kind: 'acc', dtype: 'f32' }
const sum = (to: number, of: Expr, value: Expr = acc): Kernel => ({
  kind: 'kernel', name: `s_${to}`, vars: [], reduction: { kind: 'reduce', op: 'sum', vars: [i], value: of, dtype: 'f32' }, origins: [],
  stores: [{ buffer: to, at: zero, value }],
})

test('kernels stay apart where one reads what another writes, where a step in between does, and where they do different things', () => {
  const buffers = (['input', 'input', 'output', 'output', 'scratch', 'output', 'input', 'output'] as const).map((role, id) => buffer(id, role))
  const left = (given: readonly Step[]): number => {
    const plan = { buffers, steps: [twice(7, 6), ...given] }
    const packed = pack(plan)
    same(plan, packed)
    return packed.plan.steps.length
  }
  assert.is(left([twice(2, 0), twice(3, 1)]), 1)
  assert.is(left([twice(2, 0), twice(3, 2)]), 3, 'a chain')
  assert.is(left([twice(2, 0), twice(2, 1)]), 3, 'one target')
  assert.is(left([twice(2, 0), twice(3, 0)]), 3, 'one source')
  assert.is(left([twice(2, 0), sweep(5, square(2)), twice(3, 1)]), 4, 'read in between')
  assert.is(left([twice(2, 0, load(1, zero)), twice(3, 1, load(1, zero))]), 3, 'an element of a source')
  assert.is(left([twice(2, 0), sweep(3, square(1))]), 3, 'another function')
})

test('sums become one only where they are added up, once, and nobody sees a part', () => {
  const scalars = [buffer(2, 'scratch', 1), buffer(3, 'output', 1), buffer(4, 'output', 1)]
  const buffers = [buffer(0, 'input'), buffer(1, 'input'), ...scalars, buffer(5, 'input'), buffer(6, 'scratch', 1), buffer(7, 'input'), buffer(8, 'scratch', 1)]
  const [one, two] = [load(2, zero), load(6, zero)]
  const left = (steps: readonly Step[]): number => {
    const packed = pack({ buffers, steps })
    same({ buffers, steps }, packed)
    return packed.plan.steps.length
  }
  const parts = [sum(2, square(0)), sum(6, square(5))]
  const root: Expr = { kind: 'op', prim: 'sqrt', args: [plus(plus(one, acc), two)], dtype: 'f32' }
  assert.is(left([...parts, sum(3, square(1), root)]), 1)
  assert.is(left([...parts, sum(3, square(1), plus(plus(plus(one, acc), two), one))]), 2, 'one twice: once more on its own')
  assert.is(left([...parts, sum(3, square(1), { kind: 'op', prim: 'mul', args: [plus(one, two), acc], dtype: 'f32' })]), 3, 'a product')
  assert.is(left([...parts, sum(3, square(1), plus(one, acc))]), 3, 'a part that is not added')
  assert.is(left([sum(4, square(0)), sum(6, square(5)), sum(3, square(1), plus(plus(load(4, zero), two), acc))]), 3, 'a part is a result')
  const part = { ...i, size: 3 }
  const window = (to: number, value: Expr): Kernel =>
    ({ ...sum(to, load(7), value), reduction: { kind: 'reduce', op: 'sum', vars: [part], value: load(7), dtype: 'f32' } })
  assert.is(left([parts[0]!, window(8, plus(one, acc)), parts[1]!, sum(3, square(1), plus(plus(load(8, zero), acc), two))]), 2, 'part of an array in the chain')
  assert.is(left([parts[0]!, window(4, plus(one, acc)), parts[1]!, sum(3, square(1), plus(plus(load(4, zero), acc), two))]), 4, 'the chain so far is a result')
  assert.is(left([parts[0]!, window(8, plus(one, acc)), parts[1]!, sum(3, square(1), plus(plus(one, acc), two))]), 1, 'what nobody adds')
  const [next, norm] = [{ buffer: 4, at: zero, value: plus(plus(one, acc), two) }, { buffer: 3, at: zero, value: plus(two, plus(acc, one)) }]
  assert.is(left([...parts, { ...sum(3, square(1)), stores: [next, norm] }]), 1, 'two results')
  const more = (b: number): Expr => plus(load(b), { kind: 'const', value: 1, dtype: 'f32' })
  assert.is(left([sum(2, more(0)), sum(6, more(5)), sum(3, more(1), plus(plus(one, acc), two))]), 3, 'the gaps would count')
})

test.run()
