/** Times per call of the whole model, as the studio shows them: what a measurement says, and what it says where there is none. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../../compiler/compile.ts'
import { print, refuse } from '../../../dsl/errors.ts'
import { open, type Executable, type Programs } from '../../../runtime/browser.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import { measure } from '../../../runtime/studio/measure.ts'
import type { Timing } from '../../../runtime/studio/messages.ts'
import { timeText } from '../../../runtime/studio/times.ts'

const folder = mkdtempSync(join(tmpdir(), 'vdsm-measure-'))
const models = resolve('test/browser/studio')
let build: Programs

test.before(async () => {
  const files = ['frames', 'video'].map(stage => join(models, `vdsm/tiny/${stage}.ts`))
  const compiled = await compile({ files, root: models, out: folder, force: true, targets: ['wasm'], onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Error(print(compiled.left))
  build = await open(nodeHost(folder))
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

const timings = async (on: Programs, config = 'tiny'): Promise<Readonly<Record<string, Timing>>> => {
  const found: [string, Timing][] = []
  await measure(on, config, { device: 'wasm', threads: 1 }, (program, timing) => found.push([program, timing]))
  assert.equal(found.map(([program]) => program), ['encode', 'transfer', 'generate'])
  return Object.fromEntries(found)
}

/** Programs whose id ends so are changed. */
const changed = (end: string, change: (program: Executable) => Executable): Programs =>
  ({ ...build, load: async (id, options) => (id.endsWith(end) ? change(await build.load(id, options)) : build.load(id, options)) })

test('each program: the first call is longer than those after it, and all numbers are finite', async () => {
  for (const timing of Object.values(await timings(build))) {
    if (timing.kind === 'refused') throw new Error(timing.why)
    assert.ok(timing.first > timing.median && timing.median > 0, JSON.stringify(timing))
    assert.ok(timing.calls >= 3 && timing.finite)
    assert.match(timing.device, /^wasm, .*1 thread/)
  }
})

test('every call is given its inputs anew, and every parameter has been set', async () => {
  const set = new Map<string, number>()
  const watched = changed('video/transfer', program => ({ ...program, set: (path, data) => {
    set.set(path, (set.get(path) ?? 0) + 1)
    program.set(path, data)
  } }))
  const { transfer } = await timings(watched)
  if (transfer?.kind !== 'measured') throw new Error('it was refused')
  const all = build.manifest.programs.find(({ id }) => id === 'vdsm/tiny/video/transfer')?.inputs.map(({ path }) => path) ?? []
  assert.equal([...set.keys()].sort(), [...all].sort())
  assert.equal(['identity', 'action', 'temperature'].map(path => set.get(path)), [1, 1, 1].map(() => transfer.calls + 1))
})

test('numbers that are not finite are said to be; what is refused has its reason, and the others are measured', async () => {
  const spoilt = await timings(changed('video/generate', program => ({ ...program,
    read: async (...asked) => (await program.read(...asked)).map(array => array.map(() => NaN) as typeof array) })))
  assert.equal(Object.values(spoilt).map(timing => timing.kind === 'measured' && timing.finite), [true, true, false])
  const large = { kind: 'limit', what: 'WebGL, transfer', message: 'x: too many numbers in one texture' } as const
  const refused = await timings(changed('video/transfer', () => refuse(large)))
  assert.equal(refused['transfer'], { kind: 'refused', why: 'x: too many numbers in one texture' })
  assert.equal([refused['encode']?.kind, refused['generate']?.kind], ['measured', 'measured'])
  for (const timing of Object.values(await timings(build, 'small'))) assert.match(timing.kind === 'refused' ? timing.why : '', /no program 'vdsm\/small/)
})

test('times have three digits', () => {
  assert.equal([0.4567, 12.345, 999.6, 1234, 12345, 123456].map(timeText), ['0.46 ms', '12.3 ms', '1000 ms', '1.23 s', '12.3 s', '123 s'])
})

test.run()
