/** `vdsm evaluate` on a tiny model that was started and never trained: both stages, the JSON, and what is refused. */
import * as E from 'fp-ts/lib/Either.js'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { openBuild } from '../../runtime/build.ts'
import { main } from '../../runtime/cli.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { evaluate, type Evaluation } from '../../runtime/evaluate/evaluate.ts'
import type { ProbePrograms } from '../../runtime/evaluate/fit.ts'
import { openTrained } from '../../runtime/evaluate/opening.ts'
import { openProbes } from '../../runtime/evaluate/probes.ts'
import { reportOf } from '../../runtime/evaluate/table.ts'
import type { Executable, LocalExecutable } from '../../runtime/executor.ts'
import { queuedDevice } from './support/queued.ts'
import { checkpointOf, makeTinyRun, startTiny } from './support/tiny-model.ts'

const folder = mkdtempSync(join(tmpdir(), 'vdsm-evaluate-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))
const [build, run] = [join(folder, 'build'), join(folder, 'run')]
const right = <A>(result: E.Either<Parameters<typeof print>[0], A>): A => (E.isRight(result) ? result.right : assert.unreachable(print(result.left)) as never)

const compiled = async (root: string, ...files: readonly string[]): Promise<unknown> =>
  right(await compile({ files: files.map(file => join(root, file)), root, out: build, force: false, onBuilt: () => undefined }))
await compiled(resolve('test/runtime/support/evaluate'), 'vdsm/tiny/frames.ts', 'vdsm/tiny/video.ts')
await compiled(resolve('models'), 'probe/small/linear.ts', 'probe/small/mlp.ts')
makeTinyRun(run)
const arrays = await startTiny(right(await openBuild(nodeHost(build))()))
const checkpoint = (stage: 1 | 2): string => join(run, 'checkpoints', `stage${stage}-step-00000001.safetensors`)
for (const stage of [1, 2] as const) writeFileSync(checkpoint(stage), checkpointOf(arrays, stage, 1))
const foreign = join(folder, 'foreign.safetensors')
writeFileSync(foreign, checkpointOf(arrays, 2, 1, 'tiny', JSON.stringify({ name: 'pendulum', splitSeed: 3 })))

/** Calls `vdsm evaluate` with its words caught. */
const call = async (...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const [said, wrong] = [process.stdout.write, process.stderr.write]
  let [out, err] = ['', '']
  process.stdout.write = ((text: string | Uint8Array, done?: () => void) => { out += String(text); done?.(); return true }) as typeof said
  process.stderr.write = (text: string | Uint8Array) => ((err += String(text)), true)
  try {
    return { code: await main(['evaluate', '--build', build, ...args]), out, err }
  } finally {
    process.stdout.write = said
    process.stderr.write = wrong
  }
}

const little = { steps: 20, every: 10, patience: 20, learningRate: 0.1, decay: 1e-3 }
const plan = { seed: 0, seeds: 2, train: 60, heldOut: 40, recipes: { linear: little, mlp: little } }

const evaluated = async (stage: 1 | 2, over: Partial<typeof plan> = {}, on = (program: Executable): Executable => program): Promise<Evaluation> => {
  const { programs, temperature, priors } = await openTrained({ run, stage }, build, {})
  const probes = await openProbes(build, 'small')
  const probe = ({ init, trainStep, predict }: ProbePrograms): ProbePrograms => ({ init: on(init), trainStep: on(trainStep), predict: on(predict) })
  return evaluate({
    stage, encode: on(await programs.load.encode()), evaluate: on(await programs.load.evaluate()), temperature, priors, data: pendulum(),
    probes: { linear: probe(probes.linear), mlp: probe(probes.mlp) },
  }, { ...plan, ...over }, () => undefined)
}

test('the whole model: s, d and z, by location and by draw, linear and not; the bound by site', async () => {
  const result = await evaluated(2)
  assert.equal(result.factors.map(({ name, classes }) => [name, classes]), [['colour', 7], ['action', 2]])
  assert.is(result.readings.length, 2 * 3 * 2 * 2)
  assert.equal(result.skipped, [])
  for (const { accuracy, step } of result.readings) {
    assert.is(accuracy.length, 2)
    assert.ok(accuracy.every(share => share >= 0 && share <= 1))
    assert.ok(step.every(n => n === 10 || n === 20))
  }
  assert.is(result.heldOut, 'takes')
  assert.equal(result.counts, { heldOut: 40, heldOutIdentities: 7, train: 60, trainIdentities: 7 })
  assert.equal(Object.keys(result.latents), ['s', 'd'])
  assert.equal(Object.keys(result.bound.values).sort(), ['bitsPerDim', 'elbo', 'klD', 'klS', 'klZ', 'logLikelihood'])
  assert.is(result.bound.count, 40)
  assert.ok((result.bound.values['bitsPerDim'] ?? 0) > result.bound.floorBitsPerDim)
  // The clips are the same, and so is what they cost: analytic both times, in float32 and in float64.
  assert.ok(Math.abs((result.bound.values['klS'] ?? 0) - (result.latents['s']?.kl ?? 1)) < 1e-3 * (1 + (result.latents['s']?.kl ?? 0)))
  assert.ok(Math.abs((result.bound.values['klD'] ?? 0) - (result.latents['d']?.kl ?? 1)) < 1e-3 * (1 + (result.latents['d']?.kl ?? 0)))
  const text = reportOf(result, 2)
  assert.match(text, /40 held-out sequences; probes trained on 60 other sequences OF THE SAME 7 IDENTITIES: this data set holds out takes; seeds 0, 1/)
  assert.match(text, /bound on held-out videos \(40 clips of 3 frames\): /)
  const counts = { heldOut: 1, heldOutIdentities: 1, train: 1, trainIdentities: 1 }
  const one = reportOf({ ...result, counts, bound: { ...result.bound, count: 1, frames: 1 } }, 1)
  assert.match(one, /^1 held-out sequence; probes trained on 1 other sequence OF THE SAME 1 IDENTITY: /)
  assert.match(one, /\(1 part of 1 frame\): /)
  const bare = reportOf({ ...result, factors: [], readings: [] }, 2)
  assert.match(bare, /^40 held-out sequences of 7 identities: this data set holds out takes; seeds 0, 1\n\nno accuracies: /)
  assert.match(text, /chance +s linear +s mlp +d linear +d mlp +z linear +z mlp\ncolour \(7\)/)
})

test('the same seed gives the same numbers, another seed others', async () => {
  const [a, b, c] = [await evaluated(1), await evaluated(1), await evaluated(1, { seed: 5 })]
  assert.equal(a, b)
  assert.not.equal(a.readings, c.readings)
})

test('on a device with a queue, the same numbers', async () => {
  const device = queuedDevice()
  // What openTrained and openProbes load on the processor has its memory at hand.
  const queued = await evaluated(2, { train: 20, heldOut: 20, seeds: 1 }, program => device.wrap(program as LocalExecutable))
  assert.equal(queued, await evaluated(2, { train: 20, heldOut: 20, seeds: 1 }))
  assert.ok(device.most('encode') > 8, 'clips are given to the device together')
})

test('stage 1 alone, from the command line: s and z, and the numbers as JSON', async () => {
  const { code, out, err } = await call(run, '--stage', '1', '--seeds', '1', '--train', '40', '--held-out', '30')
  assert.is(code, 0, err)
  assert.is(`${out}${err}`.split('(vdsm/tiny on pendulum, stage 1, step 1)').length, 2, 'once')
  assert.match(out, /^[^\n]*stage1-step-00000001\.safetensors \(vdsm\/tiny on pendulum, stage 1, step 1\), on wasm, [^\n]*\n/)
  assert.match(out, /chance +s linear +s mlp +z linear +z mlp\n/)
  assert.match(out, /bound on held-out groups \(\d+ parts of 2 frames\)/)
  const record = JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')) as { readonly stage: number; readonly seeds: readonly number[];
    readonly readings: readonly { readonly mean: number; readonly deviation: number }[]; readonly latents: object }
  assert.is(record.stage, 1)
  assert.equal(record.seeds, [0])
  assert.is(record.readings.length, 2 * 2 * 2 * 2)
  assert.ok(record.readings.every(({ mean, deviation }) => mean >= 0 && mean <= 1 && deviation === 0))
  assert.equal(Object.keys(record.latents), ['s', 'z'])
})

const refused: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['a folder that is no run', [folder], 1, /not the folder of a run: it has no config\.json\n {2}Give the folder of a run/],
  ['a run that is not there', [join(folder, 'none')], 1, /none: not the folder of a run/],
  ['a stage that is not there', [run, '--stage', '3'], 2, /Expected 1 or 2/],
  ['no seeds', [run, '--seeds', '0'], 2, /Expected a whole number of at least 1/],
  ['a checkpoint that is not there', [run, '--checkpoint', join(run, 'none.safetensors')], 1, /none\.safetensors: no such file/],
  ['a checkpoint that was trained on what the run holds out', [run, '--checkpoint', foreign], 1,
    /foreign\.safetensors: it was trained on pendulum with split seed 3, the run .*run is on pendulum with split seed 0: .*\n {2}Give the folder of the run/],
  ['a place for data that are generated', [run, '--data-dir', folder], 2, /--data-dir means nothing to the data set pendulum, which is generated/],
  ['a place that cannot be written', [run, '--out', join(folder, 'none', 'x.json')], 1, /cannot write .*x\.json/],
]
for (const [name, args, code, expected] of refused) {
  test(`refused: ${name}`, async () => {
    const out = join(folder, 'refused.json')
    const result = await call(...args, ...(args.includes('--out') ? [] : ['--out', out]))
    assert.match(result.err, expected)
    assert.is(result.code, code)
    assert.not(existsSync(out))
  })
}

test('refused: a build without probes, and a run without checkpoints', async () => {
  const empty = join(folder, 'empty')
  makeTinyRun(empty)
  assert.match((await call(empty)).err, /the run has no checkpoint\n {2}Train it/)
  const bare = join(folder, 'bare')
  right(await compile({ files: [resolve('test/models/fixtures/probe.ts')], root: resolve('test/models/fixtures'), out: bare, force: false,
    onBuilt: () => undefined }))
  assert.match((await call(run, '--build', bare)).err, /no program 'vdsm\/tiny\/video\/encode' in the build folder\n {2}Compile/)
})

test.run()
