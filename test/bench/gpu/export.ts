/**
 * `node --import tsx test/bench/gpu/export.ts BUILD OUT`: what the PyTorch version is checked against. Training steps of
 * models/peer.ts and of the VAE run here on the device wasm; parameters, inputs and noise go to OUT with losses, gradients and the
 * parameters after two steps, one .npz for each case and one .json that says what it is.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { paperSprites, tiny } from '../../../models/vdsm/config.ts'
import { openBuild, type Build } from '../../../runtime/build.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import type { LocalExecutable } from '../../../runtime/executor.ts'
import type { Outgoing } from '../../../runtime/io/npy.ts'
import { printNpz } from '../../../runtime/io/npz.ts'
import type { Slot } from '../../../runtime/manifest.ts'
import { uniform } from '../../../runtime/measure/inputs.ts'
import { orThrow } from '../../../runtime/train/task.ts'
import { vae, vaeBatch, vaeParams } from '../peers/data.mjs'

type Arrays = ReadonlyMap<string, Outgoing>

const size = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
const named = (prefix: string, slots: readonly Slot[], data: (path: string) => ArrayLike<number>): Arrays =>
  new Map(slots.map(({ path, shape, dtype }) => [`${prefix}${path}`, { shape, dtype, data: data(path) }]))

/** Standard normal numbers by Box and Muller. */
const normals = (n: number, next: () => number): Float32Array =>
  Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()))

/** As a program starts them, and then a little different, so that no parameter is zero and none like another. */
const startOf = async (build: Build, id: string, seed: number): Promise<ReadonlyMap<string, Float32Array>> => {
  const init = await orThrow(build.load(id))
  init.set('key', [0, seed])
  init.run()
  const next = uniform(seed)
  return new Map(init.program.outputs.filter(({ path }) => path.startsWith('params.')).map(({ path }) => {
    const noise = normals(init.get(path).length, next)
    return [path.slice('params.'.length), Float32Array.from(init.get(path), (x, i) => x + 0.1 * (noise[i] ?? 0))]
  }))
}

const schedule = { temperature: 1.7, lambdaS: 0.6, lambdaD: 0.8, lambdaZ: 1.3 } as const

type Case = { readonly name: string; readonly stage: 'frames' | 'video'; readonly step: string; readonly config: unknown; readonly limit: number }

const cases: readonly Case[] = [
  { name: 'tiny-frames', stage: 'frames', step: 'peer/tinyFramesStep', config: tiny, limit: 1 },
  { name: 'tiny-video', stage: 'video', step: 'peer/tinyVideoStep', config: tiny, limit: 1e6 },
  { name: 'paper-frames', stage: 'frames', step: 'peer/paperFramesStep', config: { ...paperSprites, sizes: tiny.sizes }, limit: 1e6 },
  { name: 'paper-video', stage: 'video', step: 'peer/paperVideoStep', config: { ...paperSprites, sizes: tiny.sizes }, limit: 1 },
]

const pick = (program: LocalExecutable, prefix: string): readonly Slot[] => program.program.inputs.filter(({ path }) => path.startsWith(prefix))

const learningRate = 1e-3

const exported = async (build: Build, { name, stage, step, config, limit }: Case): Promise<readonly [unknown, Arrays]> => {
  const program = await orThrow(build.load(step))
  const frames = await startOf(build, step.replace(/(Frames|Video)Step$/, 'FramesInit'), 5)
  const own = stage === 'frames' ? frames : await startOf(build, step.replace(/Step$/, 'Init'), 6)
  program.program.inputs.forEach(({ path, shape }) => program.set(path, new Float32Array(size(shape))))
  for (const { path } of pick(program, 'state.params.')) program.set(path, own.get(path.slice('state.params.'.length)) ?? [])
  for (const { path } of pick(program, 'frozen.')) program.set(path, frames.get(path.slice('frozen.'.length)) ?? [])
  const next = uniform(9)
  program.set('x', Float32Array.from({ length: program.input('x').length }, next))
  pick(program, 'eps.').forEach(({ path, shape }) => program.set(path, normals(size(shape), next)))
  pick(program, 'schedule.').forEach(({ path }) => program.set(path, [schedule[path.slice('schedule.'.length) as keyof typeof schedule]]))
  program.set('learningRate', [learningRate])
  program.set('limit', [limit])
  const inputs = program.program.inputs.filter(({ path }) => /^(state\.params|frozen|eps|x)(\.|$)/.test(path))
  const before = named('', inputs, path => Float32Array.from(program.input(path)))
  program.run()
  const first = named('expected.', program.program.outputs.filter(({ path }) => /^(grad|metrics|norm)(\.|$)/.test(path)), path => program.get(path))
  program.feed('state', 'state')
  program.run()
  const after = named('after.', program.program.outputs.filter(({ path }) => path.startsWith('state.params.')), path => program.get(path))
  return [{ kind: 'vdsm', name, stage, config, schedule, learningRate, limit }, new Map([...before, ...first, ...after])]
}

const exportedVae = async (build: Build): Promise<readonly [unknown, Arrays]> => {
  const program = await orThrow(build.load('yardsticks/vaeStep'))
  program.program.inputs.forEach(({ path, shape }) => program.set(path, new Float32Array(size(shape))))
  vaeParams().forEach((values, i) => program.set(`params.${vae[i]?.[0] ?? ''}`, values))
  program.setAll(vaeBatch(32))
  const inputs = named('', program.program.inputs.filter(({ path }) => /^(params\.|x$|eps$)/.test(path)), path => Float32Array.from(program.input(path)))
  program.run()
  const m = program.program.outputs.filter(({ path }) => path.startsWith('state.m.'))
  // The first moment after one step is (1 - 0.9) of the gradient.
  const grads = new Map(m.map(({ path, shape, dtype }) =>
    [`expected.grad.${path.slice('state.m.'.length)}`, { shape, dtype, data: Float32Array.from(program.get(path), x => x / 0.1) }]))
  return [{ kind: 'vae', name: 'vae' }, new Map([...inputs, ...grads, ['expected.loss', { shape: [], dtype: 'f32', data: program.get('loss') }]])]
}

const [folder = 'build/gpu', out = join(folder, 'peer')] = process.argv.slice(2)
const host = nodeHost(folder)
host.prepare()
const build = await orThrow(openBuild(host))
mkdirSync(out, { recursive: true })
for (const [about, arrays] of [...await Promise.all(cases.map(each => exported(build, each))), await exportedVae(build)]) {
  const { name } = about as { readonly name: string } // every case has one
  writeFileSync(join(out, `${name}.json`), JSON.stringify(about))
  writeFileSync(join(out, `${name}.npz`), printNpz(arrays))
}
// Workers of other threads would keep the process.
process.exit()
