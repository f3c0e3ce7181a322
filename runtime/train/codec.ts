/** `encode`, `decode` and `evaluate` with the parameters that are being trained: for pictures, and to judge held-out frames. */
import { refuse } from '../../dsl/errors.ts'
import type { Executable } from '../executor.ts'
import type { DataSet } from '../data/dataset.ts'
import { PURPOSE, stream } from '../data/random.ts'
import { restOf } from '../paths.ts'
import type { Codec, Values } from '../report/pictures.ts'
import type { Numbers, Shape } from './loop.ts'
import type { Programs } from './programs.ts'

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
  readonly continuation: (s: Float32Array, d: Float32Array, z: Float32Array, key: Uint32Array, spread?: number) => { readonly z: Float32Array; readonly x: Float32Array }
}

/** Copies the parameters in `trainStep`'s state to the inputs below `params` of `target`. */
const giveParameters = (trainStep: Executable, target: Executable): void => {
  for (const { path } of target.program.inputs) {
    const rest = restOf(path, 'params')
    if (rest !== null) target.set(path, trainStep.input(`state.params${rest}`))
  }
}

/** Sets every scalar of the schedule that a program takes, by its last name: `temperature`, `schedule.temperature`. */
const giveSchedule = (schedule: Numbers, target: Executable): void => {
  for (const { path, shape } of target.program.inputs) {
    const value = schedule[path.slice(path.lastIndexOf('.') + 1)]
    if (shape.length === 0 && value !== undefined && restOf(path, 'params') === null) target.set(path, [value])
  }
}

/** A f32 output, copied out of the program's memory. */
const output = (program: Executable, path: string): Values => {
  const slot = program.program.outputs.find(each => each.path === path)
  const data = program.get(path)
  if (slot === undefined || !(data instanceof Float32Array)) return refuse({ kind: 'bug', where: 'pictures', message: `${program.program.id} has no f32 output ${path}` })
  return { shape: slot.shape, data }
}

/** What the pictures need, or nothing where the model has no `encode` and `decode`. */
export const codecOf = async (programs: Programs, schedule: Numbers): Promise<Codec | undefined> => {
  const { trainStep } = programs
  const encode = await programs.encode?.()
  const decode = await programs.decode?.()
  if (encode === undefined || decode === undefined) return undefined
  for (const target of [encode, decode]) {
    giveParameters(trainStep, target)
    giveSchedule(schedule, target)
  }
  return {
    encode: x => {
      encode.set('x', x)
      encode.run()
      return { s: output(encode, 's.loc'), z: output(encode, 'z.loc') }
    },
    decode: (s, z) => {
      decode.set('s', s)
      decode.set('z', z)
      decode.run()
      const only = decode.program.outputs[0]
      return output(decode, only?.path ?? '').data
    },
  }
}

/** `n` standard normal numbers at a path (Box and Muller). */
const normals = (n: number, ...path: readonly number[]): Float32Array => {
  const s = stream(...path)
  return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - s.uniform())) * Math.cos(2 * Math.PI * s.uniform()))
}

/**
 * The outputs of `evaluate` on held-out frames: means over `batches` batches, the same frames and the same noise at every
 * call, so that values of different steps compare. Nothing where the model has no `evaluate`.
 */
export const judgeHeldOut = async (programs: Programs, schedule: Numbers, data: DataSet, shape: Shape, seed: number, batches = 4): Promise<Numbers | undefined> => {
  const { trainStep } = programs
  const evaluate = await programs.evaluate?.()
  if (evaluate === undefined) return undefined
  giveParameters(trainStep, evaluate)
  giveSchedule(schedule, evaluate)
  const scalars = evaluate.program.outputs.filter(slot => slot.shape.length === 0)
  const sums = new Map<string, number>()
  for (let i = 0; i < batches; i++) {
    evaluate.set('x', data.batch({ split: 'heldOut', groups: shape.groups, frames: shape.frames, seed, step: i }).x)
    evaluate.program.inputs.forEach(({ path, shape: dims }, index) => {
      if (restOf(path, 'eps') !== null) evaluate.set(path, normals(dims.reduce((n, d) => n * d, 1), seed, PURPOSE.evaluate, i, index))
    })
    evaluate.run()
    for (const { path } of scalars) sums.set(path, (sums.get(path) ?? 0) + (evaluate.view(path)[0] ?? Number.NaN) / batches)
  }
  return Object.fromEntries(sums)
}
