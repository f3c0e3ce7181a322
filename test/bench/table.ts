/** The results of `npm run bench` as Markdown. */
import type { Rates } from '../../runtime/device/rates.ts'
import type { Allocation } from './allocation.ts'
import type { Compared } from './compare.ts'
import type { Measured, Speed } from './measure.ts'
import { leftOut } from './rows.ts'

export type Compile = { readonly what: string; readonly programs: number; readonly coldSeconds: number; readonly warmSeconds: number }

export type Results = {
  readonly version: 1
  readonly date: string
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly v8: string; readonly flags: readonly string[] }
  readonly rates: { readonly one: Rates; readonly all: Rates }
  readonly rows: readonly Measured[]
  readonly compile: readonly Compile[]
  readonly allocation: Allocation | null
  readonly peers: readonly Compared[]
}

const ms = (x: number): string => (x < 10 ? x.toFixed(2) : x < 100 ? x.toFixed(1) : x.toFixed(0))
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const table = (heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] =>
  [line(heads), line(heads.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)]
const threads = (n: number): string => (n === 1 ? '1 thread' : `${n} threads`)

const speed = (s: Speed | null): readonly string[] =>
  (s === null ? ['-', '-', '-', '-'] : [`${ms(s.ms)} (${ms(s.bestMs)}) ms`, s.gflops.toFixed(1), `${(100 * s.peakShare).toFixed(0)}%`, `${ms(s.floorMs)} ms`])

const rowOf = (r: Measured): readonly string[] => [
  `${r.what}${r.flops >= 1e8 ? ` (${(r.flops / 1e9).toFixed(2)} GFLOP)` : ''}${r.overCopy === null ? '' : ` (${r.overCopy.toFixed(2)} x a copy, 1 thread)`}`,
  ...speed(r.one), ...speed(r.all), r.ratio === null ? '-' : `${r.ratio.toFixed(2)}x`, `${(r.wasmBytes / 1000).toFixed(1)} kB`,
]

const rateLine = ({ threads: n, peakGflops, productGflops, farGBs, nearGBs }: Rates): string =>
  `${threads(n)}: FMA peak ${peakGflops.toFixed(1)} GFLOP/s, packed inner loop ${productGflops.toFixed(1)} GFLOP/s, `
    + `copy ${farGBs.toFixed(1)} GB/s (${nearGBs.toFixed(0)} GB/s within the second cache)`

const compared = (results: Results): readonly string[] => {
  const what = (name: string): string => results.rows.find(r => r.name === name)?.what ?? name
  const rows = results.peers.map(p => {
    if ('error' in p) return [what(p.row), p.library, '-', '-', `failed: ${p.error}`]
    const name = `${p.library} ${p.version}${p.note === '' ? '' : ` (${p.note})`}`
    return [what(p.row), name, String(p.threads), `${ms(p.ms)} ms`, `${p.ratio.toFixed(p.ratio < 10 ? 2 : 0)}x`]
  })
  return ['', ...table(['what', 'library', 'threads', 'time', 'its time over ours, thread for thread'], rows), '', ...leftOut.map(text => `- ${text}`)]
}

const allocated = ({ program, threads: n, steps, growth, pauses, longestPause }: Allocation): string =>
  `Allocation: ${program} on ${threads(n)}, ${steps} steps: the heap ${growth > 0 ? `grows by ${growth.toFixed(0)} bytes a step` : 'does not grow'}; `
    + `${pauses} collections, the longest pause ${longestPause.toFixed(2)} ms.`

export const markdown = (results: Results): string => {
  const { machine, rates, rows, compile, allocation } = results
  const n = rates.all.threads
  const several = n > 1 ? `${n} threads` : 'all threads'
  return [
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node} (V8 ${[machine.v8, machine.flags.join(' ')].join('; ')}), ${results.date}; medians (best calls).`,
    ...(n > 1 ? [rates.one, rates.all] : [rates.one]).map(r => `- ${rateLine(r)}`),
    '',
    ...table(['what', '1 thread', 'GFLOP/s', 'of peak', 'floor', several, 'GFLOP/s', 'of peak', 'floor', `1 over ${n}`, 'wasm'], rows.map(rowOf)),
    '',
    ...table(
      ['compile', 'programs', 'cold', 'unchanged'],
      compile.map(c => [c.what, String(c.programs), `${c.coldSeconds.toFixed(1)} s`, `${c.warmSeconds.toFixed(1)} s`]),
    ),
    ...(allocation === null ? [] : ['', allocated(allocation)]),
    ...(results.peers.length === 0 ? [] : compared(results)),
    '',
  ].join('\n')
}
