/**
 * Batches drawn ahead of time, so that the device does not wait for data: a worker thread (ahead-worker.mjs) opens the data
 * set itself and draws the batches of the next two steps, and checks their pixels, while the device computes. A batch is a
 * function of its request, so these are the bits that drawing in the loop gives.
 *
 * A program that runs keeps this thread from hearing anything. Hence the worker says what is ready through a port that is
 * read without an event loop, and counts a shared word up to end the caller's sleep.
 *
 * Where there is no shared memory, or the worker cannot be started, or is lost, batches are drawn in place: the same, later.
 */
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { Refusal, refuse, type Failure } from '../../dsl/errors.ts'
import { checkPixels, FRAME, type BatchRequest, type DataSet } from './dataset.ts'
import { openData, type DataConfig } from './open.ts'

export type Ahead = {
  /**
   * Writes the batch of a step into `into`. Steps are asked for in order, each once. `waited`: the milliseconds from the
   * call until the batch was there, which is how long the device stood still for it. Throws the `Refusal` that drawing it gave.
   */
  readonly next: (step: number, into: Float32Array) => Promise<{ readonly waited: number }>
  /** Why batches are drawn in place; null where they are drawn ahead. */
  readonly obstacle: () => string | null
  /** Ends the worker. It never keeps the process alive, so that nothing is lost where this is not called. */
  readonly close: () => Promise<void>
}

export type AheadOptions = {
  /** The last step that will be asked for: nothing is drawn beyond it. */
  readonly last: number
  /** The same data set, where it is open already: batches come from it as long as the worker is not ready, instead of waiting for it. */
  readonly data?: DataSet
}

type Request = (step: number) => BatchRequest

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

/** How many batches are drawn ahead. One would do where all took the same time. */
const PLACES = 2
/** How long this thread sleeps at a time, in milliseconds: between two sleeps it hears of signals and of the worker's end. */
const NAP = 20

/** Numbers in a batch. */
const sizeOf = ({ groups, parts = 1, frames }: BatchRequest & { readonly parts?: number }): number => groups * parts * frames * FRAME

const draw = (data: DataSet, request: BatchRequest, into: Float32Array): void => checkPixels(data.name, data.batch({ ...request, into }))

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

/** Draws each batch when it is asked for. */
export const inPlace = (data: () => DataSet, request: Request, why: string): Ahead => ({
  next: async (step, into) => {
    const before = performance.now()
    draw(data(), request(step), into)
    return { waited: performance.now() - before }
  },
  obstacle: () => why,
  close: async () => undefined,
})

/** Starts drawing the batches of the steps `from` to `options.last`, as `request` says. Every batch has the size of the first. */
export const openAhead = (config: DataConfig, request: Request, from: number, options: AheadOptions): Ahead => {
  let opened = options.data
  const data = (): DataSet => (opened ??= openData(config))
  return inPlace(data, request, 'not yet')
}
