/** The linear probe for up to 32 features and 16 classes. */
import { program } from '../../../dsl/index.ts'
import { sizes } from '../config.ts'
import { linearProbe } from '../probe.ts'
import { programs } from '../programs.ts'

const probe = programs(linearProbe)

export const init = program(probe.init, sizes.small)
export const trainStep = program(probe.trainStep, sizes.small, { updates: 'state' })
export const predict = program(probe.predict, sizes.small)
