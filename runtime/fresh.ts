/** Whether a program's sources are still those that were compiled: what runs should be what the file says. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import type { Failure } from '../dsl/errors.ts'
import type { ProgramInfo } from './manifest.ts'

/** What the manifest keeps of a source's contents. */
export const fingerprint = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex').slice(0, 16)

const contentOf = (path: string): Uint8Array | undefined => {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

/** The program, or a failure where a source of it has changed since. A source that is not there (a build that was passed on alone) is not missed. */
export const checkFresh = (folder: string, program: ProgramInfo): E.Either<Failure, ProgramInfo> => {
  const changed = Object.entries(program.sources ?? {}).flatMap(([name, print]) => {
    const path = resolve(folder, name)
    const content = contentOf(path)
    return content === undefined || fingerprint(content) === print ? [] : [relative('.', path)]
  })
  const [first, ...more] = changed
  if (first === undefined) return E.right(program)
  return E.left({
    kind: 'file', path: first,
    message: `${more.length === 0 ? 'it has' : `it and ${more.length} more have`} changed since ${program.id} was compiled`,
    remedy: 'Compile again: npm run compile (or: npx vdsm compile, with the files or folders of your models).',
  })
}
