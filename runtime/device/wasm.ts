/**
 * The WebAssembly device: chooses between a program's two modules (relaxed fused multiply-add where the engine knows it),
 * gives the module exactly the memory that it needs, and makes an executable of it.
 */
/// <reference path="./webassembly.d.ts" />
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import { executableOver, type Executable } from '../executor.ts'
import { crc32 } from '../io/crc32.ts'
import type { ProgramInfo } from '../manifest.ts'
import type { Host } from './host.ts'

export type Variant = 'fma' | 'simd'

const pageBytes = 65536
/** A linear memory has 32-bit addresses. */
const mostPages = 65536

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const allocate = (program: ProgramInfo): TE.TaskEither<Failure, WebAssembly.Memory> => {
  const pages = Math.max(1, Math.ceil((program.memoryBytes + program.threadBytes) / pageBytes))
  const limit = (message: string): Failure => ({
    kind: 'limit', what: `memory of ${program.id}`, message,
    remedy: 'Bind the program to smaller sizes (a smaller batch above all), or use the eager device for a single look.',
  })
  if (pages > mostPages) return TE.left(limit(`the program needs ${mib(program.memoryBytes)}; `
    + `a WebAssembly memory holds at most ${mib(mostPages * pageBytes)}`))
  return TE.tryCatch(
    async () => new WebAssembly.Memory({ initial: pages, maximum: pages }),
    () => limit(`the program needs ${mib(program.memoryBytes)} (${pages} pages), which this machine does not give`),
  )
}

const broken = (host: Host, name: string, message: string): Failure => ({
  kind: 'file', path: `${host.where}/${name}`, message, remedy: 'Compile again: npm run compile (or: npx vdsm compile).',
})

/** The variant asked for, or the best that the engine accepts, with its bytes. */
const choose = (host: Host, program: ProgramInfo, wanted: Variant | undefined): TE.TaskEither<Failure, readonly [Variant, Uint8Array]> => {
  const read = (variant: Variant): TE.TaskEither<Failure, readonly [Variant, Uint8Array]> =>
    pipe(
      host.read(program.modules[variant]),
      TE.filterOrElse(
        bytes => program.checksums === undefined || program.checksums[variant] === crc32(bytes),
        () => broken(host, program.modules[variant], 'the module is damaged, or belongs to another compile than the manifest (its checksum does not fit)'),
      ),
      TE.map(bytes => [variant, bytes] as const),
    )
  const accepted = (variant: Variant): TE.TaskEither<Failure, readonly [Variant, Uint8Array]> =>
    pipe(
      read(variant),
      TE.filterOrElse(
        ([, bytes]) => WebAssembly.validate(bytes),
        () => broken(host, program.modules[variant], 'not a WebAssembly module that this engine accepts (damaged, or SIMD is missing)'),
      ),
    )
  if (wanted !== undefined) return accepted(wanted)
  return pipe(
    read('fma'),
    TE.chain(([variant, bytes]) => (WebAssembly.validate(bytes) ? TE.right([variant, bytes] as const) : accepted('simd'))),
  )
}

const isFunction = (u: unknown): u is () => void => typeof u === 'function'

/** Loads a program; `variant` forces one of the two modules. */
export const loadWasm = (host: Host, program: ProgramInfo, variant?: Variant): TE.TaskEither<Failure, Executable> => {
  host.prepare()
  return pipe(
    TE.Do,
    TE.bind('memory', () => allocate(program)),
    TE.bind('chosen', () => choose(host, program, variant)),
    TE.chain(({ chosen: [kind, bytes], memory }) => pipe(
      TE.tryCatch(
        () => host.instantiate(bytes, { env: { memory } }),
        error => broken(host, program.modules[kind], `the module does not fit the manifest (${error instanceof Error ? error.message : String(error)})`),
      ),
      TE.chain(exports => {
        const run = exports['run']
        if (!isFunction(run)) return TE.left(broken(host, program.modules[kind], 'the module exports no run()'))
        const names = Object.keys(exports).filter(name => /^s\d+$/.test(name)).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)))
        return TE.right(executableOver(program, {
          buffer: memory.buffer,
          variant: kind === 'fma' ? 'wasm, relaxed FMA' : 'wasm, multiply and add',
          run,
          steps: names.map(name => exports[name]).filter(isFunction),
        }))
      }),
    )),
  )
}
