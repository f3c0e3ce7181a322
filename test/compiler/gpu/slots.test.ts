/** The memory plan of devices with separate buffers: no two arrays that live at once meet, whatever the plan; it needs little more than one memory would. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { zero } from '../../../compiler/schedule/kernel/indexing.ts'
import type { Buffer, Expr, Kernel, Plan, Step } from '../../../compiler/schedule/kernel/kernel.ts'
import { livesOf } from '../../../compiler/schedule/memory.ts'
import { type Pack, type Slots, aligned, bytesFor, planSlots } from '../../../compiler/schedule/gpu/slots.ts'

const load = (buffer: number): Expr => ({ kind: 'load', buffer, at: zero, dtype: 'f32' })
const nothing: Expr = { kind: 'const', value: 0, dtype: 'f32' }
/** A kernel that writes one buffer from others. */
const kernel = (to: number, from: readonly number[]): Kernel => ({
  kind: 'kernel', name: 'k', vars: [], reduction: null, origins: [],
  stores: [{ buffer: to, at: zero, value: from.map(load).reduce<Expr>((a, b) => ({ kind: 'op', prim: 'add', args: [a, b], dtype: 'f32' }), nothing) }],
})

/** Plans of one input, one constant, scratch of many sizes, an output, copies and loops. */
const arbitraryPlan: fc.Arbitrary<Plan> = fc
  .array(
    fc.record({ size: fc.integer({ min: 0, max: 700 }), from: fc.array(fc.nat(1000), { maxLength: 3 }), as: fc.constantFrom('kernel', 'copy', 'loop') }),
    { minLength: 1, maxLength: 25 },
  )
  .map(rows => {
    const buffers: Buffer[] = [
      { id: 0, aval: { shape: [100], dtype: 'f32' }, name: 'x', role: { kind: 'input', index: 0 } },
      { id: 1, aval: { shape: [3], dtype: 'f32' }, name: 'c', role: { kind: 'constant', data: [1, 2, 3] } },
    ]
    const steps: Step[] = []
    rows.forEach(({ size, from, as }, i) => {
      const sources = from.map(f => f % buffers.length)
      const copied = buffers[sources[0] ?? 0]!
      const id = buffers.length
      const shape = as === 'copy' ? copied.aval.shape : [size]
      const role: Buffer['role'] = i === rows.length - 1 ? { kind: 'output', index: 0 } : { kind: 'scratch' }
      buffers.push({ id, aval: { shape, dtype: 'f32' }, name: `b${id}`, role })
      if (as === 'copy') steps.push({ kind: 'copy', from: copied.id, to: id })
      else if (as === 'loop') steps.push({ kind: 'loop', counter: { id: 1000 + id, size: 2, name: 't' }, steps: [kernel(id, sources), kernel(id, [id])] })
      else steps.push(kernel(id, sources))
    })
    return { buffers, steps }
  })

/** Whether two buffers share a byte. */
const meet = ({ places }: Slots, plan: Plan, a: number, b: number): boolean => {
  const [p, q] = [places[a], places[b]]
  if (p === null || q === null || p === undefined || q === undefined || p.slot !== q.slot) return false
  return p.offset < q.offset + bytesFor(plan.buffers[b]!) && q.offset < p.offset + bytesFor(plan.buffers[a]!)
}

