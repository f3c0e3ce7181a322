/** Training on WebGPU, whatever adapter there is: it agrees with the processor step by step, and survives a device that is lost. */
import * as E from 'fp-ts/lib/Either.js'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../../compiler/compile.ts'
import { Refusal } from '../../../dsl/errors.ts'
import { parseSafetensors } from '../../../runtime/io/safetensors.ts'
import { readMetrics } from '../../../runtime/train/metrics.ts'
import { right } from '../../../runtime/train/task.ts'
import { noAdapter, runScript } from './support/process.ts'

const reason = noAdapter()
if (reason !== null) process.stdout.write(`Training on WebGPU: skipped, no adapter (${reason})\n`)
const on = (name: string, run: () => void | Promise<void>): void =>
  (reason === null ? test(name, run) : test.skip(`${name}: skipped, no adapter (${reason})`, run))

const out = mkdtempSync(join(tmpdir(), 'vdsm-webgpu-train-'))
test.after(() => rmSync(out, { recursive: true, force: true }))
const build = join(out, 'build')

/** Runs it; what it said, its losses, and its mean picture at the end. */
const trained = (name: string, ...args: readonly string[]) => {
  const folder = join(out, name)
  const { out: said, err } = runScript('train.ts', [build, folder, ...args])
  assert.match(said, /finished 9\n$/, `${said}${err}`)
  const path = join(folder, 'checkpoints', 'stage1-step-00000009.safetensors')
  return {
    said, mean: right(parseSafetensors(readFileSync(path), path)).arrays.get('params.mean')?.data ?? [],
    lines: readMetrics(join(folder, 'metrics.jsonl')).map(({ step, loss }) => [step, Number(loss)] as const),
  }
}

on('a run agrees with the processor, and one whose device is lost agrees with it to the bit', async () => {
  const root = resolve('test/runtime/webgpu/support')
  const compiled = await compile({ files: [join(root, 'train-model.ts')], root, out: build, force: true, onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Refusal(compiled.left)
  const gpu = trained('gpu', 'webgpu')
  const wasm = trained('wasm', 'wasm')
  assert.match(gpu.said, /stage 1: 2 steps agree with wasm/)
  assert.equal(gpu.lines.map(([step]) => step), [1, 2, 3, 4, 5, 6, 7, 8, 9])
  // Means of 100,000 squares in float32; Adam moves a value by 0.01 at most, whatever the last digits of a gradient say.
  gpu.lines.forEach(([, loss], i) => assert.ok(Math.abs(loss / (wasm.lines[i]?.[1] ?? NaN) - 1) < 1e-4, `step ${i + 1}: ${loss}, ${wasm.lines[i]?.[1]}`))
  const far = Array.from(gpu.mean, (v, i) => Math.abs(v - (wasm.mean[i] ?? NaN))).filter(difference => !(difference < 1e-3)).length
  assert.ok(far < 0.01 * gpu.mean.length, `${far} of ${gpu.mean.length} values`)

  const lost = trained('lost', 'webgpu', '5')
  assert.match(lost.said, /the device was lost[^\n]*\n.*goes on from step 3 on a fresh device \(1 of 2\)\./s)
  assert.equal(lost.lines, gpu.lines)
  assert.equal(lost.mean, gpu.mean)
})

test.run()
