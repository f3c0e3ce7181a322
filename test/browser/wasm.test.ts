/**
 * Compiled programs in a browser: a page that is bundled from the runtime's public face alone loads them over HTTP, runs
 * them in headless Chromium on one thread and on several, and gets the very bits that Node gets. Without Chromium only the
 * bundle is tested.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import type { Browser, Page } from 'playwright-core'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import type { LoadOptions, LocalOptions } from '../../runtime/build.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { pack, type Task } from '../conformance/transport.ts'
import { outcome, type Outcome } from './outcome.ts'
import { ask, chromiumPath, launch, openPage, packPage, servePage } from './support.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const out = mkdtempSync(join(tmpdir(), 'vdsm-browser-'))
const packed = packPage()

test('the bundle of a page holds the runtime alone: no module of Node, nothing of the compiler', async () => {
  const { scripts, inputs, outputs } = await packed
  assert.ok(inputs.includes('runtime/device/web.ts'), 'the browser\'s host is in it')
  assert.equal(inputs.filter(path => /(^|\/)compiler\/|ts-morph|typescript|tsx\/|^runtime\/(device\/node|io\/files|commands\/|train\/)/.test(path)), [])
  // Bundled imports have become chunks; an external one would be left to the browser.
  assert.equal(outputs.flatMap(file => file.imports).filter(found => found.external === true), [])
  const texts = [...scripts].map(([name, bytes]) => [name, typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)] as const)
  // gpu.js, in a chunk of its own that is loaded on demand, asks for Node's modules where it finds itself in Node.
  assert.equal(texts.filter(([name, text]) => !/^\/gpu-browser-/.test(name) && /["'`]node:|\brequire\(["']/.test(text)).map(([name]) => name), [])
  const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`
  const page = outputs.find(file => file.entryPoint === 'test/browser/page.ts')
  assert.ok(page !== undefined)
  const eager = outputs.find(file => file.entryPoint === 'runtime/executor-eager.ts')
  const gpujs = outputs.find(file => file.entryPoint?.startsWith('node_modules/gpu.js/'))
  const all = outputs.reduce((sum, file) => sum + (file === gpujs ? 0 : file.bytes), 0)
  process.stdout.write(`bundle for browsers: ${kib(all - (eager?.bytes ?? 0))} minified, and on demand ${kib(eager?.bytes ?? 0)} for the eager device, ${kib(gpujs?.bytes ?? 0)} for WebGL\n`)
  assert.ok(all < 400 * 1024, `${kib(all)} is more than a page should load`)
})

let browser: Browser | undefined
let server: Server | undefined
let address = ''
let page: Page | undefined
const troubles: string[] = []

test.before(async () => {
  if (chromiumPath === undefined) return
  const compiled = await compile({ files: [join(here, 'model.ts')], root: here, out, force: true, onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Error(print(compiled.left))
  // So small that no second thread would be of use to them.
  const manifest = join(out, 'manifest.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replaceAll(/"threads": \d+/g, '"threads": 4'));
  ({ server, address } = await servePage((await packed).scripts, out))
  browser = await launch({ webgpu: true })
  page = await openPage(browser, address, troubles)
})

test.after(async () => {
  await browser?.close()
  server?.close()
  rmSync(out, { recursive: true, force: true })
})

const inBrowser = (name: string, check: () => Promise<void>): void => {
  if (chromiumPath === undefined) test.skip(name)
  else test(name, check)
}

if (chromiumPath === undefined) {
  process.stdout.write('SKIPPED: programs are not run in a browser, for there is no Chromium here (Debian: apt-get install chromium)\n')
}

const programs = ['step', 'encode', 'decode', 'trainStep']
// Current Chromium knows relaxed SIMD without a flag, so the probe has to choose it; Node's host switches it on.
const cases = [
  [{ threads: 1 }, 'wasm, relaxed FMA, 1 thread'], [{ variant: 'fma', threads: 2 }, 'wasm, relaxed FMA, 2 threads'],
  [{ variant: 'simd', threads: 3 }, 'wasm, multiply and add, 3 threads'],
] as const satisfies readonly (readonly [LocalOptions, string])[]
for (const [options, variant] of cases) {
  for (const name of programs) {
    inBrowser(`${name} gives Node's numbers in Chromium: ${variant}`, async () => {
      const id = `model/${name}`
      const ours = await outcome(nodeHost(out), id, { ...options, threads: 1 })
      const theirs = (await ask(page, 'outcome', id, options)) as Outcome
      assert.is(theirs.variant, variant)
      assert.equal(theirs.bits, ours.bits)
      const values = Object.values(theirs.values).flat()
      assert.ok(values.length > 0 && values.every(Number.isFinite), 'every value is finite')
      assert.ok(new Set(values).size > 10, 'and they differ')
    })
  }
}

const without: readonly (readonly [string, string, (page: Page) => Promise<void>, RegExp])[] = [
  ['in a page that is not isolated', 'plain', async () => undefined, /^wasm, relaxed FMA, 1 thread \(the page is not cross-origin isolated\)$/],
  [
    "where the workers' script is missing", '', async page => { await page.route('**/worker-web.mjs', route => route.fulfill({ status: 404 })) },
    /^wasm, relaxed FMA, 1 thread \(no worker threads here: .+\)$/,
  ],
]
for (const [name, path, prepare, variant] of without) {
  inBrowser(`one thread does all ${name}`, async () => {
    const plain = browser === undefined ? undefined : await openPage(browser, `${address}${path}`, troubles, prepare)
    const theirs = (await ask(plain, 'outcome', 'model/step', { threads: 2 })) as Outcome
    await plain?.close()
    assert.match(theirs.variant, variant)
    assert.equal(theirs.bits, (await outcome(nodeHost(out), 'model/step', { threads: 1 })).bits)
  })
}

