/** The whole way, as a user goes it: VDSM's `tiny` programs compiled from source, both stages trained by the bin, killed and resumed; and that they learn. */
import * as E from 'fp-ts/lib/Either.js'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { main } from '../../runtime/cli.ts'
import { loadStages } from '../../runtime/commands/train-programs.ts'
import { openData } from '../../runtime/data/open.ts'
import type { RunConfig } from '../../runtime/train/config.ts'
import { createRun } from '../../runtime/train/folder.ts'
import { readMetrics } from '../../runtime/train/metrics.ts'
import { runSession } from '../../runtime/train/session.ts'
import type { Stage } from '../../runtime/train/stages.ts'

const bin = resolve('runtime/vdsm.mjs')
const folder = mkdtempSync(join(tmpdir(), 'vdsm-whole-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const vdsm = (...args: readonly string[]) => spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', cwd: folder })
/** Runs to its end, without a word of failure. */
const train = (...args: readonly string[]): string => {
  const { status, stdout, stderr } = vdsm('train', ...args)
  assert.is(status, 0, stderr)
  return stdout
}

const steps = ['--config', 'tiny', '--steps', '24', '--steps2', '16', '--checkpoint-every', '8', '--picture-every', '24']

/** The lines of metrics.jsonl without their times. */
const metrics = (run: string): readonly unknown[] =>
  readFileSync(join(folder, run, 'metrics.jsonl'), 'utf8').trim().split('\n').map(text => ({ ...JSON.parse(text), milliseconds: 0, waited: 0 }) as unknown)

const names = (run: string, part: string): readonly string[] => readdirSync(join(folder, run, part)).sort()

/** A checkpoint's header, without the source's revision (others may commit meanwhile), and its bytes. */
const checkpoint = (run: string, name: string): readonly [unknown, Buffer] => {
  const bytes = readFileSync(join(folder, run, 'checkpoints', name))
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as { __metadata__: Record<string, string> }
  return [{ ...header, __metadata__: { ...header.__metadata__, revision: '' } }, bytes.subarray(start)]
}

const same = (a: string, b: string): void => {
  assert.equal(names(b, '.'), names(a, '.'))
  assert.equal(names(b, 'checkpoints'), names(a, 'checkpoints'))
  for (const name of names(a, 'checkpoints')) {
    const [[header, data], [other, bytes]] = [checkpoint(a, name), checkpoint(b, name)]
    assert.equal(other, header)
    assert.is(Buffer.compare(data, bytes), 0, `${name} of ${b}`)
  }
  assert.equal(metrics(b), metrics(a))
  assert.equal(names(b, 'pictures'), names(a, 'pictures'))
  for (const name of names(a, 'pictures')) {
    assert.is(Buffer.compare(readFileSync(join(folder, a, 'pictures', name)), readFileSync(join(folder, b, 'pictures', name))), 0, `${name} of ${b}`)
  }
}

const films = ['continuation', 'generate', 'reconstruction', 'transfer']

