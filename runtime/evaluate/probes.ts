/** The probes that evaluation uses: their programs, and how each kind is trained. */
import * as E from 'fp-ts/lib/Either.js'
import { sizes, type ProbeSize } from '../../models/probe/config.ts'
import { openBuild } from '../build.ts'
import { nodeHost } from '../device/node.ts'
import type { Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { toCompile } from '../infer/programs.ts'
import { findProgram } from '../manifest.ts'
import { orThrow, right } from '../train/task.ts'
import type { ProbePrograms, Recipe } from './fit.ts'

/** In the order of the report. */
export const PROBES = ['linear', 'mlp'] as const
export type ProbeName = (typeof PROBES)[number]

export type Recipes = Readonly<Record<ProbeName, Recipe>>

/** For features of deviation 1 without correlation. Enough steps for either to be trained out; the validation rows choose among them. */
export const recipes: Recipes = {
  linear: { steps: 300, every: 20, patience: 100, learningRate: 0.1, decay: 1e-4 },
  mlp: { steps: 900, every: 20, patience: 160, learningRate: 0.01, decay: 1e-3 },
}

/** The smallest probes that take so many features, and so many classes if any do. */
export const sizeFor = (features: number, classes: number): ProbeSize => (features <= sizes.small.F && classes <= sizes.small.C ? 'small' : 'large')

/**
 * Loads the probes from a build, on one thread of the processor: neither a second one nor a GPU has anything to gain. Refuses a
 * build that has none, and one whose sources have changed since.
 */
export const openProbes = async (folder: string, size: ProbeSize): Promise<Readonly<Record<ProbeName, ProbePrograms>>> => {
  const build = await orThrow(openBuild(nodeHost(folder)))
  const load = async (id: string): Promise<Executable> => {
    right(checkFresh(folder, right(E.mapLeft(toCompile)(findProgram(build.manifest, id)))))
    return orThrow(build.load(id, { threads: 1 }))
  }
  const open = async (name: ProbeName): Promise<ProbePrograms> =>
    ({ init: await load(`probe/${size}/${name}/init`), trainStep: await load(`probe/${size}/${name}/trainStep`),
      predict: await load(`probe/${size}/${name}/predict`) })
  return { linear: await open('linear'), mlp: await open('mlp') }
}
