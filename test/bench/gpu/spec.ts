/** What a training step is given, the same on both sides: annealing values halfway through training, and shapes by path for PyTorch. */
import { configs, type ConfigName } from '../../../models/vdsm/config.ts'
import { schedules, valuesAt } from '../../../models/vdsm/schedules.ts'
import type { ProgramInfo } from '../../../runtime/manifest.ts'

const isConfig = (name: string): name is ConfigName => name in schedules

const partsOf = (id: string): { readonly config: ConfigName; readonly stage: 'frames' | 'video' } | null => {
  const [, config = '', stage] = /^vdsm\/([^/]+)\/(frames|video)\//.exec(id) ?? []
  return isConfig(config) && (stage === 'frames' || stage === 'video') ? { config, stage } : null
}

/** The annealing of a training step halfway through its stage; nothing for other programs. */
export const scheduleOf = (id: string): Readonly<Record<string, number>> => {
  const parts = partsOf(id)
  if (parts === null) return {}
  return parts.stage === 'frames' ? valuesAt(schedules[parts.config].frames, 0.5) : valuesAt(schedules[parts.config].video, 0.5)
}

type Shapes = Readonly<Record<string, readonly number[]>>

/** What torch/train_steps.py reads. */
export type Spec = {
  readonly config: unknown
  readonly stage: 'frames' | 'video'
  readonly learningRate: number
  readonly schedule: Readonly<Record<string, number>>
  readonly params: Shapes
  readonly frozen: Shapes
  readonly x: readonly number[]
}

/** Of a program `vdsm/CONFIG/STAGE/trainStep`; null for others. */
export const specOf = (program: ProgramInfo): Spec | null => {
  const parts = partsOf(program.id)
  if (parts === null) return null
  const below = (prefix: string): Shapes => Object.fromEntries(program.inputs.flatMap(({ path, shape }) =>
    (path.startsWith(prefix) ? [[path.slice(prefix.length), shape] as const] : [])))
  const { learningRate = 1e-3, ...schedule } = scheduleOf(program.id)
  return {
    config: configs[parts.config], stage: parts.stage, learningRate, schedule,
    params: below('state.params.'), frozen: below('frozen.'), x: program.inputs.find(({ path }) => path === 'x')?.shape ?? [],
  }
}
