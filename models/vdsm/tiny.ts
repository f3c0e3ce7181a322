/** VDSM, stage 1, in the sizes for tests. */
import { program } from '../../dsl/index.ts'
import { tiny } from './config.ts'
import { programs } from './programs.ts'

const vdsm = programs(tiny.options)

export const init = program(vdsm.init, tiny.sizes)
export const trainStep = program(vdsm.trainStep, tiny.sizes, { updates: 'state' })
export const loss = program(vdsm.loss, tiny.sizes)
export const gradient = program(vdsm.gradient, tiny.sizes)
export const encode = program(vdsm.encode, tiny.sizes)
export const decode = program(vdsm.decode, tiny.sizes)
export const reconstruct = program(vdsm.reconstruct, tiny.sizes)
export const evaluate = program(vdsm.evaluate, tiny.sizes)
