/**
 * What the user sees while a run goes on: a bar in a terminal; plain lines every few seconds where the output is a file or
 * a pipe. Both show the step, the rate, the time left, the loss and its parts.
 */
import { SingleBar } from 'cli-progress'

export type Progress = {
  readonly update: (step: number, metrics: Readonly<Record<string, number>>) => void
  /** A line of its own, above the bar. */
  readonly note: (text: string) => void
  readonly stop: () => void
}

/** Where the text goes; a part of a tty.WriteStream. */
export type Sink = { readonly write: (text: string) => unknown; readonly isTTY?: boolean }

/** `1h04m`, `3m20s`, `12s`. */
export const duration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return '?'
  const whole = Math.round(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n: number): string => String(n).padStart(2, '0')
  return h > 0 ? `${h}h${two(m)}m` : m > 0 ? `${m}m${two(s)}s` : `${s}s`
}

/** Four significant digits; for metrics in a line. */
export const short = (value: number): string => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value))

/** Steps per second over the last `span` updates. */
export const meter = (now: () => number, span = 50): ((step: number) => number) => {
  const marks: { step: number; at: number }[] = []
  return step => {
    marks.push({ step, at: now() })
    if (marks.length > span) marks.shift()
    const [first, last] = [marks[0], marks[marks.length - 1]]
    if (first === undefined || last === undefined || last.at === first.at) return Number.NaN
    return ((last.step - first.step) / (last.at - first.at)) * 1000
  }
}

const describe = (metrics: Readonly<Record<string, number>>): string => Object.entries(metrics).map(([name, value]) => `${name} ${short(value)}`).join('  ')

/** `title`: what is going on, e.g. `stage 1`; `every`: milliseconds between plain lines. */
export const startProgress = (title: string, steps: number, from: number, sink: Sink, every = 5000, now: () => number = () => performance.now()): Progress => {
  const rate = meter(now)
  rate(from)
  const stateOf = (step: number, metrics: Readonly<Record<string, number>>) => {
    const perSecond = rate(step)
    return { speed: `${short(perSecond)} steps/s`, left: `${duration((steps - step) / perSecond)} left`, parts: describe(metrics) }
  }
  if (sink.isTTY === true) {
    const bar = new SingleBar({
      format: `${title} {bar} {value}/{total}  {speed}  {left}  {parts}`, barsize: 20, barCompleteChar: '#', barIncompleteChar: '-', hideCursor: true,
      stream: sink as NodeJS.WriteStream, fps: 4, // a TTY sink is the process's own stream
      gracefulExit: false,
    })
    bar.start(steps, from, { speed: '', left: '', parts: '' })
    return {
      update: (step, metrics) => bar.update(step, stateOf(step, metrics)),
      note: text => void sink.write(`\r\u001b[K${text}\n`),
      stop: () => { if (bar.isActive) bar.stop() },
    }
  }
  let shown = Number.NEGATIVE_INFINITY
  return {
    update: (step, metrics) => {
      const { speed, left, parts } = stateOf(step, metrics)
      if (now() - shown < every && step < steps) return
      shown = now()
      sink.write(`${title}  step ${step}/${steps}  ${speed}  ${left}  ${parts}\n`)
    },
    note: text => void sink.write(`${text}\n`),
    stop: () => undefined,
  }
}
