/** Training on a device with a queue: the same bytes as in place, steps that overlap, what ends a run, failing devices, and the check by another device. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Refusal } from '../../dsl/errors.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import type { Executable, LocalExecutable } from '../../runtime/executor.ts'
import type { RunConfig } from '../../runtime/train/config.ts'
import { createRun, listCheckpoints, type RunFolder } from '../../runtime/train/folder.ts'
import { readMetrics } from '../../runtime/train/metrics.ts'
import type { Programs } from '../../runtime/train/programs.ts'
import { runSession, type Session } from '../../runtime/train/session.ts'
import type { Stage } from '../../runtime/train/stages.ts'
import { arrayProblem, metricProblem } from '../../runtime/train/verify.ts'
import { queuedDevice, type QueuedDevice, type QueuedOptions } from './support/queued.ts'
import { fakePrograms, fakeStage, type FakeOptions } from './support/train-programs.ts'

const root = mkdtempSync(join(tmpdir(), 'vdsm-device-'))
test.after(() => rmSync(root, { recursive: true }))

const config = (more: Partial<RunConfig> = {}): RunConfig => ({
  version: 2, config: 'tiny', stages: [1, 2], data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: { frames: 6, video: 7 }, checkpointEvery: 4,
  pictureEvery: 6, ...more,
})

// All programs of these tests are made with their memory at hand.
const local = (program: Executable): LocalExecutable => program as LocalExecutable

/** The programs of a stage on a device; the check's program stays at hand. */
const onDevice = (programs: Programs, device: QueuedDevice): Programs => {
  const { trainStep, reference: _, release: __, ...loads } = programs
  const wrapped = Object.entries(loads).map(([name, load]) => {
    const made = load().then(program => device.wrap(local(program)))
    return [name, () => made] as const
  })
  return { ...(Object.fromEntries(wrapped) as typeof loads), trainStep: device.wrap(local(trainStep)) }
}

/** A stage on a device with a queue; each load is on the next of these devices, or, where wasm is asked for, in place. */
const queuedStage = (number: 1 | 2, devices: readonly QueuedDevice[], more: FakeOptions = {}): Stage => {
  const options = { pictures: false, ...more }
  let next = 0
  return {
    ...fakeStage(number, options),
    load: async instead => {
      const programs = fakePrograms(number, options)
      const device = devices[Math.min(next++, devices.length - 1)]
      return instead !== undefined || device === undefined ? programs : onDevice(programs, device)
    },
  }
}

const session = (folder: RunFolder, stages: readonly Stage[], more: Partial<Session> = {}): Session =>
  ({ config: config(), folder, stages, data: pendulum(), resume: false, stopped: () => false, sink: { write: () => true }, revision: 'test', patience: 0,
    ...more })

const fresh = (name: string, own = config()): Promise<RunFolder> => createRun(join(root, name), own)

const refused = async (act: Promise<unknown>): Promise<Refusal> => {
  const error: unknown = await act.then(() => new Error('nothing was refused'), (found: unknown) => found)
  if (error instanceof Refusal) return error
  throw error
}

const lines = (folder: RunFolder) => readMetrics(folder.metrics).map(({ milliseconds: _, waited: __, ...line }) => line)
const same = (a: RunFolder, b: RunFolder): void => {
  assert.equal(lines(b), lines(a))
  for (const part of ['checkpoints', 'pictures'] as const) {
    assert.equal(readdirSync(b[part]).sort(), readdirSync(a[part]).sort())
    for (const name of readdirSync(a[part])) assert.is(Buffer.compare(readFileSync(join(a[part], name)), readFileSync(join(b[part], name))), 0, name)
  }
}

const stopAfter = (n: number): (() => boolean) => { let asked = 0; return () => ++asked === n }
const both = (options: QueuedOptions = {}, fake: FakeOptions = {}): readonly Stage[] => {
  const device = queuedDevice(options)
  return [queuedStage(1, [device], fake), queuedStage(2, [device], fake)]
}

