/**
 * What a training loop leaves to the garbage collector: some hundred steps after warm-up, fed as the training command feeds
 * them, with the growth of the heap between two full collections and the longest pause in between.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Build } from '../../runtime/build.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { transfer } from '../../runtime/executor.ts'
import { sizeOfShape } from '../../runtime/manifest.ts'
import { orThrow } from '../../runtime/train/task.ts'

export type Allocation = {
  readonly program: string
  readonly threads: number
  readonly steps: number
  /** Bytes by which the heap and its array buffers have grown, for each step. */
  readonly growth: number
  /** Milliseconds of the longest pause, and how many there were. */
  readonly longestPause: number
  readonly pauses: number
}

const collector = (): (() => void) => {
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('gc')
  return () => (typeof gc === 'function' ? void (gc as () => void)() : undefined) // the collector that the flag has just given
}

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

/** Trains `model` (its programs `init` and `trainStep`). */
export const measureAllocation = async (build: Build, model: string, steps: number): Promise<Allocation> => {
  const init = await orThrow(build.load(`${model}/init`))
  const step = await orThrow(build.load(`${model}/trainStep`))
  init.run()
  await transfer(init, '', step, 'state')
  const [groups = 0, parts = 0, frames = 0, ...frame] = step.program.inputs.find(slot => slot.path === 'x')?.shape ?? []
  const images = new Float32Array(groups * parts * frames * sizeOfShape(frame))
  const data = pendulum()
  const batch = (at: number): Float32Array => data.batch({ split: 'train', groups, parts, frames, seed: 1, step: at, into: images }).x
  const schedule = { learningRate: 1e-3, temperature: 1, lambdaS: 1, lambdaZ: 1 }
  const names = Object.keys(schedule)
  let loss = 0
  const once = async (at: number): Promise<void> => {
    step.set('x', batch(at))
    step.set('key', [at, 7])
    for (const name of names) step.set(`schedule.${name}`, [1e-3])
    step.run()
    loss = step.view('metrics.loss')[0] ?? NaN
    step.feed('state', 'state')
    await nextTurn()
  }
  const collect = collector()
  const pauses: { readonly from: number; readonly ms: number }[] = []
  const observer = new PerformanceObserver(list => list.getEntries().forEach(e => pauses.push({ from: e.startTime, ms: e.duration })))
  observer.observe({ entryTypes: ['gc'] })
  const held = (): number => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  // As long as the engine still compiles and caches, and the data set meets sequences that it keeps, the heap grows.
  for (let i = 0; i < Math.max(20, steps / 4); i++) await once(i)
  for (let i = 0; i < steps; i++) batch(1000 + i)
  const before = held()
  const from = performance.now()
  for (let i = 0; i < steps; i++) await once(1000 + i)
  const until = performance.now()
  const growth = (held() - before) / steps
  await nextTurn()
  await new Promise(done => setTimeout(done, 20))
  observer.disconnect()
  const within = pauses.filter(p => p.from > from && p.from < until)
  if (!Number.isFinite(loss)) console.error(`the loss of ${model} is ${loss} after ${steps} steps`)
  return { program: `${model}/trainStep`, threads: step.threads, steps, growth, longestPause: Math.max(0, ...within.map(p => p.ms)), pauses: within.length }
}
