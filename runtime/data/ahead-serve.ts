/** What the worker thread of ahead.ts does: it opens the data set, then draws what it is asked for, in order, and reports. */
import type { MessagePort } from 'node:worker_threads'
import { Refusal } from '../../dsl/errors.ts'
import type { Given, Order, Report } from './ahead-crew.ts'
import { checkPixels, type DataSet } from './dataset.ts'
import { openData } from './open.ts'

/** What was thrown, as a report: refusals go to the caller as they are. */
const reportOf = (error: unknown, step?: number): Report =>
  error instanceof Refusal
    ? { kind: 'refused', failure: error.failure, ...(step === undefined ? {} : { step }) }
    : { kind: 'failed', message: error instanceof Error ? error.message : String(error) }

const drawn = (data: DataSet, { step, place, request }: Order, places: Given['places']): Report => {
  const into = places[place]
  if (into === undefined) return { kind: 'failed', message: `there is no place ${place}` }
  checkPixels(data.name, data.batch({ ...request, into }))
  return { kind: 'drawn', step }
}

/** Serves until the thread is ended. */
export const serve = ({ config, places, words, port }: Given & { readonly port: MessagePort }): void => {
  const tell = (report: Report): void => {
    port.postMessage(report)
    Atomics.add(words, 0, 1)
    Atomics.notify(words, 0)
  }
  const attempt = <A>(act: () => A, step?: number): A | undefined => {
    try {
      return act()
    } catch (error) {
      tell(reportOf(error, step))
      return undefined
    }
  }
  const data = attempt(() => openData(config))
  if (data === undefined) return
  tell({ kind: 'open' })
  port.on('message', (order: Order) => {
    const report = attempt(() => drawn(data, order, places), order.step)
    if (report !== undefined) tell(report)
  })
}
