/** `encode` and `decode` as functions for pictures, with the parameters that are being trained. */
import { refuse } from '../../dsl/errors.ts'
import type { Executable } from '../executor.ts'
import { restOf } from '../paths.ts'
import type { Codec, Values } from '../report/pictures.ts'
import type { Numbers } from './loop.ts'
import type { Programs } from './programs.ts'

/** Copies the parameters in `trainStep`'s state to the inputs below `params` of `target`. */
const giveParameters = (trainStep: Executable, target: Executable): void => {
  for (const { path } of target.program.inputs) {
    const rest = restOf(path, 'params')
    if (rest !== null) target.set(path, trainStep.inputView(`state.params${rest}`))
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
export const codecOf = (programs: Programs, schedule: Numbers): Codec | undefined => {
  const { encode, decode, trainStep } = programs
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
