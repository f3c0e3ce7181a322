/** The probe with a hidden layer, in the sizes that evaluation uses. */
import { program } from '../../dsl/index.ts'
import { sizes } from './config.ts'
import { mlpProbe } from './probe.ts'
import { programs } from './programs.ts'

const probe = programs(mlpProbe)

export const init = program(probe.init, sizes)
export const trainStep = program(probe.trainStep, sizes, { updates: 'state' })
export const predict = program(probe.predict, sizes)
