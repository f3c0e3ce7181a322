/**
 * One run, one process: a file `lock` in the folder of a run names the process that writes to it. It goes when the run
 * ends; one that a killed process left behind is taken over, as its process is gone.
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Refusal, refuse } from '../../dsl/errors.ts'
import { writeFailure } from '../io/files.ts'

type Holder = { readonly process: number; readonly host: string }

const isHolder = (u: unknown): u is Holder =>
  typeof u === 'object' && u !== null && 'process' in u && typeof u.process === 'number' && 'host' in u && typeof u.host === 'string'

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)

/** Who holds the lock, as far as its file says; nothing where it is gone, torn or empty. */
const holderOf = (path: string): Holder | undefined => {
  try {
    const read: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return isHolder(read) ? read : undefined
  } catch {
    return undefined
  }
}

/** Killed, but not yet taken note of by its parent: in a container there may be nobody who does. */
const isZombie = (id: number): boolean => {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${id}/status`, 'utf8'))
  } catch {
    return false // no Linux
  }
}

/** Whether a process of this machine is at work. One that belongs to somebody else may be. */
const lives = (id: number): boolean => {
  try {
    return process.kill(id, 0) && !isZombie(id)
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

const create = (path: string): boolean => {
  try {
    const file = openSync(path, 'wx')
    try {
      writeSync(file, `${JSON.stringify({ process: process.pid, host: hostname() } satisfies Holder)}\n`)
    } catch (error) {
      rmSync(path, { force: true })
      throw error
    } finally {
      closeSync(file)
    }
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw new Refusal(writeFailure(path, error))
  }
}

/** Claims the folder of a run for this process; returns how to give it back. Refuses where another process is at work in it. */
export const claimRun = (folder: string): (() => void) => {
  const path = join(folder, 'lock')
  if (!create(path)) {
    const holder = holderOf(path)
    const elsewhere = holder !== undefined && holder.host !== hostname()
    if (holder !== undefined && (elsewhere || lives(holder.process))) {
      refuse({
        kind: 'write', path: folder, message: `another training run is writing to it (process ${holder.process}${elsewhere ? ` on ${holder.host}` : ''})`,
        remedy: `Wait until it ends, or stop it; or give --out another folder. If there is no such run: delete ${path}`,
      })
    }
    rmSync(path, { force: true })
    if (!create(path)) refuse({ kind: 'write', path: folder, message: 'another training run has just begun to write to it', remedy: 'Wait until it ends, or give --out another folder.' })
  }
  return () => rmSync(path, { force: true })
}
