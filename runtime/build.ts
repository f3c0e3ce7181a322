/** A compiled build: its manifest, and its programs made ready to run on a device. */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { Refusal, type Failure } from '../dsl/errors.ts'
import type { Host } from './device/host.ts'
import { loadWasm, type Variant } from './device/wasm.ts'
import type { Precision } from './device/webgpu/pipelines.ts'
import type { Device, Executable, LocalExecutable } from './executor.ts'
import { findProgram, manifestFile, mostThreads, parseManifest, type Manifest, type ProgramInfo } from './manifest.ts'

export type { Device } from './executor.ts'

export type LoadOptions = {
  /** Default wasm. */
  readonly device?: Device
  /** Forces one of a program's two modules; default: the best that the engine accepts. */
  readonly variant?: Variant
  /**
   * At most so many threads, 1 to 64; default: as many as the machine has cores. A program takes no more than are of use
   * to it, and the results are the same bit by bit for any number.
   */
  readonly threads?: number
  /** On webgpu: also takes an adapter that computes on the processor, where there is no other. */
  readonly allowSoftware?: boolean
  /** On webgpu: measures the alternatives of kernels and takes the fastest, which is remembered. Default: on hardware. */
  readonly tune?: boolean
  /**
   * On webgpu, where the adapter can: `f16-tiles` rounds what products keep in the memory of workgroups to half precision; `tensor-cores` has
   * tensor cores multiply, in the large kernels of training steps, what is rounded likewise. Sums stay f32. Default f32.
   */
  readonly precision?: Precision
  /** On webgpu and webgl: hears of the device's failure as soon as it is noticed, besides everybody who calls the program afterwards. */
  readonly onFailure?: (failure: Failure) => void
  /** On webgl: runs kernels as JavaScript on the processor, without WebGL: a vehicle for tests in Node, slow, which no command offers. */
  readonly interpreted?: boolean
}

/** Options for a device whose memory is at hand. */
export type LocalOptions = LoadOptions & { readonly device?: Exclude<Device, 'webgpu' | 'webgl'> }

const local = ['wasm', 'eager'] as const satisfies readonly Device[]
const everywhere = [...local, 'webgpu', 'webgl'] as const satisfies readonly Device[]

/** Refuses what cannot be meant; `devices` are those to choose from. */
const checkOptions = ({ device = 'wasm', threads }: LoadOptions, devices: readonly Device[]): E.Either<Failure, void> => {
  if (!devices.includes(device)) {
    const others: readonly Device[] = everywhere
    return E.left({ kind: 'usage', message: `device: expected ${devices.join(', ')}, got '${device}'`,
      remedy: others.includes(device) ? `What runs on ${device} gives promises: load it with loadOn.` : 'Choose one of these.' })
  }
  if (threads === undefined) return E.right(undefined)
  if (!Number.isInteger(threads) || threads < 1 || threads > mostThreads) {
    return E.left({ kind: 'usage', message: `threads: expected a whole number from 1 to ${mostThreads}, got ${threads}` })
  }
  return device === 'eager' && threads > 1
    ? E.left({ kind: 'usage', message: `threads: the eager device runs on one thread, not on ${threads}`,
      remedy: 'Use the device wasm, or one thread.' })
    : E.right(undefined)
}

export type Build = {
  readonly manifest: Manifest
  readonly host: Host
  /** Loads a program on a device whose memory is at hand. */
  readonly load: (id: string, options?: LocalOptions) => TE.TaskEither<Failure, LocalExecutable>
  /** Loads a program on any device. */
  readonly loadOn: (id: string, options: LoadOptions) => TE.TaskEither<Failure, Executable>
}

/** In a page scripts are fetched. */
const noScript = (error: unknown): Failure => ({
  kind: 'file', path: 'the script of the device webgl', message: `could not be loaded (${error instanceof Error ? error.message : String(error)})`,
  remedy: 'Serve vdsm-webgl.js beside vdsm.js, as vdsm bundle writes it.',
})

/** Reads a build's manifest. */
export const openBuild = (host: Host): TE.TaskEither<Failure, Build> =>
  pipe(
    host.read(manifestFile),
    TE.chainEitherK(bytes => parseManifest(new TextDecoder().decode(bytes), `${host.where}/${manifestFile}`)),
    TE.map(manifest => {
      const found = (id: string, options: LoadOptions, devices: readonly Device[]): TE.TaskEither<Failure, ProgramInfo> =>
        TE.fromEither(pipe(checkOptions(options, devices), E.chain(() => findProgram(manifest, id))))
      const load: Build['load'] = (id, options = {}) =>
        pipe(
          found(id, options, local),
          TE.chain((program): TE.TaskEither<Failure, LocalExecutable> => {
            switch (options.device ?? 'wasm') {
              case 'wasm': return loadWasm(host, program, options)
              // Imported on demand: it brings the whole eager language with it.
              case 'eager': return pipe(TE.fromTask(() => import('./executor-eager.ts')), TE.chain(eager => eager.loadEager(host, manifest.root, program)))
            }
          }),
        )
      // Imported on demand: who stays with WebAssembly needs none of it.
      const loadOn: Build['loadOn'] = (id, { device = 'wasm', ...options }) => {
        return pipe(found(id, { ...options, device }, everywhere), TE.chain((program): TE.TaskEither<Failure, Executable> => {
          switch (device) {
            case 'wasm':
            case 'eager': return load(id, { ...options, device })
            case 'webgpu': return pipe(TE.fromTask(() => import('./device/webgpu/load.ts')), TE.chain(webgpu => webgpu.loadWebGpu(host, program, options)))
            case 'webgl': return pipe(TE.tryCatch(() => import('./device/webgl/load.ts'), noScript), TE.chain(webgl => webgl.loadWebGl(host, program, options)))
          }
        }))
      }
      return { manifest, host, load, loadOn }
    }),
  )

/** Opens the build and loads one program of it. */
export const loadProgram = (host: Host, id: string, options: LocalOptions = {}): TE.TaskEither<Failure, LocalExecutable> =>
  pipe(openBuild(host), TE.chain(build => build.load(id, options)))

/** Runs `f`, turning a refusal into its failure; other errors (a trap of the module) are ours. */
export const attempt = <A>(where: string, f: () => A | Promise<A>): TE.TaskEither<Failure, A> =>
  TE.tryCatch(async () => f(), (error): Failure =>
    error instanceof Refusal ? error.failure : { kind: 'bug', where, message: error instanceof Error ? error.message : String(error) })
