/** Both stages in one run: exact resumption inside either, between them and after the end; what stage 2 takes over, and what is refused of it. */
import * as E from 'fp-ts/lib/Either.js'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { print, Refusal } from '../../dsl/errors.ts'
import type { BatchRequest } from '../../runtime/data/dataset.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { parseSafetensors, printSafetensors, type TensorFile } from '../../runtime/io/safetensors.ts'
import { readCheckpoint, takenOver } from '../../runtime/train/checkpoint.ts'
import type { RunConfig } from '../../runtime/train/config.ts'
import { checkpointPath, createRun, listCheckpoints, openRun, placeName, type RunFolder } from '../../runtime/train/folder.ts'
import { readMetrics } from '../../runtime/train/metrics.ts'
import { differentSequences } from '../../runtime/train/pictures.ts'
import { CONFIG_FRAMES } from '../../runtime/commands/train-options.ts'
import { checkLengths, runSession, type Session } from '../../runtime/train/session.ts'
import { seedOf } from '../../runtime/train/stages.ts'
import { fakePrograms, fakeSchedule, fakeStage as anyStage, type FakeOptions } from './support/train-programs.ts'

const root = mkdtempSync(join(tmpdir(), 'vdsm-stages-'))
const config = (more: Partial<RunConfig> = {}): RunConfig => ({
  version: 2, config: 'tiny', stages: [1, 2], data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: { frames: 6, video: 7 }, checkpointEvery: 2,
  pictureEvery: 3, ...more,
})
/** Pictures take longer than all else here: but for one test there are only the losses' curves. */
const fakeStage = (number: 1 | 2, options: FakeOptions = {}) => anyStage(number, { pictures: false, ...options })
const session = (folder: RunFolder, more: Partial<Session> = {}): Session => {
  const { config: own = config() } = more
  return { config: own, folder, stages: own.stages.map(stage => fakeStage(stage)), data: pendulum(), resume: false, stopped: () => false,
    sink: { write: () => true }, revision: 'test', ...more }
}

