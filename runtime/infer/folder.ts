/**
 * The folder that a command writes its videos to: COMMAND.gif, COMMAND.png, COMMAND.npz, what they were made of in
 * COMMAND.json, and CREDITS.txt where the data ask for it. Nothing of anybody else is replaced: the files of an earlier call of the
 * same command are known by their COMMAND.json, others are refused before anything is computed.
 */
import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { encodePictures } from '../io/gif.ts'
import { makeFolder, writeAtomic } from '../io/files.ts'
import type { Outgoing } from '../io/npy.ts'
import { printNpz } from '../io/npz.ts'
import { encodePng, type Picture } from '../report/sheet.ts'
import { orThrow } from '../train/task.ts'
import { ownVersion } from '../version.ts'

export type Product = {
  readonly animation: readonly Picture[]
  readonly fps: number
  readonly strip: Picture
  readonly arrays: ReadonlyMap<string, Outgoing>
  /** What it was made of: enough to make it again. */
  readonly about: Readonly<Record<string, unknown>>
}

const CREDITS = 'CREDITS.txt'
const KINDS = ['gif', 'png', 'npz', 'json'] as const

const contentOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Whether the folder holds what this command has written before. */
const isOurs = (folder: string, command: string): boolean => {
  try {
    const about: unknown = JSON.parse(contentOf(join(folder, `${command}.json`)) ?? '')
    return typeof about === 'object' && about !== null && 'vdsm' in about && 'command' in about && about.command === command
  } catch {
    return false
  }
}

/** Refuses a folder where something of somebody else would be replaced, and what is no folder. */
export const checkPlace = (folder: string, command: string, credit: string | undefined, force: boolean): void => {
  const found = existsSync(folder) ? lstatSync(folder) : undefined
  if (found !== undefined && !found.isDirectory() && !found.isSymbolicLink()) {
    refuse({ kind: 'write', path: folder, message: 'it is a file, not a folder', remedy: 'Give --out the name of a folder.' })
  }
  if (force) return
  const names = isOurs(folder, command) ? [] : KINDS.map(kind => `${command}.${kind}`)
  const said = contentOf(join(folder, CREDITS))
  const foreign = [...names.filter(name => existsSync(join(folder, name))),
    ...(credit === undefined || said === undefined || said.trim() === credit ? [] : [CREDITS])]
  const [first, ...more] = foreign
  if (first === undefined) return
  const others = more.length === 0 ? '' : ` (so ${more.length === 1 ? 'is' : 'are'} ${more.join(', ')})`
  refuse({ kind: 'write', path: join(folder, first), message: `it is there already${others}, and was not made by vdsm ${command} from the same data`,
    remedy: 'Give --out another folder, or replace it with --force.' })
}

/** Writes all files; gives their names. Each is written whole or not at all. */
export const writeProduct = async (folder: string, command: string, product: Product, credit: string | undefined): Promise<readonly string[]> => {
  makeFolder(folder)
  const about = { vdsm: ownVersion(), command, ...product.about }
  // What says that the rest is ours goes first.
  const files: readonly (readonly [string, Uint8Array | string])[] = [
    [`${command}.json`, `${JSON.stringify(about, null, 2)}\n`],
    [`${command}.gif`, encodePictures(product.animation, product.fps)],
    [`${command}.png`, encodePng(product.strip)],
    [`${command}.npz`, printNpz(product.arrays)],
    ...(credit === undefined ? [] : [[CREDITS, `${credit}\n`] as const]),
  ]
  for (const [name, content] of files) await orThrow(writeAtomic(join(folder, name), content))
  return files.map(([name]) => name)
}
