/** The programs of stage 2 that make and use a model without training it, config `tiny`. */
import { program } from '../../../../../dsl/index.ts'
import { tiny as config } from '../../../../../models/vdsm/config.ts'
import { programs } from '../../../../../models/vdsm/video/programs.ts'

const vdsm = programs(config.options)
const inference = { ...config.sizes, T: config.video.T } as const

export const init = program(vdsm.init, config.sizes)
export const encode = program(vdsm.encode, inference)
export const encodeImage = program(vdsm.encode, { ...inference, T: 1 })
export const reconstruct = program(vdsm.reconstruct, inference)
export const transfer = program(vdsm.transfer, inference)
export const generate = program(vdsm.generate, inference)
export const continuation = program(vdsm.continuation, inference)
