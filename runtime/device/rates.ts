/**
 * What this machine can do at best on some number of threads, measured now: all of them measure at the same time, each on
 * memory of its own, and their rates are added up. Threads that share a core, a bus or a busy machine count as they are.
 */
import { Worker } from 'node:worker_threads'
import { refuse } from '../../dsl/errors.ts'
import { farBytes, measureCopy, nearBytes } from './bandwidth.ts'
import { measurePeak, measureProduct } from './peak.ts'

/** GFLOP/s and GB/s of all threads together; bytes read and written both count. */
export type Rates = {
  readonly threads: number
  /** Multiply-adds in registers. */
  readonly peakGflops: number
  /** A packed inner loop of a matrix product. */
  readonly productGflops: number
  /** Copies that no core's own caches hold, and copies that stay in them. */
  readonly farGBs: number
  readonly nearGBs: number
}

/** What threads share: `control` counts arrivals, `found` takes four rates of each. */
type Part = { readonly index: number; readonly threads: number; readonly milliseconds: number; readonly control: Int32Array; readonly found: Float64Array }

const measures: readonly ((milliseconds: number) => number)[] = [
  ms => measurePeak(ms).gflops,
  measureProduct,
  ms => measureCopy(farBytes, ms),
  ms => measureCopy(nearBytes, ms),
]

/** Milliseconds after which a thread counts as lost. */
const patience = 30_000

/** Waits until all threads have come as far as this. */
const meet = ({ control, threads }: Part, phase: number): void => {
  Atomics.add(control, 0, 1)
  Atomics.notify(control, 0)
  for (;;) {
    const arrived = Atomics.load(control, 0)
    if (arrived >= threads * phase) return
    if (Atomics.wait(control, 0, arrived, patience) === 'timed-out') {
      refuse({ kind: 'bug', where: 'measuring this machine', message: 'a thread did not come back' })
    }
  }
}

/** One thread's share of a measurement. */
export const takePart = (part: Part): void => {
  measures.forEach((measure, i) => {
    meet(part, i + 1)
    part.found[measures.length * part.index + i] = measure(part.milliseconds)
  })
  meet(part, measures.length + 1)
}

const ready = (worker: Worker): Promise<void> =>
  new Promise((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('error', reject)
  })

/** Measures for about four times `milliseconds`. On Node 20 the host's `prepare` comes first. */
export const measureRates = async (threads = 1, milliseconds = 150): Promise<Rates> => {
  const control = new Int32Array(new SharedArrayBuffer(4))
  const found = new Float64Array(new SharedArrayBuffer(8 * measures.length * threads))
  const part = (index: number): Part => ({ index, threads, milliseconds, control, found })
  const file = new URL('./rates-worker.mjs', import.meta.url)
  const workers = Array.from({ length: threads - 1 }, (_, i) => new Worker(file, { workerData: part(i + 1), execArgv: [] }))
  try {
    await Promise.all(workers.map(ready))
    takePart(part(0))
  } finally {
    await Promise.all(workers.map(worker => worker.terminate()))
  }
  const sum = (i: number): number => Array.from({ length: threads }, (_, t) => found[measures.length * t + i] ?? NaN).reduce((a, b) => a + b, 0)
  return { threads, peakGflops: sum(0), productGflops: sum(1), farGBs: sum(2), nearGBs: sum(3) }
}

/** The better of two measurements, figure by figure. */
export const better = (a: Rates, b: Rates): Rates => ({
  threads: a.threads, peakGflops: Math.max(a.peakGflops, b.peakGflops), productGflops: Math.max(a.productGflops, b.productGflops),
  farGBs: Math.max(a.farGBs, b.farGBs), nearGBs: Math.max(a.nearGBs, b.nearGBs),
})
