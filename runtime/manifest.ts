/**
 * The schema of `build/manifest.json`: the contract between the compiler, which writes it, and the runtime, which reads
 * it. This is the one place where it is written down; both sides import it.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Failure } from '../dsl/errors.ts'
import { neighbours } from './nearest.ts'

/** Raised whenever a manifest of an older version can no longer be run. */
export const manifestVersion = 2

export const manifestFile = 'manifest.json'

/** The most threads that a program's memory has sync words for. */
export const mostThreads = 64

const count = new t.Type<number, number, unknown>(
  'whole number >= 0',
  (u): u is number => typeof u === 'number' && Number.isSafeInteger(u) && u >= 0,
  (u, c) => (typeof u === 'number' && Number.isSafeInteger(u) && u >= 0 ? t.success(u) : t.failure(u, c)),
  t.identity,
)

const dtype = t.keyof({ f32: null, i32: null, u32: null, bool: null })

/**
 * One array of a program: its path in the argument or result tree (`params.encoder.conv1.weight`, `bank[2].weight`; ''
 * for a program that returns a single tensor), and where it lies in the program's memory, in bytes. Elements take four bytes.
 */
export const Slot = t.readonly(t.type({ path: t.string, shape: t.readonlyArray(count), dtype, offset: count }))
export type Slot = t.TypeOf<typeof Slot>

/**
 * One fused kernel: the source lines that it computes (`models/x.ts:12:3`), floating-point operations and bytes moved by
 * ONE execution, the top-level step to which it belongs, and how often a call of the program executes it. `work` weighs
 * operations by the time that they take at least, in operations of a matrix product: a transcendental function is many.
 */
export const KernelInfo = t.readonly(
  t.type({ name: t.string, places: t.readonlyArray(t.string), flops: t.number, work: t.number, bytes: t.number, step: count, count }),
)
export type KernelInfo = t.TypeOf<typeof KernelInfo>

/** Totals of one call: kernels before and after fusion, operations, bytes moved, the memory plan's peak, buffers. */
export const Stats = t.readonly(
  t.type({ kernelsBefore: count, kernelsAfter: count, flops: t.number, bytes: t.number, peakBytes: count, buffers: count }),
)
export type Stats = t.TypeOf<typeof Stats>

/**
 * One compiled entry point. A module imports `env.memory`, of `memoryBytes` and then `threadBytes` for every thread, rounded
 * up to whole pages, and exports `run` and one function per top-level step, `s0`, `s1`, ..., functions of (thread, threads,
 * spins): called by all threads at once, or without arguments by one. A run leaves the arrays of `inputs` as they were,
 * but for those at whose offset an array of `outputs` lies, which take its place.
 *
 * The import asks for plain memory. For several threads the memory has to be shared, and the flags of the import's limits
 * set from 1 to 3. At a barrier a thread looks `spins` times before it sleeps (0: it never sleeps). Barriers use the sync
 * words, which begin at byte `sync`: -1 in the first makes every thread that waits, or comes to wait, trap.
 */
const programFields = t.type({
  /** The file's path below the compile root, without extension, and the export: `vdsm/small/trainStep`. */
  id: t.string,
  /** The source file, relative to the manifest's `root`, and the line of the export in it. */
  file: t.string,
  line: count,
  config: t.readonly(t.record(t.string, t.number)),
  /** For people: `(params: Params, x: Tensor<[3]>) => Tensor<[]>`. */
  signature: t.string,
  /** The names of the function's parameters, in order; every input path starts with one of them. */
  parameters: t.readonlyArray(t.string),
  inputs: t.readonlyArray(Slot),
  outputs: t.readonlyArray(Slot),
  /** Files in the build folder: with multiply and add, and with relaxed fused multiply-add. */
  modules: t.readonly(t.type({ simd: t.string, fma: t.string })),
  memoryBytes: count,
  threadBytes: count,
  sync: count,
  /** The most threads that are of use. */
  threads: count,
  /** Of everything that the modules depend on; an unchanged hash means that nothing has to be compiled. */
  hash: t.string,
  kernels: t.readonlyArray(KernelInfo),
  stats: Stats,
})

/** What a build may say besides, so that files that do not belong together are noticed. */
const programChecks = t.partial({
  /** CRC-32 of both module files: one that is damaged, or belongs to another compile than the manifest, is not run. */
  checksums: t.readonly(t.type({ simd: count, fma: count })),
  /** The file for WebGPU (runtime/gpu-program.ts) and its CRC-32; a build for WebAssembly alone has none, nor has a program that WebGPU cannot run. */
  webgpu: t.readonly(t.type({ file: t.string, checksum: count })),
  /** The file for WebGL (runtime/gl-program.ts) and its CRC-32; where there is none though the build is for WebGL, why not. */
  webgl: t.union([t.readonly(t.type({ file: t.string, checksum: count })), t.readonly(t.type({ obstacle: t.string }))]),
  /** The model's source files, relative to the build folder, with fingerprints of their contents when they were compiled. */
  sources: t.readonly(t.record(t.string, t.string)),
})

