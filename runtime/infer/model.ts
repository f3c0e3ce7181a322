/**
 * A trained model as functions of videos. Programs have a fixed number of frames, T; these functions have any:
 *
 * - A video that is read has one frame (an image), or at least T. A longer one is read in windows of T frames, the last of
 *   which ends with it; its identity and its dynamics are the means over the windows.
 * - A video that is made is made T frames at a time, each from the last pose before it, and cut to the length that was asked
 *   for: a longer one begins with the frames of a shorter one.
 */
import { refuse } from '../../dsl/errors.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { FRAME } from '../data/dataset.ts'
import { keyOf, PURPOSE } from '../data/random.ts'
import { openPrograms, PLACES, type Programs, type Where } from './programs.ts'
import { openSource, type Source } from './source.ts'

/** Locations of the latents of a video of n frames: s [S], d [D], z [n, Z]. */
export type Latents = { readonly s: Float32Array; readonly d: Float32Array; readonly z: Float32Array }
/** A video with its latents: x [n, 3, 64, 64], values in [0, 1]. */
export type Made = Latents & { readonly x: Float32Array }

export type Chance = {
  /** Decides all that is drawn. Default 0. */
  readonly seed?: number
  /** Scales the noise of the transitions: 1 draws from the model, 0 follows the means. */
  readonly spread?: number
}

export type Model = {
  readonly source: Source
  readonly config: string
  readonly temperature: number
  /** Frames of the programs. */
  readonly window: number
  readonly sizes: { readonly s: number; readonly d: number; readonly z: number }
  /** For people: the device that the programs run on, once one has run. */
  readonly device: () => string
  /** x [n, 3, 64, 64], n = 1 or at least T. */
  readonly encode: (x: Float32Array) => Promise<Latents>
  /** x [3, 64, 64]: the same for one frame. */
  readonly encodeImage: (x: Float32Array) => Promise<Latents>
  /** s [S], z [n, Z] -> [n, 3, 64, 64] */
  readonly decode: (s: Float32Array, z: Float32Array) => Promise<Float32Array>
  /** So many frames from the priors. Spread is 1 by default. */
  readonly generate: (frames: number, chance?: Chance) => Promise<Made>
  /** So many frames after the last one of x, an image or a video: made of its identity and of the dynamics of its last T frames. Spread is 0 by default. */
  readonly continueFrom: (x: Float32Array, frames: number, chance?: Chance) => Promise<Made>
  /** Who is in `identity`, doing what is done in `action`; as long as that. */
  readonly transfer: (identity: Float32Array, action: Float32Array) => Promise<Made>
  /** x by way of its latents. */
  readonly reconstruct: (x: Float32Array) => Promise<Made>
  /** Gives back what it holds on a GPU; it cannot be used afterwards. */
  readonly release: () => void
}

/** One window of a video: where it begins, its first frame that no window before it has, and its latents. */
type Window = { readonly start: number; readonly fresh: number; readonly latents: Latents }

const framesOf = (x: Float32Array): number => {
  const frames = x.length / FRAME
  return Number.isInteger(frames) && frames > 0 ? frames
    : refuse({ kind: 'usage', message: `a video has whole frames of ${FRAME} numbers, at least one; ${x.length} numbers are given` })
}

const meanOf = (parts: readonly Float32Array[]): Float32Array =>
  Float32Array.from(parts[0] ?? [], (_, i) => parts.reduce((sum, part) => sum + (part[i] ?? 0), 0) / parts.length)

const joined = (parts: readonly Float32Array[]): Float32Array => {
  const out = new Float32Array(parts.reduce((n, part) => n + part.length, 0))
  parts.reduce((at, part) => (out.set(part, at), at + part.length), 0)
  return out
}

/** Where windows of T frames begin that cover n frames, the last ending with the video. */
export const windowStarts = (frames: number, window: number): readonly number[] =>
  Array.from({ length: Math.ceil(frames / window) }, (_, i) => Math.min(i * window, frames - window))

const merged = (windows: readonly Window[], sizeZ: number): Latents => ({
  s: meanOf(windows.map(({ latents }) => latents.s)),
  d: meanOf(windows.map(({ latents }) => latents.d)),
  z: joined(windows.map(({ start, fresh, latents }) => latents.z.subarray((fresh - start) * sizeZ))),
})

/** Refuses what is no number, naming the first frame of it. */
const finite = (what: string, made: Made): Made => {
  const frame = made.x.findIndex(v => !Number.isFinite(v))
  return frame < 0 ? made : refuse({ kind: 'data', source: what, message: `frame ${Math.floor(frame / FRAME)} of the result holds ${made.x[frame] ?? NaN}`,
    remedy: 'The parameters of this checkpoint are of no use there: try another, or fewer frames.' })
}