inBrowser('a build named by its address, and a typed call', async () => {
  assert.equal(await ask(page, 'double', [1, -2.5, 0.125]), [2, -5, 0.25])
})

inBrowser('a page is told what is missing, and what a browser cannot do', async () => {
  const [missing, eager, wrong] = (await ask(page, 'refusals')) as readonly string[]
  assert.match(missing ?? '', /\/nowhere\/manifest\.json.*could not be fetched \(404/)
  assert.match(eager ?? '', /cannot be run from its source in a browser/)
  assert.match(wrong ?? '', /x: expected f32\[3\], got a number/)
})

inBrowser('a page does a task of the conformance suite, on WebAssembly and on WebGPU', async () => {
  const values = Float32Array.from([1, -2.5, 0.125])
  const task: Task = { id: 'model/double', inputs: { x: pack(values, 'f32') } }
  for (const options of [{ device: 'wasm' }, { device: 'webgpu', allowSoftware: true }] satisfies readonly LoadOptions[]) {
    assert.equal(await ask(page, 'perform', options, task), { id: task.id, outputs: { '': pack(values.map(x => 2 * x), 'f32') } }, options.device)
  }
  const unknown = (await ask(page, 'perform', { device: 'webgpu', allowSoftware: true }, { ...task, id: 'model/treble' })) as { readonly problem?: string }
  assert.match(unknown.problem ?? '', /no program 'model\/treble'/)
})

inBrowser('a text is kept from one visit to the next', async () => {
  assert.is(await ask(page, 'kept', 'note'), null)
  await ask(page, 'keep', 'note', 'of old')
  await ask(page, 'keep', 'note', 'of late')
  await page?.reload()
  await page?.waitForFunction('globalThis.page !== undefined')
  assert.is(await ask(page, 'kept', 'note'), 'of late')
  assert.is(await ask(page, 'kept', 'other'), null)
})

inBrowser('nothing went wrong in the page unseen', async () => assert.equal(troubles, []))

test.run()
