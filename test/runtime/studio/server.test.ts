/** The studio's server: what it serves, what it refuses, and the command's messages. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../../compiler/compile.ts'
import { print } from '../../../dsl/errors.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import { main } from '../../../runtime/cli.ts'
import { openBuild } from '../../../runtime/build.ts'
import { serveStudio, type Served } from '../../../runtime/studio/server.ts'

const folder = mkdtempSync(join(tmpdir(), 'vdsm-served-'))
const build = join(folder, 'build')
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
let served: Served

test.before(async () => {
  const fixture = resolve('test/compiler/fixtures/two.ts')
  const compiled = await compile({ files: [fixture], root: resolve('test/compiler/fixtures'), out: build, force: true, onBuilt: () => undefined })
  if (E.isLeft(compiled)) throw new Error(print(compiled.left))
  writeFileSync(join(folder, 'secret.txt'), 'not for pages')
  served = await serveStudio(new Map([['index.html', bytes('<p>a page')], ['studio.js', bytes('1')]]), nodeHost(build), 0)
})
test.after(async () => {
  await served.close()
  rmSync(folder, { recursive: true, force: true })
})

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string }

/** The path is sent as it is, as no browser would. */
const ask = (path: string, options: { readonly host?: string; readonly method?: string } = {}): Promise<Answer> => new Promise((done, failed) => {
  const { host = `127.0.0.1:${served.port}`, method = 'GET' } = options
  const sent = request({ host: '127.0.0.1', port: served.port, path, method, headers: { host } }, response => {
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.on('end', () => done({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString('latin1') }))
  })
  sent.on('error', failed)
  sent.end()
})

test('the page, its scripts and the files of the manifest, with the headers that threads need', async () => {
  const { status, headers, body } = await ask('/?config=tiny')
  assert.equal([status, headers['content-type'], body], [200, 'text/html; charset=utf-8', '<p>a page'])
  assert.is(headers['cross-origin-opener-policy'], 'same-origin')
  assert.is(headers['cross-origin-embedder-policy'], 'require-corp')
  assert.match(String(headers['content-security-policy']), /default-src 'none'/)
  assert.is((await ask('/studio.js')).headers['content-type'], 'text/javascript; charset=utf-8')
  const manifest = await ask('/build/manifest.json')
  assert.is(manifest.status, 200)
  const names = [...manifest.body.matchAll(/"([^"]+\.wasm)"/g)].map(found => found[1] ?? '')
  assert.ok(names.length >= 2)
  for (const name of names) {
    const module = await ask(`/build/${name}`)
    assert.equal([module.status, module.headers['content-type'], module.body.slice(0, 4)], [200, 'application/wasm', '\0asm'])
  }
  assert.equal(await ask('/', { method: 'HEAD' }).then(head => [head.status, head.body]), [200, ''])
})

test('nothing else of the disk', async () => {
  const paths = [
    '/build/', '/build/cache.json', '/build/bindings.ts', '/build/../secret.txt', '/build/..%2fsecret.txt', '/build/%2e%2e/secret.txt',
    '/build/....//secret.txt', '/../secret.txt', '/..%2f..%2fetc/passwd', '//etc/passwd', `/build/${folder}/secret.txt`, '/secret.txt',
    '/build/manifest.json/../cache.json', '/build\\..\\secret.txt',
  ]
  for (const path of paths) {
    const { status, body } = await ask(path)
    assert.is(status, 404, path)
    assert.not.match(body, /not for pages|root:/, path)
  }
  assert.is((await ask('/', { method: 'POST' })).status, 405)
})

test('it answers to its own name alone', async () => {
  assert.is((await ask('/', { host: `localhost:${served.port}` })).status, 200)
  for (const host of ['example.org', `example.org:${served.port}`, '127.0.0.1', '0.0.0.0']) {
    const { status, body } = await ask('/', { host })
    assert.ok(status === 403 || status === 400, `${host}: ${status}`)
    assert.not.match(body, /a page/)
  }
})

test('a port that is taken is named, with the way out', async () => {
  const refused = await serveStudio(new Map([['index.html', bytes('')]]), nodeHost(build), served.port).catch((error: unknown) => String(error))
  assert.match(String(refused), new RegExp(`port ${served.port}: another program listens on it already\\n.*--port`))
})

test('the module that vdsm bundle writes opens a build by its address, runs its programs, and refuses in words', async () => {
  const module = join(folder, 'vdsm.js')
  assert.is(await main(['bundle', '--out', module]), 0)
  const { open, Refusal } = (await import(pathToFileURL(module).href)) as Pick<typeof import('../../../runtime/browser.ts'), 'open' | 'Refusal'>
  const opened = await open(`${served.address}build/`)
  const [first] = opened.manifest.programs
  const program = await opened.load(first?.id ?? '', { threads: 1, variant: 'simd' })
  for (const { path, shape } of program.program.inputs) program.set(path, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 1))
  program.run()
  const here = await openBuild(nodeHost(build))()
  const same = E.isRight(here) ? await here.right.load(first?.id ?? '', { threads: 1, variant: 'simd' })() : here
  if (E.isLeft(same)) throw new Error(print(same.left))
  for (const { path } of program.program.inputs) same.right.set(path, (await program.read([path], 'inputs'))[0] ?? [])
  same.right.run()
  const paths = program.program.outputs.map(({ path }) => path)
  assert.equal(await program.read(paths), await same.right.read(paths))
  const refused: unknown = await opened.load('two/three').catch((error: unknown) => error)
  assert.instance(refused, Refusal)
  assert.match(String(refused), /no program 'two\/three' in the build folder/)
  const nowhere: unknown = await open(`${served.address}elsewhere/`).catch((error: unknown) => error)
  assert.match(String(nowhere), /elsewhere\/manifest\.json: could not be fetched \(404/)
  assert.is(await main(['bundle', '--out', join(folder, 'vdsm.txt')]), 2)
})

const vdsm = (...args: readonly string[]): Promise<readonly [code: number | null, out: string, err: string]> => new Promise(done => {
  const child = spawn(process.execPath, [resolve('runtime/vdsm.mjs'), 'studio', '--no-open', ...args], { cwd: folder })
  let [out, err] = ['', '']
  child.stdout.on('data', (part: Buffer) => {
    out += part.toString()
    if (out.includes('Ctrl-C')) child.kill('SIGINT')
  })
  child.stderr.on('data', (part: Buffer) => { err += part.toString() })
  child.on('close', code => done([code, out, err]))
})

test('the command refuses in words: no build, no model in it, no port', async () => {
  const [[missing, , noBuild], [without, , noModel], [wrong, , noPort]] =
    await Promise.all([vdsm('--build', 'nowhere'), vdsm('--build', build), vdsm('--port', '99999')])
  assert.equal([missing, without, wrong], [1, 2, 2])
  assert.match(noBuild, /nowhere\/manifest\.json: no such file\n.*Compile first/)
  assert.match(noModel, /no program 'vdsm\/small-16\/frames\/init'[^]*Compile VDSM first/)
  assert.match(noPort, /--port.*from 0 to 65535/)
})

test.run()
