/** What is seen while an evaluation goes on: the share that is done, the time left, and what is being looked at. */
import { duration, type Sink } from '../train/progress.ts'

export type Shares = {
  /** That much more of the whole is done. */
  readonly add: (share: number, what: string) => void
  readonly stop: () => void
}

/** One line that is written over and over in a terminal, a line every `every` milliseconds elsewhere. */
export const startShares = (sink: Sink, every = 5000, now: () => number = () => performance.now()): Shares => {
  const terminal = sink.isTTY === true
  const started = now()
  let [done, shown] = [0, started]
  return {
    add: (share, what) => {
      done = Math.min(1, done + share)
      const time = now()
      if (time - shown < (terminal ? 100 : every)) return
      shown = time
      const line = `${Math.floor(100 * done)}%  ${duration(((time - started) / 1000) * (1 / done - 1))} left  ${what}`
      sink.write(terminal ? `\r\u001b[K${line}` : `${line}\n`)
    },
    stop: () => void (terminal ? sink.write('\r\u001b[K') : undefined),
  }
}