const modelOf = (source: Source, { info, load, release }: Programs, temperature: number): Model => {
  const sizeOf = (name: keyof Programs['info'], path: string, axis: number): number => info[name].outputs.find(slot => slot.path === path)?.shape[axis] ?? 0
  const window = sizeOf('encode', 'z.loc', 0)
  const sizes = { s: sizeOf('encode', 's.loc', 0), d: sizeOf('encode', 'd.loc', 0), z: sizeOf('encode', 'z.loc', 1) }
  let device = ''
  /** Sets, runs and asks for outputs at once, so that calls that are under way together do not meet. */
  const run = async <P extends readonly string[]>(
    name: keyof Programs['load'], inputs: Readonly<Record<string, ArrayLike<number>>>, ...paths: P
  ): Promise<{ readonly [I in keyof P]: Float32Array }> => {
    const program = await load[name]()
    device = program.variant
    program.setAll(inputs)
    program.run()
    const values = await program.read(paths)
    const wrong = paths.findIndex((_, i) => !(values[i] instanceof Float32Array))
    return wrong < 0 ? values as { readonly [I in keyof P]: Float32Array } // an array for every path, as has just been seen
      : refuse({ kind: 'bug', where: program.program.id, message: `${paths[wrong] ?? ''} is no f32 output` })
  }

  const windowsOf = async (x: Float32Array): Promise<readonly Window[]> => {
    const frames = framesOf(x)
    if (frames > 1 && frames < window) {
      refuse({ kind: 'data', source: 'video', message: `it has ${frames} frames; this model reads one frame (an image), or at least ${window}`,
        remedy: `Use a longer video, or a single frame of it.` })
    }
    const [length, name] = frames === 1 ? ([1, 'encodeImage'] as const) : ([window, 'encode'] as const)
    const starts = windowStarts(frames, length)
    return Promise.all(starts.map(async (start, i): Promise<Window> => {
      const [s, d, z] = await run(name, { x: x.subarray(start * FRAME, (start + length) * FRAME) }, 's.loc', 'd.loc', 'z.loc')
      const before = starts[i - 1]
      return { start, fresh: before === undefined ? 0 : before + length, latents: { s, d, z } }
    }))
  }

  const encode = async (x: Float32Array): Promise<Latents> => merged(await windowsOf(x), sizes.z)

  const decode = async (s: Float32Array, z: Float32Array): Promise<Float32Array> => {
    const poses = z.length / sizes.z
    const out = new Float32Array(poses * FRAME)
    for (let at = 0; at < poses; at += window) {
      const rows = Math.min(window, poses - at)
      // Frames are decoded each by itself: what is beyond the last is filled up and dropped.
      const some = new Float32Array(window * sizes.z)
      some.set(z.subarray(at * sizes.z, (at + rows) * sizes.z))
      const [frames] = await run('decode', { s, z: some, temperature: [temperature] }, '')
      out.set(frames.subarray(0, rows * FRAME), at * FRAME)
    }
    return out
  }

  /** So many frames from those that are there already (at most T) and pose `last`; draws of part i have the key (seed, i). */
  const goOn = async (
    what: string, { s, d }: Latents, first: readonly Made[], last: Float32Array, frames: number, { seed = 0, spread = 0 }: Chance,
  ): Promise<Made> => {
    const parts = [...first]
    let z = last
    for (let done = parts.length * window, part = 1; done < frames; done += window, part++) {
      const key = keyOf(seed, PURPOSE.infer, part)
      const [poses, x] = await run('continuation', { s, d, z, key, temperature: [temperature], spread: [spread] }, 'z', 'x')
      parts.push({ s, d, z: poses, x })
      z = poses.subarray(-sizes.z)
    }
    return finite(what,
      { s, d, z: joined(parts.map(made => made.z)).slice(0, frames * sizes.z), x: joined(parts.map(made => made.x)).slice(0, frames * FRAME) })
  }

  const generate: Model['generate'] = async (frames, { seed = 0, spread = 1 } = {}) => {
    const inputs = { key: keyOf(seed, PURPOSE.infer, 0), temperature: [temperature], spread: [spread] }
    const [s, d, z, x] = await run('generate', inputs, 's', 'd', 'z', 'x')
    const made = { s, d, z, x }
    return goOn('generated', made, [made], made.z.slice(-sizes.z), frames, { seed, spread })
  }

  const continueFrom: Model['continueFrom'] = async (x, frames, chance = {}) => {
    const windows = await windowsOf(x)
    const latents = merged(windows, sizes.z)
    return goOn('continued', { ...latents, d: windows.at(-1)?.latents.d ?? latents.d }, [], latents.z.slice(-sizes.z), frames, chance)
  }

  const transfer: Model['transfer'] = async (identity, action) => {
    const { s } = await encode(identity)
    const { d, z } = await encode(action)
    return finite('transferred', { s, d, z, x: await decode(s, z) })
  }

  const reconstruct: Model['reconstruct'] = async x => {
    const latents = await encode(x)
    return finite('reconstructed', { ...latents, x: await decode(latents.s, latents.z) })
  }

  return {
    source, config: source.checkpoint.metadata.config, temperature, window, sizes, device: () => device,
    encode, encodeImage: encode, decode, generate, continueFrom, transfer, reconstruct, release,
  }
}

/** The temperature of the mixture with which the training of that configuration ends. */
const lastTemperature = (config: string, path: string): number => {
  const known = Object.entries(schedules).find(([name]) => name === config)
  return known === undefined
    ? refuse({ kind: 'file', path, message: `it is of configuration '${config}', which is unknown here`,
      remedy: `There are: ${Object.keys(schedules).join(', ')}.` })
    : known[1].video.temperature(1)
}

/** Opens the model of a run (its newest checkpoint of stage 2), or of a checkpoint; without both, of the newest run. Throws a `Refusal`. */
export const openModel = async (
  place: { readonly run?: string | undefined; readonly checkpoint?: string | undefined }, build: string, where: Where = {},
): Promise<Model> => {
  const source = await openSource(place)
  const temperature = lastTemperature(source.checkpoint.metadata.config, source.checkpoint.path)
  return modelOf(source, await openPrograms(build, source.checkpoint, PLACES, where), temperature)
}
