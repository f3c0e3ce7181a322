/**
 * The backbone: every program of VDSM at its tiny size, compiled to WebAssembly, against the same source run eagerly in float64; and
 * training steps under other options than tiny's, which have to lower the loss on their batch, too.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { toArray } from '../../dsl/index.ts'
import { type Build, openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import type { Variant } from '../../runtime/device/wasm.ts'
import type { LocalExecutable } from '../../runtime/executor.ts'
import { orThrow } from '../../runtime/train/task.ts'
import { cases, otherSteps } from './fixtures/cases.ts'
import { named } from './fixtures/trees.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-compiled-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

const state: { build?: Build } = {}
test.before(async () => {
  const files = ['models/vdsm/tiny/frames.ts', 'models/vdsm/tiny/video.ts', 'test/models/fixtures/options.ts'].map(file => resolve(file))
  await orThrow(() => compile({ files, root: resolve('.'), out, force: true, onBuilt: () => undefined }))
  state.build = await orThrow(openBuild(nodeHost(out)))
})

/** Largest difference as a share of the array's largest magnitude. */
const difference = (a: ArrayLike<number>, b: readonly number[]): number => {
  const scale = Math.max(1e-6, ...b.map(Math.abs))
  return Math.max(0, ...b.map((v, i) => (Object.is(v, a[i]!) ? 0 : Math.abs(v - a[i]!) / scale)))
}

const loaded = async (id: string, variant: Variant, args: object): Promise<LocalExecutable> => {
  const wasm = await orThrow(state.build!.load(id, { device: 'wasm', variant }))
  const given = new Map(named(args).map(([path, t]) => [path, toArray(t)]))
  for (const { path, dtype } of wasm.program.inputs) wasm.set(path, dtype === 'u32' ? Uint32Array.from(given.get(path)!) : Float32Array.from(given.get(path)!))
  return wasm
}

// Sums of up to 64 * 64 * 12 products in float32 against float64: errors of a few units in the 6th digit of the largest element.
const tolerance = 2e-5
const compare = (wasm: LocalExecutable, wanted: readonly (readonly [string, readonly number[]])[], what: string, most = tolerance): void => {
  assert.equal(wasm.program.outputs.map(o => o.path).toSorted(), wanted.map(([path]) => path).toSorted())
  for (const [path, values] of wanted) {
    assert.ok(values.every(Number.isFinite), `${path} is finite`)
    const d = difference(wasm.get(path), values)
    assert.ok(d < most, `${what} ${path}: relative difference ${d}`)
  }
}

test('nothing else is compiled', () => {
  const ids = [...Object.keys(cases).map(name => `models/vdsm/tiny/${name}`), ...Object.keys(otherSteps).map(name => `test/models/fixtures/options/${name}`)]
  assert.equal(state.build!.manifest.programs.map(p => p.id).toSorted(), ids.toSorted())
})

for (const [name, { args, eager }] of Object.entries(cases))
  test(`${name}: compiled = eager`, async () => {
    const wanted = named(eager()).map(([path, t]) => [path, toArray(t)] as const)
    for (const variant of ['simd', 'fma'] as const) {
      const wasm = await loaded(`models/vdsm/tiny/${name}`, variant, args)
      wasm.run()
      compare(wasm, wanted, `${name} (${variant})`)
    }
  })

for (const [name, { args, eager }] of Object.entries(otherSteps))
  test(`${name}, other options: compiled = eager, and the loss falls`, async () => {
    const wasm = await loaded(`test/models/fixtures/options/${name}`, 'simd', args)
    wasm.run()
    // Gradients through the mixture are differences of larger numbers: 1.5e-5 comes of rounding the parameters alone, and moments are squares.
    compare(wasm, named(eager()).map(([path, t]) => [path, toArray(t)]), name, 3e-4)
    const losses = Array.from({ length: 4 }, () => {
      const loss = wasm.get('metrics.loss')[0]!
      wasm.feed('state', 'state')
      wasm.run()
      return loss
    })
    assert.ok(losses.slice(1).every((v, i) => v < losses[i]!), `falls on its own batch: ${losses.join(' ')}`)
  })

test.run()
