/** The stages of a run with their programs, from a build. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../dsl/errors.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { openBuild } from '../build.ts'
import { remembering } from '../device/host.ts'
import { nodeHost } from '../device/node.ts'
import type { Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram } from '../manifest.ts'
import type { RunConfig, StageNumber } from '../train/config.ts'
import { once, PICTURE_PROGRAMS, type Programs } from '../train/programs.ts'
import { STAGE_NAME, type Schedule, type Stage } from '../train/stages.ts'
import { orThrow, right } from '../train/task.ts'
import { chooseDevice, type Chosen, type DeviceOptions } from './device.ts'
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
  return [...['trainStep', 'init', 'evaluate'], ...PICTURE_PROGRAMS[stage]].map(own)
}

export type Loaded = Chosen & { readonly stages: readonly Stage[] }

/**
 * The stages with their programs, and the device that is chosen for them: as `o` says, otherwise `byDefault`. The modules of all are
 * read now; most are made ready when they are first needed. On a GPU the state starts as it does on the processor.
 */
export const loadStages = async (
  folder: string, config: RunConfig, o: DeviceOptions, byDefault: NonNullable<DeviceOptions['device']> = 'auto',
): Promise<Loaded> => {
  const host = remembering(nodeHost(folder))
  const build = await orThrow(openBuild(host))
  const name = knownConfig(config.config)
  const programs = [...new Set(config.stages.flatMap(stage => idsOf(name, stage).map(([, id]) => id)))]
    .map(id => right(E.mapLeft(toCompile)(findProgram(build.manifest, id))))
  const chosen = await chooseDevice(o, host, programs, byDefault)
  const { device } = chosen.options
  const processor = { device: 'wasm', ...(o.threads === undefined ? {} : { threads: o.threads }) } as const
  const stages = config.stages.map((number): Stage => {
    const ids = Object.fromEntries(idsOf(name, number))
    const load: Stage['load'] = async instead => {
      const options = instead === undefined ? chosen.options : processor
      const onGpu = options.device === 'webgpu'
      const loaded: Executable[] = []
      const on = (where: typeof options, role: string) => (): Promise<Executable> => orThrow(build.loadOn(ids[role] ?? '', where))
      const loader = (role: string) => async (): Promise<Executable> => {
        const program = await on(options, role)()
        if (onGpu) loaded.push(program)
        return program
      }
      return {
        trainStep: await loader('trainStep')(), init: on(onGpu ? processor : options, 'init'), evaluate: once(loader('evaluate')),
        ...(onGpu ? { reference: on(processor, 'trainStep') } : {}),
        ...Object.fromEntries(PICTURE_PROGRAMS[number].map(role => [role, once(loader(role))])),
        release: () => loaded.forEach(program => program.dispose()),
      }
    }
    return { number, schedule: scheduleOf(name, number), trainStep: right(findProgram(build.manifest, ids['trainStep'] ?? '')), load }
  })
  for (const program of programs) {
    if (device === 'eager') continue
    right(checkFresh(folder, program))
    const files = [...Object.values(program.modules), ...(device === 'webgpu' && program.webgpu !== undefined ? [program.webgpu.file] : [])]
    for (const file of files) await orThrow(host.read(file))
  }
  return { ...chosen, stages }
}

/** The same stages, the first of them loaded already: what is refused in doing so is refused before anything is written. */
export const withFirstLoaded = async ([first, ...others]: readonly Stage[]): Promise<readonly Stage[]> => {
  if (first === undefined) return []
  let loaded: Promise<Programs> | undefined = first.load()
  await loaded
  const load: Stage['load'] = device => {
    const given = loaded ?? first.load(device)
    loaded = undefined
    return given
  }
  return [{ ...first, load }, ...others]
}
