/** A model as functions of videos: what they give is what the programs give, for any number of frames, and every way in which a model cannot be opened. */
import fc from 'fast-check'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Refusal } from '../../dsl/errors.ts'
import { schedules } from '../../models/vdsm/schedules.ts'
import { FRAME } from '../../runtime/data/dataset.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { keyOf, PURPOSE } from '../../runtime/data/random.ts'
import { openModel, windowStarts } from '../../runtime/infer/model.ts'
import { checkpointOf, compileTiny, loadTiny, makeTinyRun, startTiny } from './support/tiny-model.ts'
import { temporary } from './toy.ts'

const folder = temporary()
const at = (...parts: readonly string[]): string => join(folder, ...parts)
const build = await compileTiny(at('build'))
const arrays = await startTiny(build)
const run = at('run')
makeTinyRun(run)
const checkpoint = join(run, 'checkpoints', 'stage2-step-00000020.safetensors')
writeFileSync(checkpoint, checkpointOf(arrays, 2, 20))
const model = await openModel({ run }, at('build'), { threads: 1 })
const T = 3

/** So many frames of a pendulum; another seed, another one. */
const video = (frames: number, seed = 0): Float32Array =>
  pendulum({ splitSeed: 0, frames: 40 }).batch({ split: 'train', groups: 1, frames, seed, step: 0, order: 'sequence' }).x

const near = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number, what: string): void => {
  assert.is(a.length, b.length, what)
  const worst = Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? NaN))), 0)
  assert.ok(worst <= tolerance, `${what}: off by ${worst}`)
}
/** Programs that compute the same in other kernels: rounding of float32 in sums of some hundred terms. */
const ROUNDING = 2e-5

/** A program with the parameters, run on these inputs. */
const direct = async (name: string, inputs: Readonly<Record<string, ArrayLike<number>>>) => {
  const program = await loadTiny(build, name)
  for (const { path } of program.program.inputs) if (path.startsWith('params.')) program.set(path, arrays.get(path)?.data ?? [])
  program.setAll(inputs)
  program.run()
  return program
}
const refusal = async (act: () => Promise<unknown>): Promise<string> => {
  try {
    await act()
    return 'accepted'
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

test('the model says what it is', () => {
  assert.equal([model.config, model.window, model.sizes, model.temperature], ['tiny', T, { s: 2, d: 2, z: 3 }, schedules.tiny.video.temperature(1)])
})

test('a video of T frames: as the programs encode, reconstruct and transfer it', async () => {
  const [a, b] = [video(T), video(T, 1)]
  const latents = await model.encode(a)
  const encode = await direct('video/encode', { x: a })
  for (const name of ['s', 'd', 'z'] as const) assert.equal(latents[name], encode.get(`${name}.loc`))
  near((await model.reconstruct(a)).x, (await direct('video/reconstruct', { x: a, temperature: [model.temperature] })).view(''), ROUNDING, 'reconstruction')
  const made = await model.transfer(a, b)
  const transfer = await direct('video/transfer', { identity: a, action: b, temperature: [model.temperature] })
  for (const name of ['s', 'd', 'z', 'x'] as const) near(made[name], transfer.view(name), ROUNDING, name)
})

test('one image, and one image with a video', async () => {
  const image = video(1)
  const latents = await model.encodeImage(image)
  const encode = await direct('video/encodeImage', { x: image })
  for (const name of ['s', 'd', 'z'] as const) assert.equal(latents[name], encode.get(`${name}.loc`))
  assert.is((await model.reconstruct(image)).x.length, FRAME)
  const made = await model.transfer(image, video(T, 1))
  assert.equal([made.s, made.x.length], [latents.s, T * FRAME])
  assert.is((await model.transfer(video(T, 1), image)).x.length, FRAME)
})

test('windows cover every frame, none is longer than the others, and the last ends with the video', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(100), (window, more) => {
    const frames = window + more
    const starts = windowStarts(frames, window)
    assert.is(starts[0], 0)
    assert.is((starts.at(-1) ?? 0) + window, frames)
    assert.ok(starts.every((start, i) => i === 0 || (start > (starts[i - 1] ?? 0) && start <= (starts[i - 1] ?? 0) + window)))
    assert.is(starts.length, Math.ceil(frames / window))
  }))
})

test('a longer video is read in windows: poses of each, identity and dynamics their means', async () => {
  const frames = 8
  const x = video(frames)
  const parts = await Promise.all([0, 3, 5].map(start => model.encode(x.slice(start * FRAME, (start + T) * FRAME))))
  const whole = await model.encode(x)
  assert.is(whole.z.length, frames * 3)
  for (const name of ['s', 'd'] as const) {
    near(whole[name], whole[name].map((_, i) => parts.reduce((sum, part) => sum + (part[name][i] ?? 0), 0) / 3), 1e-6, name)
  }
  assert.equal([...whole.z], [...parts[0]!.z, ...parts[1]!.z, ...parts[2]!.z.subarray(3)])
  assert.is((await model.reconstruct(x)).x.length, x.length)
})

