/** Timing: repeated calls, medians. */

/** Milliseconds that one call takes. */
export const timed = (f: () => void): number => {
  const start = performance.now()
  f()
  return performance.now() - start
}

export const median = (times: readonly number[]): number => {
  const sorted = [...times].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}

/** Calls `f` for about that long, at least `least` times, and gives every duration in milliseconds. */
export const repeat = (seconds: number, least: number, f: () => void): readonly number[] => {
  const end = performance.now() + 1000 * seconds
  const times: number[] = []
  while (times.length < least || (performance.now() < end && times.length < 100_000)) times.push(timed(f))
  return times
}

/**
 * Milliseconds of a call on a device with a queue, where only a wait says that something has been done: so many calls are handed
 * over between two waits that these weigh little. Each entry is the mean of one such series; for about so many seconds, at least `least` of them.
 */
export const measureCalls = async (call: () => void, done: () => Promise<void>, seconds: number, least: number): Promise<readonly number[]> => {
  const series = async (calls: number): Promise<number> => {
    const start = performance.now()
    for (let i = 0; i < calls; i++) call()
    await done()
    return (performance.now() - start) / calls
  }
  await series(1)
  const once = await series(1)
  const calls = Math.max(1, Math.min(100, Math.ceil(Math.min(50, 200 * seconds) / Math.max(once, 0.01))))
  const end = performance.now() + 1000 * seconds
  const times: number[] = []
  while (times.length < least || (performance.now() < end && times.length < 10_000)) times.push(await series(calls))
  return times
}

const digits = (value: number): string => {
  const size = Math.abs(value)
  return size >= 10 ? value.toFixed(1) : size >= 0.1 || size === 0 ? value.toFixed(3) : value.toPrecision(2)
}

/** `12.3 ms`, `0.123 ms`, `0.0012 ms`. */
export const msText = (value: number): string => `${digits(value)} ms`
