/**
 * The server of the studio: the page, its scripts, and the files that a build's manifest names; nothing else of the disk. It
 * listens on this machine alone, and answers only requests that name it as their host: a page from elsewhere whose name has
 * been made to point here is refused.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import * as E from 'fp-ts/lib/Either.js'
import { Refusal, refuse, type Failure } from '../../dsl/errors.ts'
import type { Host } from '../device/host.ts'
import { manifestFile, parseManifest, type Manifest } from '../manifest.ts'

export type Served = {
  readonly address: string
  readonly port: number
  readonly close: () => Promise<void>
}

/** Workers on several threads need an isolated page. Everything that the page loads comes from here; threads start from a text. */
const headers = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; connect-src 'self'; "
    + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8', css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8',
  json: 'application/json', svg: 'image/svg+xml', wasm: 'application/wasm',
}
const typeOf = (name: string): string => types[name.split('.').pop() ?? ''] ?? 'application/octet-stream'

/** The names of all files of a build's programs. */
const filesOf = ({ programs }: Manifest): ReadonlySet<string> =>
  new Set(programs.flatMap(({ modules, webgpu, webgl }) =>
    [...Object.values(modules), ...(webgpu === undefined ? [] : [webgpu.file]), ...(webgl === undefined || 'obstacle' in webgl ? [] : [webgl.file])])
    .filter(name => /^\w[\w.-]*$/.test(name)))

type Reply = { readonly status: number; readonly type: string; readonly body: Uint8Array | string }

const words = (status: number, body: string): Reply => ({ status, type: 'text/plain; charset=utf-8', body: `${body}\n` })
const file = (name: string, body: Uint8Array): Reply => ({ status: 200, type: typeOf(name), body })

/** What is behind a path of the build folder. The manifest is read at each request: programs may be compiled anew meanwhile. */
const ofBuild = async (host: Host, name: string): Promise<Reply> => {
  const manifest = await host.read(manifestFile)()
  if (E.isLeft(manifest)) return words(404, new Refusal(manifest.left).message)
  if (name === manifestFile) return file(name, manifest.right)
  const parsed = parseManifest(new TextDecoder().decode(manifest.right), manifestFile)
  if (E.isLeft(parsed) || !filesOf(parsed.right).has(name)) return words(404, 'The manifest names no such file.')
  const bytes = await host.read(name)()
  return E.isLeft(bytes) ? words(404, new Refusal(bytes.left).message) : file(name, bytes.right)
}

const replyTo = async ({ method, url, headers: { host: asked } }: IncomingMessage, own: readonly string[], files: Files, host: Host): Promise<Reply> => {
  if (asked === undefined || !own.includes(asked)) return words(403, `This server answers to ${own[0] ?? ''} alone.`)
  if (method !== 'GET' && method !== 'HEAD') return words(405, 'There is nothing here but to be read.')
  const [path = '/'] = (url ?? '/').split('?')
  if (path.startsWith('/build/')) return ofBuild(host, path.slice('/build/'.length))
  const name = path === '/' ? 'index.html' : path.slice(1)
  const body = files.get(name)
  return body === undefined ? words(404, 'There is no such page.') : file(name, body)
}

type Files = ReadonlyMap<string, Uint8Array>

const send = (response: ServerResponse, { status, type, body }: Reply, withBody: boolean): void => {
  response.writeHead(status, { ...headers, 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(withBody ? body : undefined)
}

const listenFailure = (error: unknown, port: number): Failure => {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  const message = code === 'EADDRINUSE' ? 'another program listens on it already' : code === 'EACCES' ? 'this user may not listen on it'
    : error instanceof Error ? error.message : String(error)
  return { kind: 'limit', what: `port ${port}`, message, remedy: 'Name another one: --port 8765, or --port 0 for any that is free.' }
}

const listen = (server: Server, port: number): Promise<number> => new Promise((resolve, reject) => {
  server.once('error', error => reject(new Refusal(listenFailure(error, port))))
  server.listen(port, '127.0.0.1', () => {
    const bound = server.address()
    resolve(typeof bound === 'object' && bound !== null ? bound.port : port)
  })
})

/** Starts the server on a port of this machine (0: any that is free). `files`: what it serves besides the build, by name. Throws a `Refusal`. */
export const serveStudio = async (files: Files, build: Host, port: number): Promise<Served> => {
  if (!files.has('index.html')) refuse({ kind: 'bug', where: 'the studio', message: 'there is no page to serve' })
  let own: readonly string[] = []
  const server = createServer((request, response) => {
    void replyTo(request, own, files, build)
      .catch((error: unknown) => words(500, error instanceof Error ? error.message : String(error)))
      .then(reply => send(response, reply, request.method !== 'HEAD'))
  })
  const bound = await listen(server, port)
  // The port of http is not written.
  own = ['127.0.0.1', 'localhost'].map(name => (bound === 80 ? name : `${name}:${bound}`))
  return {
    address: `http://${own[0] ?? ''}/`,
    port: bound,
    close: () => new Promise(done => {
      server.close(() => done())
      server.closeAllConnections()
    }),
  }
}
