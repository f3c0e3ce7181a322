/** The model that is being trained, as plain functions: for pictures, and to judge held-out frames. */
import { refuse } from '../../dsl/errors.ts'
import { FRAME, SIDE, type DataSet, type Order } from '../data/dataset.ts'
import { normals, PURPOSE, stream } from '../data/random.ts'
import { copyArrays, type Executable } from '../executor.ts'
import { sizeOfShape } from '../manifest.ts'
import { restOf } from '../paths.ts'
import type { Awaitable, Codec } from '../report/pictures.ts'
import { shapeOf } from './loop.ts'
import { PICTURE_PROGRAMS, type PictureProgram, type Programs } from './programs.ts'
import type { Numbers } from './stages.ts'

/** The latent variables of one video, at their locations: s [S], d [D], z [T, Z]. */
export type Latents = { readonly s: Float32Array; readonly d: Float32Array; readonly z: Float32Array }

/**
 * A model of videos as plain functions of one video of `frames` frames: planar RGB in [0, 1], [frames, 3, side, side]. A key
 * is two words u32 and decides every draw; `spread` scales the noise of the transitions (1, the default, samples; 0 follows
 * the means). All arrays that are returned are the caller's own. Calls need not wait for one another.
 */
export type VideoCodec = {
  /** T: frames of every video that goes in or comes out. */
  readonly frames: number
  readonly side: number
  /** x [T, 3, side, side] -> locations of q(s | x), q(d | x), q(z | x). */
  readonly encode: (x: Float32Array) => Awaitable<Latents>
  /** s [S], z [T, Z] -> means [T, 3, side, side]. For a transfer: s of one video, z of another. */
  readonly decode: (s: Float32Array, z: Float32Array) => Awaitable<Float32Array>
  /** A video from the priors. */
  readonly generate: (key: Uint32Array, spread?: number) => Awaitable<Latents & { readonly x: Float32Array }>
  /** The T frames after pose z [Z] (the last row of `z`, or of what `encode` gave), with their poses [T, Z]. */
  readonly continuation: (
    s: Float32Array, d: Float32Array, z: Float32Array, key: Uint32Array, spread?: number,
  ) => Awaitable<{ readonly z: Float32Array; readonly x: Float32Array }>
}

/** The programs whose parameters are those of a training step, without a copy. */
const sharing = new WeakMap<Executable, Executable>()

/** Gives `target`, below `params`, the parameters of `trainStep`, trained and frozen: for good where they can be shared, otherwise as they are now. */
const giveParameters = async (trainStep: Executable, target: Executable): Promise<void> => {
  if (sharing.get(target) === trainStep) return
  const known = new Set(trainStep.program.inputs.map(({ path }) => path))
  const pairs = target.program.inputs.flatMap(({ path }) => {
    const rest = restOf(path, 'params')
    return rest === null ? [] : [[known.has(`frozen${rest}`) ? `frozen${rest}` : `state.params${rest}`, path] as const]
  })
  if (target.share(trainStep, pairs)) sharing.set(target, trainStep)
  else await copyArrays(trainStep, pairs, target, 'inputs')
}

/** Sets every scalar of the schedule that a program takes, by its last name: `temperature`, `schedule.temperature`. */
const giveSchedule = (schedule: Numbers, target: Executable): void => {
  for (const { path, shape } of target.program.inputs) {
    const value = schedule[path.slice(path.lastIndexOf('.') + 1)]
    if (shape.length === 0 && value !== undefined && restOf(path, 'params') === null) target.set(path, [value])
  }
}

/** Runs a program on these inputs and gives f32 outputs. All is asked for before the first wait, so that calls may follow one another. */
const run = async (program: Executable, inputs: Readonly<Record<string, ArrayLike<number>>>, paths: readonly string[]): Promise<readonly Float32Array[]> => {
  program.setAll(inputs)
  program.run()
  const values = await program.read(paths)
  return values.map((data, i) => (data instanceof Float32Array ? data
    : refuse({ kind: 'bug', where: 'pictures', message: `${program.program.id} has no f32 output ${paths[i] ?? ''}` })))
}

/** The only output of a program, whatever it is called. */
const onlyOutput = async (program: Executable, inputs: Readonly<Record<string, ArrayLike<number>>>): Promise<Float32Array> =>
  (await run(program, inputs, [program.program.outputs[0]?.path ?? '']))[0] as Float32Array // one path, one array

/** Those programs with the parameters and the schedule that they take, or nothing where one of them is not there. */
const ready = async <K extends PictureProgram>(
  programs: Programs, schedule: Numbers, names: readonly K[],
): Promise<Readonly<Record<K, Executable>> | undefined> => {
  const loaded: [string, Executable][] = []
  for (const name of names) {
    const program = await programs[name]?.()
    if (program === undefined) return undefined
    await giveParameters(programs.trainStep, program)
    giveSchedule(schedule, program)
    loaded.push([name, program])
  }
  return Object.fromEntries(loaded) as Readonly<Record<K, Executable>> // an entry for every name
}

