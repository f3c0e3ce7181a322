/**
 * How much of each factor can be read from s, from d and from z (averaged over time) of held-out sequences: a probe of each kind,
 * for every seed, on the location of the posterior and on a draw from it. The draw is what the model passes on; the
 * location may hold traces far below the posterior's noise. Beside it the evaluation bound, and what the posteriors cost.
 */
import { refuse } from '../../dsl/errors.ts'
import type { DataSet } from '../data/dataset.ts'
import { PURPOSE, stream } from '../data/random.ts'
import type { Executable } from '../executor.ts'
import { batchesOf, boundOf, type Bound } from './bound.ts'
import { embed, framesOf, type Embedded } from './embed.ts'
import { centred, factsOf, type Facts, type Prior } from './facts.ts'
import { fit, sizesOf, type Fit, type ProbePrograms, type Task } from './fit.ts'
import { PROBES, recipes as usual, type ProbeName, type Recipes } from './probes.ts'
import { heldOutOf, partition, sample, type HeldOut } from './split.ts'
import { draws, locations, pickGaussians, type Rows } from './vectors.ts'

export const SOURCES = ['location', 'draw'] as const
export type Source = (typeof SOURCES)[number]

/** One kind of probe on one kind of features: an entry for each seed. */
export type Reading = {
  readonly factor: string
  readonly latent: string
  readonly source: Source
  readonly probe: ProbeName
  /** Shares of the held-out sequences that were told right. */
  readonly accuracy: readonly number[]
  readonly validationAccuracy: readonly number[]
  /** The steps after which training was best by the validation part. */
  readonly step: readonly number[]
}

export type FactorInfo = {
  readonly name: string
  /** How many values it has. */
  readonly classes: number
  /** The share of the largest class among the held-out sequences. */
  readonly chance: number
}

export type Evaluation = {
  readonly heldOut: HeldOut
  readonly frames: number
  readonly seeds: readonly number[]
  readonly recipes: Recipes
  readonly counts: { readonly heldOut: number; readonly heldOutIdentities: number; readonly train: number; readonly trainIdentities: number }
  readonly factors: readonly FactorInfo[]
  /** Factors that no probe was trained for, and why. */
  readonly skipped: readonly { readonly name: string; readonly why: string }[]
  readonly readings: readonly Reading[]
  readonly latents: Readonly<Record<string, Facts>>
  readonly bound: Bound
}

/** What there is to evaluate: the model's programs with their parameters in place, the data, and the probes. */
export type Subject = {
  readonly stage: 1 | 2
  readonly encode: Executable
  readonly evaluate: Executable
  readonly temperature: number
  /** p(s) and p(d). */
  readonly priors: { readonly s: Prior; readonly d: Prior }
  readonly data: DataSet
  readonly probes: Readonly<Record<ProbeName, ProbePrograms>>
}

/** `train` and `heldOut` sequences at most; `seeds` probes for each entry. */
export type Plan = { readonly seed: number; readonly seeds: number; readonly train: number; readonly heldOut: number; readonly recipes?: Recipes }

/** Called as work gets done; the shares add up to 1. */
export type OnShare = (share: number, what: string) => void

/** Draws from every training sequence: the probe should learn what survives the noise, not one draw by heart. */
const TRAINING_DRAWS = 4

const counted = (labels: Int32Array): ReadonlyMap<number, number> =>
  labels.reduce((counts, label) => counts.set(label, (counts.get(label) ?? 0) + 1), new Map<number, number>())

/** Which factors can be probed, and why the others cannot. The action is one of them where the data set names actions. */
export const choose = (
  data: Pick<DataSet, 'factors' | 'actions'>, test: Embedded['labels'], train: Embedded['labels'], most: number,
): Pick<Evaluation, 'factors' | 'skipped'> => {
  const all = [...data.factors.map(({ name, values }) => ({ name, classes: values.length })),
    ...(data.actions.length === 0 ? [] : [{ name: 'action', classes: data.actions.length }])]
  const judged = all.map(({ name, classes }) => {
    const [held, seen] = [counted(test[name] ?? new Int32Array()), counted(train[name] ?? new Int32Array())]
    const total = [...held.values()].reduce((sum, n) => sum + n, 0)
    const unseen = [...held.keys()].filter(label => !seen.has(label)).length
    const why = classes > most ? `it has ${classes} values, the probes take ${most}`
      : held.has(-1) || seen.has(-1) ? 'some sequences have no value of it'
      : held.size < 2 ? 'the held-out sequences show one value of it only'
      : unseen === held.size ? 'no value of the held-out sequences is in the training split' : undefined
    return { name, classes, why, chance: Math.max(...held.values()) / total }
  })
  return {
    factors: judged.flatMap(({ name, classes, chance, why }) => (why === undefined ? [{ name, classes, chance }] : [])),
    skipped: judged.flatMap(({ name, why }) => (why === undefined ? [] : [{ name, why }])),
  }
}

/** What probes are fitted on: the sequences of either split, and for every seed the rows of training sequences to learn from and to choose by. */
type Ground = {
  readonly train: Embedded
  readonly test: Embedded
  readonly parts: readonly { readonly seed: number; readonly learn: readonly number[]; readonly validation: readonly number[] }[]
}

/** One entry of the tables. */
type Entry = { readonly factor: FactorInfo; readonly latent: string; readonly source: Source }

