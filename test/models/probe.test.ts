/** Probes: compiled as run eagerly, their probabilities by hand, and what a class that does not exist is given. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import type { LocalExecutable } from '../../runtime/executor.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-probe-'))
test.after(() => rmSync(out, { recursive: true, force: true }))
const right = <A>(result: E.Either<Parameters<typeof print>[0], A>): A => (E.isRight(result) ? result.right : assert.unreachable(print(result.left)) as never)
const root = resolve('test/models/fixtures')
right(await compile({ files: [join(root, 'probe.ts')], root, out, force: false, onBuilt: () => undefined }))
const build = right(await openBuild(nodeHost(out))())

type Kind = 'linear' | 'mlp'
type Probe = { readonly init: LocalExecutable; readonly trainStep: LocalExecutable; readonly predict: LocalExecutable }
const load = async (kind: Kind, device: 'wasm' | 'eager'): Promise<Probe> => {
  const one = async (name: string): Promise<LocalExecutable> => right(await build.load(`probe/${kind}${name}`, { device })())
  return { init: await one('Init'), trainStep: await one('TrainStep'), predict: await one('Predict') }
}

const x = Float32Array.from({ length: 15 }, (_, i) => Math.sin(3 * i + 1))
const label = [2, 0, 1]
/** The last class does not exist. */
const classes = [1, 1, 1, 0]

/** Losses of some steps, then log-probabilities and parameters. */
const run = ({ init, trainStep, predict }: Probe, steps: number) => {
  init.set('key', [3, 4])
  init.run()
  for (const { path } of init.program.outputs) trainStep.set(`state.${path}`, init.view(path))
  trainStep.setAll({ x, label, classes, 'schedule.learningRate': [0.05], 'schedule.decay': [0.01] })
  const losses = Array.from({ length: steps }, () => {
    trainStep.run()
    trainStep.feed('state', 'state')
    return trainStep.view('loss')[0] as number
  })
  const params = Object.fromEntries(predict.program.inputs.flatMap(({ path }) => (path.startsWith('params.') ? [[path, Array.from(trainStep.input(`state.${path}`))]] : [])))
  predict.setAll({ ...params, x, classes })
  predict.run()
  return { losses, params, answers: Array.from(predict.get('')) }
}

for (const kind of ['linear', 'mlp'] as const) {
  test(`${kind}: compiled as run eagerly, over 20 steps`, async () => {
    const [wasm, eager] = [run(await load(kind, 'wasm'), 20), run(await load(kind, 'eager'), 20)]
    // float32 against float64: errors of 1e-7 grow with the steps, and Adam divides by small gradients.
    wasm.losses.forEach((loss, i) => assert.ok(Math.abs(loss - (eager.losses[i] as number)) < 1e-4, `step ${i}: ${loss}`))
    wasm.answers.forEach((v, i) => assert.ok(i % 4 === 3 || Math.abs(v - (eager.answers[i] as number)) < 1e-3, `${i}: ${v}`))
    assert.ok((wasm.losses[19] as number) < (wasm.losses[0] as number) - 0.1)
  })

  test(`${kind}: a class that does not exist has no probability and learns nothing`, async () => {
    const probe = await load(kind, 'wasm')
    const [{ params: before }, { params, answers }] = [run(probe, 0), run(probe, 5)]
    for (const row of [0, 1, 2]) {
      const p = answers.slice(4 * row, 4 * row + 4).map(Math.exp)
      assert.is(p[3], 0)
      assert.ok(Math.abs(p.reduce((sum, v) => sum + v, 0) - 1) < 1e-6)
    }
    assert.is(params['params.out.bias']?.[3], before['params.out.bias']?.[3])
    assert.is.not(params['params.out.bias']?.[2], before['params.out.bias']?.[2])
  })
}

test('linear: the probabilities of logistic regression', async () => {
  const { params, answers } = run(await load('linear', 'wasm'), 3)
  const [weight, bias] = [params['params.out.weight'] as number[], params['params.out.bias'] as number[]]
  for (const row of [0, 1, 2]) {
    const logits = [0, 1, 2].map(c => (bias[c] as number) + [0, 1, 2, 3, 4].reduce((sum, j) => sum + (weight[5 * c + j] as number) * (x[5 * row + j] as number), 0))
    const norm = Math.log(logits.reduce((sum, l) => sum + Math.exp(l), 0))
    logits.forEach((l, c) => assert.ok(Math.abs(l - norm - (answers[4 * row + c] as number)) < 1e-5))
  }
})

test('linear: the loss is the mean cross entropy and half the decayed squares of the weights', async () => {
  const probe = await load('linear', 'wasm')
  const { params, answers } = run(probe, 0)
  const { losses } = run(probe, 1)
  const entropy = label.reduce((sum, c, row) => sum - (answers[4 * row + c] as number) / 3, 0)
  const squares = (params['params.out.weight'] as number[]).reduce((sum, w) => sum + w * w, 0)
  assert.ok(Math.abs((losses[0] as number) - entropy - 0.005 * squares) < 1e-6)
})

test.run()
