/** Runs shaders on the device that there is, a software adapter too, in a child process, which may die without harm. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A module, which of a job's buffers it binds, and the counters of the loops around it. */
export type Pass = { readonly code: string; readonly groups: number; readonly bindings: readonly number[]; readonly counters: readonly number[] }
/** Dispatches one after the other, and what their buffers hold before: words as base64. */
export type Job = { readonly buffers: readonly string[]; readonly passes: readonly Pass[] }
/** What the buffers hold afterwards, or why a module was refused. */
export type Outcome = { readonly error: string | null; readonly buffers: readonly string[] }

export type Words = Float32Array | Int32Array | Uint32Array
export type Passes = { readonly buffers: readonly Words[]; readonly passes: readonly Pass[] }
/** One dispatch that binds all buffers in order. */
export type Dispatching = { readonly code: string; readonly groups: number; readonly buffers: readonly Words[] }

const base64 = (words: Words): string => Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('base64')
const child = fileURLToPath(new URL('child.ts', import.meta.url))

const start = (jobs: readonly Job[]): { readonly status: number | null; readonly out: string; readonly error: string; readonly late: boolean } => {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', child], {
    input: JSON.stringify(jobs), encoding: 'utf8', maxBuffer: 2 ** 30, timeout: 120_000,
  })
  return { status, out: stdout, error: signal === null ? stderr : `${stderr}\nended by ${signal}`, late: signal === 'SIGTERM' }
}

/** Null where there is a device; else why there is none. */
export const missing = (): string | null => {
  const { status, error } = start([])
  return status === 0 ? null : error.trim().split('\n').at(-1) ?? 'unknown'
}

/** What the buffers of each job hold afterwards. Throws where a module is refused or the process fails twice. */
export const runPasses = (list: readonly Passes[]): readonly (readonly Uint32Array[])[] => {
  const jobs = list.map(({ buffers, passes }): Job => ({ buffers: buffers.map(base64), passes }))
  const first = start(jobs)
  // software drivers have been seen to abort under load, and not again
  const { status, out, error } = first.status === 0 || first.late ? first : start(jobs)
  if (status !== 0) throw new Error(`the device's process ended with ${status}: ${error}`)
  const { outcomes } = JSON.parse(out) as { readonly outcomes: readonly Outcome[] } // the child writes this
  return outcomes.map(outcome => {
    if (outcome.error !== null) throw new Error(outcome.error)
    return outcome.buffers.map(data => {
      const bytes = Uint8Array.from(Buffer.from(data, 'base64'))
      return new Uint32Array(bytes.buffer)
    })
  })
}

export const runAll = (list: readonly Dispatching[]): readonly (readonly Uint32Array[])[] =>
  runPasses(list.map(({ code, groups, buffers }) => ({ buffers, passes: [{ code, groups, bindings: [...buffers.keys()], counters: [] }] })))
