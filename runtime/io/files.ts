/**
 * Files: reading with failures that say what is wrong, and writing that never damages what was there. A file is written
 * beside its place, flushed to disk and renamed onto it, so that a full disk or a crash leaves the old one whole.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { randomBytes } from 'node:crypto'
import { constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { access, open, readFile, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Refusal, type Failure } from '../../dsl/errors.ts'

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '')
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const readReason = (code: string): string | undefined => {
  switch (code) {
    case 'ENOENT': return 'no such file'
    case 'EACCES':
    case 'EPERM': return 'no permission to read it'
    case 'EISDIR': return 'it is a folder, not a file'
    case 'ENOTDIR': return 'a part of the path is a file, not a folder'
    case 'ERR_FS_FILE_TOO_LARGE': return 'it is larger than 2 GiB, the most that is read'
    default: return undefined
  }
}

const readFailure = (path: string, error: unknown, missing: string | undefined): Failure => {
  const code = codeOf(error)
  return { kind: 'file', path, message: readReason(code) ?? textOf(error), ...(code === 'ENOENT' && missing !== undefined ? { remedy: missing } : {}) }
}

/** The whole file. `missing` is the remedy where it does not exist. */
export const readBytes = (path: string, missing?: string): TE.TaskEither<Failure, Uint8Array> =>
  TE.tryCatch(
    async () => {
      const data = await readFile(path)
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    },
    error => readFailure(path, error, missing),
  )

/** The whole file, at once; throws a `Refusal`. */
export const readBytesNow = (path: string, missing?: string): Uint8Array => {
  try {
    const data = readFileSync(path)
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  } catch (error) {
    throw new Refusal(readFailure(path, error, missing))
  }
}

/** A small text, at once. */
export const readText = (path: string, missing?: string): E.Either<Failure, string> =>
  E.tryCatch(() => readFileSync(path, 'utf8'), error => readFailure(path, error, missing))

/** The failure of writing `path`, by the operating system's error code. */
export const writeFailure = (path: string, error: unknown): Failure => {
  const say = (message: string, remedy?: string): Failure => ({ kind: 'write', path, message, ...(remedy === undefined ? {} : { remedy }) })
  const folder = dirname(resolve(path))
  switch (codeOf(error)) {
    case 'ENOSPC': return say('the disk is full', 'Free some space or write elsewhere; nothing that was there has been changed.')
    case 'EDQUOT': return say('your disk quota is used up', 'Free some space or write elsewhere; nothing that was there has been changed.')
    case 'EACCES':
    case 'EPERM': return say(`no permission to write in ${folder}`, 'Choose another place, or change the permissions.')
    case 'EROFS': return say('the file system is read-only', 'Choose another place.')
    case 'EISDIR': return say('it is a folder', 'Give the name of a file.')
    case 'ENOTDIR': return say('a part of its path is a file, not a folder', 'Choose another place.')
    case 'ENOENT': return existsSync(folder) ? say(`no file can be made in ${folder}`, 'Choose another place.')
      : say(`the folder ${folder} does not exist`, `Create it first: mkdir -p ${folder}`)
    default: return say(textOf(error))
  }
}

/**
 * Makes a folder and those above it, one by one; refuses where that cannot be. (Node's own recursive mkdir never returns
 * where the system answers "no such folder" below a folder that is there, as /proc does.)
 */
export const makeFolder = (path: string): void => {
  const folder = resolve(path)
  try {
    const found = statSync(folder, { throwIfNoEntry: false })
    if (found?.isDirectory() === true) return
    if (found !== undefined) throw new Refusal({ kind: 'write', path, message: 'a file of that name is there', remedy: 'Choose another place.' })
    if (dirname(folder) !== folder) makeFolder(dirname(folder))
    mkdirSync(folder)
  } catch (error) {
    if (error instanceof Refusal) throw error
    const strange = codeOf(error) === 'ENOENT'
    throw new Refusal(strange ? { kind: 'write', path, message: `no folder can be made in ${dirname(folder)}`, remedy: 'Choose another place.' }
      : writeFailure(path, error))
  }
}

const coded = (code: string): Error => Object.assign(new Error(code), { code })

/** Says early whether `path` can be written: its folder exists and is writable, and it is not a folder itself. */
export const checkWritable = (path: string): TE.TaskEither<Failure, void> =>
  TE.tryCatch(
    async () => {
      const found = await stat(path).catch((error: unknown) => (codeOf(error) === 'ENOENT' ? undefined : Promise.reject(error)))
      if (found?.isDirectory() === true) throw coded('EISDIR')
      if (found !== undefined && !found.isFile()) return access(path, constants.W_OK)
      const folder = dirname(await placeOf(path))
      if (!(await stat(folder)).isDirectory()) throw coded('ENOTDIR')
      await access(folder, constants.W_OK | constants.X_OK)
    },
    error => writeFailure(path, error),
  )

/** Where a file really lies: behind links, where there are any. */
const placeOf = (path: string): Promise<string> => realpath(path).catch(() => resolve(path))

const writeChunks = async (file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> => {
  for (const chunk of chunks) {
    for (let done = 0; done < chunk.byteLength;) done += (await file.write(chunk, done, Math.min(chunk.byteLength - done, 2 ** 30))).bytesWritten
  }
}

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

const replace = async (path: string, chunks: readonly Uint8Array[]): Promise<void> => {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) throw coded('EISDIR')
  if (found !== undefined && !found.isFile()) {
    const device = await open(path, 'w')
    return writeChunks(device, chunks).finally(() => device.close())
  }
  const place = await placeOf(path)
  const beside = join(dirname(place), `.${basename(place).slice(0, 200)}.${randomBytes(6).toString('hex')}.tmp`)
  const file = await open(beside, 'wx', found === undefined ? 0o666 : found.mode & 0o777)
  try {
    await writeChunks(file, chunks).then(() => file.sync()).finally(() => file.close())
    await rename(beside, place)
  } catch (error) {
    await unlink(beside).catch(() => undefined)
    throw error
  }
  await syncFolder(dirname(place))
}

/** Writes the file whole or not at all: on any failure what was there stays, and no temporary file is left. */
export const writeAtomic = (path: string, content: Uint8Array | string | readonly Uint8Array[]): TE.TaskEither<Failure, void> => {
  const chunks = typeof content === 'string' ? [new TextEncoder().encode(content)] : content instanceof Uint8Array ? [content] : content
  return pipe(TE.tryCatch(() => replace(path, chunks), error => writeFailure(path, error)))
}
