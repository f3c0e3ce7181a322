/** The programs of stage 1 that evaluation asks for, and a start, config `tiny`: few, so that tests compile them quickly. */
import { program } from '../../../../../../dsl/index.ts'
import { tiny as config } from '../../../../../../models/vdsm/config.ts'
import { programs } from '../../../../../../models/vdsm/frames/programs.ts'

const vdsm = programs(config.options)

export const init = program(vdsm.init, config.sizes)
export const evaluate = program(vdsm.evaluate, { ...config.sizes, ...config.frames } as const)
export const encode = program(vdsm.encode, { ...config.sizes, T: config.video.T } as const)
