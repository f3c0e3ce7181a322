/**
 * The WebAssembly device: chooses between a program's two modules (relaxed fused multiply-add where the engine knows it),
 * gives the module exactly the memory that it needs, and makes an executable of it, on as many threads as are of use.
 */
/// <reference path="./webassembly.d.ts" />
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import { executableOver, type LocalExecutable, type Instance } from '../executor.ts'
import { crc32 } from '../io/crc32.ts'
import { mostThreads, type ProgramInfo } from '../manifest.ts'
import type { Host } from './host.ts'
import { poolOf, type Entry } from './pool.ts'
import { overShared } from './sharing.ts'

export type Variant = 'fma' | 'simd'

const pageBytes = 65536
/** A linear memory has 32-bit addresses. */
const mostPages = 65536

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const pagesFor = (program: ProgramInfo, threads: number): number => Math.max(1, Math.ceil((program.memoryBytes + threads * program.threadBytes) / pageBytes))

const allocate = (program: ProgramInfo): TE.TaskEither<Failure, WebAssembly.Memory> => {
  const pages = pagesFor(program, 1)
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

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const isFunction = (u: unknown): u is Entry => typeof u === 'function'

/** `run` and the steps s0, s1, ... in order; null where there is no run. */
const entriesOf = (exports: Readonly<Record<string, unknown>>): readonly (readonly [string, Entry])[] | null => {
  const steps = Object.keys(exports).filter(name => /^s\d+$/.test(name)).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)))
  const entries = ['run', ...steps].flatMap(name => {
    const entry = exports[name]
    return isFunction(entry) ? [[name, entry] as const] : []
  })
  return entries[0]?.[0] === 'run' ? entries : null
}

type Chosen = { readonly host: Host; readonly program: ProgramInfo; readonly variant: Variant; readonly bytes: Uint8Array }

const arithmetic: Readonly<Record<Variant, string>> = { fma: 'wasm, relaxed FMA', simd: 'wasm, multiply and add' }

const onOneThread = ({ host, program, variant, bytes }: Chosen, note: string | undefined): TE.TaskEither<Failure, Instance> =>
  pipe(
    allocate(program),
    TE.chain(memory => pipe(
      TE.tryCatch(
        async () => [memory, await host.instantiate(await host.compile(bytes), { env: { memory } })] as const,
        error => broken(host, program.modules[variant], `the module does not fit the manifest (${messageOf(error)})`),
      ),
    )),
    TE.chain(([memory, exports]) => {
      const [run, ...steps] = (entriesOf(exports) ?? []).map(([, entry]) => () => entry(0, 1, 0))
      if (run === undefined) return TE.left(broken(host, program.modules[variant], 'the module exports no run()'))
      return TE.right({ buffer: memory.buffer, arithmetic: arithmetic[variant], threads: 1, ...(note === undefined ? {} : { note }), run, steps })
    }),
  )

/** On several threads; where that cannot be, why. */
const onThreads = ({ host, program, variant, bytes }: Chosen, threads: number): TE.TaskEither<string, Instance> => {
  const obstacle = host.threads.obstacle()
  if (obstacle !== null) return TE.left(obstacle)
  const shared = overShared(bytes)
  const pages = pagesFor(program, threads)
  const { id, sync, memoryBytes: end } = program
  const unfit = 'its module cannot share memory'
  if (shared === null) return TE.left(unfit)
  return pipe(
    TE.Do,
    TE.bind('memory', () => TE.tryCatch(
      async () => new WebAssembly.Memory<SharedArrayBuffer>({ initial: pages, maximum: pages, shared: true }),
      () => 'no shared memory here',
    )),
    TE.bind('module', () => TE.tryCatch(() => host.compile(shared), () => unfit)),
    TE.bind('entries', ({ module, memory }) => pipe(
      TE.tryCatch(() => host.instantiate(module, { env: { memory } }), () => unfit),
      TE.chain(exports => TE.fromNullable(unfit)(entriesOf(exports))),
    )),
    TE.bind('call', ({ memory, module, entries }) => pipe(
      TE.tryCatch(() => poolOf(host.threads).share({ id, module, memory, sync, end, entries, threads }), messageOf),
      TE.chain(TE.fromEither),
      TE.mapLeft(message => `no worker threads here: ${message}`),
    )),
    TE.map(({ memory, entries, call }) => {
      const [run = () => undefined, ...steps] = entries.map((_, i) => () => call(i))
      return { buffer: memory.buffer, arithmetic: arithmetic[variant], threads, run, steps }
    }),
  )
}

export type WasmOptions = {
  /** Forces one of the two modules. */
  readonly variant?: Variant | undefined
  /** At most so many threads; default: as many as the machine runs at once. Never more than are of use to the program. */
  readonly threads?: number | undefined
}

/** Loads a program. Where several threads cannot be had it runs on one, and its variant says why. */
export const loadWasm = (host: Host, program: ProgramInfo, options: WasmOptions = {}): TE.TaskEither<Failure, LocalExecutable> => {
  host.prepare()
  const threads = Math.min(options.threads ?? host.threads.available(), program.threads, mostThreads)
  return pipe(
    choose(host, program, options.variant),
    TE.map(([variant, bytes]): Chosen => ({ host, program, variant, bytes })),
    TE.chain(chosen => threads <= 1 ? onOneThread(chosen, undefined) : pipe(onThreads(chosen, threads), TE.orElse(why => onOneThread(chosen, why)))),
    TE.map(instance => executableOver(program, instance)),
  )
}