export const ProgramInfo = t.readonly(t.intersection([programFields, programChecks]))
export type ProgramInfo = t.TypeOf<typeof ProgramInfo>

/** The whole file. `root` is the path from the build folder to the folder to which all source paths are relative. */
export const Manifest = t.readonly(
  t.type({ version: t.literal(manifestVersion), root: t.string, programs: t.readonlyArray(ProgramInfo) }),
)
export type Manifest = t.TypeOf<typeof Manifest>

const isIntersection = (type: unknown): boolean => type instanceof t.IntersectionType || (type instanceof t.ReadonlyType && isIntersection(type.type))

/** What a codec found wrong, one line per problem, most specific first: `programs[0].inputs[2].dtype: ...`. */
export const decodeProblems = (errors: t.Errors, limit = 3): string => {
  const lines = errors.map(error => {
    // The parts of an intersection count as steps of the path; they mean nothing to a reader.
    const keys = error.context.slice(1).filter((_, i) => !isIntersection(error.context[i]?.type)).map(c => c.key).filter(key => key !== '')
    const where = keys.map(key => (/^\d+$/.test(key) ? `[${key}]` : `.${key}`)).join('').replace(/^\./, '')
    const expected = error.context[error.context.length - 1]?.type.name ?? 'something else'
    const found = error.value === undefined ? 'nothing' : JSON.stringify(error.value)
    const short = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}...` : text)
    return `${where === '' ? 'the top level' : where}: expected ${short(expected)}, found ${short(found ?? 'something else')}`
  })
  return [...lines.slice(0, limit), ...(lines.length > limit ? [`and ${lines.length - limit} more`] : [])].join('; ')
}

const remedy = 'Compile again: npm run compile (or: npx vdsm compile).'

/** Reads the text of a manifest; `path` is where it came from, for the failure's message. */
export const parseManifest = (text: string, path: string): E.Either<Failure, Manifest> => {
  const no = (message: string): E.Either<Failure, Manifest> => E.left({ kind: 'file', path, message, remedy })
  const json = E.tryCatch((): unknown => JSON.parse(text), error => (error instanceof Error ? error.message : String(error)))
  if (E.isLeft(json)) return no(`not valid JSON (${json.left})`)
  const version = typeof json.right === 'object' && json.right !== null && 'version' in json.right ? json.right.version : undefined
  if (version !== undefined && version !== manifestVersion) {
    return no(`manifest version ${String(version)}; this runtime reads version ${manifestVersion}`)
  }
  const decoded = Manifest.decode(json.right)
  return E.isLeft(decoded) ? no(`not a manifest: ${decodeProblems(decoded.left)}`) : E.right(decoded.right)
}

/** The text of the file: JSON, a line per value, in the order of the schema, so that equal manifests are equal files. */
export const printManifest = (manifest: Manifest): string => `${JSON.stringify(Manifest.encode(manifest), null, 1)}\n`

/** How many programs a failure names: of those that may be meant, and of all. */
const SHOWN = { near: 4, all: 8 } as const

/** The program of that id, or a failure that lists the nearest ones. */
export const findProgram = (manifest: Manifest, id: string): E.Either<Failure, ProgramInfo> => {
  const found = manifest.programs.find(p => p.id === id)
  if (found !== undefined) return E.right(found)
  const ids = manifest.programs.map(p => p.id)
  const word = id.split('/').pop()?.toLowerCase() ?? ''
  const ranked = neighbours(id, ids)
  const near = ranked.filter(other => other.near || (word !== '' && other.name.toLowerCase().includes(word)))
  const shown = (near.length > 0 ? near.slice(0, SHOWN.near) : ranked.slice(0, SHOWN.all)).map(({ name }) => name)
  return E.left({
    kind: 'usage',
    message: ids.length === 0 ? `no program '${id}': the build folder holds no programs` : `no program '${id}' in the build folder`,
    remedy: ids.length === 0 ? remedy
      : `${near.length > 0 ? 'Did you mean' : 'There are'}: ${shown.join(', ')}${ids.length > shown.length && near.length === 0 ? ', ... (see: vdsm list)' : ''}`,
  })
}

/** Elements of an array of that shape; 1 for a scalar. */
export const sizeOfShape = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
