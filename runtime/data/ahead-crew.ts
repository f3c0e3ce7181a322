/**
 * The worker thread of ahead.ts as this thread has it, and what they tell one another. Reports come through a port that is
 * read without an event loop; a shared word that the worker counts up ends this thread's sleep.
 */
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { Failure } from '../../dsl/errors.ts'
import type { BatchRequest } from './dataset.ts'
import type { DataConfig } from './open.ts'

/** What the worker is given. Each place holds the frames of one batch. */
export type Given = { readonly config: DataConfig; readonly places: readonly Float32Array[]; readonly words: Int32Array }
/** To the worker: draw this into that place. */
export type Order = { readonly step: number; readonly place: number; readonly request: BatchRequest }
/** From the worker: the data set is open; a batch is drawn; something was refused (with no step: the data set); it has failed. */
export type Report =
  | { readonly kind: 'open' }
  | { readonly kind: 'drawn'; readonly step: number }
  | { readonly kind: 'refused'; readonly step?: number; readonly failure: Failure }
  | { readonly kind: 'failed'; readonly message: string }

/** How long this thread sleeps at a time, in milliseconds: between two sleeps it hears of signals and of the worker's end. */
const NAP = 20

export type Crew = {
  readonly order: (order: Order) => void
  /** What the worker has reported since the last time. */
  readonly reports: () => readonly Report[]
  /** Sleeps until the worker has something to report, or for a nap. */
  readonly sleep: () => void
  /** Why the worker has ended; null as long as it lives. */
  readonly lost: () => string | null
  readonly end: () => Promise<void>
}

/** Starts the worker. Throws where there are no threads or no shared memory. Options of the process (--import and the like) are not for it. */
export const startCrew = (given: Given): Crew => {
  const { port1: port, port2 } = new MessageChannel()
  const { words } = given
  const worker = new Worker(new URL('./ahead-worker.mjs', import.meta.url),
    { name: 'vdsm data', execArgv: [], workerData: { ...given, port: port2 }, transferList: [port2] })
  let lost: string | null = null
  let heard = 0
  worker.on('error', error => { lost ??= error instanceof Error ? error.message : String(error) })
  worker.on('exit', () => { lost ??= 'it has ended' })
  worker.unref()
  const reports = (): readonly Report[] => {
    // Counted before looking: what comes meanwhile ends the next sleep at once.
    heard = Atomics.load(words, 0)
    const found: Report[] = []
    for (let each = receiveMessageOnPort(port); each !== undefined; each = receiveMessageOnPort(port)) {
      found.push(each.message as Report) // ahead-serve.ts sends nothing else
    }
    return found
  }
  return {
    order: order => port.postMessage(order),
    reports,
    sleep: () => void Atomics.wait(words, 0, heard, NAP),
    lost: () => lost,
    end: async () => {
      port.close()
      await worker.terminate()
    },
  }
}
