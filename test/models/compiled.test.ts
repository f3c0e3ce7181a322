/** The backbone: every program of VDSM at its tiny size, compiled to WebAssembly, against the same source run eagerly in float64. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { toArray } from '../../dsl/index.ts'
import { type Build, openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { orThrow } from '../../runtime/train/task.ts'
import { cases } from './fixtures/cases.ts'
import { named } from './fixtures/trees.ts'

const root = fileURLToPath(new URL('../../models', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'vdsm-compiled-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

/** Largest difference as a share of the array's largest magnitude. */
const difference = (a: ArrayLike<number>, b: readonly number[]): number => {
  const scale = Math.max(1e-6, ...b.map(Math.abs))
  return Math.max(0, ...b.map((v, i) => (Object.is(v, a[i]!) ? 0 : Math.abs(v - a[i]!) / scale)))
}

const state: { build?: Build } = {}
test.before(async () => {
  const files = ['frames', 'video'].map(stage => join(root, 'vdsm', 'tiny', `${stage}.ts`))
  await orThrow(() => compile({ files, root, out, force: true, onBuilt: () => undefined }))
  state.build = await orThrow(openBuild(nodeHost(out)))
})

test('nothing else is compiled', () => assert.equal(state.build!.manifest.programs.map(p => p.id).toSorted(), Object.keys(cases).map(name => `vdsm/tiny/${name}`).toSorted()))

// Sums of up to 64 * 64 * 12 products in float32 against float64: errors of a few units in the 6th digit of the largest element.
const tolerance = 2e-5
for (const [name, { args, eager }] of Object.entries(cases))
  test(`${name}: compiled = eager`, async () => {
    const given = new Map(named(args).map(([path, t]) => [path, toArray(t)]))
    const wanted = named(eager()).map(([path, t]) => [path, toArray(t)] as const)
    for (const variant of ['simd', 'fma'] as const) {
      const wasm = await orThrow(state.build!.load(`vdsm/tiny/${name}`, { device: 'wasm', variant }))
      for (const { path, dtype } of wasm.program.inputs) wasm.set(path, dtype === 'u32' ? Uint32Array.from(given.get(path)!) : Float32Array.from(given.get(path)!))
      wasm.run()
      assert.equal(wasm.program.outputs.map(o => o.path).toSorted(), wanted.map(([path]) => path).toSorted())
      for (const [path, values] of wanted) {
        assert.ok(values.every(Number.isFinite), `${path} is finite`)
        const d = difference(wasm.get(path), values)
        assert.ok(d < tolerance, `${name} (${variant}) ${path}: relative difference ${d}`)
      }
    }
  })

test.run()
