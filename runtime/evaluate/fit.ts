/**
 * Trains one probe and tests it: the programs `init`, `trainStep` and `predict` of models/probe on rows of features. How
 * many steps are taken is decided by the validation rows: the parameters are kept at which their cross entropy was least.
 * Test rows are looked at once, at the end.
 */
import { refuse } from '../../dsl/errors.ts'
import { keyOf, shuffled, stream, type Stream } from '../data/random.ts'
import { look, transfer, type Executable } from '../executor.ts'
import { restOf } from '../paths.ts'
import { whitened, whiteningOf, type Rows } from './vectors.ts'

/** One kind of probe, loaded. Programs are used by one probe at a time. */
export type ProbePrograms = { readonly init: Executable; readonly trainStep: Executable; readonly predict: Executable }

/**
 * How a kind of probe is trained: Adam with half a cosine of a learning rate, `decay` on the squares of the weights; validated
 * `every` so many steps, and over when `patience` steps have brought nothing.
 */
export type Recipe = { readonly steps: number; readonly every: number; readonly patience: number; readonly learningRate: number; readonly decay: number }

/** Rows of one factor with `classes` classes: to train on, to choose the number of steps by, to report. */
export type Task = { readonly classes: number; readonly train: Rows; readonly validation: Rows; readonly test: Rows }

export type Fit = {
  /** Shares of the rows whose likeliest class is the right one. */
  readonly accuracy: number
  readonly validationAccuracy: number
  /** The step whose parameters were kept. */
  readonly step: number
}

/** The padded sizes: rows of a batch, features, classes. */
export type ProbeSizes = { readonly rows: number; readonly features: number; readonly classes: number }

export const sizesOf = ({ predict }: Pick<ProbePrograms, 'predict'>): ProbeSizes => {
  const shape = (path: string): readonly number[] =>
    predict.program.inputs.find(slot => slot.path === path)?.shape
      ?? refuse({ kind: 'bug', where: 'probes', message: `${predict.program.id} has no input ${path}` })
  const [rows = 0, features = 0] = shape('x')
  return { rows, features, classes: shape('classes')[0] ?? 0 }
}

/** Copies of the arrays below `from` of a program's inputs, by the rest of their path. */
const snapshot = async (program: Executable, from: string): Promise<ReadonlyMap<string, ArrayLike<number>>> => {
  const paths = program.program.inputs.map(({ path }) => path).filter(path => restOf(path, from) !== null)
  const values = await program.read(paths, 'inputs')
  return new Map(paths.map((path, i) => [path.slice(from.length), values[i] ?? []]))
}

const give = (program: Executable, to: string, arrays: ReadonlyMap<string, ArrayLike<number>>): void =>
  arrays.forEach((data, rest) => program.set(`${to}${rest}`, data))

const flags = (classes: number, padded: number): Float32Array => new Float32Array(padded).fill(1, 0, classes)

type Judged = { readonly accuracy: number; readonly loss: number }

/** Share of right answers, and mean cross entropy in nats, of the parameters that `predict` holds. */
const judge = async (predict: Executable, sizes: ProbeSizes, rows: Rows): Promise<Judged> => {
  const x = new Float32Array(sizes.rows * sizes.features)
  const totals = { right: 0, loss: 0 }
  for (let from = 0; from < rows.count; from += sizes.rows) {
    const n = Math.min(sizes.rows, rows.count - from)
    x.fill(0)
    x.set(rows.x.subarray(from * sizes.features, (from + n) * sizes.features))
    predict.set('x', x)
    predict.run()
    const [answers = new Float32Array()] = await look(predict, [''])
    for (let i = 0; i < n; i++) {
      const row = answers.subarray(i * sizes.classes, (i + 1) * sizes.classes)
      const label = rows.label[from + i] as number
      totals.loss -= row[label] as number
      if (row.every((v, c) => c === label || v < (row[label] as number))) totals.right += 1
    }
  }
  return { accuracy: totals.right / rows.count, loss: totals.loss / rows.count }
}

