/**
 * The training loop, for any program of the form
 *
 *     trainStep(state, [frozen,] x, key, schedule) -> { state, metrics }
 *
 * x is [B, P, T, 3, 64, 64] f32, key u32[2], every leaf of `schedule` and of `metrics` that is a scalar is fed or read by
 * name. The state stays in the program's memory, and so does what is frozen. Batch, key and schedule of a step are
 * functions of (seed, step), so a run that starts again from the state after n steps goes on as if it had never stopped.
 *
 * A device with a queue of its own is given the next steps before the metrics of a step have come back, so that it never waits. Before
 * anything is saved or drawn, all steps that were given have reported.
 */
import { refuse } from '../../dsl/errors.ts'
import type { Ahead } from '../data/ahead.ts'
import { FRAME, SIDE } from '../data/dataset.ts'
import { look, sameShape, typeText, type AnyArray, type Executable, type View } from '../executor.ts'
import type { ProgramInfo, Slot } from '../manifest.ts'
import { restOf } from '../paths.ts'
import { isMetric, metricsReader, stepKey } from '../trainer.ts'
import type { Numbers, Schedule } from './stages.ts'
import type { Verification } from './verify.ts'

/** What a step took, in milliseconds: in all (beyond the step before it, where steps overlap), and of that until its batch was there. */
export type Timing = { readonly milliseconds: number; readonly waited: number }

export type Job = {
  /** The compiled training step; its inputs below `state` hold the state to start from, those below `frozen` what stays as it is. */
  readonly program: Executable
  /** How many steps may be under way, beyond the one whose metrics are awaited; default: none where the memory is at hand, otherwise `AHEAD`. */
  readonly ahead?: number
  /** Computes the first steps a second time elsewhere, and compares. */
  readonly verification?: Verification
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
  readonly save: (step: number, state: State) => Promise<void>
  readonly pictureEvery: number
  readonly picture: (step: number) => Promise<void>
  /** Where the last good state lies, for the message that ends a run that went wrong. */
  readonly lastGood: () => string | undefined
}

/** What the next step would start from, by input path: everything below `state` and `frozen`. To be looked at before the next step. */
export type State = ReadonlyMap<string, View | AnyArray>

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

/** Everything that the next step would start from. */
export const stateOf = async (program: Executable): Promise<State> => {
  const paths = program.program.inputs.flatMap(({ path }) => (restOf(path, 'state') === null && restOf(path, 'frozen') === null ? [] : [path]))
  const values = await look(program, paths, 'inputs')
  return new Map(paths.map((path, i) => [path, values[i] ?? new Float32Array()]))
}

/** The first value below `state` that is not finite. */
const broken = (state: State): { readonly name: string; readonly value: string } | undefined => {
  for (const [path, values] of state) {
    if (!(values instanceof Float32Array) || restOf(path, 'state') === null) continue
    const at = values.findIndex(v => !Number.isFinite(v))
    if (at >= 0) return { name: `${path} (element ${at} of ${values.length})`, value: String(values[at]) }
  }
  return undefined
}

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

/** Steps that a device with a queue is given beyond the one whose metrics are awaited: enough to keep it busy, few enough to stop soon. */
const AHEAD = 3

/** A step that was given to the device and has not reported yet. */
type UnderWay = {
  readonly step: number
  readonly schedule: Numbers
  readonly start: number
  readonly waited: number
  readonly metrics: Promise<Numbers>
}

/**
 * Trains from step `from` until `steps` are done or `stopped()` says so. A metric that is not finite ends the run at its
 * step; nothing is saved then (the program may have left the new state in the place of the old one already). A device that fails
 * rejects with its `Refusal`, and nothing is saved either.
 */
export const train = async (job: Job): Promise<Ending> => {
  const { program, batches, seed, steps, verification } = job
  const { groups, parts, frames } = checkTrainStep(program.program, Object.keys(job.schedule(0)))
  const readMetrics = metricsReader(program)
  const images = new Float32Array(groups * parts * frames * FRAME)
  const ahead = job.ahead ?? (program.device === 'webgpu' ? AHEAD : 0)
  const remedy = (): string => {
    const path = job.lastGood()
    const kept = path === undefined ? 'No checkpoint had been written yet.' : `The last good checkpoint is kept: ${path}`
    return `${kept}\n  A new run with a smaller --lr often helps; so does clipping the gradients harder.`
  }
  const fail = (step: number, metric: string, value: string): never => refuse({ kind: 'nonfinite', step, metric, value, remedy: remedy() })

  const underWay: UnderWay[] = []
  let reported = 0
  /** Waits for the reports of the oldest steps, until at most `most` are left. */
  const settle = async (most: number): Promise<void> => {
    for (let oldest = underWay[0]; oldest !== undefined && underWay.length > most; oldest = underWay[0]) {
      const { step, schedule, start, waited } = oldest
      const metrics = await oldest.metrics
      underWay.shift()
      for (const name in metrics) if (!Number.isFinite(metrics[name])) fail(step, name, String(metrics[name]))
      const now = performance.now()
      job.onStep(step, metrics, schedule, { milliseconds: now - Math.max(start, reported), waited })
      reported = now
    }
  }

  /** Gives one step to the device. */
  const give = async (done: number): Promise<void> => {
    const start = performance.now()
    const schedule = job.schedule(done / steps)
    const inputs: readonly (readonly [string, ArrayLike<number>])[] =
      [['x', images], ['key', stepKey(seed, done)], ...Object.entries(schedule).map(([name, value]) => [`schedule.${name}`, [value]] as const)]
    const { waited } = await batches.next(done, images).catch(async (error: unknown) => {
      await settle(0) // steps before the one that has no batch are good
      throw error
    })
    const verified = await verification?.before(done, program, inputs)
    for (const [path, values] of inputs) program.set(path, values)
    program.run()
    const metrics = readMetrics()
    metrics.catch(() => undefined) // a step before it may be what ends the run
    program.feed('state', 'state')
    underWay.push({ step: done + 1, schedule, start, waited, metrics })
    await verified?.(await metrics)
  }

  const save = async (step: number): Promise<void> => {
    const state = await stateOf(program)
    const bad = broken(state)
    if (bad !== undefined) fail(step, bad.name, bad.value)
    await job.save(step, state)
  }

  for (let done = job.from; done < steps; done++) {
    await give(done)
    const step = done + 1
    const last = step === steps
    const pictured = isPictured(job, step)
    await settle(ahead)
    await nextTurn() // signals arrive here
    const stop = !last && job.stopped()
    const saved = last || stop || step % job.checkpointEvery === 0
    if (saved || pictured) await settle(0)
    if (saved) await save(step)
    if (stop) return { step, end: 'stopped' }
    if (pictured) await job.picture(step)
  }
  return { step: steps, end: 'finished' }
}

/** Whether pictures are drawn after that step. */
export const isPictured = ({ steps, pictureEvery }: { readonly steps: number; readonly pictureEvery: number }, step: number): boolean =>
  step > 0 && (step === steps || step % pictureEvery === 0)
