/** The programs of stage 1 that the studio uses, config `tiny`: fewer than there are, so that tests compile them quickly. */
import { program } from '../../../../../dsl/index.ts'
import { tiny as config } from '../../../../../models/vdsm/config.ts'
import { programs } from '../../../../../models/vdsm/frames/programs.ts'

const vdsm = programs(config.options)
const inference = { ...config.sizes, T: config.video.T } as const

export const init = program(vdsm.init, config.sizes)
export const trainStep = program(vdsm.trainStep, { ...config.sizes, ...config.frames } as const, { updates: 'state' })
export const encode = program(vdsm.encode, inference)
export const decode = program(vdsm.decode, inference)
