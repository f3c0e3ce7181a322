/**
 * The worker of the page, in which all training happens: a step of WebAssembly takes a while, during which a page would
 * stand still. It says how far it has come a few times a second, and draws the grid of swaps every few seconds.
 */
import { open } from '../browser.ts'
import { decide } from './devices.ts'
import { findHere, optionsOf } from './here.ts'
import type { FromWorker, Settings, ToWorker } from './messages.ts'
import { configsOf, openSession } from './session.ts'
import { openTraining, type Training } from './training.ts'

const scope = globalThis as unknown as {
  onmessage: ((event: { readonly data: ToWorker }) => void) | null
  readonly postMessage: (message: FromWorker, transfer?: readonly ArrayBuffer[]) => void
}

const say = (message: FromWorker): void => scope.postMessage(message, message.kind === 'pictures' ? [message.pictures.pixels.buffer] : [])

const channel = new MessageChannel()
const [near, far] = [channel.port1 as unknown as { onmessage: () => void }, channel.port2] // Node's types leave onmessage out
const turn = (): Promise<void> => new Promise(done => {
  near.onmessage = () => done()
  far.postMessage(null)
})

const openOn = async (address: string, settings: Settings): Promise<Training> => {
  const build = await open(address)
  say({ kind: 'found', configs: configsOf(build) })
  const decision = decide(settings.device, await findHere())
  if ('refused' in decision) throw new Error(decision.refused)
  return openTraining({
    decision, steps: settings.steps, say, turn, open: (candidate, from) => openSession(build, settings, optionsOf(candidate), from),
  })
}

let opened: Promise<Training> | undefined
/** Whether steps are begun, and whether there are any under way: after a pause they come to an end first. */
let [running, busy] = [false, false]

const follow = async (message: ToWorker): Promise<void> => {
  switch (message.kind) {
    case 'open': {
      opened = openOn(message.build, message.settings)
      await opened
      return
    }
    case 'start': {
      if (busy || opened === undefined) return
      ;[running, busy] = [true, true]
      const { finished } = await (await opened).train(() => running)
      ;[running, busy] = [false, false]
      return say({ kind: 'rested', finished })
    }
    case 'pause': {
      running = false
    }
  }
}

scope.onmessage = ({ data }) => {
  follow(data).catch((error: unknown) => {
    ;[running, busy] = [false, false]
    say({ kind: 'failed', text: error instanceof Error ? error.message : String(error) })
  })
}
