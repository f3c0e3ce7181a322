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

const digits = (value: number): string => {
  const size = Math.abs(value)
  return size >= 10 ? value.toFixed(1) : size >= 0.1 || size === 0 ? value.toFixed(3) : value.toPrecision(2)
}

/** `12.3 ms`, `0.123 ms`, `0.0012 ms`. */
export const msText = (value: number): string => `${digits(value)} ms`
