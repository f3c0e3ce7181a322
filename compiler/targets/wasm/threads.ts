/**
 * Threads in WebAssembly: every thread calls the same function with its number; the parts of a region are handed out by
 * atomic counters, and a barrier separates one region from the next. Each thread begins with a share of its own, always
 * the same, so that what it wrote before is still in its cache, and helps the others when that is done.
 *
 * Sync words, from byte `sync`: the phase (changes with every barrier passed; -1: a thread has failed), then on a line of
 * their own how many threads have arrived and how many sleep, then one counter for every thread.
 */
import { mostThreads } from '../../../runtime/manifest.ts'
import type { Task } from '../../schedule/regions.ts'
import { type Bytes, atomic, atomicCode, code, i64Minus1, scalarCode, signed, types, unsigned } from './encode.ts'

const line = 64
const arrived = line
const asleep = line + 4
const counters = 2 * line
/** Bytes of the sync words, and of those that have to be zero at the start. */
export const syncBytes = counters + line * mostThreads
export const syncZeros = counters

const { i32 } = scalarCode
const get = (local: number): Bytes => [code.localGet, ...unsigned(local)]
const set = (local: number): Bytes => [code.localSet, ...unsigned(local)]
const tee = (local: number): Bytes => [code.localTee, ...unsigned(local)]
const num = (value: number): Bytes => [code.i32Const, ...signed(value)]
const call = (fn: number): Bytes => [code.call, ...unsigned(fn)]
/** An atomic operation on a word; the address is on the stack. */
const word = (operation: number, at: number): Bytes => [...atomic(operation), 2, ...unsigned(at)]

/** Parameters that every function of several threads begins with. */
export const [thread, threads, spins, own] = [0, 1, 2, 3]
/** Sets every thread's number of threads to at least one, the position of its own memory, and its counter to zero; locals as above. */
export const enter = (sync: number, ownBase: number, ownBytes: number): Bytes => [
  ...num(1), ...get(threads), ...get(threads), i32.eqz, code.select, ...set(threads),
  ...get(thread), ...num(ownBytes), i32.mul, ...num(ownBase), i32.add, ...set(own),
  ...get(thread), ...num(line), i32.mul, ...num(0), ...word(atomicCode.store, sync + counters),
]

/**
 * The barrier, a function of (threads, spins). The last thread to arrive resets all counters and begins the next phase;
 * the others look `spins` times whether it has, and then sleep; with 0 they look for ever (a browser's main thread must
 * not sleep).
 */
export const barrier = (sync: number): Bytes => {
  const [count, turns, phase, left] = [0, 1, 2, 3]
  const now: Bytes = [...num(0), ...word(atomicCode.load, sync)]
  const last: Bytes = [
    ...num(0), ...num(0), ...word(atomicCode.store, sync + arrived),
    code.loop, code.empty,
    ...get(count), ...num(1), i32.sub, ...tee(count), ...num(line), i32.mul, ...num(0), ...word(atomicCode.store, sync + counters),
    ...get(count), code.brIf, 0, code.end,
    // no phase is -1
    ...num(0), ...num(2), ...num(1), ...get(phase), ...num(-2), i32.eq, code.select, ...word(atomicCode.add, sync), code.drop,
    ...num(0), ...word(atomicCode.load, sync + asleep),
    code.if, code.empty, ...num(sync), ...num(-1), ...word(atomicCode.notify, 0), code.drop, code.end,
  ]
  const sleep: Bytes = [
    ...num(0), ...num(1), ...word(atomicCode.add, sync + asleep), code.drop,
    ...num(sync), ...get(phase), ...i64Minus1, ...word(atomicCode.wait32, 0), code.drop,
    ...num(0), ...num(1), ...word(atomicCode.sub, sync + asleep), code.drop,
    ...get(turns), ...set(left),
  ]
  const failed: Bytes = [...num(-1), i32.eq, code.if, code.empty, code.unreachable, code.end]
  return [
    1, 2, types.i32,
    ...now, ...tee(phase), ...failed, ...get(turns), ...set(left),
    ...num(0), ...num(1), ...word(atomicCode.add, sync + arrived), ...num(1), i32.add, ...get(count), i32.eq,
    code.if, code.empty, ...last, code.else,
    code.loop, code.empty,
    ...now, ...get(phase), i32.eq, code.if, code.empty,
    ...get(left), ...num(1), i32.sub, ...tee(left), i32.eqz, ...get(turns), ...num(0), i32.ne, i32.and, code.if, code.empty, ...sleep, code.end,
    code.br, 1, code.end, code.end,
    code.end,
    ...now, ...failed,
    code.end,
  ]
}

/**
 * A region, a function of (thread, threads, spins, own, ...counters of the enclosing loops). Thread v's share are the
 * parts from v * n / threads; a thread takes of its own share until none is left, then of the next thread's.
 */
export const region = (sync: number, tasks: readonly Task[], enclosing: number, barrierFn: number): Bytes => {
  const args = Array.from({ length: enclosing }, (_, i) => get(own + 1 + i)).flat()
  const total = tasks.reduce((n, t) => n + t.parts, 0)
  const wait: Bytes = [...get(threads), ...get(spins), ...call(barrierFn)]
  const whole = (t: Task): Bytes => t.calls.flatMap(c => [...num(0), ...num(c.extent), ...get(own), ...args, ...call(c.fn)])
  if (total === 1) return [0, ...get(thread), i32.eqz, code.if, code.empty, ...tasks.flatMap(whole), code.end, ...wait, code.end]

  const [victim, tries, part, end] = [0, 1, 2, 3].map(i => own + 1 + enclosing + i) as [number, number, number, number]
  const share = (v: Bytes): Bytes => [...v, ...num(total), i32.mul, ...get(threads), i32.divU]
  const branch = (t: Task): Bytes => {
    const [first] = t.calls
    const lo: Bytes = t.chunk === 1 ? get(part) : [...get(part), ...num(t.chunk), i32.mul]
    const hi: Bytes = [...lo, ...num(t.chunk), i32.add]
    const bounded: Bytes = first!.extent % t.chunk === 0 ? hi : [...hi, ...num(first!.extent), ...hi, ...num(first!.extent), i32.ltU, code.select]
    return [
      ...get(part), ...num(t.parts), i32.ltU, code.if, code.empty,
      ...(t.parts === 1 ? whole(t) : [...lo, ...bounded, ...get(own), ...args, ...call(first!.fn)]),
      code.br, 2, code.end,
      ...get(part), ...num(t.parts), i32.sub, ...set(part),
    ]
  }
  return [
    1, 4, types.i32,
    ...get(thread), ...set(victim), ...get(threads), ...set(tries),
    code.loop, code.empty,
    ...share([...get(victim), ...num(1), i32.add]), ...set(end),
    code.loop, code.empty,
    ...get(victim), ...num(line), i32.mul, ...num(1), ...word(atomicCode.add, sync + counters), ...share(get(victim)), i32.add, ...tee(part),
    ...get(end), i32.ltU, code.if, code.empty,
    ...tasks.flatMap(branch), code.unreachable,
    code.end, code.end,
    ...num(0), ...get(victim), ...num(1), i32.add, ...tee(victim), ...get(victim), ...get(threads), i32.eq, code.select, ...set(victim),
    ...get(tries), ...num(1), i32.sub, ...tee(tries), code.brIf, 0,
    code.end,
    ...wait, code.end,
  ]
}
