/**
 * A short run, on WebGPU with its first steps checked by the processor, or on the processor alone: `node --import tsx train.ts BUILD FOLDER DEVICE
 * LOSE`. After so many steps the device is lost. Prints what the run says.
 */
import * as E from 'fp-ts/lib/Either.js'
import { openBuild } from '../../../../runtime/build.ts'
import { pendulum } from '../../../../runtime/data/pendulum.ts'
import { nodeHost } from '../../../../runtime/device/node.ts'
import { gpuOf } from '../../../../runtime/device/webgpu/gpu.ts'
import { findProgram } from '../../../../runtime/manifest.ts'
import type { RunConfig } from '../../../../runtime/train/config.ts'
import { createRun } from '../../../../runtime/train/folder.ts'
import { runSession } from '../../../../runtime/train/session.ts'
import type { Stage } from '../../../../runtime/train/stages.ts'
import { orThrow, right } from '../../../../runtime/train/task.ts'

const [folder = '', out = '', device = 'webgpu', loseAt = '0'] = process.argv.slice(2)
const host = nodeHost(folder)
const build = await orThrow(openBuild(host))
const load = (where: 'webgpu' | 'wasm', name: string) => orThrow(build.loadOn(`train-model/${name}`, { device: where, allowSoftware: true }))

const config: RunConfig = {
  version: 2, config: 'tiny', stages: [1], data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: { frames: 9, video: 1 },
  checkpointEvery: 3, pictureEvery: 100,
}
const stage: Stage = {
  number: 1, schedule: progress => ({ learningRate: 0.01 * (1 - progress) }), trainStep: right(findProgram(build.manifest, 'train-model/trainStep')),
  load: async () => {
    const where = device === 'wasm' ? 'wasm' : 'webgpu'
    const trainStep = await load(where, 'trainStep')
    return { trainStep, init: () => load('wasm', 'init'), reference: () => load('wasm', 'trainStep'), release: trainStep.dispose }
  },
}

let asked = 0
const lose = async (): Promise<void> => {
  const lease = await gpuOf(host.gpu, { allowSoftware: true })()
  if (E.isLeft(lease)) return
  lease.right.gpu.device.destroy()
  lease.right.release()
}
const stopped = (): boolean => {
  if (++asked === Number(loseAt)) void lose()
  return false
}
const outcome = await runSession({
  config, folder: await createRun(out, config), stages: [stage], data: pendulum(), resume: false, stopped, verify: device === 'wasm' ? 0 : 2,
  sink: { write: text => process.stdout.write(text) }, revision: 'test',
})
process.stdout.write(`${outcome.end} ${outcome.step}\n`)
