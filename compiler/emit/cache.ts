/**
 * What makes a second compile cheap: build/cache.json remembers the hash of every source that the last one read. Nothing
 * changed: nothing is read but the sources themselves. Otherwise a program whose hash (in the manifest: of its IR and the
 * compiler) is unchanged keeps its modules. A cache that is missing, damaged or made by another compiler counts as none.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'

export const sha = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex').slice(0, 32)

const texts = t.readonlyArray(t.string)
/** The last request, what it read, and the ids of its programs. */
const Cache = t.readonly(t.type({ compiler: t.string, root: t.string, entries: texts, sources: t.record(t.string, t.string), programs: texts }))
export type Cache = t.TypeOf<typeof Cache>

export const readCache = (path: string): Cache | undefined => {
  try {
    const decoded = Cache.decode(JSON.parse(readFileSync(path, 'utf8')))
    return E.isRight(decoded) ? decoded.right : undefined
  } catch {
    return undefined
  }
}

/** Every .ts file below a folder, sorted. */
export const sourcesBelow = (folder: string): readonly string[] =>
  readdirSync(folder)
    .sort()
    .filter(name => name !== 'node_modules' && !name.startsWith('.'))
    .flatMap(name => {
      const path = join(folder, name)
      return statSync(path).isDirectory() ? sourcesBelow(path) : name.endsWith('.ts') && !name.endsWith('.d.ts') ? [path] : []
    })

/** Changes with the compiler, the language and the versions they run on. */
export const compilerHash = (): string => {
  const own = fileURLToPath(new URL('../..', import.meta.url))
  const files = ['compiler', 'dsl'].flatMap(room => sourcesBelow(join(own, room)))
  return sha([readFileSync(join(own, 'package.json'), 'utf8'), ...files.map(f => `${f.slice(own.length)}\n${readFileSync(f, 'utf8')}`)].join('\n'))
}

export const hashFiles = (paths: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries([...new Set(paths)].sort().map(path => [path, existsSync(path) ? sha(readFileSync(path)) : 'missing']))

export const unchanged = (sources: Readonly<Record<string, string>>): boolean => {
  const now = hashFiles(Object.keys(sources))
  return Object.entries(sources).every(([path, hash]) => now[path] === hash)
}
