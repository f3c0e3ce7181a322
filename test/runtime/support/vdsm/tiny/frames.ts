/** The programs of stage 1 that make and use a model without training it, config `tiny`: few, so that tests compile them quickly. */
import { program } from '../../../../../dsl/index.ts'
import { tiny as config } from '../../../../../models/vdsm/config.ts'
import { programs } from '../../../../../models/vdsm/frames/programs.ts'

const vdsm = programs(config.options)

export const init = program(vdsm.init, config.sizes)
export const decode = program(vdsm.decode, { ...config.sizes, T: config.video.T } as const)
