/**
 * The evaluation bound (every weight 1) on held-out data, by site. Of the whole model: every held-out sequence, s inferred from
 * the sequence itself. Of stage 1: groups of frames as it was trained on. Beside it the floor of the likelihood: pixels
 * between 0 and 1 count as means, so no model's bound comes below their entropy.
 */
import { FRAME, type DataSet } from '../data/dataset.ts'
import { normals, PURPOSE, stream } from '../data/random.ts'
import type { Executable } from '../executor.ts'
import { sizeOfShape } from '../manifest.ts'
import { restOf } from '../paths.ts'
import { clipOf } from './embed.ts'

export type Bound = {
  /** Videos (or, in stage 1, parts of groups) that the means go over. */
  readonly count: number
  readonly frames: number
  /** The outputs of `evaluate`: elbo, logLikelihood and klZ in nats a frame, klS and klD in nats a video, bitsPerDim. */
  readonly values: Readonly<Record<string, number>>
  /** Entropy of the pixel values in bits per number of a frame. */
  readonly floorBitsPerDim: number
}

/** Sum of the entropies of the values, taken as means of Bernoulli variables, in bits. */
const entropy = (x: Float32Array): number => {
  let sum = 0
  for (let i = 0; i < x.length; i++) {
    const v = x[i] as number
    if (v > 0 && v < 1) sum -= v * Math.log2(v) + (1 - v) * Math.log2(1 - v)
  }
  return sum
}

/** The most groups of stage 1 that are drawn. */
const MOST_BATCHES = 32

export type Batches = { readonly count: number; readonly frames: number; readonly total: number; readonly fill: (step: number, into: Float32Array) => void }

/** The batches for `evaluate`, which takes x [B, P, T, 3, 64, 64]. Sequences that do not fill a batch are left out; fewer than one batch fill it in turn. */
export const batchesOf = (evaluate: Executable, data: DataSet, stage: 1 | 2, heldOut: readonly number[], seed: number): Batches => {
  const [groups = 0, parts = 0, frames = 0] = evaluate.program.inputs.find(({ path }) => path === 'x')?.shape ?? []
  const each = groups * parts
  if (stage === 1) {
    const count = Math.min(MOST_BATCHES, Math.max(1, Math.floor(data.sequences.heldOut / each)))
    return { count, frames, total: count * each,
      fill: (step, into) => void data.batch({ split: 'heldOut', groups, parts, frames, seed, step, order: 'identity', into }) }
  }
  const count = Math.max(1, Math.floor(heldOut.length / each))
  const fill = (step: number, into: Float32Array): void => {
    for (let i = 0; i < each; i++) into.set(clipOf(data, 'heldOut', heldOut[(step * each + i) % heldOut.length] as number, frames, seed).x, i * frames * FRAME)
  }
  return { count, frames, total: count * each, fill }
}

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

/** Means over all batches, by one draw of every latent variable each. */
export const boundOf = async (evaluate: Executable, batches: Batches, temperature: number, seed: number, onDone: () => void): Promise<Bound> => {
  const x = new Float32Array(batches.total / batches.count * batches.frames * FRAME)
  const paths = evaluate.program.outputs.filter(slot => slot.shape.length === 0).map(({ path }) => path)
  const sums = new Map(paths.map(path => [path, 0]))
  evaluate.set('temperature', [temperature])
  let bits = 0
  for (let step = 0; step < batches.count; step++) {
    batches.fill(step, x)
    evaluate.set('x', x)
    evaluate.program.inputs.forEach(({ path, shape }, i) => {
      if (restOf(path, 'eps') !== null) evaluate.set(path, normals(sizeOfShape(shape), stream(seed, PURPOSE.evaluate, 5, step, i)))
    })
    evaluate.run()
    const values = await evaluate.read(paths)
    paths.forEach((path, i) => sums.set(path, (sums.get(path) ?? 0) + (values[i]?.[0] ?? Number.NaN) / batches.count))
    bits += entropy(x) / x.length / batches.count
    onDone()
    await nextTurn()
  }
  return { count: batches.total, frames: batches.frames, values: Object.fromEntries(sums), floorBitsPerDim: bits }
}