test('a video between one frame and T is refused, with the lengths that are read', async () => {
  assert.match(await refusal(() => model.encode(video(2))), /it has 2 frames; this model reads one frame \(an image\), or at least 3/)
  assert.match(await refusal(() => model.encode(new Float32Array(5))), /whole frames of 12288 numbers/)
  assert.match(await refusal(() => model.encode(new Float32Array(0))), /at least one; 0 numbers/)
})

test('videos of 1, 8 and 40 frames: the longer begins with the shorter, a seed decides, values are those of pictures', async () => {
  const long = await model.generate(40, { seed: 5 })
  assert.equal([long.x.length, long.z.length], [40 * FRAME, 40 * 3])
  assert.ok(long.x.every(v => v >= 0 && v <= 1))
  for (const frames of [1, 2, 8]) {
    const short = await model.generate(frames, { seed: 5 })
    assert.equal([short.s, short.d, short.z], [long.s, long.d, long.z.slice(0, frames * 3)])
    assert.equal(short.x, long.x.slice(0, frames * FRAME))
  }
  const other = await model.generate(8, { seed: 6 })
  assert.not.equal(other.s, long.s)
  const still = await model.generate(8, { seed: 5, spread: 0 })
  assert.equal([still.s, still.d], [long.s, long.d], 'who and what are drawn either way')
  assert.not.equal(still.z.slice(0, 3), long.z.slice(0, 3), 'the first pose follows from a transition as well')
  assert.equal((await model.generate(2, { seed: 5, spread: 0 })).z, still.z.slice(0, 6))
  // No part of a long video repeats the noise of another.
  const steps = Array.from({ length: 39 },
    (_, t) => String([...long.z.slice((t + 1) * 3, (t + 2) * 3)].map((v, i) => (v - (long.z[t * 3 + i] ?? 0)).toFixed(5))))
  assert.is(new Set(steps).size, 39)
})

test('what follows a video, or an image: the program continuation again and again, from the last pose of the last window', async () => {
  for (const x of [video(1), video(T), video(7)]) {
    const made = await model.continueFrom(x, 8)
    assert.equal([made.x.length, made.z.length], [8 * FRAME, 24])
    const latents = await model.encode(x)
    const last = x.length === FRAME ? latents : await model.encode(x.slice(-T * FRAME))
    let z: ArrayLike<number> = latents.z.slice(-3)
    for (const [part, rows] of [[1, 3], [2, 3], [3, 2]] as const) {
      const key = keyOf(0, PURPOSE.infer, part)
      const next = await direct('video/continuation', { s: latents.s, d: last.d, z, key, temperature: [model.temperature], spread: [0] })
      const from = (part - 1) * T
      assert.equal(made.z.slice(from * 3, (from + rows) * 3), next.view('z').slice(0, rows * 3))
      assert.equal(made.x.slice(from * FRAME, (from + rows) * FRAME), next.view('x').slice(0, rows * FRAME))
      z = next.view('z').slice(-3)
    }
    assert.equal((await model.continueFrom(x, 40)).x.slice(0, made.x.length), made.x)
    assert.equal((await model.continueFrom(x, 1, { seed: 9 })).z, made.z.slice(0, 3), 'without noise, a seed means nothing')
    assert.not.equal((await model.continueFrom(x, 8, { spread: 1, seed: 9 })).z, (await model.continueFrom(x, 8, { spread: 1, seed: 8 })).z)
  }
})

test('a pose that is generated goes on as if it had been continued', async () => {
  // With no noise a video is its first pose carried on: cutting it anywhere between parts changes nothing.
  const { s, d, z } = await model.generate(9, { seed: 2, spread: 0 })
  const next = await direct('video/continuation', { s, d, z: z.slice(3, 6), key: [0, 0], temperature: [1], spread: [0] })
  near(z.slice(6, 15), next.view('z'), ROUNDING, 'poses')
})

test('the eager device gives the same', async () => {
  const eager = await openModel({ checkpoint }, at('build'), { device: 'eager' })
  const [x, y] = [video(1), video(T, 1)]
  near((await eager.transfer(x, y)).x, (await model.transfer(x, y)).x, 1e-4, 'transfer')
  near((await eager.continueFrom(x, 2)).x, (await model.continueFrom(x, 2)).x, 1e-4, 'continuation')
  assert.is(eager.device(), 'eager, float64')
})

