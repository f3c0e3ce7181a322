/** Compiled programs on WebGPU that share a training state; indices from data; shaders with tiles in half precision. */
import * as E from 'fp-ts/lib/Either.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../../compiler/compile.ts'
import { Refusal } from '../../../dsl/errors.ts'
import { noAdapter, runScript } from './support/process.ts'

const reason = noAdapter()
if (reason !== null) process.stdout.write(`Sharing on WebGPU: skipped, no adapter (${reason})\n`)
const on = (name: string, run: () => void): void => (reason === null ? test(name, run) : test.skip(`${name}: skipped, no adapter (${reason})`, run))

const build = mkdtempSync(join(tmpdir(), 'vdsm-webgpu-share-'))
test.after(() => rmSync(build, { recursive: true, force: true }))
test.before(async () => {
  const root = resolve('test/runtime/webgpu/support')
  const compiled = await compile({ files: [join(root, 'share-model.ts')], root, out: build, force: true, onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Refusal(compiled.left)
})

on('parameters that lie side by side are shared without a copy, and follow each step', () => {
  const { out, err } = runScript('share.ts', [build, 'share-model/trainStep', 'share-model/predict'])
  assert.is(out, 'same\n', err)
})

on('indices from data are kept in range by the kernels themselves', () => {
  const { out, err } = runScript('choose.ts', [build])
  assert.is(out, 'same\n', err)
})

on('tiles in half precision make shaders that compile', () => {
  const { out, err } = runScript('halves.ts', [build])
  const [changed = 0, all = 0] = out.split(' of ').map(Number)
  assert.ok(changed > 0 && changed < all, `${out}${err}`)
})

test.run()
