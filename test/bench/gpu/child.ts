/** Parts of the measurement in processes of their own, each under a limit of time: what one had told before it failed or was ended is kept. */
import { spawn } from 'node:child_process'
import * as E from 'fp-ts/lib/Either.js'

export type Part = {
  readonly name: string
  /** To be repeated by hand, in the project's root. */
  readonly command: string
  readonly status: 'ok' | 'failed' | 'ended at its limit'
  readonly exit: number | null
  readonly seconds: number
  /** Every line of its output that is JSON, as it came. */
  readonly lines: readonly unknown[]
  /** The end of what else it said; where all is well, nothing. */
  readonly said?: string
}

export type Job = {
  readonly name: string
  readonly args: readonly [program: string, ...args: readonly string[]]
  readonly limitSeconds: number
  readonly env?: Readonly<Record<string, string>>
  /** Hears of every line of JSON. */
  readonly onLine?: (line: unknown) => void
  /** How it is asked to end at its limit; one that does not within a minute is killed. Default: killed at once. */
  readonly ending?: 'SIGINT'
  /** Keeps what it said even where all is well. */
  readonly keep?: true
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`)

const last = 4000

export const run = ({ name, args, limitSeconds, env = {}, onLine, ending, keep }: Job): Promise<Part> =>
  new Promise(done => {
    const [program, ...rest] = args
    const from = performance.now()
    // A group of its own, so that what it started ends with it.
    const child = spawn(program, rest, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const state = { pending: '', said: '', over: false, finished: false }
    const lines: unknown[] = []
    const say = (text: string): void => void (state.said = (state.said + text).slice(-last))
    const line = (text: string): void => {
      const json = text.startsWith('{') ? E.tryCatch((): unknown => JSON.parse(text), String) : E.left('')
      if (E.isLeft(json)) return say(`${text}\n`)
      lines.push(json.right)
      onLine?.(json.right)
    }
    const signal = (kind: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, kind)
      } catch {
        // It has ended meanwhile.
      }
    }
    const kill = (): void => signal('SIGKILL')
    const timers = [setTimeout(() => {
      state.over = true
      if (ending === undefined) return kill()
      signal(ending)
      timers.push(setTimeout(kill, 60_000))
    }, 1000 * limitSeconds)]
    const interrupted = (): void => {
      kill()
      process.exit(130)
    }
    process.once('SIGINT', interrupted)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const all = (state.pending + text).split('\n')
      state.pending = all.pop() ?? ''
      all.forEach(line)
    })
    child.stderr.setEncoding('utf8').on('data', say)
    const finish = (exit: number | null): void => {
      if (state.finished) return
      state.finished = true
      timers.forEach(clearTimeout)
      process.removeListener('SIGINT', interrupted)
      if (state.pending !== '') line(state.pending)
      // Nothing that it has started outlives it.
      kill()
      const status = state.over ? 'ended at its limit' : exit === 0 ? 'ok' : 'failed'
      done({
        name, command: args.map(quoted).join(' '), status, exit, seconds: (performance.now() - from) / 1000, lines,
        ...((status !== 'ok' || keep === true) && state.said !== '' ? { said: state.said } : {}),
      })
    }
    child.on('error', error => {
      say(String(error))
      finish(null)
    })
    child.on('close', finish)
  })
