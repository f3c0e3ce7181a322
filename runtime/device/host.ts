/**
 * What the runtime needs of its surroundings, so that its core runs in Node and in browsers alike: where a build's files
 * are read from, how a model's source is imported, what has to be switched on before WebAssembly is compiled, how
 * worker threads are started, and where WebGPU and WebGL come from.
 */
/// <reference path="./webassembly.d.ts" />
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import type { GlSource } from './webgl/source.ts'
import type { GpuSource } from './webgpu/source.ts'

export type Host = {
  /** The build folder or address, for messages. */
  readonly where: string
  /** The bytes of a file of the build, by its name in the manifest. */
  readonly read: (name: string) => TaskEither<Failure, Uint8Array>
  /** The exports of a source file; `file` is relative to `root`, which is relative to the build. For the eager device. */
  readonly source: (root: string, file: string) => TaskEither<Failure, Readonly<Record<string, unknown>>>
  /** Called before any module is compiled. */
  readonly prepare: () => void
  readonly compile: (bytes: Uint8Array) => Promise<WebAssembly.Module>
  /** The exports of a module's new instance. */
  readonly instantiate: (module: WebAssembly.Module, imports: WebAssembly.Imports) => Promise<Readonly<Record<string, unknown>>>
  readonly threads: Threads
  /** All hosts of one kind share one such value, and with it the device. */
  readonly gpu: GpuSource
  /** The same for WebGL. */
  readonly gl: GlSource
}

/** Worker threads. All hosts of one kind share one such value, and with it the workers (pool.ts). */
export type Threads = {
  /** How many run at once on this machine. */
  readonly available: () => number
  /** Why there can be only one here, for people; null where there can be more. */
  readonly obstacle: () => string | null
  /** Starts a worker (serve.mjs). May throw. */
  readonly start: (listener: Listener) => Worker
}

export type Listener = {
  readonly onAnswer: (answer: { readonly problem: string | null }) => void
  /** The worker could not be started, or has ended. May be called more than once. */
  readonly onEnd: (reason: string) => void
}

export type Worker = {
  readonly post: (message: unknown) => void
  /** Whether the process has to wait for this worker's answers before it ends. It does not at first. */
  readonly hold: (awaited: boolean) => void
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
