/**
 * Lanes of a reduction joined through subgroups: the threads of each join what they have at once, one thread of each stores it, and the first
 * subgroup of a result joins these. A device has subgroups of any power of two from 4 to 128 threads, and nobody promises which threads of a
 * workgroup are in one, nor that they are full. So nothing here depends on it but time:
 *
 * - A slot of workgroup memory for every thread. Where a subgroup is a run of neighbours that have one result, the least of them stores for all, and
 *   beside it for how many; the others store nothing for nobody. Elsewhere every thread stores its own value, for one.
 * - The subgroup of the first lane of a result reads as many slots, as far from each other, as there are if all subgroups are runs as long as
 *   itself. Where these do not speak for all lanes, or it is no such run, the first lane reads every slot.
 *
 * The order is that of the threads, whatever numbers the device gives its subgroups: no atomics, and the same bits from run to run.
 */
import { type Reduce, joined } from '../elementwise/reduce.ts'
import { type Builder, divided } from '../nest/builder.ts'
import { type Joining, type Value, apply, constOf, i32 } from '../nest/nest.ts'
import type { Shared } from './dispatch.ts'
import type { Shares } from './shares.ts'
import type { Threads } from './threads.ts'

const leastLanes = 32

/** Whether subgroups would help a reduction that is shared out like this: there are lanes enough, and those of a result lie beside each other. */
export const suitSubgroups = ({ outputs, lanes, across }: Shares): boolean => lanes >= leastLanes && (outputs === 1 || !across)

/** What subgroups join in the place of values. */
type Key = {
  readonly op: Joining
  readonly type: 'f32' | 'i32' | 'u32'
  readonly of: (b: Builder, x: Value) => Value
  readonly back: (b: Builder, x: Value) => Value
}

const [most, least] = [2 ** 31 - 1, -(2 ** 31)]
/** Bits of f32 as integers in the order of the numbers, and back. */
const ordered = (b: Builder, bits: Value): Value =>
  b.call('xor', 'i32', bits, b.call('and', 'i32', b.call('shr', 'i32', bits, i32(31)), i32(most)))

/** Extremes of f32 are those of integers in the same order, with one beyond all numbers for NaN, which is NaN again on the way back; bools are 0 and 1. */
const keyOf = ({ op, dtype }: Reduce): Key => {
  if (dtype === 'bool')
    return { op: op === 'min' ? 'min' : 'max', type: 'i32', of: (b, x) => b.call('convert', 'i32', x), back: (b, x) => b.call('convert', 'bool', x) }
  if (dtype !== 'f32' || op === 'sum') return { op, type: dtype, of: (_, x) => x, back: (_, x) => x }
  return {
    op, type: 'i32',
    of: (b, x) => {
      const bits = b.call('bits', 'i32', x)
      const nan = b.call('gt', 'bool', b.call('and', 'i32', bits, i32(most)), i32(0x7f800000))
      return b.call('select', 'i32', nan, i32(op === 'max' ? most : least), ordered(b, bits))
    },
    back: (b, x) => b.call('bits', 'f32', ordered(b, x)),
  }
}

/** What changes nothing that it is joined with. */
const nothing = ({ op, type }: Key): Value => {
  if (op === 'sum') return constOf(type, 0)
  const [low, high] = type === 'u32' ? [0, 2 ** 32 - 1] : [least, most]
  return constOf(type, op === 'max' ? low : high)
}

/** The two spaces, numbered from `space` on, of a workgroup of so many threads. */
export const subgroupMemory = (r: Reduce, space: number, threads: number): readonly Shared[] => [
  { space, type: keyOf(r).type, elements: threads, kept: 'full' },
  { space: space + 1, type: 'i32', elements: threads },
]

/** Joins the values of all lanes of each result: where `ends` holds, in the first lane of a result that is wanted, `finish` gets it. */
type Join = (own: Value, ends: Value, finish: (total: Value) => void) => void

/** Begins before the terms are added, outside of all branches; the join comes behind them. Threads are numbered result by result. */
export const joinSubgroups = ({ b, thread }: Threads, r: Reduce, space: number, { outputs, lanes }: Shares): Join => {
  const key = keyOf(r)
  const [values, counts, none] = [space, space + 1, nothing(key)]
  for (const own of [values, counts]) b.changes(own)
  const count = b.join('sum', i32(1), 'count')
  const first = b.join('min', thread, 'first')
  const result = (of: Value): Value => divided(b, of, 'div', lanes)
  const last = b.join('max', thread, 'last')
  const run = apply('eq', 'bool', apply('sub', 'i32', last, first), apply('sub', 'i32', count, i32(1)))
  const alike = b.let(outputs === 1 ? run : apply('and', 'bool', run, apply('eq', 'bool', result(first), result(last))), 'alike')
  const leads = b.let(apply('eq', 'bool', first, thread), 'leads')
  const stored = (all: Value, no: Value, own: Value): Value => b.call('select', all.type, alike, b.call('select', all.type, leads, all, no), own)
  const lane = outputs === 1 ? thread : divided(b, thread, 'mod', lanes)
  const plus = (x: Value, y: Value): Value => b.call('add', 'i32', x, y)
  return (own, ends, finish) => {
    const given = key.of(b, own)
    b.store(values, thread, 0, stored(b.join(key.op, given, 'whole'), none, given))
    b.store(counts, thread, 0, stored(count, i32(0), i32(1)))
    b.barrier()
    const [part, heard] = [b.variable(key.type, 'part'), b.variable('i32', 'heard')]
    b.set(part, none)
    b.set(heard, i32(0))
    // of slots 0, count, 2 * count, ... of the result, the lane takes each count-th, if there are any for it
    const slots = b.call('div', 'i32', i32(lanes), count)
    const turns = b.let(apply('div', 'i32', plus(slots, b.call('sub', 'i32', b.call('sub', 'i32', count, lane), i32(1))), count), 'turns')
    const start = outputs === 1 ? i32(0) : b.call('sub', 'i32', thread, lane)
    b.loop('i', i32(0), turns, 1, i => {
      const at = plus(start, b.call('mul', 'i32', plus(lane, b.call('mul', 'i32', i, count)), count))
      b.set(part, joined(key.op, part, b.load(key.type, values, at)))
      b.set(heard, apply('add', 'i32', heard, b.load('i32', counts, at)))
    })
    const [whole, all] = [b.join(key.op, part, 'total'), b.join('sum', heard, 'all')]
    const complete = b.let(apply('eq', 'bool', all, i32(lanes)), 'complete')
    b.branch(ends, () => {
      const total = b.variable(key.type, 'total')
      b.set(total, whole)
      b.branch(b.call('not', 'bool', b.call('and', 'bool', complete, alike)), () => {
        b.set(total, none)
        b.loop('i', i32(0), i32(lanes), 1, i => b.set(total, joined(key.op, total, b.load(key.type, values, plus(thread, i)))))
      })
      b.settle(total)
      finish(key.back(b, total))
    })
  }
}
