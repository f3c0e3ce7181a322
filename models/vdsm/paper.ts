/** VDSM, stage 1, in the sizes of the paper, for Sprites. */
import { program } from '../../dsl/index.ts'
import { paper } from './config.ts'
import { programs } from './programs.ts'

const vdsm = programs(paper.options)

export const init = program(vdsm.init, paper.sizes)
export const trainStep = program(vdsm.trainStep, paper.sizes, { updates: 'state' })
export const loss = program(vdsm.loss, paper.sizes)
export const gradient = program(vdsm.gradient, paper.sizes)
export const encode = program(vdsm.encode, paper.sizes)
export const decode = program(vdsm.decode, paper.sizes)
export const reconstruct = program(vdsm.reconstruct, paper.sizes)
export const evaluate = program(vdsm.evaluate, paper.sizes)
