/** The linear probe for up to 64 features and 64 classes. */
import { program } from '../../../dsl/index.ts'
import { sizes } from '../config.ts'
import { linearProbe } from '../probe.ts'
import { programs } from '../programs.ts'

const probe = programs(linearProbe)

export const init = program(probe.init, sizes.large)
export const trainStep = program(probe.trainStep, sizes.large, { updates: 'state' })
export const predict = program(probe.predict, sizes.large)
