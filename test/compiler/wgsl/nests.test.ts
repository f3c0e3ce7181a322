/**
 * Nests made at random - variables, branches, loops, memory that is read and written, barriers - as WGSL on a device and by the
 * interpreter of dispatches: integers only, so that both have to agree to the bit. What moves where it may not shows here.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Dispatch } from '../../../compiler/schedule/gpu/dispatch.ts'
import { builder } from '../../../compiler/schedule/nest/builder.ts'
import { type Local, type Value, constOf, i32 } from '../../../compiler/schedule/nest/nest.ts'
import { printDispatch } from '../../../compiler/targets/wgsl/print.ts'
import { type Memory, runDispatch } from '../gpu/interpret.ts'
import { missing, runAll } from './device.ts'

const [threads, groups, own, slots] = [16, 2, 16, 4]

const nestOf = (seed: number): Dispatch => {
  let state = (seed * 2654435761) >>> 0
  const below = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
  const b = builder(`nest ${seed}`)
  b.changes(1)
  b.changes(2)
  const [group, thread] = [b.param('i32', 'group'), b.param('i32', 'thread')]
  const mine = b.call('mul', 'i32', b.call('add', 'i32', b.call('mul', 'i32', group, i32(threads)), thread), i32(own))
  const slot = b.call('mul', 'i32', thread, i32(slots))
  const variables: Local[] = Array.from({ length: 3 }, (_, k) => b.variable('i32', `x${k}`))
  const wide = b.variable('i32x4', 'w')
  variables.forEach((local, k) => b.set(local, i32(k * 77)))
  b.set(wide, constOf('i32x4', 5))
  const low = (v: Value, mask: number): Value => b.call('and', 'i32', v, i32(mask))
  const value = (known: readonly Value[], depth = 0): Value => {
    if (depth > 2) return pick(known)
    const some = (): Value => value(known, depth + 1)
    switch (below(13)) {
      case 0: return i32(below(2000) - 1000)
      case 1: return pick(variables)
      case 2: return b.load('i32', 0, low(some(), 31), below(4))
      case 3: return b.load('i32', 1, b.call('add', 'i32', mine, low(some(), 7)), below(8))
      case 4: return b.load('i32', 2, b.call('add', 'i32', slot, low(some(), 3)))
      case 5: return b.call('select', 'i32', b.call(pick(['lt', 'le', 'eq', 'ne', 'ge'] as const), 'bool', some(), some()), some(), some())
      case 6: return b.call(pick(['shl', 'shr'] as const), 'i32', some(), i32(below(31)))
      case 7: return b.lane(wide, below(4))
      case 8: return b.lane(b.load('i32x4', 3, b.call('shl', 'i32', low(some(), 7), i32(2)), 4), below(4))
      case 9: return b.call(pick(['min', 'max'] as const), 'i32', some(), some())
      default: return b.call(pick(['add', 'sub', 'mul', 'and', 'or', 'xor'] as const), 'i32', some(), some())
    }
  }
  const block = (known: readonly Value[], depth: number): void => {
    const seen = [...known]
    for (let n = 2 + below(2); n > 0; n -= 1)
      switch (below(depth < 2 ? 9 : 6)) {
        case 0: case 1: b.set(pick(variables), value(seen)); break
        case 2: {
          // what was computed before something changed
          const [at, held] = [b.call('add', 'i32', mine, low(value(seen), 7)), value(seen)]
          if (below(2) === 0) b.set(pick(variables), value(seen))
          else b.store(1, mine, below(8), value(seen))
          b.store(1, at, below(8), held)
          break
        }
        case 3: b.store(2, b.call('add', 'i32', slot, low(value(seen), 3)), 0, value(seen)); break
        case 4: seen.push(b.let(value(seen))); break
        case 5: b.set(wide, b.call('add', 'i32x4', b.load('i32x4', 0, low(value(seen), 15), below(8)), b.splat(value(seen)))); break
        case 6: {
          const [from, kept] = [below(2), b.variable('i32', 'kept')]
          b.loop(pick(['i', 'j']), i32(from), i32(2 + below(3)), 1 + below(2), k => {
            // set in the first turn, read in all
            b.branch(b.call('eq', 'bool', k, i32(from)), () => b.set(kept, value(seen)))
            block([...seen, k], depth + 1)
            b.store(1, mine, below(8), kept)
          })
          break
        }
        case 7: b.branch(b.call('lt', 'bool', value(seen), value(seen)), () => block(seen, depth + 1), () => block(seen, depth + 1)); break
        default: {
          const chosen = b.variable('i32', 'chosen')
          b.branch(b.call('gt', 'bool', value(seen), i32(0)), () => b.set(chosen, value(seen)), () => b.set(chosen, value(seen)))
          b.settle(chosen)
          seen.push(chosen)
        }
      }
  }
  for (let k = 0; k < slots; k += 1) b.store(2, slot, k, b.call('add', 'i32', thread, i32(k)))
  for (let part = 0; part < 2; part += 1) {
    block([group, thread, mine], 0)
    b.barrier()
    const other = b.load('i32', 2, b.call('mul', 'i32', low(b.call('add', 'i32', thread, i32(1 + part)), threads - 1), i32(slots)), part)
    b.barrier()
    b.store(1, mine, part, other)
  }
  variables.forEach((local, k) => b.store(1, mine, 12 + k, local))
  b.store(1, mine, 15, [0, 1, 2, 3].map(k => b.lane(wide, k)).reduce((x, y) => b.call('xor', 'i32', x, y)))
  return { nest: b.finish(groups), threads, shared: [{ space: 2, type: 'i32', elements: threads * slots }], quads: new Set([3]) }
}

const numbers = (n: number, seed: number): Int32Array => Int32Array.from({ length: n }, (_, i) => Math.imul(i + seed, 1103515245) >> 7)
const count = 20

const why = missing()
if (why !== null) test.skip(`nests on a device: skipped, no adapter (${why})`, () => {})
else
  test('nests made at random', () => {
    const spaces = (): ReadonlyMap<number, Int32Array> => new Map([[0, numbers(64, 3)], [1, numbers(threads * groups * own, 9)], [3, numbers(64, 5)]])
    const made = Array.from({ length: count }, (_, seed) => nestOf(seed))
    const jobs = made.map(dispatch => {
      const { code, bindings } = printDispatch(dispatch, { name: '', places: [], notes: [] }, () => 'i32', 0)
      const given = spaces()
      return { code, groups, bindings, buffers: bindings.map(({ space }) => given.get(space)!) }
    })
    const results = runAll(jobs)
    made.forEach((dispatch, seed) => {
      const memory: Memory = new Map(spaces())
      runDispatch(dispatch, memory, [])
      const { bindings, code } = jobs[seed]!
      const got = new Int32Array(results[seed]![bindings.findIndex(x => x.space === 1)]!.buffer)
      assert.equal([...got], [...memory.get(1)!], `nest ${seed}\n${code}`)
    })
    assert.ok(made.every(({ nest }) => nest.body.length > 10))
  })

test.run()
