/**
 * How many bytes a second one thread of this machine moves at best, read and written ones both counted: by a copy that no
 * core's own caches hold, and by one that stays in the second of them. The better of the engine's copy of whole ranges and
 * of a loop of vectors counts.
 */
import { advance, below, bestRate, copyBytes, drop, functionsOf, get, load, loop, moduleOf, store, times, type Made } from './assemble.ts'

/** Bytes copied: large beside caches of a few MiB, and small beside one of 512 KiB. */
export const farBytes = 32 << 20
export const nearBytes = 128 << 10

const whole: Made = { name: 'whole', params: 3, returns: null, locals: { i32: 0, v128: 0 }, body: copyBytes(get(0), get(1), get(2)) }

/** `lanes(to, from, end of from)`: 64 bytes a turn. */
const lanes: Made = {
  name: 'lanes', params: 3, returns: null, locals: { i32: 0, v128: 0 },
  body: loop([
    ...times(4, i => store(get(0), 16 * i, load(get(1), 16 * i))),
    ...advance(0, 64), ...drop, ...advance(1, 64), ...get(2), ...below,
  ]),
}

/** GB/s of copies of `bytes` bytes, over about so many milliseconds; twice as many bytes are moved. */
export const measureCopy = (bytes: number, milliseconds = 200): number => {
  const pages = Math.ceil((2 * bytes) / 65536)
  const named = functionsOf(moduleOf(pages, [whole, lanes]))
  const [byRange, byVector] = [named('whole'), named('lanes')]
  // Short copies are timed in bundles: the clock is coarse.
  const repeats = Math.max(1, Math.round((4 << 20) / bytes))
  const bundle = (copy: () => void) => (): void => {
    for (let i = 0; i < repeats; i++) copy()
  }
  // Memory that nobody has written is one page of zeros in the first cache: both halves are written before they count.
  byRange(0, bytes, bytes)
  byRange(bytes, 0, bytes)
  const rate = (copy: () => void): number => bestRate(milliseconds / 2, 2 * bytes * repeats, bundle(copy)) / 1e6
  return Math.max(rate(() => byRange(bytes, 0, bytes)), rate(() => byVector(bytes, 0, bytes)))
}
