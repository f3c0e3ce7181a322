/** What a measurement ran on: the adapter, its driver, versions of everything that has a part in it. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import { gitRevision } from '../../../runtime/train/folder.ts'
import { ownVersion } from '../../../runtime/version.ts'

const textOf = (command: string, args: readonly string[]): string | null => {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 }).trim()
  } catch {
    return null
  }
}

const smi = (query: string): readonly (readonly string[])[] =>
  (textOf('nvidia-smi', [query, '--format=csv,noheader,nounits']) ?? '').split('\n').filter(line => line !== '')
    .map(line => line.split(',').map(cell => cell.trim()))

/** MiB of the GPU that a process holds, as its driver sees it; of all where it names no processes (in containers); null without nvidia-smi. */
export const videoMemory = (pid: number): number | null => {
  const own = smi('--query-compute-apps=pid,used_memory').find(([id]) => id === String(pid))
  const all = smi('--query-gpu=memory.used')[0]
  const found = Number((own ?? all)?.at(-1) ?? NaN)
  return Number.isFinite(found) ? found : null
}

const packageVersion = (name: string): string | null => {
  try {
    const found: unknown = JSON.parse(readFileSync(new URL(`../../../node_modules/${name}/package.json`, import.meta.url), 'utf8'))
    return typeof found === 'object' && found !== null && 'version' in found ? String(found.version) : null
  } catch {
    return null
  }
}

export type Machine = {
  readonly gpu: { readonly name: string; readonly driver: string; readonly memoryMiB: number; readonly clockMHz: number; readonly powerLimitW: number } | null
  readonly cpu: string
  readonly cores: number
  readonly os: string
  readonly versions: { readonly vdsm: string; readonly node: string; readonly webgpu: string | null }
  readonly revision: string
}

/** Everything but what the adapter says of itself. */
export const machine = (revision: string | undefined): Machine => {
  const [name, driver, memory, clock, power] = smi('--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit')[0] ?? []
  return {
    gpu: name === undefined ? null : { name, driver: driver ?? '', memoryMiB: Number(memory), clockMHz: Number(clock), powerLimitW: Number(power) },
    cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, os: `${type()} ${release()} ${process.arch}`,
    // The package's version names the commit of Dawn that it was built from.
    versions: { vdsm: ownVersion(), node: process.versions.node, webgpu: packageVersion('webgpu') },
    revision: revision ?? gitRevision(),
  }
}