/** Pictures take longer than all else here: there are some in one test only. */
const inPlace = (options: FakeOptions = { pictures: false }): readonly Stage[] => [fakeStage(1, options), fakeStage(2, options)]

let straight: RunFolder
test.before(async () => {
  straight = await fresh('straight')
  await runSession(session(straight, inPlace()))
})

for (const shares of [true, false]) {
  test(`lines, checkpoints and pictures are those of a run in place, where programs ${shares ? '' : 'do not '}share memory`, async () => {
    const short = config({ steps: { frames: 4, video: 4 } })
    const [direct, folder] = [await fresh(`local-${shares}`, short), await fresh(`queued-${shares}`, short)]
    await runSession(session(direct, inPlace({}), { config: short }))
    assert.equal(await runSession(session(folder, both({ shares }, { pictures: true }), { config: short })), { stage: 2, step: 4, end: 'finished' })
    same(direct, folder)
    assert.ok(readdirSync(folder.pictures).includes('stage2-continuation-00000004.gif'))
  })
}

test('several steps are under way at once, and all have reported where something is saved', async () => {
  const device = queuedDevice()
  const seen: (readonly [number, number])[] = []
  const folder = await fresh('overlap', config({ stages: [1], steps: { frames: 20, video: 1 }, checkpointEvery: 10, pictureEvery: 20 }))
  await runSession(session(folder, [queuedStage(1, [device])], {
    config: config({ stages: [1], steps: { frames: 20, video: 1 }, checkpointEvery: 10, pictureEvery: 20 }),
    stopped: () => (seen.push([device.counts('trainStep').asked, readMetrics(folder.metrics).length]), false),
  }))
  assert.is(device.most('1/trainStep'), 4)
  // Asked after each step: so many were given, and so many have reported.
  assert.equal(seen.slice(0, 6), [[1, 0], [2, 0], [3, 0], [4, 1], [5, 2], [6, 3]])
  assert.equal(seen[10], [11, 10])
  assert.equal(readMetrics(folder.metrics).filter(line => 'loss' in line).map(({ step }) => step), Array.from({ length: 20 }, (_, i) => i + 1))
  assert.ok(readMetrics(folder.metrics).every(line => !('milliseconds' in line) || (line['milliseconds'] as number) >= 0))
})

test('stopped and resumed: the same bytes; a stop waits for the steps that were given', async () => {
  const folder = await fresh('stopped')
  assert.equal(await runSession(session(folder, both(), { stopped: stopAfter(3) })), { stage: 1, step: 3, end: 'stopped' })
  assert.equal(lines(folder).map(({ step }) => step), [1, 2, 3])
  assert.equal(listCheckpoints(folder).map(({ step }) => step), [3])
  assert.equal(await runSession(session(folder, both(), { resume: true })), { stage: 2, step: 7, end: 'finished' })
  same(straight, folder)
  // Begun in place, finished on the device.
  const other = await fresh('moved')
  await runSession(session(other, inPlace(), { stopped: stopAfter(9) }))
  await runSession(session(other, both(), { resume: true }))
  same(straight, other)
})

test('a NaN ends the run at its own step, though later ones were given; nothing after the last good checkpoint is saved', async () => {
  const folder = await fresh('nan')
  const { failure, message } = await refused(runSession(session(folder, both({}, { spoil: 5 }))))
  assert.equal({ ...failure, remedy: '' }, { kind: 'nonfinite', step: 5, metric: 'loss', value: 'NaN', remedy: '' })
  assert.match(message, /stage1-step-00000004\.safetensors/)
  assert.equal(lines(folder).map(({ step }) => step), [1, 2, 3, 4])
  const poisoned = await fresh('infinite')
  const { message: infinite } = await refused(runSession(session(poisoned, both({}, { poison: 6 }))))
  assert.match(infinite, /step 6: state\.params\.mean \(element 0 of 12288\) is Infinity/)
  assert.equal(listCheckpoints(poisoned).map(({ step }) => step), [4])
})

