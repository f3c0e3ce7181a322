/**
 * The compiler as one function: source files in, a build folder out. Stages: lower (front end) -> passes -> kernels ->
 * modules and shaders -> manifest and bindings. What has not changed since the last compile is kept.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, Refusal } from '../dsl/errors.ts'
import { fingerprint } from '../runtime/fresh.ts'
import { crc32 } from '../runtime/io/crc32.ts'
import { makeFolder, writeAtomic } from '../runtime/io/files.ts'
import { type Manifest, type ProgramInfo, manifestFile, manifestVersion, parseManifest, printManifest } from '../runtime/manifest.ts'
import { bindings } from './emit/bindings.ts'
import { type Built, type Target, shared, targets as allTargets } from './emit/build.ts'
import { type Cache, compilerHash, hashFiles, readCache, sha, unchanged } from './emit/cache.ts'
import { lowerFiles } from './frontend/lower.ts'
import { languageFiles } from './frontend/places.ts'
import { type Job, type Made, type Outcome, perform } from './job.ts'
import { onThreads, threadsFor } from './threads.ts'

export type Request = {
  /** Absolute paths of the source files. */
  readonly files: readonly string[]
  /** Program ids are paths below this folder. */
  readonly root: string
  readonly out: string
  /** Compile even what has not changed. */
  readonly force: boolean
  /** The id of a program that must be among them, or else nothing is built. */
  readonly named?: string
  /** What to compile for; everything where it is not said. */
  readonly targets?: readonly Target[]
  /** How many threads may work on it; one where it is not said. */
  readonly threads?: number
  /** Called with every program that was compiled anew, on several threads in no certain order. */
  readonly onBuilt: (made: Made) => void
  /** Sees all that is made of a program, on one thread. */
  readonly look?: (built: Built) => void
}

export type Report = {
  /** The programs of the request. */
  readonly programs: readonly ProgramInfo[]
  /** Ids of those that were compiled anew. */
  readonly compiled: readonly string[]
  /** How many programs of other sources the folder holds besides. */
  readonly others: number
}

const slashes = (path: string): string => path.split(sep).join('/')

const previous = (out: string): Manifest | undefined => {
  const path = join(out, manifestFile)
  if (!existsSync(path)) return undefined
  const parsed = parseManifest(readFileSync(path, 'utf8'), path)
  return E.isRight(parsed) ? parsed.right : undefined
}

/** The files of a program, with their checksums. */
const filesOf = ({ modules, checksums, webgpu, webgl }: ProgramInfo): readonly (readonly [name: string, checksum: number | undefined])[] => [
  ...(['simd', 'fma'] as const).map(variant => [modules[variant], checksums?.[variant]] as const),
  ...(webgpu === undefined ? [] : [[webgpu.file, webgpu.checksum] as const]),
  ...(webgl === undefined || 'obstacle' in webgl ? [] : [[webgl.file, webgl.checksum] as const]),
]
const namesOf = (info: ProgramInfo): readonly string[] => filesOf(info).map(([name]) => name)
/** Whether all files of a program lie in the folder as they were written. */
const complete = (out: string, info: ProgramInfo): boolean =>
  filesOf(info).every(([name, checksum]) => {
    const path = join(out, name)
    return existsSync(path) && checksum === crc32(readFileSync(path))
  })

/** The sources of a model, below the build folder's own place, with what they hold. The language's own files are not the user's. */
const sourcesOf = (out: string, paths: readonly string[]): Readonly<Record<string, string>> => {
  const language = languageFiles()
  const own = paths.filter(path => path.endsWith('.ts') && language(path) === undefined)
  return Object.fromEntries(own.map(path => [slashes(relative(out, path)), fingerprint(readFileSync(path))]))
}

/** How the bindings name the runtime: the installed package, or a relative path inside its own repository. */
const runtimeImport = (out: string): string => {
  const own = fileURLToPath(new URL('../runtime/index.ts', import.meta.url))
  const path = relative(out, own)
  return own.includes(`${sep}node_modules${sep}`) || path.startsWith(`..${sep}..`) ? 'vdsm/runtime' : slashes(path)
}

/** The sources of programs are named from the current folder; an earlier compile may have named them from another. */
const relocated = (info: ProgramInfo, from: string, to: string): ProgramInfo => {
  if (from === to) return info
  const moved = (path: string): string => slashes(relative(to, resolve(from, path)))
  const place = (text: string): string => text.replace(/^(.+?)(:\d+:\d+)$/, (_, path: string, at: string) => moved(path) + at)
  return { ...info, file: moved(info.file), kernels: info.kernels.map(k => ({ ...k, places: k.places.map(place) })) }
}

/** What an earlier compile of other sources left in the folder stays, as long as those sources are there. */
const othersOf = (out: string, old: Manifest | undefined, request: Request, ids: ReadonlySet<string>): readonly ProgramInfo[] => {
  if (old === undefined) return []
  const from = resolve(out, old.root)
  const stays = (info: ProgramInfo): boolean => {
    const source = resolve(from, info.file)
    return !ids.has(info.id) && !request.files.includes(source) && existsSync(source) && complete(out, info)
  }
  return old.programs.filter(stays).map(info => relocated(info, from, process.cwd()))
}

/** Writes files in order, each whole or not at all; the first failure ends it. */
const writeAll = async (out: string, files: readonly (readonly [string, string | Uint8Array])[]): Promise<Failure | undefined> => {
  for (const [name, content] of files) {
    const written = await writeAtomic(join(out, name), content)()
    if (E.isLeft(written)) return written.left
  }
  return undefined
}

