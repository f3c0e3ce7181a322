/**
 * Makes many programs at once: each is compiled on one of several worker threads, the largest first. What comes out is the
 * same, in the same order, as if they were made one after the other. This file and worker.mjs are a marked border:
 * messages between threads have no types.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Failure, Refusal, refuse } from '../../dsl/errors.ts'
import { at, range, sizeOfFunc } from '../ir/view.ts'
import { make, type Made, type Task } from './make.ts'

/** What a worker answers: what it made, or why it cannot be made. */
export type Answer = { readonly made: Made } | { readonly failure: Failure }

/** Takes a refusal for the failure that it is. */
export const answer = (task: Task): Answer => {
  try {
    return { made: make(task) }
  } catch (error) {
    if (error instanceof Refusal) return { failure: error.failure }
    throw error
  }
}

/** Instructions in all for each worker, some five seconds of work: less does not pay for starting it and for what it learns anew. */
const worthAWorker = 12000
const mostWorkers = 8

const sizesOf = (tasks: readonly Task[]): readonly number[] => tasks.map(({ program }) => sizeOfFunc(program.func))

/** How many workers the programs are worth: none where one thread does as well. */
export const workersFor = (tasks: readonly Task[], cores: number = availableParallelism()): number => {
  const total = sizesOf(tasks).reduce((n, size) => n + size, 0)
  const count = Math.min(cores, mostWorkers, tasks.length, Math.floor(total / worthAWorker))
  return count < 2 ? 0 : count
}

const ask = (worker: Worker, task: Task): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const message = (given: Answer): void => over(() => resolve(given))
    const error = (problem: unknown): void => over(() => reject(problem))
    const exit = (code: number): void => over(() => reject(new Error(`a thread of the compiler ended with code ${code}`)))
    const over = (then: () => void): void => {
      worker.off('message', message).off('error', error).off('exit', exit)
      then()
    }
    worker.on('message', message).on('error', error).on('exit', exit)
    worker.postMessage(task)
  })

/** Hands on what comes in any order in the order of its numbers. */
const inOrder = <A>(each: (x: A, i: number) => void): ((x: A, i: number) => void) => {
  const waiting = new Map<number, A>()
  let next = 0
  return (x, i) => {
    waiting.set(i, x)
    for (let found = waiting.get(next); found !== undefined; found = waiting.get(next)) {
      waiting.delete(next)
      each(found, next++)
    }
  }
}

const shared = async (tasks: readonly Task[], count: number, each: (answer: Answer, i: number) => void): Promise<void> => {
  const sizes = sizesOf(tasks)
  const rest = range(tasks.length).toSorted((i, j) => at(sizes, j) - at(sizes, i))[Symbol.iterator]()
  const hand = inOrder(each)
  // flags of this process are none of theirs: worker.mjs sees to TypeScript itself
  const workers = range(count).map(() => new Worker(new URL('./worker.mjs', import.meta.url), { execArgv: [] }))
  const serve = async (worker: Worker): Promise<void> => {
    for (const i of rest) hand(await ask(worker, at(tasks, i)), i)
  }
  try {
    await Promise.all(workers.map(serve))
  } finally {
    await Promise.all(workers.map(worker => worker.terminate()))
  }
}

/**
 * Makes every task; `each` is given what was made in the order of the tasks, as it comes. The first that cannot be made is
 * thrown as a refusal. `workers`: on so many threads; 0 is this one.
 */
export const makeAll = async <A>(tasks: readonly Task[], each: (made: Made, i: number) => A, workers: number = workersFor(tasks)): Promise<readonly A[]> => {
  const finished: A[] = []
  const finish = (given: Answer, i: number): void => {
    finished.push('failure' in given ? refuse(given.failure) : each(given.made, i))
  }
  if (workers === 0) tasks.forEach((task, i) => finish(answer(task), i))
  else await shared(tasks, workers, finish)
  return finished
}
