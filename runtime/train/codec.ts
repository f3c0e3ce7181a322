/** The model that is being trained, as plain functions: for pictures, and to judge held-out frames. */
import { refuse } from '../../dsl/errors.ts'
import { FRAME, SIDE, type DataSet, type Order } from '../data/dataset.ts'
import { normals, PURPOSE, stream } from '../data/random.ts'
import type { LocalExecutable } from '../executor.ts'
import { sizeOfShape } from '../manifest.ts'
import { restOf } from '../paths.ts'
import type { Codec } from '../report/pictures.ts'
import { shapeOf } from './loop.ts'
import { PICTURE_PROGRAMS, type PictureProgram, type Programs } from './programs.ts'
import type { Numbers } from './stages.ts'

/** The latent variables of one video, at their locations: s [S], d [D], z [T, Z]. */
export type Latents = { readonly s: Float32Array; readonly d: Float32Array; readonly z: Float32Array }

/**
 * A model of videos as plain functions of one video of `frames` frames: planar RGB in [0, 1], [frames, 3, side, side]. A key
 * is two words u32 and decides every draw; `spread` scales the noise of the transitions (1, the default, samples; 0 follows
 * the means). All arrays that are returned are the caller's own.
 */
export type VideoCodec = {
  /** T: frames of every video that goes in or comes out. */
  readonly frames: number
  readonly side: number
  /** x [T, 3, side, side] -> locations of q(s | x), q(d | x), q(z | x). */
  readonly encode: (x: Float32Array) => Latents
  /** s [S], z [T, Z] -> means [T, 3, side, side]. For a transfer: s of one video, z of another. */
  readonly decode: (s: Float32Array, z: Float32Array) => Float32Array
  /** A video from the priors. */
  readonly generate: (key: Uint32Array, spread?: number) => Latents & { readonly x: Float32Array }
  /** The T frames after pose z [Z] (the last row of `z`, or of what `encode` gave), with their poses [T, Z]. */
  readonly continuation: (
    s: Float32Array, d: Float32Array, z: Float32Array, key: Uint32Array, spread?: number,
  ) => { readonly z: Float32Array; readonly x: Float32Array }
}

/** Copies the parameters in the memory of `trainStep`, trained and frozen, to the inputs below `params` of `target`. */
const giveParameters = (trainStep: LocalExecutable, target: LocalExecutable): void => {
  const known = new Set(trainStep.program.inputs.map(({ path }) => path))
  for (const { path } of target.program.inputs) {
    const rest = restOf(path, 'params')
    if (rest !== null) target.set(path, trainStep.input(known.has(`frozen${rest}`) ? `frozen${rest}` : `state.params${rest}`))
  }
}

/** Sets every scalar of the schedule that a program takes, by its last name: `temperature`, `schedule.temperature`. */
const giveSchedule = (schedule: Numbers, target: LocalExecutable): void => {
  for (const { path, shape } of target.program.inputs) {
    const value = schedule[path.slice(path.lastIndexOf('.') + 1)]
    if (shape.length === 0 && value !== undefined && restOf(path, 'params') === null) target.set(path, [value])
  }
}

/** A f32 output, copied out of the program's memory. */
const output = (program: LocalExecutable, path: string): Float32Array => {
  const data = program.get(path)
  return data instanceof Float32Array ? data : refuse({ kind: 'bug', where: 'pictures', message: `${program.program.id} has no f32 output ${path}` })
}

/** The only output of a program, whatever it is called. */
const onlyOutput = (program: LocalExecutable): Float32Array => output(program, program.program.outputs[0]?.path ?? '')

/** Those programs with the parameters and the schedule that they take, or nothing where one of them is not there. */
const ready = async <K extends PictureProgram>(
  programs: Programs, schedule: Numbers, names: readonly K[],
): Promise<Readonly<Record<K, LocalExecutable>> | undefined> => {
  const loaded: [string, LocalExecutable][] = []
  for (const name of names) {
    const program = await programs[name]?.()
    if (program === undefined) return undefined
    giveParameters(programs.trainStep, program)
    giveSchedule(schedule, program)
    loaded.push([name, program])
  }
  return Object.fromEntries(loaded) as Readonly<Record<K, LocalExecutable>> // an entry for every name
}

/** T of a program that takes one video x [T, 3, side, side]. */
const framesOf = (program: LocalExecutable): number => program.program.inputs.find(({ path }) => path === 'x')?.shape[0] ?? 0

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
    encode: x => {
      const latents = each(x, frames * FRAME).map(video => {
        encode.set('x', video)
        encode.run()
        return { s: output(encode, 's.loc'), z: output(encode, 'z.loc') }
      })
      return {
        s: { shape: [latents.length, sizeS], data: put(latents.map(({ s }) => s)) },
        z: { shape: [latents.length, frames, sizeZ / frames], data: put(latents.map(({ z }) => z)) },
      }
    },
    decode: (s, z) => {
      const identities = each(s, sizeS)
      return put(each(z, sizeZ).map((poses, i) => {
        decode.set('s', identities[i] ?? [])
        decode.set('z', poses)
        decode.run()
        return onlyOutput(decode)
      }))
    },
  }
}

/** Stage 2 as functions of one video. Nothing where the model has no programs for it. */
export const videoCodecOf = async (programs: Programs, schedule: Numbers): Promise<VideoCodec | undefined> => {
  const found = await ready(programs, schedule, PICTURE_PROGRAMS[2])
  if (found === undefined) return undefined
  const { encode, decode, generate, continuation } = found
  const run = (program: LocalExecutable, inputs: Readonly<Record<string, ArrayLike<number>>>): LocalExecutable => {
    program.setAll(inputs)
    program.run()
    return program
  }
  return {
    frames: framesOf(encode),
    side: SIDE,
    encode: x => {
      const q = run(encode, { x })
      return { s: output(q, 's.loc'), d: output(q, 'd.loc'), z: output(q, 'z.loc') }
    },
    decode: (s, z) => onlyOutput(run(decode, { s, z })),
    generate: (key, spread = 1) => {
      const p = run(generate, { key, spread: [spread] })
      return { s: output(p, 's'), d: output(p, 'd'), z: output(p, 'z'), x: output(p, 'x') }
    },
    continuation: (s, d, z, key, spread = 1) => {
      const p = run(continuation, { s, d, z, key, spread: [spread] })
      return { z: output(p, 'z'), x: output(p, 'x') }
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
  giveParameters(programs.trainStep, evaluate)
  giveSchedule(schedule, evaluate)
  const scalars = evaluate.program.outputs.filter(slot => slot.shape.length === 0)
  const sums = new Map<string, number>()
  for (let i = 0; i < batches; i++) {
    evaluate.set('x', data.batch({ split: 'heldOut', ...shape, seed, step: i, order }).x)
    evaluate.program.inputs.forEach(({ path, shape: dims }, index) => {
      if (restOf(path, 'eps') !== null) evaluate.set(path, normals(sizeOfShape(dims), stream(seed, PURPOSE.evaluate, i, index)))
    })
    evaluate.run()
    for (const { path } of scalars) sums.set(path, (sums.get(path) ?? 0) + (evaluate.view(path)[0] ?? Number.NaN) / batches)
  }
  return Object.fromEntries(sums)
}