/** Row numbers without end: every row once, in random order, then again in another. */
const order = (count: number, s: Stream): (() => number) => {
  const all = Array.from({ length: count }, (_, i) => i)
  const queue: number[] = []
  return () => {
    if (queue.length === 0) queue.push(...shuffled(all, s))
    return queue.pop() as number
  }
}

const checkTask = ({ classes, train, validation, test }: Task, sizes: ProbeSizes): void => {
  if (classes > sizes.classes) refuse({ kind: 'limit', what: 'a probe', message: `${classes} classes were given, the probes have ${sizes.classes}` })
  if (train.width > sizes.features) {
    refuse({ kind: 'limit', what: 'a probe', message: `${train.width} features were given, the probes have ${sizes.features}`,
      remedy: 'Raise F of the large probes in models/probe/config.ts and compile again.' })
  }
  for (const [name, rows] of [['train', train], ['validation', validation], ['test', test]] as const) {
    if (rows.count === 0) {
      refuse({ kind: 'data', source: 'probes',
        message: `there is not one row to ${name === 'train' ? 'train on' : name === 'test' ? 'test on' : 'validate on'}` })
    }
    const bad = rows.x.findIndex(v => !Number.isFinite(v))
    if (bad >= 0) {
      refuse({ kind: 'nonfinite', step: 0, metric: `feature ${bad % rows.width} of a sequence (${name})`, value: String(rows.x[bad]),
        remedy: 'The model that made these features has come apart: evaluate an earlier checkpoint.' })
    }
  }
}

/** Trains a probe and says how well it does on rows that it was not chosen by. Its start and its batches are those at `path`, a seed first. */
export const fit = async (programs: ProbePrograms, recipe: Recipe, task: Task, path: readonly number[]): Promise<Fit> => {
  const { init, trainStep, predict } = programs
  const sizes = sizesOf(programs)
  checkTask(task, sizes)
  const whitening = whiteningOf(task.train)
  const [train, validation, test] =
    [task.train, task.validation, task.test].map(rows => whitened(rows, whitening, sizes.features)) as [Rows, Rows, Rows] // three in, three out
  const classes = flags(task.classes, sizes.classes)
  init.set('key', Uint32Array.from(keyOf(...path, 0)))
  init.run()
  await transfer(init, '', trainStep, 'state')
  for (const program of [trainStep, predict]) program.set('classes', classes)
  trainStep.set('schedule.decay', [recipe.decay])

  const next = order(train.count, stream(...path, 1))
  const x = new Float32Array(sizes.rows * sizes.features)
  const label = new Int32Array(sizes.rows)
  let best = { loss: Number.POSITIVE_INFINITY, accuracy: 0, step: 0, params: await snapshot(trainStep, 'state.params') }
  for (let step = 1; step <= recipe.steps; step++) {
    for (let i = 0; i < sizes.rows; i++) {
      const row = next()
      x.set(train.x.subarray(row * sizes.features, (row + 1) * sizes.features), i * sizes.features)
      label[i] = train.label[row] as number
    }
    trainStep.set('x', x)
    trainStep.set('label', label)
    trainStep.set('schedule.learningRate', [recipe.learningRate * 0.5 * (1 + Math.cos((Math.PI * (step - 1)) / recipe.steps))])
    trainStep.run()
    trainStep.feed('state', 'state')
    if (step % recipe.every !== 0 && step !== recipe.steps) continue
    const params = await snapshot(trainStep, 'state.params')
    give(predict, 'params', params)
    const judged = await judge(predict, sizes, validation)
    if (judged.loss < best.loss) best = { ...judged, step, params }
    else if (step - best.step >= recipe.patience) break
  }
  give(predict, 'params', best.params)
  return { accuracy: (await judge(predict, sizes, test)).accuracy, validationAccuracy: best.accuracy, step: best.step }
}
