/** WebGPU in Node, on whatever adapter there is, a software one too: programs written by hand, failures, processes that end. */
import { spawnSync } from 'node:child_process'
import * as E from 'fp-ts/lib/Either.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../../compiler/compile.ts'
import { print, Refusal } from '../../../dsl/errors.ts'
import { failureOf } from '../../../runtime/device/webgpu/gpu.ts'
import { noAdapter, runScript } from './support/process.ts'
import { cases } from './support/cases.ts'

const reason = noAdapter()
const on = (name: string, run: () => void | Promise<void>): void =>
  (reason === null ? test(name, run) : test.skip(`${name}: skipped, no adapter (${reason})`, run))
if (reason !== null) process.stdout.write(`WebGPU: skipped, no adapter (${reason})\n`)

const isOutcome = (u: unknown): u is readonly [string, string | null] => Array.isArray(u) && u.length === 2 && typeof u[0] === 'string'

/** All cases in one process; one that never came to its case, because the process ended before, has failed. */
const outcomes = ((): (() => { readonly of: ReadonlyMap<string, string | null>; readonly out: string }) => {
  const known: { ran?: ReturnType<typeof outcomes> } = {}
  return () => {
    if (known.ran !== undefined) return known.ran
    const { out } = runScript('child.ts', Object.keys(cases))
    const lines = out.split('\n').filter(line => line.startsWith('[')).map((line): unknown => JSON.parse(line))
    return known.ran = { of: new Map(lines.filter(isOutcome)), out }
  }
})()

for (const name of Object.keys(cases)) {
  on(name, () => {
    const wrong = outcomes().of.get(name)
    assert.is(wrong, null, wrong ?? 'the process ended before')
  })
}

on('a process ends by itself when its programs have been disposed of', () => assert.match(outcomes().out, 'ended by itself'))

for (const [mode, code] of [['forgets', 0], ['does not wait', 0], ['reads and disposes', 0], ['exits at work', 3]] as const) {
  on(`a process ends by itself: ${mode}`, () => {
    const ended = runScript('ends.ts', [mode])
    assert.is(ended.code, code, ended.err)
    assert.match(ended.out, `ends: ${mode}`)
    if (mode === 'reads and disposes') assert.match(ended.out, 'read 1\n')
  })
}

on('compiled programs agree with the eager device; files that do not belong together are refused', async () => {
  const root = resolve('test/runtime/support')
  const out = mkdtempSync(join(tmpdir(), 'vdsm-webgpu-build-'))
  try {
    const compiled = await compile({ files: [join(root, 'threads-model.ts')], root, out, force: true, onBuilt: () => undefined })
    if (E.isLeft(compiled)) throw new Refusal(compiled.left)
    const { out: said, err } = runScript('compiled.ts', [out])
    assert.is(said, 'same\n', err)
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
})

test('without a driver it is said what is missing', () => {
  if (process.platform !== 'linux') return
  const { code, out } = runScript('adapter.ts', [], { VK_DRIVER_FILES: '/nowhere/driver.json' })
  assert.is(code, 1)
  assert.match(out, /^WebGPU: (the Vulkan drivers of VK_DRIVER_FILES=\/nowhere\/driver\.json offer no adapter\n {2}Name|there is no Vulkan loader|the package)/)
})

test('memory that is used up is told from calls that are refused', () => {
  const error = (name: string): GPUError => 
    new ({ [name]: class extends Error {} }[name] ?? Error)('vkAllocateMemory failed\n - While calling CreateBuffer\n    at dawn.cpp:7') as unknown as GPUError
  assert.is(print(failureOf(error('GPUOutOfMemoryError'), 'making 2 buffers')),
    'WebGPU: out of memory while making 2 buffers (vkAllocateMemory failed - While calling CreateBuffer)\n'
    + '  Use smaller sizes (a smaller batch above all), or the device wasm.')
  const refused = failureOf(error('GPUValidationError'), 'running')
  assert.is(refused.kind === 'device' && refused.reason, 'validation')
})

test('a software adapter is never taken by itself', () => {
  const { code, out } = runScript('adapter.ts', ['--hardware'])
  if (code === 1) assert.match(out, /^WebGPU: /)
  else assert.not.match(out, /swiftshader|llvmpipe/i)
})

test('vdsm devices: what is here, and why something is not', () => {
  const listed = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('runtime/vdsm.mjs'), 'devices', ...args], { encoding: 'utf8', timeout: 60_000 })
    assert.is(status, 0, stderr)
    return stdout
  }
  const text = listed()
  assert.match(text, /^eager .*\nwasm .*(FMA|multiply and add), \d+ threads?/)
  if (reason === null) assert.match(text, /\nwebgpu  .+\n +vendor .+\n +buffers up to .+iB, .* to a kernel; workgroups of up to \d+ threads.+\n +features: /)
  else assert.match(text, /\nwebgpu  not here: .+/)
  assert.match(text, /\n--device auto takes (wasm|webgpu)\.\n$/)
})

test.run()