const rowsOf = (embedded: Embedded, { factor, latent, source }: Entry, rows: readonly number[], times: number, ...path: readonly number[]): Rows => {
  const gaussians = embedded.latents[latent]
  const labels = embedded.labels[factor.name]
  if (gaussians === undefined || labels === undefined) {
    return refuse({ kind: 'bug', where: 'evaluate', message: `nothing is known of ${factor.name} or ${latent}` })
  }
  const picked = pickGaussians(gaussians, rows)
  const label = Int32Array.from(rows, row => labels[row] as number)
  return source === 'location' ? locations(picked, label) : draws(picked, label, times, stream(...path))
}

/** The task of an entry for each seed: what is drawn is drawn for that seed. */
const tasksOf = ({ train, test, parts }: Ground, entry: Entry, place: number): readonly Task[] =>
  parts.map(({ seed, learn, validation }) => {
    const rows = (embedded: Embedded, of: readonly number[], times: number, part: number): Rows =>
      rowsOf(embedded, entry, of, times, seed, PURPOSE.evaluate, 6, place, part)
    const everyTest = Array.from(test.identity, (_, row) => row)
    return { classes: entry.factor.classes, train: rows(train, learn, TRAINING_DRAWS, 0), validation: rows(train, validation, 1, 1),
      test: rows(test, everyTest, 1, 2) }
  })

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

/** Every kind of probe on the tasks of an entry. */
const readingsOf = async (subject: Subject, recipes: Recipes, ground: Ground, entry: Entry, place: number, onFit: () => void): Promise<readonly Reading[]> => {
  const tasks = tasksOf(ground, entry, place)
  const readings: Reading[] = []
  for (const probe of PROBES) {
    const fits: Fit[] = []
    for (const [i, task] of tasks.entries()) {
      fits.push(await fit(subject.probes[probe], recipes[probe], task, [ground.parts[i]?.seed ?? 0, PURPOSE.evaluate, 7, place]))
      onFit()
      await nextTurn()
    }
    readings.push({
      factor: entry.factor.name, latent: entry.latent, source: entry.source, probe,
      accuracy: fits.map(r => r.accuracy), validationAccuracy: fits.map(r => r.validationAccuracy), step: fits.map(r => r.step),
    })
  }
  return readings
}

/** How the time divides, roughly: a fit takes as long as so many encodings. */
const FIT_COST = 60

/** Does it all. Throws a `Refusal` where the data or the model give nothing that could be evaluated. */
export const evaluate = async (subject: Subject, plan: Plan, onShare: OnShare): Promise<Evaluation> => {
  const { data, encode, probes, stage } = subject
  const { recipes = usual } = plan
  data.requireFrames(framesOf(encode))
  const seeds = Array.from({ length: plan.seeds }, (_, i) => plan.seed + i)
  const latents = encode.program.outputs.some(({ path }) => path === 'd.loc') ? ['s', 'd', 'z'] : ['s', 'z']
  const held = sample(data.sequences.heldOut, plan.heldOut, plan.seed)
  const batches = batchesOf(subject.evaluate, data, stage, held, plan.seed)
  const samples = seeds.map(seed => sample(data.sequences.train, plan.train, seed))
  const union = [...new Set(samples.flat())].sort((a, b) => a - b)

  const probing = seeds.length * latents.length * SOURCES.length * PROBES.length * FIT_COST * (data.factors.length + 1)
  const work = held.length + union.length + batches.total + probing
  const test = await embed(encode, data, 'heldOut', held, plan.seed, () => onShare(1 / work, 'encoding'))
  const train = await embed(encode, data, 'train', union, plan.seed, () => onShare(1 / work, 'encoding'))
  const bound = await boundOf(subject.evaluate, batches, subject.temperature, plan.seed, () => onShare(batches.total / batches.count / work, 'bound'))

  const heldOut = heldOutOf(data)
  const { factors, skipped } = choose(data, test.labels, train.labels, sizesOf(probes.linear).classes)
  const rowOf = new Map(union.map((index, row) => [index, row]))
  const parts = samples.map((indices, i) => {
    const seed = seeds[i] ?? plan.seed
    const rows = indices.map(index => rowOf.get(index) as number)
    const { train: learn, validation } = partition(Int32Array.from(rows, row => train.identity[row] as number), heldOut, seed)
    return { seed, learn: learn.map(at => rows[at] as number), validation: validation.map(at => rows[at] as number) }
  })
  const entries = factors.flatMap(factor => latents.flatMap(latent => SOURCES.map((source): Entry => ({ factor, latent, source }))))
  const share = probing / work / (entries.length * PROBES.length * seeds.length)
  const readings: Reading[] = []
  for (const [place, entry] of entries.entries()) {
    readings.push(...await readingsOf(subject, recipes, { train, test, parts }, entry, place,
      () => onShare(share, `${entry.factor.name} from ${entry.latent}`)))
  }
  const { s, d } = test.latents
  return {
    heldOut, frames: framesOf(encode), seeds, recipes, factors, skipped, readings, bound,
    counts: { heldOut: held.length, heldOutIdentities: new Set(test.identity).size, train: samples[0]?.length ?? 0,
      trainIdentities: new Set(train.identity).size },
    latents: {
      ...(s === undefined ? {} : { s: factsOf(s, subject.priors.s) }),
      ...(d === undefined ? {} : { d: factsOf(d, subject.priors.d) }),
      // In the whole model the prior of a pose is the transition: its cost is the bound's.
      ...(stage === 1 ? { z: factsOf(test.poses, centred(test.poses.width)) } : {}),
    },
  }
}
