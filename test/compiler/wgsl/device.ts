/** Runs shaders on the device that there is, a software adapter too, in a child process, which may die without harm. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** One dispatch of a module: what its buffers hold before, as base64 of words, and the counters of the loops around it. */
export type Job = { readonly code: string; readonly groups: number; readonly buffers: readonly string[]; readonly counters: readonly number[] }
/** What the buffers hold afterwards, or why the module was refused. */
export type Outcome = { readonly error: string | null; readonly buffers: readonly string[] }

export type Words = Float32Array | Int32Array | Uint32Array
export type Dispatching = { readonly code: string; readonly groups: number; readonly buffers: readonly Words[]; readonly counters?: readonly number[] }

const base64 = (words: Words): string => Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('base64')
const child = fileURLToPath(new URL('child.ts', import.meta.url))

const start = (jobs: readonly Job[]): { readonly status: number | null; readonly out: string; readonly error: string } => {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', child], {
    input: JSON.stringify(jobs), encoding: 'utf8', maxBuffer: 2 ** 30, timeout: 120_000,
  })
  return { status, out: stdout, error: signal === null ? stderr : `${stderr}\nended by ${signal}` }
}

/** Null where there is a device; else why there is none. */
export const missing = (): string | null => {
  const { status, error } = start([])
  return status === 0 ? null : error.trim().split('\n').at(-1) ?? 'unknown'
}

/** What the buffers of each dispatch hold afterwards. Throws where a module is refused or the process fails twice. */
export const runAll = (list: readonly Dispatching[]): readonly (readonly Uint32Array[])[] => {
  const jobs = list.map(({ code, groups, buffers, counters = [] }) => ({ code, groups, counters, buffers: buffers.map(base64) }))
  const first = start(jobs)
  // software drivers have been seen to abort under load, and not again
  const { status, out, error } = first.status === 0 ? first : start(jobs)
  if (status !== 0) throw new Error(`the device's process ended with ${status}: ${error}`)
  const { outcomes } = JSON.parse(out) as { readonly outcomes: readonly Outcome[] } // the child writes this
  return outcomes.map((outcome, i) => {
    if (outcome.error !== null) throw new Error(`${outcome.error}\n${list[i]!.code}`)
    return outcome.buffers.map(data => {
      const bytes = Uint8Array.from(Buffer.from(data, 'base64'))
      return new Uint32Array(bytes.buffer)
    })
  })
}
