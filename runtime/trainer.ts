/**
 * Training step by step, on any device and without files: for pages, and for whoever writes a loop of his own. Programs are
 *
 *     init(key) -> state          trainStep(state, x, key, schedule) -> { state, metrics }
 *
 * Keys are those of the command line: the same seed, batches and schedules give the same numbers.
 */
import { refuse } from '../dsl/errors.ts'
import { keyOf, PURPOSE } from './data/random.ts'
import { copyArrays, transfer, type AnyArray, type Executable, type View } from './executor.ts'
import { join, restOf } from './paths.ts'

type Numbers = Readonly<Record<string, number>>

/** What training carries from step to step, copied from the device: the arrays below `state` by path, after so many steps. */
export type Saved = { readonly steps: number; readonly state: ReadonlyMap<string, AnyArray> }

export type Trainer = {
  readonly program: Executable
  /** How many steps have been begun. */
  readonly steps: () => number
  /**
   * Begins the next step: `batch` fills x, `schedule` gives the scalars below `schedule` by name. Resolves to the scalars below
   * `metrics`, on a device with a queue some steps later: a few may be under way. Rejects where one is not finite, or the device failed.
   */
  readonly next: (batch: (x: View) => void, schedule: Numbers) => Promise<Numbers>
  /** Makes the inputs below `path` of another program the parameters as they are now: without a copy where the device can do that. */
  readonly give: (target: Executable, path: string, from?: string) => Promise<void>
  /** A copy of the state after all steps that have been begun, for `resumeTrainer`. Rejects where a number of it is not finite, or the device failed. */
  readonly save: () => Promise<Saved>
  readonly dispose: () => void
}

/** The key of a step (or, with `PURPOSE.start`, of the initial state): two words. */
export const stepKey = (seed: number, step: number, purpose: number = PURPOSE.step): Uint32Array => Uint32Array.from(keyOf(seed, purpose, step))

/** Fills the state from the program `init(key)`. */
export const initialise = async (init: Executable, program: Executable, seed: number): Promise<void> => {
  init.set('key', stepKey(seed, 0, PURPOSE.start))
  init.run()
  await transfer(init, '', program, 'state')
}

export const isMetric = (path: string): boolean => restOf(path, 'metrics') !== null

/** Asks for the metrics of the step that was run last. */
export const metricsReader = (program: Executable): (() => Promise<Numbers>) => {
  const scalars = program.program.outputs.filter(slot => isMetric(slot.path) && slot.shape.length === 0)
  const paths = scalars.map(({ path }) => path)
  const names = paths.map(path => (restOf(path, 'metrics') ?? '').slice(1))
  return async () => {
    const values = await program.read(paths)
    return Object.fromEntries(names.map((name, i) => [name, values[i]?.[0] ?? Number.NaN]))
  }
}

/** The inputs of `target` below `path`, each with the path below `from` that has the same rest. */
const pairsBelow = (target: Executable, path: string, from: string): readonly (readonly [source: string, input: string])[] =>
  target.program.inputs.flatMap(slot => {
    const rest = restOf(slot.path, path)
    return rest === null ? [] : [[join(from, rest), slot.path] as const]
  })

const stateOf = (program: Executable): readonly string[] => program.program.inputs.flatMap(({ path }) => (restOf(path, 'state') === null ? [] : [path]))

/** Refuses a program that says nothing of how it goes. */
const checkMetrics = ({ program }: Executable): void => {
  if (program.outputs.some(slot => isMetric(slot.path) && slot.shape.length === 0)) return
  refuse({ kind: 'arrays', program: program.id, problems: ['no number lies below metrics'] })
}

/** Fills the state of `program` by `init`, whose memory is given back. */
export const startTrainer = async (init: Executable, program: Executable, seed: number): Promise<Trainer> => {
  checkMetrics(program)
  await initialise(init, program, seed)
  init.dispose()
  return trainerFrom(program, seed, 0)
}

/** Goes on where a copy was made, perhaps on another device: with the same seed, and so with the same batches and keys. */
export const resumeTrainer = (program: Executable, seed: number, { steps, state }: Saved): Trainer => {
  checkMetrics(program)
  for (const path of stateOf(program)) program.set(path, state.get(path) ?? [])
  return trainerFrom(program, seed, steps)
}

/** A trainer whose program holds the state after `steps` steps. */
const trainerFrom = (program: Executable, seed: number, steps: number): Trainer => {
  const readMetrics = metricsReader(program)
  let begun = steps
  const shared = new Set<Executable>()
  const checked = (step: number, numbers: Numbers): Numbers => {
    const bad = Object.entries(numbers).find(([, value]) => !Number.isFinite(value))
    return bad === undefined ? numbers
      : refuse({ kind: 'nonfinite', step, metric: bad[0], value: String(bad[1]), remedy: 'Another seed, or a smaller learning rate, often helps.' })
  }
  return {
    program,
    steps: () => begun,
    next: async (batch, schedule) => {
      const step = begun++
      program.fill('x', batch)
      program.set('key', stepKey(seed, step))
      for (const [name, value] of Object.entries(schedule)) program.set(`schedule.${name}`, [value])
      program.run()
      const reading = readMetrics()
      program.feed('state', 'state')
      return checked(step + 1, await reading)
    },
    give: async (target, path, from = 'state.params') => {
      if (shared.has(target)) return
      const pairs = pairsBelow(target, path, from)
      if (target.share(program, pairs)) shared.add(target)
      else await copyArrays(program, pairs, target, 'inputs')
    },
    save: async () => {
      const [paths, steps] = [stateOf(program), begun]
      const arrays = await program.read(paths, 'inputs')
      const state = new Map(paths.map((path, i) => [path, arrays[i] ?? new Float32Array()] as const))
      const bad = [...state].find(([, array]) => !array.every(Number.isFinite))
      return bad === undefined ? { steps, state }
        : refuse({ kind: 'nonfinite', step: steps, metric: bad[0], value: String(bad[1].find(x => !Number.isFinite(x))) })
    },
    dispose: () => program.dispose(),
  }
}