const refused = async (act: () => unknown): Promise<Refusal> => {
  try {
    await act()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

/** True at the n-th time that it is asked. */
const stopAfter = (n: number): (() => boolean) => { let asked = 0; return () => ++asked === n }
const lines = (folder: RunFolder) => readMetrics(folder.metrics).map(({ milliseconds: _, waited: __, ...line }) => line)
const bytes = (folder: RunFolder, part: 'checkpoints' | 'pictures') =>
  Object.fromEntries(readdirSync(folder[part]).sort().map(name => [name, readFileSync(join(folder[part], name)).toString('base64')]))

const same = (a: RunFolder, b: RunFolder): void => {
  assert.equal(lines(b), lines(a))
  for (const part of ['checkpoints', 'pictures'] as const) {
    const [here, there] = [bytes(a, part), bytes(b, part)]
    assert.equal(Object.keys(there), Object.keys(here))
    for (const name of Object.keys(here)) assert.ok(here[name] === there[name], `${name} of ${b.path}`)
  }
}

const parse = (path: string): TensorFile => {
  const file = parseSafetensors(readFileSync(path), path)
  return E.isLeft(file) ? assert.unreachable(print(file.left)) as never : file.right
}
const values = (path: string, name: string): readonly number[] => Array.from(parse(path).arrays.get(name)?.data ?? [])

const stages = suite('both stages')
stages.after(() => rmSync(root, { recursive: true }))

let straight: RunFolder

stages.before(async () => {
  straight = await createRun(join(root, 'straight'), config())
  assert.equal(await runSession(session(straight)), { stage: 2, step: 7, end: 'finished' })
})

stages('a run of both: lines, checkpoints and pictures say which stage they are of', () => {
  assert.equal(lines(straight).map(({ stage, step }) => `${stage}.${step}`),
    ['1.1', '1.2', '1.3', '1.3', '1.4', '1.5', '1.6', '1.6', '2.1', '2.2', '2.3', '2.3', '2.4', '2.5', '2.6', '2.6', '2.7', '2.7'])
  // Of stage 1 the last is kept, from which stage 2 started.
  assert.equal(listCheckpoints(straight).map(({ path: _, ...place }) => place),
    [{ stage: 1, step: 6 }, { stage: 2, step: 4 }, { stage: 2, step: 6 }, { stage: 2, step: 7 }])
  const [first] = readMetrics(straight.metrics)
  assert.equal(Object.keys(first ?? {}), ['stage', 'step', 'loss', 'klS', 'learningRate', 'temperature', 'lambdaS', 'lambdaZ', 'milliseconds', 'waited'])
  const last = readMetrics(straight.metrics).at(-2)!
  assert.is(last['lambdaD'], 0.5)
  assert.is(last['lambdaS'], fakeSchedule(2)(6 / 7)['lambdaS'])
  assert.equal(Object.keys(bytes(straight, 'pictures')), ['stage1-loss.png', 'stage2-loss.png'])
})

stages('stage 2 starts from what stage 1 has learnt: frozen is what it leaves alone', () => {
  const [one, two] = [checkpointPath(straight, { stage: 1, step: 6 }), checkpointPath(straight, { stage: 2, step: 7 })]
  assert.equal([...parse(two).arrays.keys()].sort(), ['optimizer.count', 'optimizer.velocity', 'params.drift', 'params.mean', 'params.tint'])
  assert.equal(values(two, 'params.tint'), values(one, 'params.tint'))
  assert.not.equal(values(two, 'params.mean'), values(one, 'params.mean'))
  assert.equal(values(two, 'optimizer.count'), [7])
  const { trainStep } = fakePrograms(2)
  assert.equal(takenOver({ ...listCheckpoints(straight)[0]!, file: parse(one), metadata: parse(one).metadata as never }, trainStep.program,
    'tiny').map(([name, slot]) => `${name} -> ${slot.path}`), ['params.tint -> frozen.tint', 'params.mean -> state.params.mean'])
})

// Stops are asked for after every step but the last of a stage, so five times in stage 1.
for (const [name, asked, at] of [['inside stage 1', 3, { stage: 1, step: 3 }], ['inside stage 2, where pictures are due', 8, { stage: 2, step: 3 }],
  ['inside stage 2', 9, { stage: 2, step: 4 }]] as const) {
  stages(`stopped ${name} and resumed: the same bytes`, async () => {
    const folder = await createRun(join(root, name), config())
    assert.equal(await runSession(session(folder, { stopped: stopAfter(asked) })), { ...at, end: 'stopped' })
    // What a crash after the last checkpoint leaves.
    writeFileSync(folder.metrics, `${readFileSync(folder.metrics, 'utf8')}{"stage":${at.stage},"step":${at.step + 1},"loss":9}\n{"stage":2,"st`)
    assert.equal(await runSession(session(folder, { resume: true })), { stage: 2, step: 7, end: 'finished' })
    // A stop leaves a checkpoint of its own; at most the last three of them stay.
    same(straight, folder)
  })
}

stages('ended between the stages, with and without the last pictures of stage 1, and grown from a run of stage 1 alone: the same bytes', async () => {
  for (const torn of [false, true]) {
    const folder = await createRun(join(root, `between-${torn}`), config({ stages: [1] }))
    assert.equal(await runSession(session(folder, { config: config({ stages: [1] }) })), { stage: 1, step: 6, end: 'finished' })
    if (torn) {
      const kept = readFileSync(folder.metrics, 'utf8').trim().split('\n').slice(0, -1)
      writeFileSync(folder.metrics, `${kept.join('\n')}\n`)
      rmSync(join(folder.pictures, 'stage1-loss.png'))
    }
    assert.equal(await runSession(session(folder, { resume: true })), { stage: 2, step: 7, end: 'finished' })
    assert.equal(openRun(folder.path).config.stages, [1, 2])
    same(straight, folder)
  }
})

stages('killed in stage 2 before its first checkpoint, or after the end: the same bytes', async () => {
  const folder = await createRun(join(root, 'killed'), config())
  const dies = { ...fakeStage(2), load: async () => fakePrograms(2, { spoil: 2, pictures: false }) }
  await refused(() => runSession(session(folder, { stages: [fakeStage(1), dies] })))
  assert.equal(lines(folder).at(-1)!.stage, 2)
  assert.equal(listCheckpoints(folder).at(-1)!.stage, 1)
  await runSession(session(folder, { resume: true }))
  same(straight, folder)
  const words: string[] = []
  const idle = [1, 2].map(n => ({ ...fakeStage(n === 1 ? 1 : 2), load: async () => assert.unreachable('nothing has to be loaded') as never }))
  assert.equal(await runSession(session(folder, { resume: true, stages: idle, sink: { write: text => words.push(text) } })),
    { stage: 2, step: 7, end: 'finished' })
  assert.match(words.join(''), /complete: 7 of 7 steps of stage 2.*--steps2/)
  same(straight, folder)
})

stages('stage 2 alone, from a checkpoint of another run: what it writes is what a run of both writes', async () => {
  const own = config({ stages: [2], from: checkpointPath(straight, { stage: 1, step: 6 }) })
  const folder = await createRun(join(root, 'alone'), own)
  assert.equal(await runSession(session(folder, { config: own })), { stage: 2, step: 7, end: 'finished' })
  assert.equal(openRun(folder.path).config, own)
  assert.equal(lines(folder), lines(straight).filter(({ stage }) => stage === 2))
  const again = await createRun(join(root, 'alone-again'), own)
  assert.equal(await runSession(session(again, { config: own, stages: [fakeStage(2)], resume: true })), { stage: 2, step: 7, end: 'finished' },
    'killed before its first checkpoint')
  same(folder, again)
  const name = `${placeName({ stage: 2, step: 7 })}.safetensors`
  assert.is(bytes(folder, 'checkpoints')[name], bytes(straight, 'checkpoints')[name])
})

stages('pictures and films of both stages, and the same ones where the run was stopped when they were due', async () => {
  const own = config({ steps: { frames: 2, video: 2 }, pictureEvery: 1 })
  const [a, b] = [await createRun(join(root, 'films'), own), await createRun(join(root, 'films-again'), own)]
  const all = { config: own, stages: [anyStage(1), anyStage(2)] }
  await runSession(session(a, all))
  assert.equal(await runSession(session(b, { ...all, stopped: stopAfter(2) })), { stage: 2, step: 1, end: 'stopped' })
  await runSession(session(b, { ...all, resume: true }))
  assert.equal(lines(a), lines(b))
  assert.equal(bytes(a, 'pictures'), bytes(b, 'pictures'))
  const kinds = ['continuation', 'generate', 'reconstruction', 'transfer']
  assert.equal(Object.keys(bytes(a, 'pictures')).filter(name => !name.includes('00000001')), [
    'stage1-loss.png', 'stage1-reconstruction-00000002.png', 'stage1-swap-00000002.png',
    ...[...kinds.flatMap(kind => ['gif', 'png'].map(type => `stage2-${kind}-00000002.${type}`)), 'stage2-loss.png'].sort(),
  ])
})

stages('films show held-out videos of as many identities and actions as there are', () => {
  const data = pendulum()
  const shown = differentSequences(data, 8, 5).map(index => data.labels('heldOut', index))
  assert.is(new Set(shown.map(({ identity }) => identity)).size, 7)
  assert.equal([0, 1].map(action => shown.filter(one => one.action === action).length), [4, 4])
  assert.equal(differentSequences(data, 8, 5), differentSequences(data, 8, 5))
  assert.not.equal(differentSequences(data, 8, 5), differentSequences(data, 8, 6))
})

stages('the stages share neither batches nor keys; stage 2 sees sequences', async () => {
  const good = pendulum()
  const asked: BatchRequest[] = []
  const data = { ...good, batch: (request: BatchRequest) => (asked.push(request), good.batch(request)) }
  await runSession(session(await createRun(join(root, 'requests'), config()), { data }))
  const train = asked.filter(({ split }) => split === 'train').map(({ seed, step, order }) => ({ seed, step, order }))
  assert.equal(train.slice(0, 6), Array.from({ length: 6 }, (_, step) => ({ seed: 3, step, order: 'identity' })))
  assert.equal(train.slice(6), Array.from({ length: 7 }, (_, step) => ({ seed: seedOf(3, 2), step, order: 'sequence' })))
  assert.not(asked.some(({ seed, order = 'identity' }) => (seed === 3) !== (order === 'identity')))
  assert.is(new Set([0, 1, 2, 3, 2 ** 53 - 1].flatMap(seed => [seedOf(seed, 1), seedOf(seed, 2)])).size, 10)
})

stages('--lr scales both stages alike', async () => {
  const own = config({ learningRate: 4e-3, steps: { frames: 2, video: 2 } })
  const folder = await createRun(join(root, 'rate'), own)
  const half = { ...fakeStage(2), schedule: (p: number) => ({ ...fakeSchedule(2)(p), learningRate: 1e-3 }) }
  await runSession(session(folder, { config: own, stages: [fakeStage(1), half] }))
  const rate = (stage: number) => readMetrics(folder.metrics).find(line => line.stage === stage)!['learningRate']
  assert.equal([rate(1), rate(2)], [4e-3, 2e-3])
})

stages('once stage 2 has begun, --steps is settled; --steps2 may grow, and --steps may until then', async () => {
  const folder = await createRun(join(root, 'growing'), config({ stages: [1] }))
  await runSession(session(folder, { config: config({ stages: [1] }) }))
  const longer = config({ steps: { frames: 8, video: 3 } })
  assert.equal(await runSession(session(folder, { config: longer, resume: true })), { stage: 2, step: 3, end: 'finished' })
  assert.is(lines(folder).filter(line => line.stage === 1 && 'loss' in line).length, 8)
  const before = readFileSync(folder.metrics)
  const { message } = await refused(() => runSession(session(folder, { config: config({ steps: { frames: 9, video: 3 } }), resume: true })))
  assert.match(message, /stage 2 of .* has begun, from what stage 1 had learnt in 8 steps; --steps 9 can no longer change that\n.*--steps2 may still grow/)
  assert.match((await refused(() => runSession(session(folder, { config: config({ steps: { frames: 8, video: 2 } }), resume: true })))).message,
    /has done 3 steps of stage 2, --steps2 says 2/)
  assert.equal(readFileSync(folder.metrics), before)
  assert.equal(await runSession(session(folder, { config: config({ steps: { frames: 8, video: 5 } }), resume: true })), { stage: 2, step: 5, end: 'finished' })
})

stages('what stage 2 cannot start from is refused by name', async () => {
  const from = async (path: string, name: string, more: Partial<RunConfig> = {}) => {
    const own = config({ stages: [2], from: path, ...more })
    const folder = await createRun(join(root, name), own)
    return (await refused(() => runSession(session(folder, { config: own })))).message
  }
  assert.match(await from(checkpointPath(straight, { stage: 2, step: 7 }), 'of-2'), /it is a checkpoint of stage 2; stage 2 starts from one of stage 1/)
  assert.match(await from(checkpointPath(straight, { stage: 1, step: 6 }), 'of-small', { config: 'small' }),
    /written with config tiny, the run has config small/)
  assert.match(await from(join(root, 'none'), 'of-none'), /none: no such file/)
  const { arrays, metadata } = parse(checkpointPath(straight, { stage: 1, step: 6 }))
  const changed = join(root, 'changed.safetensors')
  const without = new Map([...arrays].filter(([name]) => name !== 'params.tint').map(([name, { shape, data }]) => [name,
    { shape: name === 'params.mean' ? [64, 64, 3] : shape, dtype: name === 'optimizer.count' ? 'i32' as const : 'f32' as const, data: data as Float32Array }]))
  writeFileSync(changed, Buffer.concat([...printSafetensors(without, metadata as Readonly<Record<string, string>>)]))
  const message = await from(changed, 'of-changed')
  assert.match(message, /params\.tint: not in the checkpoint, expected f32\[3\]/)
  assert.match(message, /params\.mean: .*3, 64, 64/)
  assert.is((await readCheckpoint(changed)).stage, 1)
  // A trained array under another name would else be left at its start.
  const renamed = new Map([...arrays].map(([name, { shape, data }]) => [name === 'params.mean' ? 'params.means' : name,
    { shape, dtype: name === 'optimizer.count' ? 'i32' as const : 'f32' as const, data: data as Float32Array }]))
  writeFileSync(changed, Buffer.concat([...printSafetensors(renamed, metadata as Readonly<Record<string, string>>)]))
  assert.match(await from(changed, 'of-renamed'), /params\.means: the program has no such parameter \(the checkpoint has .*; it has params\.mean\b/)
})

stages('data whose sequences are too short are refused', async () => {
  const long = fakeStage(2, { frames: 17 })
  const { message } = await refused(() => checkLengths([fakeStage(1), long], pendulum()))
  assert.match(message, /pendulum: 17 consecutive frames were asked for, a sequence has 16\n/)
  const { message: more } = await refused(() => checkLengths([long], pendulum(), CONFIG_FRAMES))
  assert.match(more, /\n {2}So few frames are enough for --config small-16 \(16\), --config small \(8\), [^\n]*--config tiny \(3\)\.$/)
  checkLengths([fakeStage(1, { frames: 17 }), fakeStage(2, { frames: 16 })], pendulum())
})

stages.run()
