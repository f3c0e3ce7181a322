/**
 * Does the jobs of a compile on several threads. Programs of one source file have most of their kernels in common, which a
 * thread makes once: each takes one file after the other, the longest first.
 */
import { Worker } from 'node:worker_threads'
import { Refusal } from '../dsl/errors.ts'
import type { Job, Outcome } from './job.ts'

/** MiB for what is young: a thread's usual share is collected all the time. */
const young = 256

/** Fewer programs are built sooner than another thread has read the compiler. */
const leastJobs = 8

/** How many threads jobs are worth, at most `available`. */
export const threadsFor = (jobs: readonly Job[], available: number): number =>
  (jobs.length < leastJobs ? 1 : Math.min(new Set(jobs.map(({ program: { file } }) => file)).size, available))

/** The places of the jobs of each file, the longest list first. */
const queuesOf = (jobs: readonly Job[]): readonly (readonly number[])[] => {
  const files = new Map<string, number[]>()
  jobs.forEach(({ program: { file } }, i) => files.set(file, [...(files.get(file) ?? []), i]))
  const instructions = (queue: readonly number[]): number => queue.reduce((sum, i) => sum + (jobs[i]?.program.func.insts.length ?? 0), 0)
  return [...files.values()].sort((a, b) => instructions(b) - instructions(a))
}

/**
 * The outcomes of all jobs, in their order; `heard` is told of each as soon as it is there. The first that fails is the only one, and
 * ends the others. Rejects with the fault of a thread, which ends them as well.
 */
export const onThreads = async (jobs: readonly Job[], threads: number, heard: (outcome: Outcome) => void): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = []
  const queues = [...queuesOf(jobs)]
  const settings = { name: 'vdsm compile', execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: young } }
  const workers = Array.from({ length: threads }, () => new Worker(new URL('./thread.mjs', import.meta.url), settings))
  const work = (worker: Worker): Promise<unknown> => new Promise((done, failed) => {
    let queue: readonly number[] = []
    const next = (): void => {
      if (queue.length === 0) queue = queues.shift() ?? []
      const job = jobs[queue[0] ?? -1]
      if (job === undefined) done(worker.terminate())
      else worker.postMessage(job)
    }
    worker.on('error', failed)
    worker.on('exit', code => failed(new Error(`a thread of the compile ended by itself, with code ${code}`)))
    worker.on('message', (outcome: Outcome) => {
      if (outcome.kind === 'failed') return failed(new Refusal(outcome.failure))
      outcomes[queue[0] ?? 0] = outcome
      queue = queue.slice(1)
      heard(outcome)
      next()
    })
    next()
  })
  try {
    await Promise.all(workers.map(work))
    return outcomes
  } catch (error) {
    if (error instanceof Refusal) return [{ kind: 'failed', failure: error.failure }]
    throw error
  } finally {
    await Promise.all(workers.map(worker => worker.terminate()))
  }
}
