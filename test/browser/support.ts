/**
 * Driving a real browser: where Chromium is, how it is started, a small server for a bundled page and a build folder, and
 * the bundle of page.ts. Whoever uses it skips, visibly, where `chromiumPath` is undefined.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build as bundle } from 'esbuild'
import { chromium, type Browser, type Page } from 'playwright-core'

const here = fileURLToPath(new URL('.', import.meta.url))

export const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(path => existsSync(path))

const quiet = ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic']

/** Headless; with `webgpu` there is an adapter in software (SwiftShader) where there is no graphics processor, and time for it to compile shaders. */
export const launch = async ({ webgpu = false } = {}): Promise<Browser> => {
  if (chromiumPath === undefined) throw new Error('there is no Chromium here')
  const args = [...quiet, ...(webgpu ? ['--enable-unsafe-webgpu', '--disable-gpu-watchdog'] : [])]
  return chromium.launch({ executablePath: chromiumPath, headless: true, args })
}

/** The script of page.ts (or of another file beside it) and its chunks, as a user's bundler makes them, and the source files that went into them. */
export const packPage = async (entry = 'page.ts') => {
  // Other bundlers find the script of the workers by themselves.
  const worker = await bundle({
    absWorkingDir: join(here, '../..'), entryPoints: ['runtime/device/worker-web.mjs'], write: false, bundle: true, format: 'esm', minify: true,
  })
  const { outputFiles, metafile } = await bundle({
    absWorkingDir: join(here, '../..'), entryPoints: { page: join(here, entry) }, outdir: 'build/page', write: false, metafile: true,
    bundle: true, splitting: true, format: 'esm', platform: 'browser', target: 'es2022', minify: true, logLevel: 'silent',
  })
  const named = outputFiles.map(file => [`/${basename(file.path)}`, file.contents] as const)
  const scripts = new Map<string, Uint8Array | string>([...named, ['/worker-web.mjs', worker.outputFiles[0]?.contents ?? '']])
  return { scripts, inputs: Object.keys(metafile.inputs), outputs: Object.values(metafile.outputs) }
}

const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>'

/** Serves the page, its scripts and the build folder `out` below /build/; isolated, as pages with threads have to be, but for the page /plain. */
export const servePage = async (
  scripts: ReadonlyMap<string, Uint8Array | string>, out: string,
): Promise<{ readonly server: Server; readonly address: string }> => {
  const answer = (path: string): readonly [string, Uint8Array | string] | undefined => {
    const script = scripts.get(path)
    if (path === '/' || path === '/plain') return ['text/html', html]
    if (script !== undefined) return ['text/javascript', script]
    const file = join(out, basename(path))
    return path.startsWith('/build/') && existsSync(file) ? [path.endsWith('.wasm') ? 'application/wasm' : 'application/json', readFileSync(file)] : undefined
  }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const [type, body] = answer(pathname) ?? []
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': type ?? 'text/plain',
      ...(pathname === '/plain' ? {} : { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }),
    })
    response.end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  server.unref() // should the browser not start, this alone would keep the process
  const bound = server.address()
  return { server, address: `http://127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}/` }
}

/** Opens page.ts in a tab; what goes wrong there unseen is added to `troubles`. */
export const openPage = async (
  browser: Browser, address: string, troubles: string[], prepare: (page: Page) => Promise<void> = async () => undefined,
): Promise<Page> => {
  const opened = await browser.newPage()
  opened.on('pageerror', error => troubles.push(error.message))
  await prepare(opened)
  await opened.goto(address)
  await opened.waitForFunction('globalThis.page !== undefined')
  return opened
}

/** Calls a function of page.ts. As text, since a function would be sent as tsx has rewritten it. */
export const ask = async (where: Page | undefined, name: string, ...args: readonly unknown[]): Promise<unknown> =>
  where?.evaluate(`page.${name}(${args.map(arg => JSON.stringify(arg)).join(', ')})`)
