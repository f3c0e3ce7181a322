/** VDSM, stage 1, in the sizes for a laptop's CPU. */
import { program } from '../../dsl/index.ts'
import { small } from './config.ts'
import { programs } from './programs.ts'

const vdsm = programs(small.options)

export const init = program(vdsm.init, small.sizes)
export const trainStep = program(vdsm.trainStep, small.sizes, { updates: 'state' })
export const loss = program(vdsm.loss, small.sizes)
export const gradient = program(vdsm.gradient, small.sizes)
export const encode = program(vdsm.encode, small.sizes)
export const decode = program(vdsm.decode, small.sizes)
export const reconstruct = program(vdsm.reconstruct, small.sizes)
export const evaluate = program(vdsm.evaluate, small.sizes)
