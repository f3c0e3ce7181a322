/** Stage 1 of VDSM, config `small-16`. */
import { program } from '../../../dsl/index.ts'
import { small16 as config } from '../config.ts'
import { programs } from '../frames/programs.ts'

const vdsm = programs(config.options)
const training = { ...config.sizes, ...config.frames } as const
const inference = { ...config.sizes, T: config.video.T } as const

export const init = program(vdsm.init, config.sizes)
export const trainStep = program(vdsm.trainStep, training, { updates: 'state' })
export const loss = program(vdsm.loss, training)
export const gradient = program(vdsm.gradient, training)
export const evaluate = program(vdsm.evaluate, training)
export const encode = program(vdsm.encode, inference)
export const decode = program(vdsm.decode, inference)
export const reconstruct = program(vdsm.reconstruct, inference)
