/** A part of VDSM, for tests of the device webgl. */
import { program } from '../../../../dsl/index.ts'
import { tiny } from '../../../../models/vdsm/config.ts'
import { programs } from '../../../../models/vdsm/frames/programs.ts'

export const encode = program(programs(tiny.options).encode, { ...tiny.sizes, T: tiny.video.T } as const)