test('data that are refused end the run when the steps before them have reported', async () => {
  const good = pendulum()
  const folder = await fresh('bad-data')
  const data = { ...good, batch: (request: Parameters<typeof good.batch>[0]) => {
    const batch = good.batch(request)
    if (request.step === 3) batch.x[77] = NaN
    return batch
  } }
  assert.is((await refused(runSession(session(folder, both(), { data })))).failure.kind, 'data')
  assert.equal(lines(folder).map(({ step }) => step), [1, 2, 3])
})

const lostIn = (stage: 1 | 2, run: number): QueuedDevice => queuedDevice({ failAt: { id: `${stage}/trainStep`, run } })

test('a device that is lost: the run goes on from its newest checkpoint on a fresh one, and ends with the same bytes', async () => {
  for (const [stage, run, at] of [[1, 2, 0], [1, 6, 4], [2, 3, 0], [2, 7, 4]] as const) {
    const folder = await fresh(`lost-${stage}-${run}`)
    const said: string[] = []
    const stages = [queuedStage(1, stage === 1 ? [lostIn(1, run), queuedDevice()] : []), queuedStage(2, stage === 2 ? [lostIn(2, run), queuedDevice()] : [])]
    assert.equal(await runSession(session(folder, stages, { sink: { write: text => said.push(text) } })), { stage: 2, step: 7, end: 'finished' })
    assert.match(said.join(''), new RegExp(`the device was lost\\nStage ${stage} goes on from step ${at} on a fresh device \\(1 of 2\\)\\.\\n`))
    same(straight, folder)
  }
})

test('a device that fails again and again ends the run, and what was saved stays; --on-device-failure decides otherwise', async () => {
  const own = { config: config({ stages: [1] }) }
  const devices = () => [lostIn(1, 6), lostIn(1, 1), lostIn(1, 1), queuedDevice()]
  const again = await fresh('again', own.config)
  const { failure, message } = await refused(runSession(session(again, [queuedStage(1, devices())], own)))
  assert.is(failure.kind, 'device')
  assert.match(message, /A fresh device was tried 2 times\.\n {2}What was saved is whole\. To go on: vdsm train --resume .*--device wasm/)
  assert.equal(listCheckpoints(again).map(({ step }) => step), [4])
  // A new checkpoint in between: the device does work, and is tried anew.
  const often = await fresh('often', own.config)
  const some = [lostIn(1, 6), lostIn(1, 1), queuedDevice({ failAt: { id: '1/evaluate', run: 1 } }), queuedDevice()]
  assert.is((await runSession(session(often, [queuedStage(1, some)], own))).end, 'finished')
  const stop = await fresh('stop', own.config)
  await refused(runSession(session(stop, [queuedStage(1, devices())], { ...own, onDeviceFailure: 'stop' })))
  assert.equal(listCheckpoints(stop).map(({ step }) => step), [4])
  const processor = await fresh('processor')
  const said: string[] = []
  const wasm = [queuedStage(1, devices()), queuedStage(2, devices())]
  await runSession(session(processor, wasm, { onDeviceFailure: 'wasm', sink: { write: text => said.push(text) } }))
  assert.match(said.join(''), /goes on from step 4 on wasm\./)
  same(straight, processor)
})

test('a shader that is refused is refused again: no second try', async () => {
  const folder = await fresh('shader')
  const device = queuedDevice({ failAt: { id: '1/trainStep', run: 3, reason: 'shader' } })
  const { failure } = await refused(runSession(session(folder, [queuedStage(1, [device, queuedDevice()])], { config: config({ stages: [1] }) })))
  assert.ok(failure.kind === 'device' && failure.reason === 'shader')
})

/** The stage on a device, with a program in place to check it by; `spoilt`: the device's own is another. */
const checked = (spoilt: FakeOptions = {}): Stage => ({
  ...fakeStage(1),
  load: async () => ({ ...onDevice(fakePrograms(1, { ...spoilt, pictures: false }), queuedDevice()), reference: async () => fakePrograms(1).trainStep }),
})

