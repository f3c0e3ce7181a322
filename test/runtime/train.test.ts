/** Training: exact resumption, stopping, run folders, checkpoints, metrics, and every way in which a run is refused or ends early. */
import * as E from 'fp-ts/lib/Either.js'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { print, Refusal } from '../../dsl/errors.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { parseSafetensors } from '../../runtime/io/safetensors.ts'
import { readCheckpoint } from '../../runtime/train/checkpoint.ts'
import { parseRunConfig, printRunConfig, type RunConfig } from '../../runtime/train/config.ts'
import { checkpointPath, createRun, defaultFolder, listCheckpoints, newestRun, openRun, type RunFolder } from '../../runtime/train/folder.ts'
import { claimRun } from '../../runtime/train/lock.ts'
import { checkTrainStep } from '../../runtime/train/loop.ts'
import { readMetrics } from '../../runtime/train/metrics.ts'
import { duration, meter, short, startProgress } from '../../runtime/train/progress.ts'
import { runSession, withLearningRate, type Session } from '../../runtime/train/session.ts'
import { fakePrograms, fakeSchedule, fakeStage } from './support/train-programs.ts'

const root = mkdtempSync(join(tmpdir(), 'vdsm-train-'))
const config = (more: Partial<RunConfig> = {}): RunConfig => ({
  version: 2, config: 'tiny', stages: [1], data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: { frames: 10, video: 1 }, checkpointEvery: 4,
  pictureEvery: 5, ...more,
})
/** So many steps of stage 1. */
const long = (frames: number, more: Partial<RunConfig> = {}): RunConfig => config({ steps: { frames, video: 1 }, ...more })
const schedule = (progress: number): { readonly learningRate: number; readonly lambdaS: number; readonly lambdaZ: number } => {
  const { learningRate = NaN, lambdaS = NaN, lambdaZ = NaN } = fakeSchedule(1)(progress)
  return { learningRate, lambdaS, lambdaZ }
}
const quiet = { write: (_: string) => true }

