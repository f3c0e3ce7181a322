/** The probe with a hidden layer for up to 64 features and 64 classes. */
import { program } from '../../../dsl/index.ts'
import { sizes } from '../config.ts'
import { mlpProbe } from '../probe.ts'
import { programs } from '../programs.ts'

const probe = programs(mlpProbe)

export const init = program(probe.init, sizes.large)
export const trainStep = program(probe.trainStep, sizes.large, { updates: 'state' })
export const predict = program(probe.predict, sizes.large)