test('--verify: steps that agree are said to, the run is the same', async () => {
  const own = config({ stages: [1], pictureEvery: 100 })
  const folders = [await fresh('checked', own), await fresh('unchecked', own)] as const
  const said: string[] = []
  await runSession(session(folders[0], [checked()], { config: own, verify: 3, sink: { write: text => said.push(text) } }))
  assert.match(said.join(''), /stage 1: 3 steps agree with test, 1 thread\n/)
  await runSession(session(folders[1], [fakeStage(1, { pictures: false })], { config: own }))
  same(folders[1], folders[0])
})

test('--verify: a disagreement names the step and the array, and nothing is saved or tried again', async () => {
  const own = config({ stages: [1], checkpointEvery: 1 })
  const folder = await fresh('disagrees', own)
  const { failure, message } = await refused(runSession(session(folder, [checked({ poison: 3 })], { config: own, verify: 4 })))
  assert.ok(failure.kind === 'device' && failure.reason === 'disagreement')
  assert.match(message, /a device with a queue: step 3 is not what it is on test, 1 thread: metrics\.loss is 0, not 0\.\d+/)
  assert.equal(listCheckpoints(folder).map(({ step }) => step), [1, 2])
})

test('what counts as agreement', () => {
  const metrics = { loss: 100, klS: 1e-9, klZ: 2 }
  assert.is(metricProblem({ ...metrics, loss: 100.05, klS: 3e-9 }, metrics), undefined, 'rounding of the sum, and what vanishes beside it')
  assert.match(metricProblem({ ...metrics, klZ: 2.01 }, metrics) ?? '', /metrics\.klZ is 2\.01, not 2/)
  assert.match(metricProblem({ ...metrics, klZ: NaN }, metrics) ?? '', /metrics\.klZ is NaN/)
  assert.is(metricProblem({ loss: NaN }, { loss: NaN }), undefined, 'both: the run ends by itself')
  const n = 1000
  const rate = 1e-3
  const before = Float32Array.from({ length: n }, (_, i) => Math.sin(i))
  const gradient = (i: number): number => Math.cos(3 * i)
  const adam = (sign: (i: number) => number) => before.map((v, i) => v - rate * sign(i))
  const right = adam(i => Math.sign(gradient(i)))
  // Where a gradient is nothing but rounding, its sign is chance: a few in a thousand.
  assert.is(arrayProblem('state.params.w', before, adam(i => (i % 300 === 0 ? -1 : 1) * Math.sign(gradient(i))), right, rate), undefined)
  assert.match(arrayProblem('state.params.w', before, adam(i => -Math.sign(gradient(i))), right, rate) ?? '', /2\.0 times the learning rate in the mean/)
  const one = right.map((v, i) => (i === 17 ? v + 0.1 : v))
  assert.match(arrayProblem('state.params.w', before, one, right, rate) ?? '', /element 17 of 1000.*times the learning rate/)
  const moment = (factor: number) => before.map((v, i) => 0.9 * v + factor * 0.1 * gradient(i))
  assert.is(arrayProblem('state.optimizer.m.w', before, moment(1 + 1e-4), moment(1), rate), undefined)
  assert.match(arrayProblem('state.optimizer.m.w', before, moment(1.1), moment(1), rate) ?? '', /differs by \d+(\.\d+)?% of what the step changes/)
  assert.match(arrayProblem('state.optimizer.m.w', before, before, moment(1), rate) ?? '', /differs by/, 'not done at all')
  assert.match(arrayProblem('state.optimizer.m.w', before, moment(NaN), moment(1), rate) ?? '', /is NaN/)
  assert.match(arrayProblem('state.optimizer.count', [1], Int32Array.of(1), Int32Array.of(2), rate) ?? '', /element 0 of 1 is 1, not 2/)
})

test.run()