const refused = async (act: () => unknown): Promise<Refusal> => {
  try {
    await act()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const session = (folder: RunFolder, more: Partial<Session> = {}): Session => ({
  config: config(), folder, stages: [fakeStage(1)], data: pendulum(), resume: false, stopped: () => false, sink: quiet, revision: 'test', ...more,
})

/** The lines about training steps, without those about held-out frames. */
const trained = (folder: RunFolder) => readMetrics(folder.metrics).filter(line => 'loss' in line)

const stopAfter = (n: number): (() => boolean) => { let asked = 0; return () => ++asked >= n }

const training = suite('training')
training.after(() => rmSync(root, { recursive: true }))

training('ten steps equal five, a stop and five more, byte for byte', async () => {
  const straight = await createRun(join(root, 'straight'), config())
  assert.equal(await runSession(session(straight)), { stage: 1, step: 10, end: 'finished' })
  const parts = await createRun(join(root, 'parts'), config())
  assert.equal(await runSession(session(parts, { stopped: stopAfter(5) })), { stage: 1, step: 5, end: 'stopped' })
  assert.equal(listCheckpoints(parts).map(c => c.step), [4, 5])
  // What a crash after the last checkpoint leaves: lines beyond it, the last one torn.
  writeFileSync(parts.metrics, `${readFileSync(parts.metrics, 'utf8')}{"stage":1,"step":6,"loss":9}\n{"stage":1,"step":7,"lo`)
  const again = openRun(parts.path)
  assert.equal(again.config, config())
  assert.equal(await runSession(session(again.folder, { resume: true })), { stage: 1, step: 10, end: 'finished' })
  assert.equal(listCheckpoints(straight).map(c => c.step), [4, 8, 10])
  for (const name of ['stage1-step-00000008.safetensors', 'stage1-step-00000010.safetensors']) {
    assert.is(Buffer.compare(readFileSync(join(straight.checkpoints, name)), readFileSync(join(parts.checkpoints, name))), 0, name)
  }
  const lines = (folder: RunFolder) => readMetrics(folder.metrics).map(({ milliseconds: _, waited: __, ...line }) => line)
  // The stop at step 5 came before its pictures and its held-out line: they are made up for.
  assert.equal(lines(parts), lines(straight))
  assert.equal(lines(straight).map(line => line.step), [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10])
  for (const name of ['stage1-swap-00000005.png', 'stage1-swap-00000010.png', 'stage1-reconstruction-00000010.png', 'stage1-loss.png']) {
    assert.ok(existsSync(join(straight.pictures, name)), name)
  }
  assert.is(Buffer.compare(readFileSync(join(straight.pictures, 'stage1-swap-00000010.png')),
    readFileSync(join(parts.pictures, 'stage1-swap-00000010.png'))), 0)
})

training('the loss falls, the schedule arrives, another seed gives another run', async () => {
  const folder = await createRun(join(root, 'falls'), long(30, { learningRate: 0.5 }))
  await runSession(session(folder, { config: long(30, { learningRate: 0.5 }), keep: 1 }))
  const lines = readMetrics(folder.metrics)
  const loss = lines.flatMap(line => (typeof line['loss'] === 'number' ? [line['loss']] : []))
  assert.is(loss.length, 30)
  assert.ok(loss[29]! < 0.6 * loss[0]!, `${loss[0]} -> ${loss[29]}`)
  lines.filter(line => 'loss' in line).forEach((line, k) => {
    assert.is(line['klS'], Math.fround(schedule(k / 30).lambdaS))
    assert.is(line['lambdaZ'], schedule(k / 30).lambdaZ)
  })
  const judged = lines.filter(line => 'heldOut.error' in line)
  assert.equal(judged.map(line => line.step), [5, 10, 15, 20, 25, 30])
  assert.ok(Math.abs((judged[5]!['heldOut.error'] as number) / loss[29]! - 1) < 0.3, 'held-out frames are like the ones trained on')
  assert.ok(Math.abs((judged[0]!['heldOut.noise'] as number) - 1) < 0.6, 'mean square of 48 standard normal numbers: 1, three deviations 0.61')
  assert.equal(new Set(judged.map(line => line['heldOut.noise'])).size, 1)
  assert.is(lines[0]!['learningRate'], 0.5)
  assert.not.ok('byGroup' in lines[0]!)
  assert.is(listCheckpoints(folder).length, 2)
  const other = await createRun(join(root, 'other'), config({ seed: 4 }))
  await runSession(session(other, { config: config({ seed: 4 }) }))
  assert.not.equal(readMetrics(other.metrics)[0]!['loss'], loss[0])
})

training('a checkpoint is a safetensors file with the state and where it comes from', async () => {
  const path = join(root, 'straight', 'checkpoints', 'stage1-step-00000010.safetensors')
  const file = parseSafetensors(readFileSync(path), path)
  if (E.isLeft(file)) throw new Error(print(file.left))
  assert.equal([...file.right.arrays.keys()].sort(), ['optimizer.count', 'optimizer.velocity', 'params.mean', 'params.tint'])
  assert.equal(file.right.arrays.get('params.mean')!.shape, [3, 64, 64])
  assert.is(file.right.arrays.get('optimizer.count')!.data[0], 10)
  const { stage, step, seed, config: name, data } = file.right.metadata
  assert.equal({ stage, step, seed, name, data }, { stage: '1', step: '10', seed: '3', name: 'tiny', data: '{"name":"pendulum","splitSeed":0}' })
})

training('a metric that is NaN ends the run at its step and keeps the last good checkpoint', async () => {
  const folder = await createRun(join(root, 'nan'), config())
  const { failure, message } = await refused(() => runSession(session(folder, { stages: [fakeStage(1, { spoil: 7 })] })))
  assert.equal({ ...failure, remedy: '' }, { kind: 'nonfinite', step: 7, metric: 'loss', value: 'NaN', remedy: '' })
  assert.match(message, /stage1-step-00000004\.safetensors/)
  assert.equal(listCheckpoints(folder).map(c => c.step), [4])
  assert.equal(trained(folder).map(line => line.step), [1, 2, 3, 4, 5, 6])
  // It can be taken up again from there.
  assert.equal(await runSession(session(folder, { resume: true })), { stage: 1, step: 10, end: 'finished' })
  assert.is(Buffer.compare(readFileSync(listCheckpoints(folder).at(-1)!.path),
    readFileSync(join(root, 'straight', 'checkpoints', 'stage1-step-00000010.safetensors'))), 0)
})

training('parameters that became infinite are never saved', async () => {
  const folder = await createRun(join(root, 'infinite'), config())
  const { failure } = await refused(() => runSession(session(folder, { stages: [fakeStage(1, { poison: 8 })] })))
  assert.is(failure.kind, 'nonfinite')
  assert.match(print(failure), /step 8: state\.params\.mean \(element 0 of 12288\) is Infinity/)
  assert.equal(listCheckpoints(folder).map(c => c.step), [4])
})

training('a NaN in the data ends the run before it reaches the program', async () => {
  const good = pendulum()
  const folder = await createRun(join(root, 'bad-data'), config())
  const data = { ...good,
    batch: (request: Parameters<typeof good.batch>[0]) => { const batch = good.batch(request); if (request.step === 5) batch.x[77] = NaN; return batch } }
  const { failure } = await refused(() => runSession(session(folder, { data })))
  assert.is(failure.kind, 'data')
  assert.is(trained(folder).length, 5)
})

training('all batches are drawn in one place, so that a step leaves nothing large behind', async () => {
  const good = pendulum()
  const places: unknown[] = []
  const data = { ...good, batch: (request: Parameters<typeof good.batch>[0]) => (request.split === 'train' && places.push(request.into), good.batch(request)) }
  await runSession(session(await createRun(join(root, 'one-place'), config()), { data }))
  assert.is(places.length, 10)
  assert.ok(places[0] instanceof Float32Array && places.every(place => place === places[0]))
})

training('a full disk ends the run, and says so', async () => {
  if (!existsSync('/dev/full')) return // Linux
  const folder = await createRun(join(root, 'full'), config())
  symlinkSync('/dev/full', folder.metrics)
  const { failure, message } = await refused(() => runSession(session(folder)))
  assert.is(failure.kind, 'write')
  assert.match(message, /metrics\.jsonl: the disk is full\n {2}Free some space/)
  assert.equal(listCheckpoints(folder), [])
})

training('damaged, foreign and unfitting checkpoints are refused by name', async () => {
  const make = async (name: string) => {
    const folder = await createRun(join(root, name), config())
    return { folder, path: join(folder.checkpoints, 'stage1-step-00000004.safetensors') }
  }
  const good = readFileSync(join(root, 'straight', 'checkpoints', 'stage1-step-00000010.safetensors'))
  const resume = (folder: RunFolder, more: Partial<Session> = {}) => refused(() => runSession(session(folder, { resume: true, ...more })))
  const cut = await make('cut')
  writeFileSync(cut.path, good.subarray(0, 3000))
  assert.match((await resume(cut.folder)).message, /stage1-step-00000004\.safetensors: truncated.*\n.*No older checkpoint is whole/)
  const seed = await make('seed')
  writeFileSync(seed.path, good)
  assert.match((await resume(seed.folder, { config: config({ seed: 9 }) })).message, /written with seed 3, the run has seed 9/)
  const programs = fakePrograms(1)
  const renamed = { ...programs.trainStep.program,
    inputs: programs.trainStep.program.inputs.map(s => (s.path === 'state.params.mean' ? { ...s, path: 'state.params.average' } : s)) }
  const changed = await resume(seed.folder,
    { stages: [{ ...fakeStage(1), load: async () => ({ ...programs, trainStep: { ...programs.trainStep, program: renamed } }) }] })
  assert.match(changed.message, /params\.average: not in the checkpoint, expected f32\[3, 64, 64\]/)
  assert.match(changed.message, /params\.mean: the program has no such state/)
})

training('a damaged newest checkpoint: the message names the file, and the older one that is whole', async () => {
  const folder = await createRun(join(root, 'older'), config())
  await runSession(session(folder))
  const metrics = readFileSync(folder.metrics)
  const recorded = readFileSync(folder.config)
  writeFileSync(checkpointPath(folder, { stage: 1, step: 10 }), '')
  writeFileSync(checkpointPath(folder, { stage: 1, step: 8 }), 'torn')
  const longer = { resume: true, config: long(14) }
  const { message } = await refused(() => runSession(session(folder, longer)))
  assert.match(message,
    /stage1-step-00000010\.safetensors: the file is empty\n.*newer to go on from step 4 of stage 1: .*stage1-step-00000004\.safetensors is whole/)
  assert.equal(readFileSync(folder.metrics), metrics, 'nothing of the run is changed by a refusal')
  assert.equal(readFileSync(folder.config), recorded, 'nothing of the run is changed by a refusal')
  for (const { path } of listCheckpoints(folder).slice(1)) rmSync(path)
  assert.equal(await runSession(session(folder, longer)), { stage: 1, step: 14, end: 'finished' })
  assert.match((await refused(() => runSession(session(folder, { resume: true, config: long(9) })))).message,
    /has done 14 steps of stage 1, --steps says 9\n.*at least 14/)
  assert.is(openRun(folder.path).config.steps.frames, 14)
  for (const { path } of listCheckpoints(folder)) rmSync(path)
  const { message: none } = await refused(() => runSession(session(folder, longer)))
  assert.match(none, /no checkpoint is there, though the run's metrics reach step 14 of stage 1/)
  assert.is(readMetrics(folder.metrics).at(-1)!.step, 14)
})

training('one run, one process: a second one is refused, a lock that a dead process left is taken over', async () => {
  const folder = await createRun(join(root, 'claimed'), config())
  const release = claimRun(folder.path)
  const { failure, message } = await refused(() => claimRun(folder.path))
  assert.is(failure.kind, 'write')
  assert.match(message, new RegExp(`another training run is writing to it \\(process ${process.pid}\\)\n.*delete .*lock`))
  release()
  const dead = spawnSync(process.execPath, ['-e', '']).pid
  for (const left of ['', '{"pro', JSON.stringify({ process: dead, host: hostname() })]) {
    writeFileSync(join(folder.path, 'lock'), left)
    claimRun(folder.path)()
  }
  writeFileSync(join(folder.path, 'lock'), JSON.stringify({ process: dead, host: 'elsewhere' }))
  assert.match((await refused(() => claimRun(folder.path))).message, /on elsewhere/)
})

training('a program that is no training step is refused, all problems named', async () => {
  const programs = fakePrograms(1)
  const [init, encode] = [await programs.init(), await programs.encode!()]
  const { message } = await refused(() => checkTrainStep(encode.program, ['temperature']))
  for (const part of [/expected input key: u32\[2\], got no key/, /expected input schedule\.temperature: f32\[\], got none/, /nothing is known to feed input params\.mean/]) {
    assert.match(message, part)
  }
  assert.match((await refused(() => checkTrainStep(init.program, []))).message, /got no x/)
})

const folders = suite('run folders')

folders('new runs go into empty folders only; nothing that is there is touched', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'vdsm-run-')), 'full')
  mkdirSync(path)
  await createRun(path, config())
  const before = readFileSync(join(path, 'config.json'), 'utf8')
  const { failure, message } = await refused(() => createRun(path, config({ seed: 8 })))
  assert.is(failure.kind, 'write')
  assert.match(message, /not empty\n.*--resume/)
  assert.is(readFileSync(join(path, 'config.json'), 'utf8'), before)
  assert.match(readFileSync(join(path, 'revision.txt'), 'utf8'), /^([0-9a-f]{40}(\+changes)?|unknown)\n$/)
  assert.match((await refused(() => createRun(join(path, 'config.json'), config()))).message, /it is a file/)
  assert.is((await refused(() => createRun('/dev/null/run', config()))).failure.kind, 'write')
  if (existsSync('/proc')) assert.is((await refused(() => createRun('/proc/run', config()))).failure.kind, 'write')
  assert.match((await refused(() => openRun(join(path, 'pictures')))).message, /not the folder of a run/)
  const parent = join(path, '..')
  assert.is(newestRun(parent), path)
  assert.match((await refused(() => newestRun(join(path, 'pictures')))).message, /no run/)
  rmSync(parent, { recursive: true })
})

