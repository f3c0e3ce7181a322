/**
 * Other libraries on the same numbers: each job in a process of its own with a limit, its result compared with ours at some
 * places before its time counts. They live in `peers/`, with pinned versions, and are installed when they are asked for.
 */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Build } from '../../runtime/build.ts'
import type { LocalExecutable } from '../../runtime/executor.ts'
import { median, repeat } from '../../runtime/measure/times.ts'
import { orThrow } from '../../runtime/train/task.ts'
import { conv, sampled, sizeOf, vae, vaeBatch, vaeParams, values } from './peers/data.mjs'
import type { Peer, Row } from './rows.ts'

const folder = join(dirname(fileURLToPath(import.meta.url)), 'peers')

const Answer = t.union([
  t.type({ error: t.string }),
  t.intersection([
    t.type({ name: t.string, version: t.string, threads: t.number, ms: t.number, runs: t.number, slice: t.array(t.number) }),
    t.partial({ batch: t.number }),
  ]),
])

export type Compared = {
  readonly row: string
  readonly library: string
} & ({ readonly error: string } | {
  readonly version: string
  readonly threads: number
  readonly ms: number
  /** Its time over ours, on one thread where it has one and on all otherwise, for as many examples. */
  readonly ratio: number
  readonly note: string
})

/** Installs the libraries, unless they are there. */
export const install = (): void => {
  if (existsSync(join(folder, 'node_modules', '.package-lock.json'))) return
  console.error('installing the libraries of test/bench/peers ...')
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) console.error('npm ci failed; libraries that are not there will say so')
}

/** The numbers that the others get as well, and where the result that is compared lies. */
const ours: Readonly<Record<string, { readonly set: (e: LocalExecutable) => void; readonly result: string }>> = {
  matmul1024: { set: e => e.setAll({ a: values(2 ** 20, 1), b: values(2 ** 20, 2) }), result: '' },
  convForward: { set: e => e.setAll({ xs: values(sizeOf(conv.x), 1), w: values(sizeOf(conv.w), 2) }), result: '' },
  convBackward: { set: e => e.setAll({ xs: values(sizeOf(conv.x), 1), w: values(sizeOf(conv.w), 2), ct: values(sizeOf(conv.y), 3) }), result: 'd.w' },
  vaeStep: {
    set: e => {
      for (const slot of e.program.inputs) e.set(slot.path, new Float32Array(sizeOf(slot.shape)))
      vaeParams().forEach((p, i) => e.set(`params.${vae[i]?.[0] ?? ''}`, p))
      e.setAll(vaeBatch(32))
    },
    result: 'loss',
  },
}

const batchOf: Readonly<Record<string, number>> = { vaeStep: 32 }

const asked = (peer: Peer, threads: number, seconds: number, timeout: number): Promise<E.Either<string, t.TypeOf<typeof Answer>>> =>
  new Promise(done => {
    const args = ['run.mjs', peer.library, peer.job, String(threads), String(seconds)]
    execFile(process.execPath, args, { cwd: folder, timeout, maxBuffer: 1 << 22 }, (error, out, err) => {
      const line = out.trim().split('\n').pop() ?? ''
      const json = E.tryCatch((): unknown => JSON.parse(line), String)
      const answer = E.isRight(json) ? Answer.decode(json.right) : undefined
      if (answer !== undefined && E.isRight(answer)) return done(E.right(answer.right))
      done(E.left(error?.killed === true ? `no result within ${timeout / 1000} s` : (err.trim().split('\n').pop() ?? String(error))))
    })
  })

/** The largest difference at the compared places, as a share of the largest number there. */
const difference = (a: readonly number[], b: readonly number[]): number =>
  (a.length === b.length ? Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? NaN)))) / Math.max(...a.map(Math.abs)) : Infinity)

/** Our own program, ready to run on one thread and on all. */
type Own = { readonly one: LocalExecutable; readonly all: LocalExecutable }

const compareOne = async (row: Row, peer: Peer, expected: readonly number[], own: Own, threads: number, seconds: number): Promise<Compared> => {
  // Ours is timed once more, before and after: what disturbs the one disturbs the other.
  const timed = (): readonly number[] => [own.one, own.all].map(e => median(repeat(seconds / 2, 3, e.run)))
  const before = timed()
  const answered = await asked(peer, peer.threads === 'one' ? 1 : threads, seconds, 240_000)
  const after = timed()
  const who = { row: row.name, library: peer.library }
  if (E.isLeft(answered)) return { ...who, error: answered.left }
  const answer = answered.right
  if ('error' in answer) return { ...who, error: answer.error.split('\n')[0] ?? '' }
  const off = difference(expected, answer.slice)
  if (!(off < 1e-4)) return { ...who, library: answer.name, error: `its result differs from ours by ${off.toExponential(1)}` }
  const whole = batchOf[peer.job] ?? 1
  const at = answer.threads === 1 ? 0 : 1
  const mine = median([before[at] ?? NaN, after[at] ?? NaN])
  const notes = [
    ...(answer.batch === undefined ? [] : [`batch ${answer.batch}`]),
    ...(peer.threads === 'all' && answer.threads === 1 && threads > 1 ? ['has no threads in Node'] : []),
  ]
  return {
    ...who, library: answer.name, version: answer.version, threads: answer.threads, ms: answer.ms,
    ratio: (answer.ms * (answer.batch === undefined ? 1 : whole / answer.batch)) / mine, note: notes.join(', '),
  }
}

/** All libraries that can do the row's job, one after the other. */
export const compareRow = async (build: Build, row: Row, threads: number, seconds: number, onResult: (c: Compared) => void): Promise<readonly Compared[]> => {
  const results: Compared[] = []
  for (const peer of row.peers ?? []) {
    const own = ours[peer.job]
    if (own === undefined) continue
    const [one, all] = [await orThrow(build.load(row.program, { threads: 1 })), await orThrow(build.load(row.program, { threads }))]
    for (const executable of [one, all]) {
      own.set(executable)
      executable.run()
    }
    const result = await compareOne(row, peer, sampled(one.view(own.result)), { one, all }, threads, seconds)
    results.push(result)
    onResult(result)
  }
  return results
}
