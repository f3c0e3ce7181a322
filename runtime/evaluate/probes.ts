/** The probes that evaluation uses: their programs, and how each kind is trained. */
import type { Build, LoadOptions } from '../build.ts'
import { orThrow } from '../train/task.ts'
import type { ProbePrograms, Recipe } from './fit.ts'

/** In the order of the report. */
export const PROBES = ['linear', 'mlp'] as const
export type ProbeName = (typeof PROBES)[number]

export const probeId = (name: ProbeName, program: keyof ProbePrograms): string => `probe/${name}/${program}`

/** For features of deviation 1 without correlation. Enough steps for either to be trained out; the validation rows choose among them. */
export const recipes: Readonly<Record<ProbeName, Recipe>> = {
  linear: { steps: 300, every: 20, patience: 100, learningRate: 0.1, decay: 1e-4 },
  mlp: { steps: 900, every: 20, patience: 160, learningRate: 0.01, decay: 1e-3 },
}

export const loadProbe = async (build: Build, name: ProbeName, options: LoadOptions): Promise<ProbePrograms> => {
  const load = (program: keyof ProbePrograms) => orThrow(build.load(probeId(name, program), options))
  return { init: await load('init'), trainStep: await load('trainStep'), predict: await load('predict') }
}
