/**
 * Times of one row on one thread and on all: rounds of both in turn, so that a busy neighbour meets both, medians within a
 * round and over rounds, and the ratio as the median of the rounds' own ratios.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Build } from '../../runtime/build.ts'
import { measureCopy } from '../../runtime/device/bandwidth.ts'
import type { Rates } from '../../runtime/device/rates.ts'
import type { ProgramInfo } from '../../runtime/manifest.ts'
import { floorOfAll } from '../../runtime/measure/floor.ts'
import { fillInputs } from '../../runtime/measure/inputs.ts'
import { median, repeat } from '../../runtime/measure/times.ts'
import { orThrow } from '../../runtime/train/task.ts'
import type { Row } from './rows.ts'

export type Effort = { readonly rounds: number; readonly seconds: number }

export type Speed = {
  readonly threads: number
  /** The median over all rounds, and the best call of all. */
  readonly ms: number
  readonly bestMs: number
  readonly gflops: number
  /** Of the peak of so many threads: multiply-adds in registers. */
  readonly peakShare: number
  readonly floorMs: number
  readonly gap: number
}

export type Measured = {
  readonly name: string
  readonly what: string
  readonly program: string
  readonly flops: number
  readonly kernels: number
  /** Of the module that runs here. */
  readonly wasmBytes: number
  readonly one: Speed
  /** Null where the program has no use for more than one thread. */
  readonly all: Speed | null
  /** Time on one thread over time on all. */
  readonly ratio: number | null
  /** The best time as a multiple of the best copy of the same size, on one thread; null where that says nothing. */
  readonly overCopy: number | null
}

type Clock = { readonly ms: number; readonly bestMs: number }

/** What the clock says of a row. */
export type Timed = {
  readonly row: Row
  readonly program: ProgramInfo
  readonly variant: 'fma' | 'simd'
  readonly one: Clock
  /** Null where the program has no use for more than one thread. */
  readonly all: (Clock & { readonly threads: number; readonly ratio: number }) | null
  readonly overCopy: number | null
}

export const timeRow = async (build: Build, row: Row, threads: number, effort: Effort): Promise<Timed> => {
  const single = await orThrow(build.load(row.program, { threads: 1 }))
  const several = threads === 1 ? single : await orThrow(build.load(row.program, { threads }))
  const both = several.threads > 1 ? [single, several] : [single]
  for (const executable of both) {
    fillInputs(executable, 0)
    repeat(effort.seconds / 4, 2, executable.run)
  }
  const rounds = Array.from({ length: effort.rounds }, () => {
    const times = both.map(executable => repeat(effort.seconds, 3, executable.run))
    const copies = row.copy === undefined ? NaN : (2 * row.copy) / measureCopy(row.copy, 100) / 1e6
    // Both at their best: a copy's rate is the best of its round.
    const best = times.map(list => list.reduce((a, b) => Math.min(a, b)))
    return { medians: times.map(median), best, overCopy: (best[0] ?? NaN) / copies }
  })
  const clock = (i: number): Clock => ({ ms: median(rounds.map(r => r.medians[i] ?? NaN)), bestMs: Math.min(...rounds.map(r => r.best[i] ?? NaN)) })
  const ratio = median(rounds.map(({ medians: [t = NaN, u = NaN] }) => t / u))
  return {
    row, program: single.program, variant: single.arithmetic.includes('FMA') ? 'fma' : 'simd', one: clock(0),
    all: both.length === 1 ? null : { ...clock(1), threads: several.threads, ratio },
    overCopy: row.copy === undefined ? null : median(rounds.map(r => r.overCopy)),
  }
}

const speedOf = ({ stats, kernels }: ProgramInfo, threads: number, { ms, bestMs }: Clock, rates: Rates): Speed => {
  const gflops = stats.flops / ms / 1e6
  const floorMs = floorOfAll(kernels, rates)
  return { threads, ms, bestMs, gflops, peakShare: gflops / rates.peakGflops, floorMs, gap: ms / floorMs }
}

/** Rates on one thread and on all. */
export type Machine = { readonly one: Rates; readonly all: Rates }

/** The same beside what the machine can do; `folder` holds the modules. */
export const rated = ({ row, program, variant, one, all, overCopy }: Timed, folder: string, machine: Machine): Measured => ({
  name: row.name, what: row.what, program: row.program, flops: program.stats.flops,
  kernels: program.kernels.reduce((n, k) => n + k.count, 0),
  wasmBytes: statSync(join(folder, program.modules[variant])).size,
  one: speedOf(program, 1, one, machine.one),
  all: all === null ? null : speedOf(program, all.threads, all, machine.all),
  ratio: all?.ratio ?? null, overCopy,
})