folders('the default folder tells what is in it', () => {
  assert.is(defaultFolder(config(), new Date(2026, 0, 30, 14, 5, 9)), join('runs', '20260130-140509-tiny-pendulum-3'))
})

folders('config.json: round trip, unknown keys, bad values', () => {
  const parse = (value: unknown) => parseRunConfig(typeof value === 'string' ? value : JSON.stringify(value), 'run/config.json')
  assert.equal(parse(printRunConfig(config({ learningRate: 1e-3 }))), E.right(config({ learningRate: 1e-3 })))
  const text = (value: unknown): string => { const result = parse(value); return E.isLeft(result) ? print(result.left) : 'accepted' }
  assert.match(text({ ...config(), stepz: 3 }), /unknown key 'stepz'\n.*Known keys: .*steps/)
  assert.match(text({ ...config(), data: { name: 'pendulum', splitSeed: 0, fodler: 'x' } }), /unknown key 'data\.fodler'/)
  assert.match(text({ ...config(), steps: { frames: 1, video: 'many' } }), /steps\.video: expected whole number >= 1, found "many"/)
  assert.match(text({ ...config(), steps: { frames: 0, video: 1 } }), /steps\.frames: expected whole number >= 1, found 0/)
  const { seed: _, ...rest } = config()
  assert.match(text(rest), /seed: expected whole number >= 0, found nothing/)
  assert.match(text('{"version": 1,'), /not valid JSON/)
  assert.match(text('[]'), /expected/)
  assert.match(text('null'), /expected/)
})

