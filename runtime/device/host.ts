/**
 * What the runtime needs of its surroundings, so that its core runs in Node and in browsers alike: where a build's files
 * are read from, how a model's source is imported, and what has to be switched on before WebAssembly is compiled.
 */
/// <reference path="./webassembly.d.ts" />
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'

export type Host = {
  /** The build folder or address, for messages. */
  readonly where: string
  /** The bytes of a file of the build, by its name in the manifest. */
  readonly read: (name: string) => TaskEither<Failure, Uint8Array>
  /** The exports of a source file; `file` is relative to `root`, which is relative to the build. For the eager device. */
  readonly source: (root: string, file: string) => TaskEither<Failure, Readonly<Record<string, unknown>>>
  /** Called before any module is compiled. */
  readonly prepare: () => void
  /** The exports of a module's new instance. */
  readonly instantiate: (bytes: Uint8Array, imports: WebAssembly.Imports) => Promise<Readonly<Record<string, unknown>>>
}

/** The same host, reading each file once: what it has read stays as it was, even where the build is replaced meanwhile. */
export const remembering = (host: Host): Host => {
  const known = new Map<string, ReturnType<ReturnType<Host['read']>>>()
  return {
    ...host,
    read: name => () => {
      const reading = known.get(name) ?? host.read(name)()
      known.set(name, reading)
      return reading
    },
  }
}
