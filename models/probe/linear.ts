/** The linear probe, in the sizes that evaluation uses. */
import { program } from '../../dsl/index.ts'
import { sizes } from './config.ts'
import { linearProbe } from './probe.ts'
import { programs } from './programs.ts'

const probe = programs(linearProbe)

export const init = program(probe.init, sizes)
export const trainStep = program(probe.trainStep, sizes, { updates: 'state' })
export const predict = program(probe.predict, sizes)
