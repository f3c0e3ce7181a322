/** The file of a program that a device reads beside its manifest entry: fetched, checked against the manifest, and decoded. */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Decoder } from 'io-ts'
import type { Failure } from '../../dsl/errors.ts'
import { crc32 } from '../io/crc32.ts'
import { decodeProblems } from '../manifest.ts'
import type { Host } from './host.ts'

/** What to do about a file that does not fit. */
export const again = 'Compile again: npm run compile (or: npx vdsm compile).'

/** The text of a file to the program for a device, of this version; `path` is where it came from, for the failure's message. */
export const programParser = <A>(device: string, version: number, schema: Decoder<unknown, A>) => (text: string, path: string): E.Either<Failure, A> => {
  const no = (message: string): E.Either<Failure, A> => E.left({ kind: 'file', path, message, remedy: again })
  const json = E.tryCatch((): unknown => JSON.parse(text), error => (error instanceof Error ? error.message : String(error)))
  if (E.isLeft(json)) return no(`not valid JSON (${json.left})`)
  const found = typeof json.right === 'object' && json.right !== null && 'version' in json.right ? json.right.version : undefined
  if (found !== undefined && found !== version) return no(`version ${String(found)}; this runtime reads version ${version}`)
  const decoded = schema.decode(json.right)
  return E.isLeft(decoded) ? no(`not a program for ${device}: ${decodeProblems(decoded.left)}`) : E.right(decoded.right)
}

/** Reads the file that a manifest entry names. */
export const readProgramFile = <A>(
  host: Host, { file, checksum }: { readonly file: string; readonly checksum: number }, parse: (text: string, path: string) => E.Either<Failure, A>,
): TE.TaskEither<Failure, A> => {
  const path = `${host.where}/${file}`
  return pipe(
    host.read(file),
    TE.filterOrElse(bytes => crc32(bytes) === checksum, (): Failure =>
      ({ kind: 'file', path, message: 'it is damaged, or belongs to another compile than the manifest (its checksum does not fit)', remedy: again })),
    TE.chainEitherK(bytes => parse(new TextDecoder().decode(bytes), path)),
  )
}