test('what lives at once lies apart, within its slot, and copies have two slots', () => {
  fc.assert(
    fc.property(arbitraryPlan, fc.array(fc.nat(5000), { maxLength: 3 }), (plan, scratch) => {
      const needs = plan.steps.map((_, at) => ({ at, bytes: scratch }))
      const slots = planSlots(plan, [], needs)
      const lives = livesOf(plan)
      for (const a of lives) {
        const place = slots.places[a.id]!
        assert.is(place.offset % 256, 0)
        assert.ok(place.offset + bytesFor(plan.buffers[a.id]!) <= slots.slots[place.slot]!)
        for (const b of lives) if (a.id < b.id && a.from <= b.to && b.from <= a.to) assert.not.ok(meet(slots, plan, a.id, b.id), `${a.id} and ${b.id}`)
        // what a step needs besides lies apart from all that lives then
        slots.needs.forEach((own, at) => own.forEach((slot, k) => {
          assert.ok(a.from > at || a.to < at || place.slot !== slot)
          assert.ok(slots.slots[slot]! >= scratch[k]!)
        }))
      }
      for (const own of slots.needs) assert.is(new Set(own).size, own.length)
      for (const step of plan.steps)
        if (step.kind === 'copy') assert.is.not(slots.places[step.from]!.slot, slots.places[step.to]!.slot)
      assert.ok(slots.slots.every(bytes => bytes % 256 === 0))
      assert.ok(slots.live <= slots.bytes)
    }),
    { numRuns: 300 },
  )
})

test('scratch shares slots; inputs and outputs have their own', () => {
  const sizes = [100, 300, 50, 300, 50, 100]
  const buffers = sizes.map((size, id): Buffer => ({
    id, aval: { shape: [size], dtype: 'f32' }, name: `b${id}`,
    role: id === 0 ? { kind: 'input', index: 0 } : id === 5 ? { kind: 'output', index: 0 } : { kind: 'scratch' },
  }))
  const plan: Plan = { buffers, steps: [kernel(1, [0]), kernel(2, [1]), kernel(3, [2]), kernel(4, [3]), kernel(5, [4])] }
  const { slots, places } = planSlots(plan)
  assert.equal(slots, [512, 512, 1280, 256])
  assert.is(places[1]?.slot, places[3]?.slot)
  assert.is(places[2]?.slot, places[4]?.slot)
})

test('an output over an input is where that is; the members of a pack lie side by side in a slot that is theirs', () => {
  const buffer = (id: number, size: number, role: Buffer['role']): Buffer => ({ id, aval: { shape: [size], dtype: 'f32' }, name: `b${id}`, role })
  const buffers = [
    buffer(0, 10, { kind: 'input', index: 0 }), buffer(1, 100, { kind: 'input', index: 1 }), buffer(2, 10, { kind: 'output', index: 0, over: 0 }),
    buffer(3, 192, { kind: 'scratch' }), buffer(4, 192, { kind: 'scratch' }),
  ]
  const pack: Pack = { buffer: 3, members: [{ buffer: 0, offset: 0 }, { buffer: 1, offset: aligned(40) }] }
  const plan: Plan = { buffers, steps: [kernel(4, [0]), kernel(3, [3]), kernel(0, [4])] }
  const { places, slots } = planSlots(plan, [pack])
  assert.equal(places[0], { slot: 0, offset: 0 })
  assert.equal(places[2], places[0])
  assert.equal(places[1], { slot: 0, offset: 256 })
  assert.equal(places[3], { slot: 0, offset: 0 })
  assert.is(places[4]?.slot, 1)
  assert.equal(slots, [768, 768])
})

test('constants lie together; those that nobody reads nowhere', () => {
  const buffer = (id: number, role: Buffer['role'], size: number): Buffer => ({ id, aval: { shape: [size], dtype: 'f32' }, name: 'c', role })
  const constantOf = (id: number, data: readonly number[]): Buffer => buffer(id, { kind: 'constant', data }, data.length)
  const buffers = [constantOf(0, [1, 2]), constantOf(1, [3]), constantOf(2, [4]), buffer(3, { kind: 'output', index: 0 }, 1)]
  const { places, slots } = planSlots({ buffers, steps: [kernel(3, [0, 2])] })
  assert.equal(places, [{ slot: 1, offset: 0 }, null, { slot: 1, offset: 256 }, { slot: 0, offset: 0 }])
  assert.equal(slots, [256, 512])
})

test.run()
