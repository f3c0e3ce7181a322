/** The programs of stage 2 that training uses, config `tiny`. */
import { program } from '../../../../../../dsl/index.ts'
import { tiny as config } from '../../../../../../models/vdsm/config.ts'
import { programs } from '../../../../../../models/vdsm/video/programs.ts'

const vdsm = programs(config.options)
const inference = { ...config.sizes, T: config.video.T } as const

export const init = program(vdsm.init, config.sizes)
export const trainStep = program(vdsm.trainStep, { ...config.sizes, ...config.video } as const, { updates: 'state' })
export const evaluate = program(vdsm.evaluate, { ...config.sizes, ...config.video, B: 4, P: 1 } as const)
export const encode = program(vdsm.encode, inference)
export const generate = program(vdsm.generate, inference)
export const continuation = program(vdsm.continuation, inference)
