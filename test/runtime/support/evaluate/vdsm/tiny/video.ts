/** The programs of stage 2 that evaluation asks for, and a start, config `tiny`. */
import { program } from '../../../../../../dsl/index.ts'
import { tiny as config } from '../../../../../../models/vdsm/config.ts'
import { programs } from '../../../../../../models/vdsm/video/programs.ts'

const vdsm = programs(config.options)

export const init = program(vdsm.init, config.sizes)
export const evaluate = program(vdsm.evaluate, { ...config.sizes, ...config.video, B: 4, P: 1 } as const)
export const encode = program(vdsm.encode, { ...config.sizes, T: config.video.T } as const)
