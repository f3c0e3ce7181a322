/** What the model says of sequences: the posteriors of s, d and z of a clip from each, and the clip's labels. */
import { refuse } from '../../dsl/errors.ts'
import type { Clip, DataSet, Split } from '../data/dataset.ts'
import { PURPOSE, stream } from '../data/random.ts'
import type { Executable } from '../executor.ts'
import type { Gaussians } from './vectors.ts'

/** Latents by name, one Gaussian a sequence, and labels by the name of a factor (`action` among them), one a sequence. */
export type Embedded = {
  readonly latents: Readonly<Record<string, Gaussians>>
  /** Every frame's pose. */
  readonly poses: Gaussians
  readonly labels: Readonly<Record<string, Int32Array>>
  readonly identity: Int32Array
}

const SPLIT_NUMBER: Readonly<Record<Split, number>> = { train: 0, heldOut: 1 }

/** `frames` frames of a sequence; where it has more, a place in it that depends on the seed and the sequence alone. */
export const clipOf = (data: DataSet, split: Split, index: number, frames: number, seed: number): Clip => {
  const spare = data.labels(split, index).frames - frames
  return data.clip(split, index, frames, spare <= 0 ? 0 : stream(seed, PURPOSE.evaluate, 2, SPLIT_NUMBER[split], index).below(spare + 1))
}

/** Fills [count, width] row by row. */
const collector = (count: number, width: number) => {
  const [loc, scale] = [new Float32Array(count * width), new Float32Array(count * width)]
  return { put: (row: number, l: ArrayLike<number>, s: ArrayLike<number>): void => { loc.set(l, row * width); scale.set(s, row * width) },
    made: (): Gaussians => ({ count, width, loc, scale }) }
}

/**
 * The mean over time of poses z_t ~ N(loc_t, scale_t^2), taken as independent: loc and scale [Z] from [T, Z]. (In the whole
 * model z_t depends on what was drawn before it: its scale holds along the means.)
 */
export const meanOverTime = (
  loc: ArrayLike<number>, scale: ArrayLike<number>, frames: number,
): { readonly loc: Float64Array; readonly scale: Float64Array } => {
  const width = loc.length / frames
  const out = { loc: new Float64Array(width), scale: new Float64Array(width) }
  for (let i = 0; i < loc.length; i++) {
    out.loc[i % width]! += (loc[i] as number) / frames
    out.scale[i % width]! += (scale[i] as number) ** 2 / frames ** 2
  }
  return { loc: out.loc, scale: out.scale.map(Math.sqrt) }
}

const shapeOf = (encode: Executable, path: string): readonly number[] | undefined =>
  encode.program.outputs.concat(encode.program.inputs).find(slot => slot.path === path)?.shape

/** Frames of the clips that `encode` takes. */
export const framesOf = (encode: Executable): number =>
  shapeOf(encode, 'x')?.[0] ?? refuse({ kind: 'bug', where: 'evaluate', message: `${encode.program.id} has no input x` })

/** So many clips are given to the device before the first is waited for. */
const TOGETHER = 16

const nextTurn = (): Promise<void> => new Promise(done => setImmediate(done))

/** Encodes one clip of each sequence. `onDone` is called after each. */
export const embed = async (
  encode: Executable, data: DataSet, split: Split, indices: readonly number[], seed: number, onDone: () => void,
): Promise<Embedded> => {
  const frames = framesOf(encode)
  const widths = { s: shapeOf(encode, 's.loc')?.[0] ?? 0, d: shapeOf(encode, 'd.loc')?.[0], z: shapeOf(encode, 'z.loc')?.[1] ?? 0 }
  const count = indices.length
  const [s, z, poses] = [collector(count, widths.s), collector(count, widths.z), collector(count, frames * widths.z)]
  const d = widths.d === undefined ? undefined : collector(count, widths.d)
  const names = [...data.factors.map(({ name }) => name), 'action']
  const labels = Object.fromEntries(names.map(name => [name, new Int32Array(count)]))
  const identity = new Int32Array(count)
  const paths = [...(d === undefined ? ['s', 'z'] : ['s', 'z', 'd'])].flatMap(latent => [`${latent}.loc`, `${latent}.scale`])
  const one = async (row: number, index: number): Promise<void> => {
    const clip = clipOf(data, split, index, frames, seed)
    encode.set('x', clip.x)
    encode.run()
    const [sLoc = [], sScale = [], loc = [], scale = [], dLoc = [], dScale = []] = await encode.read(paths)
    s.put(row, sLoc, sScale)
    d?.put(row, dLoc, dScale)
    poses.put(row, loc, scale)
    const mean = meanOverTime(loc, scale, frames)
    z.put(row, mean.loc, mean.scale)
    identity[row] = clip.identity
    for (const name of names) (labels[name] as Int32Array)[row] = name === 'action' ? clip.action : (clip.factors[name] ?? -1)
    onDone()
  }
  for (let row = 0; row < count; row += TOGETHER) {
    await Promise.all(indices.slice(row, row + TOGETHER).map((index, i) => one(row + i, index)))
    await nextTurn() // signals and the progress bar
  }
  return {
    latents: { s: s.made(), ...(d === undefined ? {} : { d: d.made() }), z: z.made() },
    poses: { ...poses.made(), count: count * frames, width: widths.z },
    labels, identity,
  }
}
