/** Stage 2 of VDSM and the use of the whole model, config `small-16`. */
import { program } from '../../../dsl/index.ts'
import { small16 as config } from '../config.ts'
import { programs } from '../video/programs.ts'

const vdsm = programs(config.options)
const training = { ...config.sizes, ...config.video } as const
const alone = { ...training, B: 8, P: 1 } as const
const inference = { ...config.sizes, T: config.video.T } as const

export const init = program(vdsm.init, config.sizes)
export const trainStep = program(vdsm.trainStep, training, { updates: 'state' })
export const loss = program(vdsm.loss, training)
export const gradient = program(vdsm.gradient, training)
export const evaluate = program(vdsm.evaluate, alone)
export const encode = program(vdsm.encode, inference)
export const encodeImage = program(vdsm.encode, { ...inference, T: 1 })
export const reconstruct = program(vdsm.reconstruct, inference)
export const transfer = program(vdsm.transfer, inference)
export const generate = program(vdsm.generate, inference)
export const continuation = program(vdsm.continuation, inference)
