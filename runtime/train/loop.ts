/**
 * The training loop, for any program of the form
 *
 *     trainStep(state, [frozen,] x, key, schedule) -> { state, metrics }
 *
 * x is [B, P, T, 3, 64, 64] f32, key u32[2], every leaf of `schedule` and of `metrics` that is a scalar is fed or read by
 * name. The state stays in the program's memory, and so does what is frozen. Batch, key and schedule of a step are
 * functions of (seed, step), so a run that starts again from the state after n steps goes on as if it had never stopped.
 */
import { refuse } from '../../dsl/errors.ts'
import type { Ahead } from '../data/ahead.ts'
import { FRAME, SIDE } from '../data/dataset.ts'
import { keyOf, PURPOSE } from '../data/random.ts'
import { sameShape, transfer, typeText, type LocalExecutable } from '../executor.ts'
import type { ProgramInfo, Slot } from '../manifest.ts'
import { restOf } from '../paths.ts'
import type { Numbers, Schedule } from './stages.ts'

/** What a step took, in milliseconds: in all, and of that until its batch was there. */
export type Timing = { readonly milliseconds: number; readonly waited: number }

export type Job = {
  /** The compiled training step; its inputs below `state` hold the state to start from, those below `frozen` what stays as it is. */
  readonly program: LocalExecutable
  /** Training batches, from step `from` on. */
  readonly batches: Ahead
  readonly seed: number
  /** Steps of the whole run, and how many of them are done already. */
  readonly steps: number
  readonly from: number
  readonly schedule: Schedule
  /** Asked after every step; true ends the run early, with its state saved. */
  readonly stopped: () => boolean
  /** Called after every good step; `step` counts the steps that are done. */
  readonly onStep: (step: number, metrics: Numbers, schedule: Numbers, timing: Timing) => void
  readonly checkpointEvery: number
  /** Saves the state; called every `checkpointEvery` steps and when the run ends, never with a value that is not finite. */
  readonly save: (step: number) => Promise<void>
  readonly pictureEvery: number
  readonly picture: (step: number) => Promise<void>
  /** Where the last good state lies, for the message that ends a run that went wrong. */
  readonly lastGood: () => string | undefined
}

export type Ending = { readonly step: number; readonly end: 'finished' | 'stopped' }

export type Shape = { readonly groups: number; readonly parts: number; readonly frames: number }

/** B, P and T of an array of frames [B, P, T, 3, 64, 64]; nothing where it is something else. */
export const shapeOf = (x: Slot | undefined): Shape | undefined => {
  const [groups = 0, parts = 0, frames = 0, ...rest] = x?.shape ?? []
  return x?.dtype === 'f32' && sameShape(rest, [3, SIDE, SIDE]) ? { groups, parts, frames } : undefined
}

/** B, P and T of a training step. Refuses a program whose arrays are not those of a training step, naming them. */
export const checkTrainStep = (program: ProgramInfo, scheduled: readonly string[]): Shape => {
  const input = (path: string) => program.inputs.find(slot => slot.path === path)
  const x = input('x')
  const key = input('key')
  const wanted = scheduled.map(name => `schedule.${name}`)
  const others = program.inputs.filter(({ path }) =>
    path !== 'x' && path !== 'key' && restOf(path, 'state') === null && restOf(path, 'frozen') === null && !wanted.includes(path))
  const shape = shapeOf(x)
  const problems = [
    ...(shape === undefined ? [`expected input x: f32[B, P, T, 3, ${SIDE}, ${SIDE}], got ${x === undefined ? 'no x' : typeText(x)}`] : []),
    ...(key === undefined || key.dtype !== 'u32' || !sameShape(key.shape, [2])
      ? [`expected input key: u32[2], got ${key === undefined ? 'no key' : typeText(key)}`] : []),
    ...wanted.flatMap(path => {
      const slot = input(path)
      return slot?.dtype === 'f32' && slot.shape.length === 0 ? [] : [`expected input ${path}: f32[], got ${slot === undefined ? 'none' : typeText(slot)}`]
    }),
    ...others.map(slot => `nothing is known to feed input ${slot.path}: ${typeText(slot)}`),
    ...(program.outputs.some(slot => isMetric(slot.path)) ? [] : ['no output lies below metrics']),
  ]
  if (problems.length > 0 || shape === undefined) {
    return refuse({ kind: 'arrays', program: program.id, problems,
      remedy: 'A training step is trainStep(state, x, key, schedule) -> { state, metrics }, or (state, frozen, x, key, schedule).' })
  }
  return shape
}

