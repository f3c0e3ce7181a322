/** The browser's side of the runtime: a build's files come from an address. */
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import type { Host } from './host.ts'

const fetchBytes = async (url: string): Promise<Uint8Array> => {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`)
  return new Uint8Array(await response.arrayBuffer())
}

/** A build that is served below `base`, e.g. `/build/`. */
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
  instantiate: async (bytes, imports) => (await WebAssembly.instantiate(bytes, imports)).instance.exports,
})

/** What a build that is named by a text is in a browser: see `#host` in package.json. */
export const hostAt = webHost
