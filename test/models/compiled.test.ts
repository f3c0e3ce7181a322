/** The backbone: every program of VDSM at its tiny size, compiled to WebAssembly, against the same source run eagerly in float64. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { type Build, openBuild } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import type { Variant } from '../../runtime/device/wasm.ts'
import type { Executable } from '../../runtime/executor.ts'
import { sizeOfShape } from '../../runtime/manifest.ts'

const root = fileURLToPath(new URL('../../models', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'vdsm-compiled-'))
test.after(() => rmSync(out, { recursive: true, force: true }))

const right = <A>(result: E.Either<Parameters<typeof print>[0], A>): A => (E.isRight(result) ? result.right : assert.unreachable(print(result.left)) as never)

const opened = async (): Promise<Build> => right(await openBuild(nodeHost(out))())
const load = async (b: Build, id: string, device: 'wasm' | 'eager', variant?: Variant): Promise<Executable> =>
  right(await b.load(id, variant === undefined ? { device } : { device, variant })())

/** Seeded numbers in [0, 1). */
const random = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 4294967296
  }
}

/** Frames in [0, 1], noise like a normal, schedule as in the middle of training; parameters from `init`. */
const fill = (exe: Executable, params: Executable): void => {
  const next = random(7)
  for (const slot of exe.program.inputs) {
    const n = sizeOfShape(slot.shape)
    const from = params.program.outputs.find(o => o.path === slot.path || o.path === `state.${slot.path}` || `state.${o.path}` === slot.path)
    if (from !== undefined) exe.set(slot.path, params.get(from.path))
    else if (slot.dtype === 'u32') exe.set(slot.path, Uint32Array.from({ length: n }, () => Math.floor(next() * 4294967296)))
    else if (slot.path === 'x') exe.set(slot.path, Float32Array.from({ length: n }, next))
    else if (slot.path.startsWith('schedule') || slot.path === 'temperature') exe.set(slot.path, Float32Array.of(slot.path.endsWith('learningRate') ? 1e-3 : 0.5 + next()))
    else exe.set(slot.path, Float32Array.from({ length: n }, () => next() + next() + next() + next() - 2))
  }
}

/** Largest difference as a share of the array's largest magnitude (at least 1e-3 of it all). */
const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const scale = Math.max(1e-6, ...Array.from(b, Math.abs))
  return Math.max(0, ...Array.from(b, (v, i) => (Object.is(v, a[i]!) ? 0 : Math.abs(v - a[i]!) / scale)))
}

let ready: Build | undefined
test.before(async () => {
  right(await compile({ files: [join(root, 'vdsm/tiny.ts')], root, out: resolve(out), force: true, onBuilt: () => undefined }))
  ready = await opened()
})

// Sums of up to 64 * 64 * 12 products in float32 against float64: errors of a few units in the 6th digit of the largest element.
const tolerance = 2e-5
const names = ['init', 'encode', 'decode', 'reconstruct', 'loss', 'gradient', 'evaluate', 'trainStep']
for (const name of names)
  test(`${name}: compiled = eager`, async () => {
    const b = ready!
    const start = await load(b, 'vdsm/tiny/init', 'eager')
    start.set('key', Uint32Array.of(3, 4))
    start.run()
    const eager = await load(b, `vdsm/tiny/${name}`, 'eager')
    fill(eager, start)
    eager.run()
    for (const variant of ['simd', 'fma'] as const) {
      const wasm = await load(b, `vdsm/tiny/${name}`, 'wasm', variant)
      fill(wasm, start)
      wasm.run()
      for (const { path } of eager.program.outputs) {
        assert.ok(Array.from(eager.get(path)).every(Number.isFinite), `${path} is finite`)
        const d = difference(wasm.get(path), eager.get(path))
        assert.ok(d < tolerance, `${name} (${variant}) ${path}: relative difference ${d}`)
      }
    }
  })

test.run()
