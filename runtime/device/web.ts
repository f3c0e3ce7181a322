/** The browser's side of the runtime: a build's files come from an address, worker threads need an isolated page. */
/// <reference path="./webassembly.d.ts" />
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import type { Host, Threads } from './host.ts'
import { webStore } from './web-store.ts'
import { contextOn } from './webgl/context.ts'
import { glFailure, remedies, type GlCanvas, type GlSource } from './webgl/source.ts'
import { deviceFailure, type GpuSource } from './webgpu/source.ts'

const fetchBytes = async (url: string): Promise<Uint8Array> => {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`)
  return new Uint8Array(await response.arrayBuffer())
}

/** What a page knows of its surroundings; some of it is missing in some browsers. */
const page = globalThis as unknown as { readonly crossOriginIsolated?: boolean
  readonly isSecureContext?: boolean; readonly navigator?: { readonly hardwareConcurrency?: number; readonly gpu?: GPU } }

/** The script of worker threads as text, in the module that `studio/bundle.ts` makes. */
declare const VDSM_WORKER: string | undefined

const startWorker = (): Worker => {
  if (typeof VDSM_WORKER !== 'string') {
    // In this very form bundlers understand it and add the file to what they write.
    return new Worker(new URL('./worker-web.mjs', import.meta.url), { type: 'module' })
  }
  const address = URL.createObjectURL(new Blob([VDSM_WORKER], { type: 'text/javascript' }))
  const worker = new Worker(new URL(address), { type: 'module' })
  // It has been fetched when the first message, or an error, is there.
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
  return worker
}

const threads: Threads = {
  available: () => page.navigator?.hardwareConcurrency ?? 1,
  obstacle: () => (page.crossOriginIsolated === true ? null : 'the page is not cross-origin isolated'),
  start: ({ onAnswer, onEnd }) => {
    const worker = startWorker()
    worker.onmessage = ({ data }) => onAnswer(data as { readonly problem: string | null }) // what serve.mjs answers
    worker.onerror = event => {
      event.preventDefault()
      onEnd(event.message ?? 'its script could not be loaded')
    }
    return { post: message => worker.postMessage(message), hold: () => undefined }
  },
}

const gpu: GpuSource = {
  start: () => {
    const found = page.navigator?.gpu
    if (found !== undefined) {
      return TE.right({ gpu: found, backend: 'browser', patiently: work => work, lacking: () => ({
        message: 'the browser offers no adapter',
        remedy: 'Look at chrome://gpu (or about:support) for what it blocks; update the driver of your GPU, or use the device wasm.' }) })
    }
    return TE.left(page.isSecureContext === false
      ? deviceFailure('missing', 'the browser blocks it on this page, which is not a secure context', 'Serve the page by https, or from localhost.')
      : deviceFailure('missing', 'this browser does not have it', 'Use a current Chrome, Edge, Safari or Firefox, or the device wasm.'))
  },
  measured: webStore('measured'),
}

/** Where a page, or a worker, finds canvases. */
const canvases = globalThis as unknown as {
  readonly OffscreenCanvas?: new (width: number, height: number) => GlCanvas
  readonly document?: { readonly createElement: (name: 'canvas') => GlCanvas }
}

const gl: GlSource = {
  open: () => {
    const { OffscreenCanvas, document } = canvases
    // Some browsers have canvases of no page without WebGL.
    const ways = [
      ...(OffscreenCanvas === undefined ? [] : [() => new OffscreenCanvas(1, 1)]),
      ...(document === undefined ? [] : [() => document.createElement('canvas')]),
    ]
    return ways.reduce((found: ReturnType<GlSource['open']>, make) => pipe(found, E.orElse(() => contextOn(make()))),
      E.left(glFailure('missing', 'there is no canvas here', remedies.elsewhere)))
  },
}

/**
 * A build that is served below `base`, e.g. `/build/`. For more than one thread the page has to be served with the headers
 * Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, and worker-web.mjs to lie beside
 * the script that this becomes part of: most bundlers see to that; esbuild has to be given it as an entry point. (The
 * ready-made module needs no such file.)
 */
export const webHost = (base: string): Host => ({
  where: base,
  read: name => {
    const url = `${base.endsWith('/') ? base : `${base}/`}${name}`
    return TE.tryCatch(
      () => fetchBytes(url),
      (error): Failure => ({ kind: 'file', path: url, message: `could not be fetched (${error instanceof Error ? error.message : String(error)})`,
        remedy: 'Serve the build folder beside the page.' }),
    )
  },
  source: (_root, file) => TE.left({ kind: 'limit', what: 'eager device', message: `${file} cannot be run from its source in a browser`,
    remedy: 'Use the compiled program.' }),
  prepare: () => undefined,
  // In one asynchronous go: on a page's main thread browsers refuse to make large modules, or instances of them, at once.
  compile: bytes => WebAssembly.compile(bytes),
  instantiate: async (module, imports) => (await WebAssembly.instantiate(module, imports)).exports,
  threads,
  gpu,
  gl,
})

/** What a build that is named by a text is in a browser: see `#host` in package.json. */
export const hostAt = webHost
