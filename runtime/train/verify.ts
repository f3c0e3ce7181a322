/**
 * A device checked by another: steps are computed a second time from the same state and the same batch, and metrics and states
 * are compared. Both round in float32, in another order, so that they agree only within tolerances:
 *
 * - Metrics are sums of many numbers of either sign: within METRIC of their size, or of the largest metric's last digits.
 * - Integers agree.
 * - The optimiser's arrays change in proportion to the gradients (Adam: to their squares): the difference, over a whole array, is
 *   small beside the change.
 * - Adam moves a parameter by about the learning rate, however small its gradient: where that is all rounding its sign is chance.
 *   The root mean square of the difference is small beside the learning rate, and no difference is more than a few of it.
 */
import { refuse } from '../../dsl/errors.ts'
import { metricsReader } from '../trainer.ts'
import { stateOf, type State } from './loop.ts'
import type { Executable } from '../executor.ts'
import { restOf } from '../paths.ts'
import type { Numbers } from './stages.ts'

export type Inputs = readonly (readonly [path: string, values: ArrayLike<number>])[]

export type Verification = {
  /**
   * Called before a step with the program and what it will be given beside its state. Gives the check of that step, to be
   * called when the new state is in place of the old one; nothing where enough steps were checked. The check refuses what disagrees.
   */
  readonly before: (done: number, program: Executable, inputs: Inputs) => Promise<((metrics: Numbers) => Promise<void>) | undefined>
}

/** Of a metric's size; of the largest metric's size. */
const METRIC = { relative: 1e-3, floor: 1e-6 }
/** Of the size of a change of the optimiser's arrays; of what is in them (float32 has 24 binary digits). */
const CHANGE = { relative: 0.02, floor: 1e-6 }
/** Of the learning rate: root mean square of the differences of an array of parameters, and the largest of them. */
const STEP = { mean: 0.25, most: 4 }

/** Root mean square, or the largest, of f over so many places. */
const meanSize = (n: number, f: (i: number) => number): number => {
  let sum = 0
  for (let i = 0; i < n; i++) sum += f(i) ** 2
  return Math.sqrt(sum / Math.max(1, n))
}

const farthest = (n: number, f: (i: number) => number): { readonly at: number; readonly size: number } => {
  let [at, size] = [0, 0]
  for (let i = 0; i < n; i++) {
    const v = Math.abs(f(i))
    if (v > size || Number.isNaN(v)) [at, size] = [i, v]
    if (Number.isNaN(v)) break
  }
  return { at, size }
}

type Values = ArrayLike<number>
const of = (values: Values) => (i: number): number => values[i] as number

/** What is wrong with the new values of an array, given the old ones and what they should be. `rate` is the learning rate, where there is one. */
export const arrayProblem = (path: string, before: Values, found: Values, wanted: Values, rate: number | undefined): string | undefined => {
  const n = wanted.length
  const difference = (i: number): number => of(found)(i) - of(wanted)(i)
  const { at, size } = farthest(n, i => (Number.isNaN(of(found)(i)) && Number.isNaN(of(wanted)(i)) ? 0 : difference(i)))
  if (size === 0) return undefined
  const where = `element ${at} of ${n} is ${of(found)(at)}, not ${of(wanted)(at)}`
  if (!(wanted instanceof Float32Array)) return where
  if (!(size < Infinity)) return where
  const mean = meanSize(n, difference)
  const floor = CHANGE.floor * Math.max(meanSize(n, of(wanted)), meanSize(n, of(before)))
  if (rate !== undefined && restOf(path, 'state.params') !== null) {
    if (size > STEP.most * rate + floor) return `${where}: the difference is ${(size / rate).toPrecision(2)} times the learning rate`
    return mean > STEP.mean * rate + floor ? `the differences are ${(mean / rate).toPrecision(2)} times the learning rate in the mean (${where})` : undefined
  }
  const change = meanSize(n, i => of(wanted)(i) - of(before)(i))
  return mean > CHANGE.relative * change + floor ? `it differs by ${(100 * mean / change).toPrecision(2)}% of what the step changes (${where})` : undefined
}

/** The first metric that disagrees. */
export const metricProblem = (found: Numbers, wanted: Numbers): string | undefined => {
  const largest = Math.max(0, ...Object.values(wanted).map(Math.abs).filter(Number.isFinite))
  for (const [name, value] of Object.entries(wanted)) {
    const got = found[name] ?? Number.NaN
    if (Object.is(got, value)) continue
    if (Math.abs(got - value) <= METRIC.relative * Math.max(Math.abs(got), Math.abs(value)) + METRIC.floor * largest) continue
    return `metrics.${name} is ${got}, not ${value}`
  }
  return undefined
}

/** A copy: the memory of `state` may be that of the next one. */
const copied = (state: State): State => new Map([...state].map(([path, values]) => [path, values.slice()]))

/** Checks `steps` steps from step `from` on by `reference`, the same program on another device. */
export const verifyWith = (reference: Executable, from: number, steps: number, onChecked: (step: number) => void): Verification => {
  const metricsOf = metricsReader(reference)
  return {
    before: async (done, program, inputs) => {
      if (done >= from + steps) return undefined
      const before = copied(await stateOf(program))
      for (const [path, values] of before) reference.set(path, values)
      for (const [path, values] of inputs) reference.set(path, values)
      reference.run()
      const wantedMetrics = await metricsOf()
      reference.feed('state', 'state')
      const rate = inputs.find(([path]) => path === 'schedule.learningRate')?.[1][0]
      return async metrics => {
        const no = (message: string): never => refuse({
          kind: 'device', device: program.variant, reason: 'disagreement', message: `step ${done + 1} is not what it is on ${reference.variant}: ${message}`,
          remedy: 'Train on the other device (--device wasm). This is a bug of vdsm or of the driver; please report it with both names.',
        })
        const problem = metricProblem(metrics, wantedMetrics)
        if (problem !== undefined) no(problem)
        const [found, wanted] = [await stateOf(program), await stateOf(reference)]
        for (const [path, values] of wanted) {
          const wrong = arrayProblem(path, before.get(path) ?? [], found.get(path) ?? [], values, rate)
          if (wrong !== undefined) no(`${path}: ${wrong}`)
        }
        onChecked(done + 1)
      }
    },
  }
}
