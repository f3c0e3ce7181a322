/** Processes of their own for tests on WebGPU: a driver may bring its process down, and a software driver sometimes does. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export type Ended = { readonly code: number | null; readonly signal: string | null; readonly out: string; readonly err: string }

/** Runs a script beside this file; one that a signal of the driver ended is run once more. What it remembers goes to a folder of its own. */
export const runScript = (script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Ended => {
  const cache = mkdtempSync(join(tmpdir(), 'vdsm-webgpu-'))
  const once = (): Ended => {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath,
      ['--expose-gc', '--import', 'tsx', resolve('test/runtime/webgpu/support', script), ...args],
      { encoding: 'utf8', timeout: 60_000, env: { ...process.env, XDG_CACHE_HOME: cache, ...env } })
    return { code: status, signal, out: stdout, err: stderr }
  }
  try {
    const first = once()
    return first.signal === 'SIGSEGV' || first.signal === 'SIGABRT' ? once() : first
  } finally {
    rmSync(cache, { recursive: true, force: true })
  }
}

/** Why there is no adapter here, or null where there is one (software counts). Asked in a process of its own, too. */
export const noAdapter = (): string | null => {
  const { code, out, err } = runScript('adapter.ts', [])
  return code === 0 ? null : `${out}${err}`.trim().split('\n')[0] ?? 'unknown'
}
