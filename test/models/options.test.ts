/** Other values of the model's named options compile to WebAssembly, train there, and compute there what they compute eagerly. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { at, full, item, key, leaves, randomNormal, randomUniform, split, toArray } from '../../dsl/index.ts'
import { withDims } from '../../dsl/core/apply.ts'
import { tiny } from '../../models/vdsm/config.ts'
import { programs } from '../../models/vdsm/frames/programs.ts'
import { init } from '../../models/vdsm/tiny/frames.ts'
import { openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { compiledChoices } from './fixtures/options.ts'

const root = fileURLToPath(new URL('fixtures', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'vdsm-options-'))
test.after(() => rmSync(out, { recursive: true, force: true }))
const right = <A>(result: E.Either<Parameters<typeof print>[0], A>): A => (E.isRight(result) ? result.right : assert.unreachable(print(result.left)) as never)

test.before(async () => {
  right(await compile({ files: [join(root, 'options.ts')], root, out, force: true, onBuilt: () => undefined }))
})

const state = init.call(key(1))
const x = randomUniform(key(2), [2, 2, 2, 3, 64, 64])
const schedule = { learningRate: 2e-3, temperature: 1.5, lambdaS: 0.3, lambdaZ: 4 }
const scalars = { learningRate: full([], 2e-3), temperature: full([], 1.5), lambdaS: full([], 0.3), lambdaZ: full([], 4) }
const keys = split(key(7), 2)
const eps = { s: randomNormal(at(keys, 0), [2, 2, 2]), z: randomNormal(at(keys, 1), [2, 2, 2, 3]) }

for (const name of Object.keys(compiledChoices) as readonly (keyof typeof compiledChoices)[])
  test(name, async () => {
    const b = right(await openBuild(nodeHost(out))())
    const step = right(await b.load(`options/${name}`, { device: 'wasm' })())
    const slots = step.program.inputs.filter(slot => slot.path.startsWith('state.'))
    const values = leaves(state)
    assert.is(slots.length, values.length)
    slots.forEach((slot, i) => step.set(slot.path, Float32Array.from(toArray(values[i]!))))
    step.set('x', Float32Array.from(toArray(x)))
    step.set('key', Uint32Array.of(0, 7))
    for (const [part, value] of Object.entries(schedule)) step.set(`schedule.${part}`, [value])
    const losses = Array.from({ length: 4 }, () => {
      step.run()
      step.feed('state', 'state')
      return step.view('metrics.loss')[0]!
    })
    assert.ok(losses.slice(1).every((v, i) => v < losses[i]!), `falls on its own batch: ${losses.join(' ')}`)
    // 24,576 terms in float32 against float64.
    const loss = withDims({ ...tiny.sizes, ...tiny.frames }, () => item(programs({ ...tiny.options, ...compiledChoices[name] }).loss(state.params as never, x as never, eps as never, scalars)[0]))
    assert.ok(Math.abs(losses[0]! - loss) < 1e-5 * Math.abs(loss), `${losses[0]} against ${loss}`)
  })

test.run()
