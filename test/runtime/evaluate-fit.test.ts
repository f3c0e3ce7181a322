/** Probes as evaluation uses them, compiled, on features whose content is known. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print, Refusal } from '../../dsl/errors.ts'
import { normals, stream, type Stream } from '../../runtime/data/random.ts'
import { fit, type ProbePrograms, type Task } from '../../runtime/evaluate/fit.ts'
import { openProbes, recipes } from '../../runtime/evaluate/probes.ts'
import type { Rows } from '../../runtime/evaluate/vectors.ts'

const root = fileURLToPath(new URL('../../models', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'vdsm-probes-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

const right = <A>(result: E.Either<Parameters<typeof print>[0], A>): A => (E.isRight(result) ? result.right : assert.unreachable(print(result.left)) as never)
right(await compile({ files: ['linear.ts', 'mlp.ts'].map(name => join(root, 'probe', 'small', name)), root, out, force: false, onBuilt: () => undefined }))
const probes = await openProbes(out, 'small')
const probeOf = (kind: 'linear' | 'mlp'): ProbePrograms => probes[kind]

const refusal = (act: Promise<unknown>): Promise<string> =>
  act.then(() => 'nothing was refused', error => (error instanceof Refusal ? error.message : Promise.reject(error)))

type Draw = (s: Stream) => { readonly x: readonly number[]; readonly label: number }
const rowsOf = (count: number, draw: Draw, s: Stream): Rows => {
  const all = Array.from({ length: count }, () => draw(s))
  return { count, width: all[0]?.x.length ?? 0, x: Float32Array.from(all.flatMap(({ x }) => x)), label: Int32Array.from(all, ({ label }) => label) }
}
const taskOf = (classes: number, draw: Draw, seed = 0): Task =>
  ({ classes, train: rowsOf(600, draw, stream(seed, 1)), validation: rowsOf(200, draw, stream(seed, 2)), test: rowsOf(400, draw, stream(seed, 3)) })

/** Three classes of points around three corners, with features of very different sizes and one that never varies. */
const corners: Draw = s => {
  const label = s.below(3)
  const [a = 0, b = 0] = normals(2, s)
  return { x: [100 + (label === 0 ? 8 : 0) + a, 1e-3 * ((label === 1 ? 8 : 0) + b), 7], label }
}

/** The label is whether two signs agree: no linear function of x says anything about it. */
const exclusive: Draw = s => {
  const [a, b] = [s.below(2), s.below(2)]
  const noise = normals(2, s)
  return { x: [2 * a - 1 + 0.2 * (noise[0] as number), 2 * b - 1 + 0.2 * (noise[1] as number)], label: a ^ b }
}

/** Features that have nothing to do with the label. */
const nothing: Draw = s => ({ x: [...normals(12, s)], label: s.below(4) })

// Corners are 8 deviations apart: fewer than 1 in 10,000 points lie on the wrong side.
for (const kind of ['linear', 'mlp'] as const) {
  test(`${kind}: classes that lie apart are told apart`, async () => {
    const { accuracy, validationAccuracy } = await fit(probeOf(kind), recipes[kind], taskOf(3, corners), [0])
    assert.ok(accuracy > 0.99, `${accuracy}`)
    assert.ok(validationAccuracy > 0.99, `${validationAccuracy}`)
  })

  test(`${kind}: features that say nothing give chance`, async () => {
    // 400 fair guesses among four: deviation 0.022, and four of them on either side.
    const { accuracy } = await fit(probeOf(kind), recipes[kind], taskOf(4, nothing), [0])
    assert.ok(Math.abs(accuracy - 0.25) < 0.09, `${accuracy}`)
  })

  test(`${kind}: the same seed gives the same answers, another seed another probe`, async () => {
    const again = (seed: number) => fit(probeOf(kind), { ...recipes[kind], steps: 30, every: 10 }, taskOf(4, nothing), [seed])
    const [a, b, c] = [await again(0), await again(0), await again(1)]
    assert.equal(a, b)
    assert.not.equal(a, c)
  })
}

test('whether two signs agree: beyond the linear probe, not beyond the other', async () => {
  const task = taskOf(2, exclusive)
  const linear = (await fit(probeOf('linear'), recipes.linear, task, [0])).accuracy
  const mlp = (await fit(probeOf('mlp'), recipes.mlp, task, [0])).accuracy
  // A line has three of the four clouds on the right sides at best, but no line is much better than another by cross entropy.
  assert.ok(linear < 0.8, `${linear}`)
  assert.ok(mlp > 0.99, `${mlp}`)
})

test('rows, classes and values that no probe can take are refused', async () => {
  const task = taskOf(3, corners)
  assert.match(await refusal(fit(probeOf('linear'), recipes.linear, { ...task, classes: 17 }, [0])), /17 classes were given, the probes have 16/)
  const wide: Rows = { count: 1, width: 33, x: new Float32Array(33), label: new Int32Array(1) }
  assert.match(await refusal(fit(probeOf('linear'), recipes.linear, { ...task, train: wide }, [0])), /33 features were given, the probes have 32/)
  assert.match(await refusal(fit(probeOf('linear'), recipes.linear, { ...task, test: { ...task.test, count: 0 } }, [0])), /not one row to test on/)
  const broken = { ...task.train, x: task.train.x.slice() }
  broken.x[4] = Number.NaN
  assert.match(await refusal(fit(probeOf('linear'), recipes.linear, { ...task, train: broken }, [0])), /feature 1 of a sequence \(train\) is NaN/)
})

test.run()
