/** Durations in words. */

/** Of a call: three digits, in seconds from one on; `0.46 ms`, `12.3 ms`, `1.23 s`. */
export const timeText = (ms: number): string => {
  const [value, unit] = ms >= 1000 ? [ms / 1000, 's'] : [ms, 'ms']
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`
}

/** `40 s`, `5 min`, `2.5 h`: how much longer so many steps take at that speed. */
export const timeLeft = (steps: number, stepsPerSecond: number): string => {
  const seconds = steps / stepsPerSecond
  return seconds < 90 ? `${Math.ceil(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}
