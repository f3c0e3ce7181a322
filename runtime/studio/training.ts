/**
 * Training that outlives its device: steps on the first device of a chain that loads, a copy of the state on the host every few
 * seconds, and where the device fails, the same steps again from the newest copy - on a fresh device of the same kind, or on
 * the next of the chain. Batches and keys depend on the step alone, so what is done again gives the same numbers.
 */
import { Refusal, type Saved } from '../browser.ts'
import { deviceNames, standing, type Candidate, type Decision } from './devices.ts'
import { reasonOf } from './here.ts'
import type { FromWorker, Loss } from './messages.ts'
import type { Session } from './session.ts'

/** Steps under way at once: enough for a device with a queue never to wait for the next. */
const DEPTH = 3
const SAY_EVERY = 100
/** Milliseconds from one copy to the next. */
const COPY_EVERY = 3000
/** Milliseconds between pictures, and of the time they take at most one part in so many. */
const DRAW = { every: 3000, share: 6 } as const
/** Losses over which the speed is taken. */
const WINDOW = 40
/** A device that fails again within so many milliseconds is given up. */
const TRUST = 60_000

export type Around = {
  readonly decision: Decision
  readonly open: (candidate: Candidate, from?: Saved) => Promise<Session>
  readonly steps: number
  readonly say: (message: FromWorker) => void
  /** Lets messages arrive. */
  readonly turn: () => Promise<void>
  /** Milliseconds within which a second failure of a device is one too many. */
  readonly trust?: number
}

export type Training = {
  /** Does steps while `running()`, to the last one. Rejects where no device of the chain is left, or the numbers are not finite. */
  readonly train: (running: () => boolean) => Promise<{ readonly finished: boolean }>
}

/** How fast losses came lately, and when to say so. */
const makeTally = (say: Around['say']) => {
  let [fresh, times, said]: [readonly Loss[], readonly number[], number] = [[], [], 0]
  const flush = (): void => {
    if (fresh.length === 0) return
    const span = (times.at(-1) ?? 0) - (times[0] ?? 0)
    say({ kind: 'progress', losses: fresh, stepsPerSecond: span > 0 ? (1000 * (times.length - 1)) / span : 0 })
    fresh = []
    said = performance.now()
  }
  return {
    flush,
    /** Time that passes for something else does not count. */
    forget: (): void => { times = [] },
    add: (loss: Loss): void => {
      fresh = [...fresh, loss]
      times = [...times, performance.now()].slice(-WINDOW)
      if (performance.now() - said > SAY_EVERY) flush()
    },
  }
}

/** What a failure calls for: a fresh device of the same kind, another kind of device, or nothing that a device could change. */
const remedyFor = (error: unknown): 'fresh' | 'next' | 'none' => {
  if (!(error instanceof Refusal)) return 'next'
  const { failure } = error
  switch (failure.kind) {
    case 'device': return failure.reason === 'lost' || failure.reason === 'memory' ? 'fresh' : 'next'
    case 'limit':
    case 'bug': return 'next'
    case 'source': case 'sources': case 'shape': case 'usage': case 'config': case 'file':
    case 'arrays': case 'data': case 'nonfinite': case 'write': return 'none'
  }
}

type Place = { readonly session: Session; readonly at: number }

/** Opens the first device of the chain that loads. Rejects with the failure of the last one. */
export const openTraining = async ({ decision, open, steps, say, turn, trust = TRUST }: Around): Promise<Training> => {
  const { chain } = decision
  let { passed } = decision
  let copy: Saved | undefined
  let failedAt = -Infinity

  const tell = (at: number, text: string): void => say({ kind: 'devices', lines: standing({ chain, passed }, at, text) })
  const enterAt = async (candidate: Candidate, at: number): Promise<Place> => {
    tell(at, 'loading')
    const session = await open(candidate, copy)
    tell(at, session.device)
    return { session, at }
  }
  /** The first from `at` on that loads. */
  const enter = async (at: number): Promise<Place> => {
    for (let next = at; ; next++) {
      const candidate = chain[next]
      if (candidate === undefined) throw new Error('No device is left.')
      try {
        return await enterAt(candidate, next)
      } catch (error) {
        if (next + 1 >= chain.length) throw error
        passed = [...passed, { device: candidate.device, why: `it did not load: ${reasonOf(error)}` }]
      }
    }
  }

  let place = await enter(0)
  say({ kind: 'ready', parameters: place.session.parameters })
  say({ kind: 'pictures', pictures: place.session.blank })

  let [drawAt, copyAt] = [0, 0]
  let keeping = Promise.resolve()
  /** Begins a copy, which comes with the steps that are under way; nobody has to wait for it. One that fails does so with a step, which says more. */
  const keep = async (session: Session): Promise<void> => {
    // Nothing takes over from the last device.
    copyAt = Infinity
    if (place.at + 1 >= chain.length) return
    const made = await session.save().catch(() => undefined)
    if (place.session !== session) return
    copy = made ?? copy
    copyAt = performance.now() + COPY_EVERY
  }
  const run = async (session: Session, running: () => boolean): Promise<void> => {
    const tally = makeTally(say)
    let underWay: readonly Promise<void>[] = []
    const draw = async (): Promise<void> => {
      const start = performance.now()
      say({ kind: 'pictures', pictures: await session.pictures() })
      const end = performance.now()
      drawAt = end + Math.max(DRAW.every, DRAW.share * (end - start))
      tally.forget()
    }
    try {
      while (running() && session.steps() < steps) {
        const step = session.next().then(tally.add)
        step.catch(() => undefined) // it is awaited below, perhaps after another that failed
        underWay = [...underWay, step]
        if (underWay.length >= DEPTH) {
          await underWay[0]
          underWay = underWay.slice(1)
        }
        await turn()
        if (performance.now() >= copyAt) keeping = keep(session)
        if (performance.now() >= drawAt) await draw()
      }
      await Promise.all(underWay)
      tally.flush()
      await keep(session)
      await draw()
    } finally {
      await Promise.allSettled(underWay)
      tally.flush()
    }
  }

  /** Another place to go on at, where there is one for this failure. */
  const recover = async (error: unknown): Promise<void> => {
    const { session, at } = place
    const candidate = chain[at]
    const remedy = remedyFor(error)
    const again = remedy === 'fresh' && performance.now() - failedAt > trust
    if (candidate === undefined || remedy === 'none' || (!again && at + 1 >= chain.length)) throw error
    failedAt = performance.now()
    await keeping
    const done = copy?.steps ?? 0
    const [name, why] = [deviceNames[candidate.device], reasonOf(error)]
    say({ kind: 'failing', text: `${name} has failed: ${why}. Programs are loaded again, to go on from step ${done}.` })
    session.close()
    const fresh = again ? await enterAt(candidate, at).catch(() => undefined) : undefined
    if (fresh === undefined) passed = [...passed, { device: candidate.device, why: `it failed: ${why}` }]
    place = fresh ?? await enter(at + 1)
    drawAt = performance.now() + DRAW.every
    copyAt = performance.now() + COPY_EVERY
    const where = fresh === undefined ? deviceNames[chain[place.at]?.device ?? 'wasm'] : 'a fresh device'
    say({ kind: 'recovered', steps: done, text: `${name} failed: ${why}. Training went on from step ${done} on ${where}.` })
  }

  return {
    train: async running => {
      for (;;) {
        try {
          await run(place.session, running)
          return { finished: place.session.steps() >= steps }
        } catch (error) {
          await recover(error)
        }
      }
    },
  }
}