const display = suite('progress')

display('plain lines where there is no terminal: at the start, every few seconds, at the end', () => {
  const lines: string[] = []
  let clock = 0
  const progress = startProgress('stage 1', 100, 0, { write: text => lines.push(text) }, 5000, () => clock)
  for (let step = 1; step <= 100; step++) {
    clock += 500
    progress.update(step, { loss: 1234.5678, klS: 2 })
  }
  progress.stop()
  assert.is(lines.length, 11)
  assert.match(lines[1]!, /^stage 1 {2}step 11\/100 {2}2 steps\/s {2}45s left {2}loss 1235 {2}klS 2\n$/)
  assert.match(lines[10]!, /^stage 1 {2}step 100\/100/)
})

display('a bar in a terminal, with notes above it', () => {
  const stream = new PassThrough() as PassThrough & { isTTY: true; columns: number; cursorTo: () => void; clearLine: () => void; [more: string]: unknown }
  Object.assign(stream, { isTTY: true, columns: 200, cursorTo: () => true, moveCursor: () => true, clearLine: () => true, getWindowSize: () => [200, 50] })
  const progress = startProgress('stage 1', 100, 20, stream)
  progress.update(60, { loss: 1234.5678 })
  progress.note('a note')
  progress.stop()
  const text = String(stream.read())
  for (const part of ['stage 1 ', '20/100', '60/100', 'steps/s', 'left', 'loss 1235', 'a note\n']) {
    assert.ok(text.includes(part), `${part} in ${JSON.stringify(text)}`)
  }
})