test('the newest checkpoint of stage 2 is used, another one where it is named, by option or in place of the run', async () => {
  const two = at('two')
  makeTinyRun(two)
  const put = (name: string, stage: 1 | 2, step: number): string => {
    writeFileSync(join(two, 'checkpoints', name), checkpointOf(arrays, stage, step))
    return join(two, 'checkpoints', name)
  }
  put('stage1-step-00000900.safetensors', 1, 900)
  const older = put('stage2-step-00000009.safetensors', 2, 9)
  put('stage2-step-00000010.safetensors', 2, 10)
  writeFileSync(join(two, 'pictures', 'CREDITS.txt'), 'by whom\n')
  const opened = await openModel({ run: two }, at('build'))
  assert.equal([opened.source.checkpoint.step, opened.source.credit], [10, 'by whom'])
  for (const place of [{ run: older }, { checkpoint: older }, { run: two, checkpoint: older }]) {
    const { source } = await openModel(place, at('build'))
    assert.equal([source.checkpoint.step, source.credit], [9, 'by whom'])
  }
  assert.match(await refusal(() => openModel({ run: older, checkpoint: older }, at('build'))), /two checkpoints are given/)
})

const stage1 = at('stage1')
makeTinyRun(stage1)
writeFileSync(join(stage1, 'checkpoints', 'stage1-step-00000005.safetensors'), checkpointOf(arrays, 1, 5))
const odd = (name: string, bytes: Uint8Array): string => (writeFileSync(at(name), bytes), at(name))
const empty = at('empty')
makeTinyRun(empty)
const without = new Map([...arrays].filter(([path]) => !path.startsWith('params.transition.gate')))
const bent = new Map([...arrays, ['params.transition.kept.bias', { shape: [9], dtype: 'f32', data: new Float32Array(9) }] as const])

const refused: readonly (readonly [name: string, act: () => Promise<unknown>, expected: RegExp])[] = [
  ['a run of stage 1', () => openModel({ run: stage1 }, at('build')),
    /of stage 1, step 5: .*\(stage 2\)\n {2}Train the second stage: vdsm train --stage 2 --from .*stage1-step-00000005\.safetensors; .*vdsm train --resume .*stage1/],
  ['a checkpoint of stage 1', () => openModel({ run: join(stage1, 'checkpoints', 'stage1-step-00000005.safetensors') }, at('build')),
    /it is a checkpoint of stage 1: [^]*vdsm train --stage 2/],
  ['a run without a checkpoint', () => openModel({ run: empty }, at('build')), /the run has no checkpoint yet\n {2}Train it: vdsm train --resume/],
  ['a run that is not there', () => openModel({ run: at('none') }, at('build')), /no such folder\n {2}Give the folder of a run/],
  ['a folder that is no run', () => (mkdirSync(at('plain')), openModel({ run: at('plain') }, at('build'))), /not the folder of a run: it has no config\.json/],
  ['a checkpoint that is not there', () => openModel({ checkpoint: at('none') }, at('build')), /none: no such file\n {2}Use another checkpoint/],
  ['a cut checkpoint', () => openModel({ checkpoint: odd('cut', checkpointOf(arrays, 2, 1).subarray(0, -9)) }, at('build')), /truncated/],
  ['parameters that are missing', () => openModel({ checkpoint: odd('without', checkpointOf(without, 2, 1)) }, at('build')),
    /params\.transition\.gate\.\S+: not in the checkpoint, expected f32\[.*\n[^]*The model has changed/],
  ['parameters of other shapes', () => openModel({ checkpoint: odd('bent', checkpointOf(bent, 2, 1)) }, at('build')),
    /params\.transition\.kept\.bias: expected float32\[3\], got float32\[9\]/],
  ['an unknown configuration', () => openModel({ checkpoint: odd('huge', checkpointOf(arrays, 2, 1, 'huge')) }, at('build')),
    /of configuration 'huge', which is unknown here\n {2}There are: tiny, small/],
  ['a build without the programs', () => openModel({ checkpoint: odd('small', checkpointOf(arrays, 2, 1, 'small')) }, at('build')),
    /no program 'vdsm\/small\/video\/encode' in the build folder\n {2}Compile VDSM first/],
  ['a build that is not there', () => openModel({ run }, at('nowhere')), /Compile first/],
]
for (const [name, act, expected] of refused) test(`refused: ${name}`, async () => assert.match(await refusal(act), expected))

test('parameters that lead nowhere are refused, not shown', async () => {
  const lost = new Map([...arrays, ['params.bank.layer5.bias', { ...arrays.get('params.bank.layer5.bias')!, data: new Float32Array(6).fill(NaN) }] as const])
  const broken = await openModel({ checkpoint: odd('lost', checkpointOf(lost, 2, 1)) }, at('build'))
  assert.match(await refusal(() => broken.generate(4)), /frame 0 of the result holds NaN\n {2}The parameters/)
})

test.run()
