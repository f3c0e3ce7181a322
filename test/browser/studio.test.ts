/**
 * The studio's page in a real browser: it trains VDSM at its tiny size on WebAssembly, with the numbers that Node gets, and on
 * WebGPU (in software, where there is no graphics processor), goes on where a device is lost, draws what it learns, times
 * programs, and says in words what goes wrong.
 * Pictures of the page are left in a temporary folder, which is named.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { Browser, Page } from 'playwright-core'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../compiler/compile.ts'
import { print } from '../../dsl/errors.ts'
import { open } from '../../runtime/browser.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { bundleStudio } from '../../runtime/studio/bundle.ts'
import { serveStudio, type Served } from '../../runtime/studio/server.ts'
import { openSession } from '../../runtime/studio/session.ts'
import { chromiumPath, launch } from './support.ts'

const out = mkdtempSync(join(tmpdir(), 'vdsm-studio-page-'))
const shots = join(tmpdir(), 'vdsm-studio-shots')
const models = resolve('test/browser/studio')
/** For the page to come to a state; software takes its time to compile shaders. */
const PATIENCE = 240_000
/** Steps on a device in software: each takes it a moment, and compiling shaders much longer. */
const FEW = 6

let browser: Browser | undefined
let served: Served | undefined
/** The same page, whose worker keeps hold of the devices that it is given, so that they can be taken from it. */
let breakable: Served | undefined
const holding = `globalThis.held = []
const request = globalThis.GPUAdapter?.prototype.requestDevice
if (request) GPUAdapter.prototype.requestDevice = async function (...asked) {
  const device = await request.apply(this, asked)
  held.push({ lose: () => device.destroy() })
  return device
}
const context = OffscreenCanvas.prototype.getContext
OffscreenCanvas.prototype.getContext = function (...asked) {
  const gl = context.apply(this, asked)
  if (asked[0] === 'webgl2' && gl) held.push({ lose: () => gl.getExtension('WEBGL_lose_context').loseContext() })
  return gl
}
`
/** What the console and the page complained of. */
const troubles: string[] = []

