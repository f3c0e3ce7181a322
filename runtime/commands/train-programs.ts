/** The stages of a run with their programs, from a build. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../dsl/errors.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { openBuild, type LocalOptions } from '../build.ts'
import { remembering } from '../device/host.ts'
import { nodeHost } from '../device/node.ts'
import type { LocalExecutable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram } from '../manifest.ts'
import type { RunConfig, StageNumber } from '../train/config.ts'
import { once, PICTURE_PROGRAMS, type Programs } from '../train/programs.ts'
import { STAGE_NAME, type Schedule, type Stage } from '../train/stages.ts'
import { orThrow, right } from '../train/task.ts'
import { knownConfig, type ConfigName } from './train-options.ts'

const scheduleOf = (config: ConfigName, stage: StageNumber): Schedule => {
  const curves: Readonly<Record<string, (progress: number) => number>> = schedules[config][STAGE_NAME[stage]]
  return progress => Object.fromEntries(Object.entries(curves).map(([name, curve]) => [name, curve(progress)]))
}

/** Where a build lacks the model's programs, it was made of other sources. */
const toCompile = (failure: Failure): Failure =>
  failure.kind === 'usage' ? { ...failure, remedy: 'Compile VDSM first: npm run compile (or: npx vdsm compile node_modules/vdsm/models).' } : failure

/** The ids of the programs of each stage, by what they are to it. Frames are decoded by the same program in both. */
const idsOf = (config: string, stage: StageNumber) => {
  const own = (name: string): readonly [string, string] => [name, `vdsm/${config}/${name === 'decode' ? STAGE_NAME[1] : STAGE_NAME[stage]}/${name}`]
  return [...['init', 'trainStep', 'evaluate'], ...PICTURE_PROGRAMS[stage]].map(own)
}

/** The stages with their programs. The modules of all are read now; most are made ready when they are first needed. */
export const loadStages = async (folder: string, config: RunConfig, options: LocalOptions): Promise<readonly Stage[]> => {
  const host = remembering(nodeHost(folder))
  const build = await orThrow(openBuild(host))
  const stages = config.stages.map((number): Stage => {
    const name = knownConfig(config.config)
    const ids = Object.fromEntries(idsOf(name, number))
    const loader = (role: string) => (): Promise<LocalExecutable> => orThrow(build.load(ids[role] ?? '', options))
    const load = async (): Promise<Programs> => ({
      trainStep: await loader('trainStep')(), init: loader('init'), evaluate: once(loader('evaluate')),
      ...Object.fromEntries(PICTURE_PROGRAMS[number].map(role => [role, once(loader(role))])),
    })
    return { number, schedule: scheduleOf(name, number), trainStep: right(E.mapLeft(toCompile)(findProgram(build.manifest, ids['trainStep'] ?? ''))), load }
  })
  for (const id of new Set(config.stages.flatMap(stage => idsOf(config.config, stage).map(([, each]) => each)))) {
    const program = right(E.mapLeft(toCompile)(findProgram(build.manifest, id)))
    if (options.device === 'eager') continue
    right(checkFresh(folder, program))
    for (const module of Object.values(program.modules)) await orThrow(host.read(module))
  }
  return stages
}

/** The same stages, the first of them loaded already: what is refused in doing so is refused before anything is written. */
export const withFirstLoaded = async ([first, ...others]: readonly Stage[]): Promise<readonly Stage[]> => {
  if (first === undefined) return []
  let loaded: Promise<Programs> | undefined = first.load()
  await loaded
  const load = (): Promise<Programs> => {
    const given = loaded ?? first.load()
    loaded = undefined
    return given
  }
  return [{ ...first, load }, ...others]
}
