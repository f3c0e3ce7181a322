/** What pages load: one module, small, with nothing of Node, of the compiler or of the eager language in it. */
import { gzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bundleModule, bundleStudio, webglFile } from '../../../runtime/studio/bundle.ts'

const mostBytes = 50_000
const mostOfWebGl = 135_000

const kb = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`

/** Packages by name, the project's own files by folder. */
const groupOf = (path: string): string =>
  path.includes('node_modules/') ? (path.split('node_modules/').pop() ?? '').split('/')[0] ?? '' : path.replace(/\/[^/]*$/, '/')

test('the runtime is one module of at most 50 kB, packed as servers send it', async () => {
  const { code, webgl, weights } = await bundleModule()
  const packed = gzipSync(code, { level: 9 }).length
  const [output] = Object.values(weights.outputs)
  const groups = new Map<string, number>()
  for (const [path, { bytesInOutput }] of Object.entries(output?.inputs ?? {})) groups.set(groupOf(path), (groups.get(groupOf(path)) ?? 0) + bytesInOutput)
  const rows = [...groups].sort(([, a], [, b]) => b - a).filter(([, bytes]) => bytes >= 1000).map(([name, bytes]) => `${name} ${kb(bytes)}`)
  process.stdout.write(`vdsm.js: ${kb(packed)} gzipped, ${kb(code.length)} as it is: ${rows.join(', ')}\n`)
  assert.ok(packed <= mostBytes, `${packed} bytes are more than ${mostBytes}`)
  assert.ok(packed > 10_000, 'something is in it')
  const beside = gzipSync(webgl, { level: 9 }).length
  process.stdout.write(`${webglFile}: ${kb(beside)} gzipped, ${kb(webgl.length)} as it is\n`)
  assert.ok(beside > 10_000 && beside <= mostOfWebGl, `${beside} bytes, of at most ${mostOfWebGl}`)
  assert.is(Object.keys(weights.outputs).length, 1)
})

test('nothing has to lie beside it but the device webgl, which it imports on demand, and what it must not hold is not in it', async () => {
  const { code, weights } = await bundleModule()
  const [output] = Object.values(weights.outputs)
  assert.equal(output?.imports, [{ path: `./${webglFile}`, kind: 'dynamic-import', external: true }])
  const inputs = Object.keys(output?.inputs ?? {})
  assert.ok(inputs.includes('runtime/device/web.ts') && inputs.includes('runtime/device/wasm.ts'))
  const unwanted = [
    /^compiler\/|ts-morph|typescript|esbuild|tsx\//, /^runtime\/(executor-eager|device\/node|device\/webgpu\/dawn|io\/files|commands|train\/)/,
    /^dsl\/core\/(eager|infer|dense)|^models\//, /gpu\.js|acorn/, /^runtime\/device\/webgl\/(?!source|context)|gl-program/,
  ]
  assert.equal(inputs.filter(path => unwanted.some(pattern => pattern.test(path))), [])
  const text = new TextDecoder().decode(code)
  assert.not.match(text, /["'`]node:|\brequire\(["']/)
  assert.not.match(text, /worker-web/, 'worker threads start from a text within it')
  for (const name of ['open', 'load', 'arr', 'startTrainer', 'parseSafetensors', 'parseNpz', 'webHost', 'Refusal']) {
    assert.ok(output?.exports.includes(name), `it exports ${name}`)
  }
})

test('the page and its worker import the module, and each thing is in one of them alone', async () => {
  const { files } = await bundleStudio()
  assert.equal([...files.keys()].sort(), ['icon.svg', 'index.html', 'measurer.js', 'studio.js', 'style.css', 'trainer.js', webglFile, 'vdsm.js'].sort())
  const text = (name: string): string => new TextDecoder().decode(files.get(name))
  for (const name of ['trainer.js', 'measurer.js']) assert.match(text(name), /from"\.\/vdsm\.js"/)
  assert.not.match(text('studio.js'), /vdsm\.js/, 'the page itself runs nothing')
  assert.not.match(text('trainer.js') + text('measurer.js') + text('studio.js'), /WebAssembly\.(compile|instantiate)/)
  const html = text('index.html')
  assert.not.match(html, /<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|https?:\/\//, 'the page runs under a strict policy and loads nothing from elsewhere')
  for (const [, name = ''] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.ok(files.has(name), `${name} is served`)
})

test.run()
