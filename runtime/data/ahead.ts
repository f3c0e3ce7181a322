/**
 * Batches drawn ahead of time, so that the device does not wait for data: a worker thread (ahead-worker.mjs) opens the data
 * set itself and draws the batches of the next two steps, and checks their pixels, while the device computes. A batch is a
 * function of its request, so these are the bits that drawing in the loop gives.
 *
 * A program that runs keeps this thread from hearing anything; a batch that is ready is there all the same (ahead-crew.ts).
 *
 * Where there is no shared memory, or the worker cannot be started, or is lost, batches are drawn in place: the same, later.
 */
import * as E from 'fp-ts/lib/Either.js'
import { refuse, type Failure } from '../../dsl/errors.ts'
import { startCrew, type Crew } from './ahead-crew.ts'
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

/** How many batches are drawn ahead. One would do where all took the same time. */
const PLACES = 2

/** Numbers in a batch. */
const sizeOf = ({ groups, parts = 1, frames }: BatchRequest): number => groups * parts * frames * FRAME

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

const shared = (size: number): Float32Array => new Float32Array(new SharedArrayBuffer(size * Float32Array.BYTES_PER_ELEMENT))

/** Starts drawing the batches of the steps `from` to `options.last`, as `request` says. Every batch has the size of the first. */
export const openAhead = (config: DataConfig, request: Request, from: number, options: AheadOptions): Ahead => {
  const { last } = options
  let known = options.data
  const data = (): DataSet => (known ??= openData(config))
  const started = E.tryCatch(
    (): readonly [Crew, readonly Float32Array[]] => {
      const places = Array.from({ length: PLACES }, () => shared(sizeOf(request(from))))
      return [startCrew({ config, places, words: new Int32Array(new SharedArrayBuffer(4)) }), places]
    },
    error => (error instanceof Error ? error.message : String(error)),
  )
  if (E.isLeft(started)) return inPlace(data, request, started.left)
  const [crew, places] = started.right

  /** The step whose batch each place holds or will hold. */
  const promised: (number | null)[] = places.map(() => null)
  const ended = new Map<number, Failure | null>()
  let [due, isOpen] = [from, false]
  let [refused, failed]: [Failure | null, string | null] = [null, null]

  const lost = (): string | null => failed ?? crew.lost()
  const listen = (): void => {
    for (const report of crew.reports()) {
      switch (report.kind) {
        case 'open':
          isOpen = true
          break
        case 'drawn':
          ended.set(report.step, null)
          break
        case 'refused':
          if (report.step === undefined) refused = report.failure
          else ended.set(report.step, report.failure)
          break
        case 'failed':
          failed ??= report.message
      }
    }
  }
  /** Has the batches from `step` on drawn, as far as there are places. */
  const order = (step: number): void => {
    for (let next = step; next < step + PLACES && next <= last; next++) {
      const place = promised.indexOf(null)
      if (place < 0 || promised.includes(next)) continue
      promised[place] = next
      crew.order({ step: next, place, request: request(next) })
    }
  }
  const fetch = async (step: number, into: Float32Array): Promise<void> => {
    listen()
    if (isOpen) order(step + 1)
    const place = promised.indexOf(step)
    const come = (): boolean => refused !== null || ended.has(step) || lost() !== null
    while (place >= 0 && !come()) {
      crew.sleep()
      await nextTurn()
      listen()
    }
    const failure = refused ?? ended.get(step)
    if (failure !== undefined && failure !== null) return refuse(failure)
    const frames = places[place]
    if (frames === undefined || frames.length !== into.length || !ended.has(step)) return draw(data(), request(step), into)
    into.set(frames)
    ended.delete(step)
    promised[place] = null
    order(step + 1)
  }

  if (known === undefined) order(from)
  return {
    next: async (step, into) => {
      if (step !== due) refuse({ kind: 'bug', where: 'batches ahead', message: `step ${step} was asked for, ${due} is next` })
      due += 1
      const before = performance.now()
      await fetch(step, into)
      return { waited: performance.now() - before }
    },
    obstacle: lost,
    close: crew.end,
  }
}