test.before(async () => {
  if (chromiumPath === undefined) return
  const files = ['frames', 'video'].map(stage => join(models, `vdsm/tiny/${stage}.ts`))
  const compiled = await compile({ files, root: models, out, force: true, onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Error(print(compiled.left))
  const scripts = (await bundleStudio()).files
  served = await serveStudio(scripts, nodeHost(out), 0)
  const trainer = new TextEncoder().encode(`${holding}${new TextDecoder().decode(scripts.get('trainer.js'))}`)
  breakable = await serveStudio(new Map([...scripts, ['trainer.js', trainer]]), nodeHost(out), 0)
  browser = await launch({ webgpu: true })
  mkdirSync(shots, { recursive: true })
})
test.after(async () => {
  await browser?.close()
  await served?.close()
  await breakable?.close()
  rmSync(out, { recursive: true, force: true })
})

const openStudio = async (query: string, look: { readonly width?: number; readonly dark?: boolean; readonly at?: Served | undefined } = {}): Promise<Page> => {
  if (browser === undefined) throw new Error('no browser')
  const page = await browser.newPage({ viewport: { width: look.width ?? 1180, height: 800 }, colorScheme: look.dark === true ? 'dark' : 'light' })
  page.on('console', message => {
    // Looking at canvases is the test's own doing.
    if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Canvas2D')) troubles.push(message.text())
  })
  page.on('pageerror', error => troubles.push(error.message))
  await page.goto(`${(look.at ?? served)?.address ?? ''}${query}`)
  return page
}

/** Waits until the page is in one of these states. (Its policy lets no test wait within it.) */
const until = async (page: Page, ...states: readonly string[]): Promise<string> => {
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    const state = String(await page.evaluate('studio.state()'))
    if (states.includes(state)) return state
    if (state === 'failed') throw new Error((await page.textContent('#problem')) ?? '')
    await new Promise(done => setTimeout(done, 20))
  }
  throw new Error(`the page is still ${String(await page.evaluate('studio.state()'))}`)
}

type Losses = readonly (readonly [step: number, loss: number])[]

const lossesOf = async (page: Page): Promise<Losses> => (await page.evaluate('studio.losses()')) as Losses

/** How bright a canvas is on average from its middle downwards and to the right, of 255; and how many colours it has. */
const lookAt = async (page: Page, canvas: string): Promise<{ readonly brightness: number; readonly colours: number }> => (await page.evaluate(`(() => {
  const { width, height } = ${canvas}
  const context = ${canvas}.getContext('2d')
  const all = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer)
  const lower = context.getImageData(width >> 1, height >> 1, width >> 1, height >> 1).data.filter((_, i) => i % 4 < 3)
  return { brightness: lower.reduce((a, b) => a + b, 0) / lower.length, colours: new Set(all).size }
})()`)) as { readonly brightness: number; readonly colours: number }

/** Name and description of the device in use, and what is said of the others. */
const usedOn = async (page: Page): Promise<string> => (await page.textContent('#devices [data-role=used]')) ?? ''
const saidOf = async (page: Page, device: string): Promise<string> => (await page.textContent(`#devices [data-device=${device}]`)) ?? ''

const train = async (page: Page): Promise<void> => {
  await until(page, 'ready')
  await page.click('#run')
  await until(page, 'done')
}

const untilLosses = async (page: Page, count: number): Promise<void> => {
  for (const end = Date.now() + PATIENCE; (await lossesOf(page)).length < count;) {
    if (Date.now() > end || (await page.evaluate('studio.state()')) === 'failed') throw new Error((await page.textContent('#problem')) ?? 'it takes too long')
    await new Promise(done => setTimeout(done, 20))
  }
}

const untilNotice = async (page: Page, pattern: RegExp): Promise<void> => {
  for (const end = Date.now() + PATIENCE; !pattern.test((await page.textContent('#notice')) ?? '');) {
    if (Date.now() > end || (await page.evaluate('studio.state()')) === 'failed') throw new Error((await page.textContent('#problem')) ?? 'it takes too long')
    await new Promise(done => setTimeout(done, 20))
  }
}

const mean = (losses: Losses): number => losses.reduce((sum, [, loss]) => sum + loss, 0) / losses.length

/** The first and last few losses: at this size they jump about, by the pictures that a step is given. */
const fall = (losses: Losses): number => mean(losses.slice(0, 6)) - mean(losses.slice(-6))

const reference = async (steps: number, total: number): Promise<Losses> => {
  const session = await openSession(await open(nodeHost(out)), { config: 'tiny', seed: 0, steps: total }, { device: 'wasm', threads: 1 })
  return Promise.all(Array.from({ length: steps }, () => session.next()))
}

const inBrowser = (name: string, check: () => Promise<void>): void => {
  if (chromiumPath === undefined) test.skip(name)
  else test(name, check)
}
if (chromiumPath === undefined) process.stdout.write('SKIPPED: the studio is not opened, for there is no Chromium here (Debian: apt-get install chromium)\n')

inBrowser('on WebAssembly it trains as Node does, the loss falls, and it draws both pictures', async () => {
  const page = await openStudio('?config=tiny&steps=60&device=wasm')
  await until(page, 'ready')
  assert.match(await usedOn(page), /^WebAssemblyrelaxed FMA, \d threads?$/)
  const given = await lookAt(page, 'grid')
  await train(page)
  const losses = await lossesOf(page)
  assert.equal(losses, await reference(60, 60))
  assert.ok(fall(losses) > 100, `the loss falls by ${fall(losses)}`)
  assert.is(await page.textContent('#step'), '60 of 60')
  assert.match((await page.textContent('#drawn')) ?? '', /after step 60/)
  assert.ok((await lookAt(page, 'chart')).colours > 10, 'the curve is drawn')
  const drawn = await lookAt(page, 'grid')
  assert.ok(given.colours > 20 && given.brightness > 200, `the given pictures are there, the cells empty: ${JSON.stringify(given)}`)
  assert.ok(drawn.brightness < 100, `the model has filled the cells: ${JSON.stringify(drawn)}`)
  await page.screenshot({ path: join(shots, 'wasm.png'), fullPage: true })
  await page.close()
})

/** Losses of a device whose arithmetic is another: differences of the last digit grow from step to step, as each starts from the one before. */
const checkLosses = async (losses: Losses, steps: number): Promise<void> => {
  const expected = await reference(losses.length, steps)
  assert.equal(losses.map(([step]) => step), expected.map(([step]) => step))
  const far = losses.map(([, loss], i) => Math.abs(loss - (expected[i]?.[1] ?? NaN)) / Math.abs(loss))
  assert.ok(far.every(share => share < 1e-3), `shares: ${far.map(share => share.toExponential(1)).join(' ')}`)
}

/** Takes away the device that the worker got last. */
const lose = async (page: Page): Promise<void> => {
  const [worker] = page.workers()
  await worker?.evaluate('held.at(-1).lose()')
}

/** Trains a few steps on a device, from which it is taken in the middle. */
const trainBroken = async (device: 'webgpu' | 'webgl'): Promise<Page> => {
  const page = await openStudio(`?config=tiny&steps=200&device=${device}`, { at: breakable })
  await until(page, 'ready')
  await page.click('#run')
  await untilLosses(page, FEW / 2)
  assert.ok((await lookAt(page, 'grid')).brightness < 100, 'the model has filled the cells')
  await lose(page)
  await untilNotice(page, /went on from step/)
  await untilLosses(page, FEW)
  await checkLosses(await lossesOf(page), 200)
  return page
}

const names = { webgpu: 'WebGPU', webgl: 'WebGL' } as const
for (const device of ['webgl', 'webgpu'] as const) {
  inBrowser(`on ${names[device]} the losses are those of WebAssembly, though the device is lost on the way`, async () => {
    const page = await trainBroken(device)
    assert.match(await usedOn(page), new RegExp(`^${names[device]}`))
    const notice = (await page.textContent('#notice')) ?? ''
    assert.match(notice, new RegExp(`^${names[device]} failed: the (device|context) was lost.*went on from step \\d+ on a fresh device\\.$`))
    await page.screenshot({ path: join(shots, `${device}.png`), fullPage: true })
    await page.close()
  })
}

inBrowser('it pauses, goes on to the same numbers, and begins anew with another seed', async () => {
  const page = await openStudio('?config=tiny&steps=100000&device=wasm', { width: 390, dark: true })
  await until(page, 'ready')
  await page.click('#run')
  await until(page, 'training')
  await untilLosses(page, 5)
  await page.click('#run')
  await until(page, 'paused')
  const before = await lossesOf(page)
  await new Promise(done => setTimeout(done, 200))
  assert.is((await lossesOf(page)).length, before.length, 'a pause is one')
  await page.click('#run')
  await untilLosses(page, before.length + 5)
  await page.click('#run')
  await until(page, 'paused')
  const after = await lossesOf(page)
  assert.equal(after.map(([step]) => step), after.map((_, i) => i + 1), 'no step is missing or done twice')
  assert.equal(after.slice(0, 8), await reference(8, 100000))
  assert.ok(Number(await page.evaluate('document.documentElement.scrollWidth')) <= 390, 'nothing is wider than a phone')
  await page.screenshot({ path: join(shots, 'phone.png'), fullPage: true })
  await page.fill('#seed', '5')
  await page.press('#seed', 'Tab')
  await until(page, 'ready')
  assert.equal(await lossesOf(page), [])
  await page.click('#run')
  await untilLosses(page, 1)
  assert.is.not((await lossesOf(page))[0]?.[1], after[0]?.[1])
  await page.close()
})

inBrowser('auto takes no adapter in software: where there is nothing else, WebAssembly, and it says why', async () => {
  const page = await openStudio('?config=tiny&steps=5')
  await until(page, 'ready')
  const used = await usedOn(page)
  if (used.startsWith('WebAssembly')) {
    for (const device of ['webgpu', 'webgl']) assert.match(await saidOf(page, device), /not used: .+/)
  } else assert.not.match(used, /software/)
  await page.close()
})

/** The times per call of a device, row by row, when it has been measured. */
const measured = async (page: Page, device: string): Promise<readonly string[]> => {
  await page.click(`[data-measure=${device}]`)
  for (const end = Date.now() + PATIENCE; Date.now() < end && ((await page.textContent('#measure-head')) ?? '').includes('Stop');) {
    await new Promise(done => setTimeout(done, 50))
  }
  return Promise.all(['encode', 'transfer', 'generate'].map(async program => (await page.textContent(`[data-cell=${program}-${device}]`)) ?? ''))
}

inBrowser('the time per call of the whole model is measured, device by device, while training rests and then goes on', async () => {
  const page = await openStudio('?config=tiny&steps=100000&device=wasm', { width: 1280 })
  await until(page, 'ready')
  await page.click('#run')
  await untilLosses(page, 5)
  for (const device of ['wasm', 'webgl']) for (const cell of await measured(page, device)) assert.match(cell, /^[\d.]+ m?sfirst [\d.]+ m?s$/)
  const before = (await lossesOf(page)).length
  await untilLosses(page, before + 5)
  const losses = await lossesOf(page)
  assert.equal(losses.map(([step]) => step), losses.map((_, i) => i + 1), 'no step is missing or done twice')
  assert.match((await page.textContent('#measure-remarks')) ?? '', /WebAssembly: relaxed FMA/)
  await page.screenshot({ path: join(shots, 'programs.png'), fullPage: true })
  await page.close()
})

inBrowser('what goes wrong is said in words', async () => {
  const page = await openStudio('?config=small&device=wasm')
  for (const end = Date.now() + PATIENCE; Date.now() < end && (await page.evaluate('studio.state()')) !== 'failed';) {
    await new Promise(done => setTimeout(done, 20))
  }
  assert.match((await page.textContent('#problem')) ?? '', /no program 'vdsm\/small\/frames\/trainStep' in the build folder/)
  assert.ok(await page.isVisible('#problem'))
  assert.ok(await page.isDisabled('#run'))
  await page.close()
})

inBrowser('nothing went wrong in the page unseen', async () => assert.equal(troubles, []))

if (chromiumPath !== undefined) test.after(() => void process.stdout.write(`pictures of the page: ${shots}\n`))

test.run()