const isMetric = (path: string): boolean => restOf(path, 'metrics') !== null

/** The key of a step (or, with `PURPOSE.start`, of the initial state): two words. */
const stepKey = (seed: number, step: number, purpose: number = PURPOSE.step): Uint32Array => Uint32Array.from(keyOf(seed, purpose, step))

/** Fills the state from the program `init(key)`. */
export const initialise = (init: LocalExecutable, program: LocalExecutable, seed: number): void => {
  init.set('key', stepKey(seed, 0, PURPOSE.start))
  init.run()
  transfer(init, '', program, 'state')
}

/** The first value below `state` that is not finite. */
const brokenState = (program: LocalExecutable): { readonly name: string; readonly value: string } | undefined => {
  for (const slot of program.program.inputs) {
    if (slot.dtype !== 'f32' || restOf(slot.path, 'state') === null) continue
    const values = program.input(slot.path)
    const at = values.findIndex(v => !Number.isFinite(v))
    if (at >= 0) return { name: `${slot.path} (element ${at} of ${values.length})`, value: String(values[at]) }
  }
  return undefined
}

const metricsReader = (program: LocalExecutable): (() => Numbers) => {
  const read = program.program.outputs
    .filter(slot => isMetric(slot.path) && slot.shape.length === 0)
    .map(slot => [(restOf(slot.path, 'metrics') ?? '').slice(1), slot.path] as const)
  return () => Object.fromEntries(read.map(([name, path]) => [name, program.view(path)[0] ?? Number.NaN]))
}

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

/**
 * Trains from step `from` until `steps` are done or `stopped()` says so. A metric that is not finite ends the run at its
 * step; nothing is saved then (the program may have left the new state in the place of the old one already).
 */
export const train = async (job: Job): Promise<Ending> => {
  const { program, batches, seed, steps } = job
  const { groups, parts, frames } = checkTrainStep(program.program, Object.keys(job.schedule(0)))
  const readMetrics = metricsReader(program)
  const images = new Float32Array(groups * parts * frames * FRAME)
  const remedy = (): string => {
    const path = job.lastGood()
    const kept = path === undefined ? 'No checkpoint had been written yet.' : `The last good checkpoint is kept: ${path}`
    return `${kept}\n  A new run with a smaller --lr often helps; so does clipping the gradients harder.`
  }
  const fail = (step: number, metric: string, value: string): never => refuse({ kind: 'nonfinite', step, metric, value, remedy: remedy() })

  const save = async (step: number): Promise<void> => {
    const broken = brokenState(program)
    if (broken !== undefined) fail(step, broken.name, broken.value)
    await job.save(step)
  }

  for (let done = job.from; done < steps; done++) {
    const start = performance.now()
    const schedule = job.schedule(done / steps)
    const { waited } = await batches.next(done, images)
    program.set('x', images)
    program.set('key', stepKey(seed, done))
    for (const [name, value] of Object.entries(schedule)) program.set(`schedule.${name}`, [value])
    program.run()
    const metrics = readMetrics()
    for (const [name, value] of Object.entries(metrics)) if (!Number.isFinite(value)) fail(done + 1, name, String(value))
    program.feed('state', 'state')
    const step = done + 1
    job.onStep(step, metrics, schedule, { milliseconds: performance.now() - start, waited })
    await nextTurn() // signals arrive here
    const last = step === steps
    const stop = !last && job.stopped()
    if (last || stop || step % job.checkpointEvery === 0) await save(step)
    if (stop) return { step, end: 'stopped' }
    if (isPictured(job, step)) await job.picture(step)
  }
  return { step: steps, end: 'finished' }
}

/** Whether pictures are drawn after that step. */
export const isPictured = ({ steps, pictureEvery }: { readonly steps: number; readonly pictureEvery: number }, step: number): boolean =>
  step > 0 && (step === steps || step % pictureEvery === 0)