/** T of a program that takes one video x [T, 3, side, side]. */
const framesOf = (program: Executable): number => program.program.inputs.find(({ path }) => path === 'x')?.shape[0] ?? 0

/** Stage 1, for its pictures: any number of videos of `frames` frames, one after the other. Nothing where the model has no programs for it. */
export const codecOf = async (programs: Programs, schedule: Numbers): Promise<(Codec & { readonly frames: number }) | undefined> => {
  const found = await ready(programs, schedule, PICTURE_PROGRAMS[1])
  if (found === undefined) return undefined
  const { encode, decode } = found
  const frames = framesOf(encode)
  const [sizeS, sizeZ] = (['s', 'z'] as const).map(path => sizeOfShape(decode.program.inputs.find(slot => slot.path === path)?.shape ?? [])) as [number, number]
  const each = (data: Float32Array, size: number): readonly Float32Array[] =>
    Array.from({ length: data.length / size }, (_, i) => data.subarray(i * size, (i + 1) * size))
  const put = (parts: readonly Float32Array[]): Float32Array => {
    const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0))
    parts.reduce((at, part) => (all.set(part, at), at + part.length), 0)
    return all
  }
  return {
    frames,
    encode: async x => {
      const latents = await Promise.all(each(x, frames * FRAME).map(video => run(encode, { x: video }, ['s.loc', 'z.loc'])))
      const part = (i: number): readonly Float32Array[] => latents.map(arrays => arrays[i] as Float32Array)
      return {
        s: { shape: [latents.length, sizeS], data: put(part(0)) },
        z: { shape: [latents.length, frames, sizeZ / frames], data: put(part(1)) },
      }
    },
    decode: async (s, z) => {
      const identities = each(s, sizeS)
      return put(await Promise.all(each(z, sizeZ).map((poses, i) => onlyOutput(decode, { s: identities[i] ?? [], z: poses }))))
    },
  }
}

/** Stage 2 as functions of one video. Nothing where the model has no programs for it. */
export const videoCodecOf = async (programs: Programs, schedule: Numbers): Promise<VideoCodec | undefined> => {
  const found = await ready(programs, schedule, PICTURE_PROGRAMS[2])
  if (found === undefined) return undefined
  const { encode, decode, generate, continuation } = found
  type Four = readonly [Float32Array, Float32Array, Float32Array, Float32Array] // as many as paths are asked for
  return {
    frames: framesOf(encode),
    side: SIDE,
    encode: async x => {
      const [s, d, z] = (await run(encode, { x }, ['s.loc', 'd.loc', 'z.loc'])) as Four
      return { s, d, z }
    },
    decode: (s, z) => onlyOutput(decode, { s, z }),
    generate: async (key, spread = 1) => {
      const [s, d, z, x] = (await run(generate, { key, spread: [spread] }, ['s', 'd', 'z', 'x'])) as Four
      return { s, d, z, x }
    },
    continuation: async (s, d, z, key, spread = 1) => {
      const [poses, x] = (await run(continuation, { s, d, z, key, spread: [spread] }, ['z', 'x'])) as Four
      return { z: poses, x }
    },
  }
}

/**
 * The outputs of `evaluate` on held-out frames: means over `batches` batches, the same frames and the same noise at every
 * call, so that values of different steps compare. Nothing where the model has no `evaluate`.
 */
export const judgeHeldOut = async (
  programs: Programs, schedule: Numbers, data: DataSet, order: Order, seed: number, batches = 4,
): Promise<Numbers | undefined> => {
  const evaluate = await programs.evaluate?.()
  const shape = shapeOf(evaluate?.program.inputs.find(({ path }) => path === 'x'))
  if (evaluate === undefined || shape === undefined) return undefined
  await giveParameters(programs.trainStep, evaluate)
  giveSchedule(schedule, evaluate)
  const scalars = evaluate.program.outputs.filter(slot => slot.shape.length === 0).map(({ path }) => path)
  const judged = Array.from({ length: batches }, (_, i) => {
    evaluate.set('x', data.batch({ split: 'heldOut', ...shape, seed, step: i, order }).x)
    evaluate.program.inputs.forEach(({ path, shape: dims }, index) => {
      if (restOf(path, 'eps') !== null) evaluate.set(path, normals(sizeOfShape(dims), stream(seed, PURPOSE.evaluate, i, index)))
    })
    evaluate.run()
    return evaluate.read(scalars)
  })
  const values = await Promise.all(judged)
  return Object.fromEntries(scalars.map((path, at) => [path, values.reduce((sum, each) => sum + (each[at]?.[0] ?? Number.NaN) / batches, 0)]))
}