/** Removes files that nobody names any more; one that cannot be removed is left. */
const remove = (out: string, names: readonly string[]): void =>
  names.forEach(name => E.tryCatch(() => rmSync(join(out, name), { force: true }), () => undefined))

/** Takes a refusal for the failure that it is. */
const attempted = <A>(f: () => A): E.Either<Failure, A> => {
  try {
    return E.right(f())
  } catch (error) {
    if (error instanceof Refusal) return E.left(error.failure)
    throw error
  }
}

/** The outcomes of jobs, on several threads where that pays; the first that fails is the last. */
const performAll = async (jobs: readonly Job[], { threads = 1, onBuilt, look }: Request): Promise<readonly Outcome[]> => {
  const heard = (outcome: Outcome): void => (outcome.kind === 'made' ? onBuilt(outcome.made) : undefined)
  const several = look === undefined ? threadsFor(jobs, threads) : 1
  if (several > 1) return onThreads(jobs, several, heard)
  const make = shared()
  const outcomes: Outcome[] = []
  for (const job of jobs) {
    const outcome = perform(job, make, look)
    outcomes.push(outcome)
    heard(outcome)
    if (outcome.kind === 'failed') break
  }
  return outcomes
}

/**
 * Compiles. The folder changes only when everything compiled: modules and shaders are written under new names, then the manifest
 * replaces the old one, then files that it no longer names go.
 */
export const compile = async (request: Request): Promise<E.Either<Failure, Report>> => {
  const { files, root, out } = request
  const targets = allTargets.filter(target => target === 'wasm' || (request.targets ?? allTargets).includes(target))
  const compiler = sha([compilerHash(), ...targets].join('\n'))
  const old = previous(out)
  const found = request.force ? undefined : readCache(join(out, 'cache.json'))
  const cache = found?.compiler === compiler && found.root === relative(out, root) ? found : undefined
  const entries = [...files].sort().map(f => slashes(relative(root, f)))
  if (cache !== undefined && old !== undefined && entries.join() === cache.entries.join() && unchanged(inRoot(root, cache.sources))) {
    const programs = old.programs.filter(p => cache.programs.includes(p.id))
    const whole = programs.length === cache.programs.length && old.programs.every(p => complete(out, p)) && existsSync(join(out, 'bindings.ts'))
    if (whole) return E.right({ programs, compiled: [], others: old.programs.length - programs.length })
  }

  const lowered = lowerFiles(files, root)
  if (E.isLeft(lowered)) return lowered
  const ids = lowered.right.map(p => p.name)
  if (request.named !== undefined && !ids.includes(request.named)) {
    return E.left({ kind: 'usage', message: `there is no program '${request.named}'`, remedy: `There are: ${ids.join(', ')}` })
  }
  const jobs = lowered.right.map((program): Job => ({
    program: { ...program, file: slashes(program.file) }, targets, compiler,
    known: request.force ? null : (old?.programs.find(p => p.id === program.name && complete(out, p))?.hash ?? null),
  }))
  const outcomes = await performAll(jobs, request)
  const built = E.sequenceArray(outcomes.map((outcome, i): E.Either<Failure, Pick<Made, 'info' | 'files'>> => {
    const sources = sourcesOf(out, lowered.right[i]?.sources ?? [])
    switch (outcome.kind) {
      case 'failed': return E.left(outcome.failure)
      case 'made': return E.right({ info: { ...outcome.made.info, sources }, files: outcome.made.files })
      case 'same': return E.right({ info: { ...old!.programs.find(p => p.id === jobs[i]?.program.name)!, sources }, files: [] })
    }
  }))
  if (E.isLeft(built)) return built
  const folder = attempted(() => makeFolder(relative(process.cwd(), out) || '.'))
  if (E.isLeft(folder)) return folder

  const byId = (a: ProgramInfo, b: ProgramInfo): number => (a.id < b.id ? -1 : 1)
  const programs = built.right.map(b => b.info).sort(byId)
  const others = othersOf(out, old, request, new Set(programs.map(p => p.id)))
  const all = [...programs, ...others].sort(byId)
  const sources = hashFiles(lowered.right.flatMap(p => p.sources))
  const record: Cache = {
    compiler, root: relative(out, root), entries, programs: programs.map(p => p.id),
    sources: Object.fromEntries(Object.entries(sources).map(([path, hash]) => [slashes(relative(root, path)), hash])),
  }
  const manifest: Manifest = { version: manifestVersion, root: slashes(relative(out, process.cwd())) || '.', programs: all }
  const written = built.right.flatMap(b => b.files)
  const before = (old?.programs ?? []).flatMap(namesOf)
  const about: readonly (readonly [string, string])[] = [
    [manifestFile, printManifest(manifest)], ['bindings.ts', bindings(all, runtimeImport(out))], ['cache.json', `${JSON.stringify(record, null, 1)}\n`],
  ]
  const failure = (await writeAll(out, written)) ?? (await writeAll(out, about))
  const used = new Set((failure === undefined ? all : (previous(out)?.programs ?? [])).flatMap(namesOf))
  remove(out, [...before, ...written.map(([name]) => name)].filter(name => !used.has(name)))
  const compiled = built.right.flatMap(b => (b.files.length > 0 ? [b.info.id] : []))
  return failure !== undefined ? E.left(failure) : E.right({ programs, compiled, others: others.length })
}

const inRoot = (root: string, sources: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(sources).map(([path, hash]) => [resolve(root, path), hash]))