test('a run of the compiled model: metrics, checkpoints, pictures of both stages', async () => {
  const root = resolve('test/runtime/support/train')
  const result = await compile({ files: ['frames', 'video'].map(name => join(root, 'vdsm', 'tiny', `${name}.ts`)), root, out: join(folder, 'build'),
    force: false, onBuilt: () => undefined })
  if (E.isLeft(result)) return assert.unreachable(print(result.left))
  // So small that no second thread would be of use to them.
  const manifest = join(folder, 'build', 'manifest.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replaceAll(/"threads": \d+/g, '"threads": 8'))
  assert.match(train(...steps, '--threads', '1', '--out', 'straight'), /^Trained to step 16 of stage 2 /)
  assert.equal(names('straight', '.'), ['checkpoints', 'config.json', 'metrics.jsonl', 'pictures', 'revision.txt'])
  assert.equal(names('straight', 'checkpoints'), ['stage1-step-00000024', 'stage2-step-00000008', 'stage2-step-00000016'].map(name => `${name}.safetensors`))
  assert.equal(names('straight', 'pictures'), [
    'stage1-loss.png', 'stage1-reconstruction-00000024.png', 'stage1-swap-00000024.png',
    ...[...films.flatMap(kind => ['gif', 'png'].map(type => `stage2-${kind}-00000016.${type}`)), 'stage2-loss.png'].sort(),
  ])
  for (const name of names('straight', 'pictures').filter(each => each.endsWith('png'))) {
    const { width, height, data } = PNG.sync.read(readFileSync(join(folder, 'straight', 'pictures', name)))
    assert.ok(width >= 64 && height >= 64, name)
    assert.ok(new Set(data.filter((_, i) => i % 4 < 3)).size > 2, `${name} shows something`)
  }
  const lines = metrics('straight') as readonly Readonly<Record<string, number>>[]
  assert.equal([1, 2].map(stage => lines.filter(line => line['stage'] === stage && 'loss' in line).length), [24, 16])
  assert.equal(lines.filter(line => 'heldOut.elbo' in line).map(line => [line['stage'], line['step'], 'heldOut.klD' in line]), [[1, 24, false], [2, 16, true]])
  assert.ok(lines.every(line => Object.values(line).every(Number.isFinite)))
})

test('taken up again between the stages it arrives at the same bytes', () => {
  cpSync(join(folder, 'straight'), join(folder, 'between'), { recursive: true })
  for (const name of names('between', 'checkpoints').slice(1)) rmSync(join(folder, 'between', 'checkpoints', name))
  for (const name of names('between', 'pictures')) if (name.startsWith('stage2')) rmSync(join(folder, 'between', 'pictures', name))
  train('--resume', 'between')
  same('straight', 'between')
})

test('stage 2 alone, from a run: configuration, data and seed are that run\'s, and so are the bytes; too short data are refused', () => {
  train('--from', 'straight', '--steps2', '16', '--checkpoint-every', '8', '--picture-every', '16', '--out', 'alone')
  const config = JSON.parse(readFileSync(join(folder, 'alone', 'config.json'), 'utf8')) as Readonly<Record<string, unknown>>
  const { config: name, stages, data, seed, from } = config
  assert.equal({ name, stages, data, seed }, { name: 'tiny', stages: [2], data: { name: 'pendulum', splitSeed: 0 }, seed: 0 })
  assert.is(from, join(realpathSync(folder), 'straight', 'checkpoints', 'stage1-step-00000024.safetensors'))
  const last = 'stage2-step-00000016.safetensors'
  assert.is(Buffer.compare(checkpoint('alone', last)[1], checkpoint('straight', last)[1]), 0)
  const short = vdsm('train', '--from', 'straight', '--data', 'pendulum', '--sequence-frames', '2', '--out', 'short')
  assert.is(short.status, 1)
  assert.match(short.stderr, /^data pendulum: 3 consecutive frames were asked for, a sequence has 2\n/)
  assert.not(existsSync(join(folder, 'short')))
})

test('the eager device trains, saves and draws as well, on the same numbers but for rounding', () => {
  train('--config', 'tiny', '--stage', '1', '--steps', '1', '--device', 'eager', '--out', 'eager')
  assert.equal(names('eager', 'checkpoints'), ['stage1-step-00000001.safetensors'])
  assert.equal(names('eager', 'pictures'), ['stage1-reconstruction-00000001.png', 'stage1-swap-00000001.png'])
  const first = (run: string): number => (metrics(run)[0] as Readonly<Record<string, number>>)['loss'] ?? NaN
  assert.ok(Math.abs(first('eager') / first('straight') - 1) < 1e-5, `${first('eager')} and ${first('straight')}`)
})

test('a state that went wrong in its own place is neither saved nor drawn, and what was saved before is whole', () => {
  const { status, stderr } = vdsm('train', ...steps, '--checkpoint-every', '1', '--picture-every', '1', '--lr', '30', '--out', 'wrong')
  assert.is(status, 1)
  const [, step = ''] = /\nstep (\d+): \w+ is (?:NaN|Infinity)\n {2}The last good checkpoint is kept: /.exec(stderr) ?? []
  const last = Number(step) - 1
  assert.ok(last > 0, stderr)
  const name = (n: number): string => `stage1-step-${String(n).padStart(8, '0')}.safetensors`
  assert.is(names('wrong', 'checkpoints').at(-1), name(last))
  const [, data] = checkpoint('wrong', name(last))
  for (let at = 0; at < data.length; at += 4) assert.ok(Number.isFinite(data.readFloatLE(at)), `byte ${at}`)
  assert.is(metrics('wrong').length, 2 * last)
  assert.is(names('wrong', 'pictures').filter(each => each.includes('swap')).length, last)
  assert.match(vdsm('train', '--resume', 'wrong').stderr, new RegExp(`\nstep ${step}: `))
})

test('a build that is replaced while a run goes on does not disturb it', async () => {
  const [build, away, write] = [join(folder, 'build'), join(folder, 'away'), process.stderr.write]
  // The first words of a run come once its programs are read and before one is needed.
  process.stderr.write = () => {
    if (existsSync(build)) renameSync(build, away)
    return true
  }
  const [out, said] = [join(folder, 'undisturbed'), process.stdout.write]
  process.stdout.write = () => true
  try {
    assert.is(await main(['train', ...steps, '--build', build, '--out', out]), 0)
  } finally {
    process.stderr.write = write
    process.stdout.write = said
  }
  assert.not(existsSync(build))
  renameSync(away, build)
  same('straight', 'undisturbed')
})

for (const [signal, stage, lines, expected] of [['SIGKILL', 2, 28, null], ['SIGINT', 1, 8, 130]] as const) {
  test(`ended by ${signal} in stage ${stage} it is taken up again, and arrives at the same bytes, which are those of one thread`, async () => {
    const out = `by-${signal}-${stage}`
    const child = spawn(process.execPath, [bin, 'train', ...steps, '--threads', '3', '--out', out],
      { cwd: folder, stdio: 'ignore', timeout: 60_000, killSignal: 'SIGTERM' })
    const gone = new Promise<number | null>(done => child.on('exit', done))
    const started = join(folder, out, 'metrics.jsonl')
    while (child.exitCode === null && !(existsSync(started) && readFileSync(started, 'utf8').split('\n').length > lines)) await new Promise(done =>
      setTimeout(done, 1))
    child.kill(signal)
    assert.is(await gone, expected)
    const resumed = vdsm('train', '--resume', out)
    assert.is(resumed.status, 0, resumed.stderr)
    assert.match(resumed.stderr, /, 3 threads\n/)
    same('straight', out)
  })
}

test('both stages learn: the bound of the same held-out frames, with the same noise, gets better', async () => {
  const config: RunConfig = {
    version: 2, config: 'tiny', stages: [1, 2], data: { name: 'pendulum', splitSeed: 0 }, seed: 3, steps: { frames: 300, video: 100 }, learningRate: 6e-3,
    checkpointEvery: 1000, pictureEvery: 20,
  }
  const stages = (await loadStages(join(folder, 'build'), config, { device: 'wasm' })).stages.map((stage): Stage => ({ ...stage, load: async () => {
    const { trainStep, init, evaluate } = await stage.load()
    return { trainStep, init, ...(evaluate === undefined ? {} : { evaluate }) } // no pictures
  } }))
  const run = await createRun(join(folder, 'learns'), config)
  await runSession({ config, folder: run, stages, data: openData(config.data), ahead: true, resume: false, stopped: () => false, sink: { write: () => true } })
  const bounds = (stage: number): readonly number[] =>
    readMetrics(run.metrics).flatMap(line => (line.stage === stage && 'heldOut.elbo' in line ? [Number(line['heldOut.elbo'])] : []))
  const losses = (stage: number): readonly number[] =>
    readMetrics(run.metrics).flatMap(line => (line.stage === stage && 'loss' in line ? [Number(line['loss'])] : []))
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
  // Losses are of two groups only, which differ by a tenth; stage 2 begins with what stage 1 has learnt, so its own part is smaller.
  assert.ok(mean(losses(1).slice(-20)) < 0.85 * mean(losses(1).slice(0, 20)), `${losses(1)}`)
  assert.ok(mean(losses(2).slice(-50)) < mean(losses(2).slice(0, 20)), `${losses(2)}`)
  const gains = [1, 2].map(stage => (bounds(stage).at(-1) ?? NaN) / (bounds(stage)[0] ?? NaN))
  assert.ok(gains[0]! < 0.85 && gains[1]! < 0.985, `${gains}`)
})

test.run()
