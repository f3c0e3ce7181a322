/** Loads a compiled program on WebGL: its file is checked, what the device has no room for is refused, all kernels are compiled. */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { refuse, Refusal, type Failure } from '../../../dsl/errors.ts'
import type { Executable } from '../../executor.ts'
import { GlProgram, glProgramVersion, texelsOf } from '../../gl-program.ts'
import type { ProgramInfo } from '../../manifest.ts'
import type { Host } from '../host.ts'
import { again, programParser, readProgramFile } from '../program-file.ts'
import { engineOf, type Lease } from './device.ts'
import type { Engine, Run } from './engine.ts'
import { executableOn } from './executable.ts'
import { interpretedEngine } from './interpreted.ts'
import { importLibrary } from './library.ts'
import type { GlSource } from './source.ts'

export type WebGlOptions = {
  /** Hears of the device's failure as soon as it is noticed, besides everybody who calls the program afterwards. */
  readonly onFailure?: ((failure: Failure) => void) | undefined
  /** Runs kernels as JavaScript on the processor, without WebGL: a vehicle for tests in Node, slow, which no command offers. */
  readonly interpreted?: boolean | undefined
}

/** Reads the text of a program's file; `path` is where it came from, for the failure's message. */
export const parseGlProgram = programParser('WebGL', glProgramVersion, GlProgram)

const readProgram = (host: Host, { webgl, id }: ProgramInfo): TE.TaskEither<Failure, GlProgram> => {
  if (webgl === undefined) {
    return TE.left({ kind: 'limit', what: 'WebGL', message: `${id} has not been compiled for it`, remedy: `${again} Or use the device wasm.` })
  }
  if ('obstacle' in webgl) {
    return TE.left({ kind: 'limit', what: 'WebGL', message: `${id} cannot run on it: ${webgl.obstacle}`, remedy: 'Use the device webgpu or wasm.' })
  }
  return readProgramFile(host, webgl, parseGlProgram)
}

/** The first array that is larger than a texture. */
const tooLarge = ({ about, fits }: Engine, program: ProgramInfo, file: GlProgram): Failure | null => {
  const large = file.arrays.find(array => !fits(texelsOf(array)))
  if (large === undefined) return null
  const side = about.maxTextureSize
  return {
    kind: 'limit', what: `WebGL, ${program.id}`,
    message: `${large.name}: ${texelsOf(large)} numbers in one texture; ${about.name} has textures of at most ${side} x ${side} = ${side * side}`,
    remedy: 'Bind the program to smaller sizes (a smaller batch above all), or use the device webgpu or wasm.',
  }
}

/** Compiling takes the page's thread: others come to their turn in between. */
const patience = 30

const pause = (): Promise<void> => new Promise(done => setTimeout(done, 0))

/** Makes a program ready on a device that is open. Rejects with a `Refusal`; the lease is released then, or when the executable is disposed of. */
export const runnableOn = async (lease: Lease, program: ProgramInfo, file: GlProgram, { onFailure }: WebGlOptions = {}): Promise<Executable> => {
  const { engine } = lease
  const deaf = onFailure === undefined ? () => undefined : engine.onFailure(onFailure)
  const held: Lease = {
    engine,
    release: () => {
      deaf()
      lease.release()
    },
  }
  try {
    const large = tooLarge(engine, program, file)
    if (large !== null) refuse(large)
    const functions = new Map(file.functions.map(one => [one.name, one] as const))
    const kernels: Run[] = []
    let since = Date.now()
    for (const kernel of file.kernels) {
      if (Date.now() - since > patience) {
        await pause()
        since = Date.now()
      }
      const failure = engine.failure()
      if (failure !== null) refuse(failure)
      // gpu.js knows no kernel without results.
      kernels.push(kernel.texels === 0 ? () => engine.zeros(0) : engine.prepare(kernel, functions))
    }
    return executableOn(held, program, file, kernels)
  } catch (error) {
    held.release()
    throw error
  }
}

const interpreted = async (): Promise<Lease> => {
  const engine = interpretedEngine(await importLibrary())
  return { engine, release: () => undefined }
}

/** All programs of this process that are interpreted: they share arrays as those of a context do. */
const vehicle: { lease: Promise<Lease> | null } = { lease: null }

const leaseOf = (source: GlSource, options: WebGlOptions): TE.TaskEither<Failure, Lease> =>
  options.interpreted !== true ? engineOf(source) : TE.fromTask(() => (vehicle.lease ??= interpreted()))

/** Loads a program on the context that all programs of the page share. */
export const loadWebGl = (host: Host, program: ProgramInfo, options: WebGlOptions = {}): TE.TaskEither<Failure, Executable> =>
  pipe(
    readProgram(host, program),
    TE.chain(file => pipe(
      leaseOf(host.gl, options),
      TE.chain(lease => TE.tryCatch(() => runnableOn(lease, program, file, options), (error): Failure =>
        error instanceof Refusal ? error.failure
          : { kind: 'bug', where: `loading ${program.id} on WebGL`, message: error instanceof Error ? error.message : String(error) })),
    )),
  )
