/**
 * The runtime as one ES module for pages (`bundle.ts` makes it): programs of a build by its address, on WebGPU, WebGL or
 * WebAssembly, with promises that reject with a `Refusal` whose message says what to do.
 *
 *     import { open } from './vdsm.js'
 *     const build = await open('/build/')
 *     const program = await build.load('model/step', { device: 'webgpu' })
 */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { Refusal } from '../dsl/errors.ts'
import { openBuild, type LoadOptions } from './build.ts'
import { webHost } from './device/web.ts'
import type { Host } from './device/host.ts'
import { lookAtGl } from './device/webgl/context.ts'
import type { About as GlAbout } from './device/webgl/engine.ts'
import { findAdapter, type About } from './device/webgpu/adapter.ts'
import type { Executable } from './executor.ts'
import type { Manifest } from './manifest.ts'

export { print, Refusal, refuse, type Failure } from '../dsl/errors.ts'
export { arr, load, type Arr, type Given, type ProgramTypes } from './bindings.ts'
export type { Device, LoadOptions } from './build.ts'
export { fitArrays } from './arrays.ts'
export { webHost } from './device/web.ts'
export type { About as GlAbout } from './device/webgl/engine.ts'
export type { About } from './device/webgpu/adapter.ts'
export type { Executable, View } from './executor.ts'
export { parseNpz, printNpz } from './io/npz.ts'
export { parseSafetensors, printSafetensors } from './io/safetensors.ts'
export { sizeOfShape, type Manifest, type ProgramInfo } from './manifest.ts'
export { resumeTrainer, startTrainer, type Saved, type Trainer } from './trainer.ts'

/** A build whose manifest has been read. */
export type Programs = {
  readonly manifest: Manifest
  /** Makes a program ready to run. Rejects with a `Refusal` where it, or the device, cannot be had. */
  readonly load: (id: string, options?: LoadOptions) => Promise<Executable>
}

const orReject = async <A>(task: () => Promise<E.Either<ConstructorParameters<typeof Refusal>[0], A>>): Promise<A> => {
  const result = await task()
  if (E.isLeft(result)) throw new Refusal(result.left)
  return result.right
}

/** Opens the build at an address, e.g. `/build/`, or of a host. */
export const open = async (build: string | Host): Promise<Programs> => {
  const opened = await orReject(openBuild(typeof build === 'string' ? webHost(build) : build))
  return { manifest: opened.manifest, load: (id, options = {}) => orReject(opened.loadOn(id, options)) }
}

/**
 * The adapter of WebGPU that programs would run on here: hardware, or where there is none, one that computes on the processor.
 * Rejects with a `Refusal` that says why there is none at all.
 */
export const webgpuHere = async (host: Host = webHost('')): Promise<About> => (await orReject(findAdapter(host.gpu, true))).about

/** What WebGL is here, found by opening a context and closing it again. Rejects with a `Refusal` that says why programs cannot run on it. */
export const webglHere = async (host: Host = webHost('')): Promise<GlAbout> => orReject(TE.fromEither(lookAtGl(host.gl)))