display('numbers and durations', () => {
  assert.equal([duration(12.4), duration(200), duration(3840), duration(NaN)], ['12s', '3m20s', '1h04m', '?'])
  assert.equal([short(0.000123456), short(-1234.56), short(NaN)], ['0.0001235', '-1235', 'NaN'])
  let clock = 0
  const rate = meter(() => clock, 3)
  rate(0)
  clock = 1000
  assert.is(rate(4), 4)
})

display('--lr scales the schedule', () => {
  const scaled = withLearningRate(schedule, 1e-3)
  assert.is(scaled(0)['learningRate'], 1e-3)
  assert.ok(Math.abs(scaled(0.7)['learningRate']! - schedule(0.7).learningRate / 2) < 1e-12)
  assert.is(withLearningRate(schedule, undefined), schedule)
  assert.throws(() => withLearningRate(() => ({ temperature: 1 }), 1), /no learning rate/)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  training(`${signal}: the step is finished, the state saved, the exit code 130`, async () => {
    const folder = join(root, signal)
    const child = spawn(process.execPath, ['--import', 'tsx', 'test/runtime/support/train-child.ts', folder], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.once('data', () => setTimeout(() => child.kill(signal), 100))
    const code = await new Promise(done => child.on('exit', done))
    assert.is(code, 130)
    const { folder: opened } = openRun(folder)
    const [only, ...more] = listCheckpoints(opened)
    assert.equal(more, [])
    assert.is(readMetrics(opened.metrics).at(-1)!.step, only!.step)
    assert.is((await readCheckpoint(only!.path)).step, only!.step)
  })
}

training('nothing but the files of a run lies in its folder', () => {
  assert.equal(readdirSync(join(root, 'straight')).sort(), ['checkpoints', 'config.json', 'metrics.jsonl', 'pictures', 'revision.txt'])
})

training.run()
folders.run()
display.run()
