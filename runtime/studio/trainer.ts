/**
 * The worker of the page, in which all training happens: a step of WebAssembly takes a while, during which a page would
 * stand still. It says how far it has come a few times a second, and draws the grid of swaps every few seconds.
 */
import { open } from '../browser.ts'
import { decide, findGpu } from './devices.ts'
import type { FromWorker, Loss, Pictures, Settings, ToWorker } from './messages.ts'
import { configsOf, openSession, type Session } from './session.ts'

/** Steps under way at once: enough for a device with a queue never to wait for the next. */
const DEPTH = 3
const SAY_EVERY = 100
const DRAW_EVERY = 3000
/** Of the time, pictures take at most one part in so many. */
const DRAW_SHARE = 6
/** Losses over which the speed is taken. */
const WINDOW = 40

const scope = globalThis as unknown as {
  onmessage: ((event: { readonly data: ToWorker }) => void) | null
  readonly postMessage: (message: FromWorker, transfer?: readonly ArrayBuffer[]) => void
}

const say = (message: FromWorker): void => scope.postMessage(message)
const show = (pictures: Pictures): void => scope.postMessage({ kind: 'pictures', pictures }, [pictures.pixels.buffer])
const fail = (error: unknown): void => say({ kind: 'failed', text: error instanceof Error ? error.message : String(error) })

const channel = new MessageChannel()
const [near, far] = [channel.port1 as unknown as { onmessage: () => void }, channel.port2] // Node's types leave onmessage out
/** Lets messages arrive. */
const turn = (): Promise<void> => new Promise(done => {
  near.onmessage = () => done()
  far.postMessage(null)
})

/** How fast losses came lately, and when to say so. */
const makeTally = () => {
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

/** Whether steps are begun, and whether there are any under way: after a pause they come to an end first. */
let [running, busy] = [false, false]

const train = async (session: Session, steps: number): Promise<void> => {
  const tally = makeTally()
  let underWay: readonly Promise<void>[] = []
  let drawAt = 0
  const draw = async (): Promise<void> => {
    const start = performance.now()
    show(await session.pictures())
    const end = performance.now()
    drawAt = end + Math.max(DRAW_EVERY, DRAW_SHARE * (end - start))
    tally.forget()
  }
  while (running && session.steps() < steps) {
    const step = session.next().then(tally.add)
    step.catch(() => undefined) // it is awaited below, perhaps after another that failed
    underWay = [...underWay, step]
    if (underWay.length >= DEPTH) {
      await underWay[0]
      underWay = underWay.slice(1)
    }
    await turn()
    if (performance.now() >= drawAt) await draw()
  }
  await Promise.all(underWay)
  tally.flush()
  await draw()
  ;[running, busy] = [false, false]
  say({ kind: 'rested', finished: session.steps() >= steps })
}

const openOn = async (address: string, settings: Settings): Promise<Session> => {
  const build = await open(address)
  const decision = decide(settings.device, await findGpu())
  if ('refused' in decision) throw new Error(decision.refused)
  say({ kind: 'opening', notes: decision.notes, configs: configsOf(build) })
  const session = await openSession(build, settings, decision.options)
  say({ kind: 'ready', device: session.device, parameters: session.parameters })
  show(session.blank)
  return session
}

let opened: Promise<readonly [Session, number]> | undefined

const follow = async (message: ToWorker): Promise<void> => {
  switch (message.kind) {
    case 'open': {
      opened = openOn(message.build, message.settings).then(session => [session, message.settings.steps])
      await opened
      return
    }
    case 'start': {
      if (busy || opened === undefined) return
      ;[running, busy] = [true, true]
      await train(...await opened)
      return
    }
    case 'pause': {
      running = false
    }
  }
}

scope.onmessage = ({ data }) => {
  follow(data).catch((error: unknown) => {
    ;[running, busy] = [false, false]
    fail(error)
  })
}
