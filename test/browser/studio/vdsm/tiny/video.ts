/** The programs of the whole model that the studio times, config `tiny`. */
import { program } from '../../../../../dsl/index.ts'
import { tiny as config } from '../../../../../models/vdsm/config.ts'
import { programs } from '../../../../../models/vdsm/video/programs.ts'

const vdsm = programs(config.options)
const inference = { ...config.sizes, T: config.video.T } as const

export const init = program(vdsm.init, config.sizes)
export const encode = program(vdsm.encode, inference)
export const transfer = program(vdsm.transfer, inference)
export const generate = program(vdsm.generate, inference)
