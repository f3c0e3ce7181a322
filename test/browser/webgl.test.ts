/** The device webgl in a page of a real browser, on programs written by hand and on compiled ones. */
import * as E from 'fp-ts/lib/Either.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Browser, Page } from 'playwright-core'
import { compile } from '../../compiler/compile.ts'
import { Refusal } from '../../dsl/errors.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { bundleModule, webglFile } from '../../runtime/studio/bundle.ts'
import { serveStudio } from '../../runtime/studio/server.ts'
import { sources } from '../runtime/webgl/support/compiled.ts'
import { chain, filesOf, hostOf } from '../runtime/webgl/support/hand.ts'
import { ask, chromiumPath, launch, openPage, packPage, servePage } from './support.ts'

const test = suite('webgl in Chromium')
const out = mkdtempSync(join(tmpdir(), 'vdsm-webgl-page-'))
let browser: Browser | undefined
let page: Page | undefined
let close = (): void => undefined
const troubles: string[] = []

test.before(async () => {
  const root = resolve('test/runtime')
  const compiled = await compile({ files: sources.map(name => join(root, name)), root, out, force: true, targets: ['wasm', 'webgl'], onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Refusal(compiled.left)
  const { scripts } = await packPage('webgl-page.ts')
  const { server, address } = await servePage(scripts, out)
  close = () => void server.close()
  browser = await launch()
  page = await openPage(browser, address, troubles, async opened => void opened.on('console', message => troubles.push(message.text())))
})
test.after(async () => {
  await browser?.close()
  close()
  rmSync(out, { recursive: true, force: true })
})

test('what is here has a name and limits, and says whether it computes in software', async () => {
  const { name, software, maxTextureSize } = (await ask(page, 'here')) as { readonly name: string; readonly software: boolean; readonly maxTextureSize: number }
  assert.match(name, /^ANGLE/)
  assert.is(software, /SwiftShader|llvmpipe/.test(name))
  assert.ok(maxTextureSize >= 2048, 'as the standard of WebGL2 has it at least')
})

test('calls, loops, partial stores, words, exchange, sharing and feeding', async () => {
  assert.is(await ask(page, 'check'), 'nothing was refused')
  assert.equal(troubles, [], 'neither the browser nor gpu.js has anything to say')
})

test('compiled programs agree with wasm: encoding by VDSM, indices beyond the ends, training in place, predictions by shared parameters', async () => {
  assert.is(await ask(page, 'checkCompiled'), 'nothing was refused')
  assert.equal(troubles, [])
})

test('what programs written by hand have to do, on a canvas of the page and in a worker', async () => {
  assert.is(await ask(page, 'checkOnCanvas', null), 'nothing was refused')
  assert.is(await ask(page, 'checkOnCanvas', 'webgl2 is no kind of context'), 'nothing was refused')
  assert.is(await ask(page, 'checkInWorker'), 'nothing was refused')
})

test('all programs of a page are on one context, which is closed with the last of them', async () => {
  assert.equal(await ask(page, 'contexts'), [1, 1])
})

test('a thousand steps make no texture and no shader anew', async () => {
  const { grown, own, bytes } = (await ask(page, 'memory', 1000)) as { readonly grown: object; readonly own: number; readonly bytes: number }
  assert.equal(grown, { textures: 0, programs: 0 })
  // The two that a step exchanges, and what it makes of them before it lets them go; one is kept, by reference.
  assert.is(own, 4)
  assert.is(bytes, 16, 'and the program says so')
})

test('what cannot run is refused when it is loaded, by name', async () => {
  const [broken = '', large = '', obstacle = '', none = ''] = (await ask(page, 'refusals')) as readonly string[]
  assert.match(broken, /^WebGL: kernel twice \(hand\.ts:1:1\) does not compile: ERROR: .*'double'/)
  assert.match(large, /^WebGL, hand\/large: bank of sprites: 1073741824 numbers in one texture; ANGLE.* has textures of at most (\d+) x \1 = \d+\n {2}Bind/)
  assert.match(obstacle, /^WebGL: hand\/obstacle cannot run on it: kernel 3 \(a\.ts:1:2\) reads 9 arrays\n/)
  assert.match(none, /^WebGL: hand\/none has not been compiled for it\n {2}Compile again/)
})

test('a browser without WebGL2, or without textures of floats, is told from one that has them', async () => {
  assert.match((await ask(page, 'noContext')) as string, /^WebGL: the browser gives no context of WebGL2\n {2}Look at chrome:\/\/gpu/)
  assert.match((await ask(page, 'without', 'EXT_color_buffer_float')) as string,
    /^WebGL: ANGLE.* cannot write textures of 32-bit floats \(it lacks the extension EXT_color_buffer_float\)\n {2}Use the device/)
  assert.is(await ask(page, 'check'), 'nothing was refused', 'and it goes on')
})

test('every element of an array of three million is where it belongs', async () => {
  assert.equal(await ask(page, 'wide'), [3_000_017, 0])
})

test('readings come in the order in which they were asked for', async () => {
  assert.equal(await ask(page, 'order'), [0, 1, 2])
})

test('where the driver has no memory left, that is said, and stays said', async () => {
  const [said = '', later] = (await ask(page, 'full')) as readonly string[]
  assert.match(said, /^WebGL: out of memory: no texture for 7 numbers beside the \d+ that there are \(0\.0 MiB\)\n {2}Use smaller sizes/)
  assert.is(later, said)
})

test('a context that is lost fails for all programs on it, for good; a fresh load goes on from what was kept', async () => {
  const { heard, said, after } = (await ask(page, 'lose')) as { readonly heard: readonly string[]; readonly said: readonly string[]; readonly after: unknown }
  const lost = /^WebGL: the context was lost: ANGLE[^\n]*\n {2}What was on the device is gone: load the programs again/
  for (const text of [...heard, ...said]) assert.match(text, lost)
  assert.is(heard.length, 1)
  assert.is(said.length, 4)
  assert.equal(after, [[12, 13, 14, 15], [11, 11, 11, 11]])
})

test('a context that is lost while a program is loaded is said to be, whatever was compiled', async () => {
  for (const said of (await ask(page, 'loseEarly')) as readonly string[]) assert.match(said, /^WebGL: the context was lost: ANGLE/)
  assert.is(await ask(page, 'check'), 'nothing was refused')
})

test('what was asked for before a program is disposed of comes back', async () => {
  assert.is(await ask(page, 'late'), 'nothing was refused')
})

test('the ready-made module finds the device beside it, only when it is needed, and under the policy of the studio', async () => {
  const { code, webgl } = await bundleModule()
  const files = new Map([['index.html', new TextEncoder().encode('<!doctype html>')] as const, ['vdsm.js', code] as const, [webglFile, webgl] as const])
  const served = await serveStudio(files, hostOf(nodeHost('.'), filesOf([chain])), 0)
  const opened = await browser?.newPage()
  const asked: string[] = []
  const said: string[] = []
  opened?.on('request', request => asked.push(new URL(request.url()).pathname))
  opened?.on('console', message => said.push(message.text()))
  await opened?.goto(served.address)
  const twice = await opened?.evaluate(`(async () => {
    const { open, webglHere } = await import('/vdsm.js')
    await webglHere()
    const build = await open('/build/')
    const program = await build.load('hand/chain', { device: 'webgl' })
    program.set('x', [1, 2, 3, 4, 5, 6, 7])
    program.run()
    return [...(await program.read(['twice']))[0]]
  })()`)
  // The file beside it has a class of failures of its own.
  const refused = await opened?.evaluate(`(async () => {
    const { open, Refusal } = await import('/vdsm.js')
    const program = await (await open('/build/')).load('hand/chain', { device: 'webgl' })
    program.dispose()
    try { program.run() } catch (error) { return error instanceof Refusal && error.message }
  })()`)
  await opened?.close()
  await served.close()
  assert.match(String(refused), /^hand\/chain has been disposed of/)
  assert.equal(twice, [2, 4, 6, 8, 10, 12, 14])
  assert.equal(asked.filter(path => path !== '/favicon.ico'), [
    '/', '/vdsm.js', '/build/manifest.json', `/${webglFile}`, '/build/hand-chain.webgl.json', '/build/manifest.json', '/build/hand-chain.webgl.json',
  ])
  assert.equal(said.filter(text => !text.includes('404')), [])
})

test('where the file of the device is not served, that is said', async () => {
  const { code } = await bundleModule()
  const files = new Map([['index.html', new TextEncoder().encode('<!doctype html>')] as const, ['vdsm.js', code] as const])
  const served = await serveStudio(files, hostOf(nodeHost('.'), filesOf([chain])), 0)
  const opened = await browser?.newPage()
  await opened?.goto(served.address)
  const said = await opened?.evaluate(`(async () => {
    const { open } = await import('/vdsm.js')
    return (await open('/build/')).load('hand/chain', { device: 'webgl' }).then(() => 'loaded', error => error.message)
  })()`)
  await opened?.close()
  await served.close()
  assert.match(String(said), /^the script of the device webgl: could not be loaded \(.*\)\n {2}Serve vdsm-webgl\.js beside vdsm\.js/)
})

if (chromiumPath === undefined) process.stdout.write('There is no Chromium here: webgl in a page is not tested.\n')
else test.run()
