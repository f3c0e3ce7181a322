/** A `tiny` model that was started and never trained: its programs compiled, its parameters in a checkpoint of stage 2, as a run has it. */
import * as E from 'fp-ts/lib/Either.js'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { compile } from '../../../compiler/compile.ts'
import { Refusal } from '../../../dsl/errors.ts'
import { openBuild, type Build } from '../../../runtime/build.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import type { LocalExecutable } from '../../../runtime/executor.ts'
import type { Outgoing } from '../../../runtime/io/npy.ts'
import { printSafetensors } from '../../../runtime/io/safetensors.ts'
import { printRunConfig } from '../../../runtime/train/config.ts'
import { orThrow } from '../../../runtime/train/task.ts'

/** Compiles into `folder`. */
export const compileTiny = async (folder: string): Promise<Build> => {
  const root = resolve('test/runtime/support')
  const result = await compile({ files: ['frames', 'video'].map(name => join(root, 'vdsm', 'tiny', `${name}.ts`)), root, out: folder, force: false,
    onBuilt: () => undefined })
  if (E.isLeft(result)) throw new Refusal(result.left)
  return orThrow(openBuild(nodeHost(folder)))
}

export const loadTiny = (build: Build, name: string): Promise<LocalExecutable> => orThrow(build.load(`vdsm/tiny/${name}`, { threads: 1 }))

export type Arrays = ReadonlyMap<string, Outgoing>

/** All parameters, as stage 2 starts with them. */
export const startTiny = async (build: Build, seed = 7): Promise<Arrays> => {
  const arrays = new Map<string, Outgoing>()
  for (const name of ['frames/init', 'video/init']) {
    const init = await loadTiny(build, name)
    init.set('key', [0, seed])
    init.run()
    for (const { path, shape, dtype } of init.program.outputs) {
      if (path.startsWith('params.') && !arrays.has(path)) arrays.set(path, { shape, dtype, data: init.get(path) })
    }
  }
  return arrays
}

/** The bytes of a checkpoint of these arrays. */
export const checkpointOf = (arrays: Arrays, stage: 1 | 2, step: number, config = 'tiny', data = '{}'): Buffer =>
  Buffer.concat(printSafetensors(arrays, {
    stage: String(stage), step: String(step), seed: '0', config, data, revision: 'r', program: 'p', hash: 'h', variant: 'v', vdsm: '0', node: '0',
  }))

/** Makes the folder of a run, with no checkpoint. */
export const makeTinyRun = (path: string): void => {
  for (const part of ['checkpoints', 'pictures']) mkdirSync(join(path, part), { recursive: true })
  writeFileSync(join(path, 'config.json'), printRunConfig({
    version: 2, config: 'tiny', stages: [1, 2], data: { name: 'pendulum', splitSeed: 0 }, seed: 0, steps: { frames: 1, video: 1 }, checkpointEvery: 1,
    pictureEvery: 1,
  }))
}
