/**
 * The compiler as one function: source files in, a build folder out. Stages: lower (front end) -> passes -> kernels ->
 * modules -> manifest and bindings. What has not changed since the last compile is kept.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, Refusal } from '../dsl/errors.ts'
import { makeFolder, writeAtomic } from '../runtime/io/files.ts'
import { type Manifest, type ProgramInfo, manifestFile, manifestVersion, parseManifest, printManifest } from '../runtime/manifest.ts'
import { bindings } from './emit/bindings.ts'
import { type Built, build } from './emit/build.ts'
import { type Cache, compilerHash, hashFiles, readCache, sha, unchanged } from './emit/cache.ts'
import { lowerFiles } from './frontend/lower.ts'
import { printFunc } from './ir/print.ts'
import { optimise } from './transform/passes.ts'

export type Request = {
  /** Absolute paths of the source files. */
  readonly files: readonly string[]
  /** Program ids are paths below this folder. */
  readonly root: string
  readonly out: string
  /** Compile even what has not changed. */
  readonly force: boolean
  /** Called with every program that was compiled anew. */
  readonly onBuilt: (built: Built) => void
}

export type Report = { readonly programs: readonly ProgramInfo[]; readonly compiled: readonly string[] }

const slashes = (path: string): string => path.split(sep).join('/')

const previous = (out: string): Manifest | undefined => {
  const path = join(out, manifestFile)
  if (!existsSync(path)) return undefined
  const parsed = parseManifest(readFileSync(path, 'utf8'), path)
  return E.isRight(parsed) ? parsed.right : undefined
}

const complete = (out: string, info: ProgramInfo): boolean => existsSync(join(out, info.modules.simd)) && existsSync(join(out, info.modules.fma))

/** How the bindings name the runtime: the installed package, or a relative path inside its own repository. */
const runtimeImport = (out: string): string => {
  const own = new URL('../runtime/index.ts', import.meta.url).pathname
  const path = relative(out, own)
  return own.includes(`${sep}node_modules${sep}`) || path.startsWith(`..${sep}..`) ? 'vdsm/runtime' : slashes(path)
}

export const compile = async (request: Request): Promise<E.Either<Failure, Report>> => {
  const { files, root, out } = request
  const cachePath = join(out, 'cache.json')
  const compiler = compilerHash()
  const found = request.force ? undefined : readCache(cachePath)
  const cache = found?.compiler === compiler && found.root === relative(out, root) ? found : undefined
  const old = cache === undefined ? undefined : previous(out)
  const entries = [...files].sort().map(f => slashes(relative(root, f)))
  if (cache !== undefined && old !== undefined && entries.join() === cache.entries.join() && unchanged(inRoot(root, cache.sources)) && old.programs.every(p => complete(out, p)))
    return E.right({ programs: old.programs, compiled: [] })

  const lowered = lowerFiles(files, root)
  if (E.isLeft(lowered)) return lowered
  try {
    makeFolder(relative(process.cwd(), out) || '.')
  } catch (error) {
    if (error instanceof Refusal) return E.left(error.failure)
    throw error
  }
  const programs: ProgramInfo[] = []
  const compiled: string[] = []
  const hashes: Record<string, string> = {}
  try {
    for (const source of lowered.right) {
      const id = source.name
      const func = optimise(source.func)
      const program = { ...source, func, file: slashes(source.file) }
      const hash = sha([compiler, printFunc(func), JSON.stringify([source.config, source.outputs, source.line, program.file])].join('\n'))
      hashes[id] = hash
      const kept = cache?.programs[id] === hash ? old?.programs.find(p => p.id === id && p.hash === hash && complete(out, p)) : undefined
      if (kept !== undefined) {
        programs.push(kept)
        continue
      }
      const built = build(id, program, hash)
      for (const [name, bytes] of [[built.info.modules.simd, built.modules.simd], [built.info.modules.fma, built.modules.fma]] as const) {
        const written = await writeAtomic(join(out, name), bytes)()
        if (E.isLeft(written)) return written
      }
      programs.push(built.info)
      compiled.push(id)
      request.onBuilt(built)
    }
  } catch (error) {
    if (error instanceof Refusal) return E.left(error.failure)
    throw error
  }
  programs.sort((a, b) => (a.id < b.id ? -1 : 1))
  const sources = hashFiles(lowered.right.flatMap(p => p.sources))
  const record: Cache = {
    compiler, root: relative(out, root), entries, programs: hashes,
    sources: Object.fromEntries(Object.entries(sources).map(([path, hash]) => [slashes(relative(root, path)), hash])),
  }
  const manifest: Manifest = { version: manifestVersion, root: slashes(relative(out, process.cwd())) || '.', programs }
  const texts = [
    [manifestFile, printManifest(manifest)],
    ['bindings.ts', bindings(programs, runtimeImport(out))],
    ['cache.json', `${JSON.stringify(record, null, 1)}\n`],
  ] as const
  for (const [name, text] of texts) {
    const written = await writeAtomic(join(out, name), text)()
    if (E.isLeft(written)) return written
  }
  return E.right({ programs, compiled })
}

const inRoot = (root: string, sources: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(sources).map(([path, hash]) => [resolve(root, path), hash]))
