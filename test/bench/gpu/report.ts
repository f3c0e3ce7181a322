/** The results of `npm run bench:gpu` as Markdown: what was measured side by side, and how it stands to what is aimed at. */
import type { About } from '../../../runtime/device/webgpu/adapter.ts'
import type { Part } from './child.ts'
import { linesOf, type Line } from './lines.ts'
import type { Machine } from './machine.ts'
import { rows, type Row } from './rows.ts'

export type Results = {
  readonly version: 1
  readonly date: string
  /** True for a software adapter: no figure means anything. */
  readonly meaningless: boolean
  readonly adapter: About
  readonly machine: Machine
  /** Python, PyTorch, CUDA, cuDNN, as PyTorch tells them. */
  readonly torch: unknown
  readonly commands: readonly string[]
  /** TFLOP/s of f32 that shares are taken of; null where it is not known. */
  readonly peakTflops: number | null
  readonly parts: readonly Part[]
}

/** Results are less than this off, as a share of the largest number; where products round what they multiply to 11 bits, thirty times that. */
const rounded = ({ kind }: Line): boolean => kind === 'f16-tiles' || kind === 'tensor-cores'
const tolerance = (line: Line): number => (rounded(line) ? 3e-2 : 1e-3)

/** A measurement of ours counts only where its results agree with the device wasm (or were not compared). A NaN comes as null. */
const sound = (line: Line): boolean => {
  const { difference = null } = line
  return difference === null || (difference.share !== null && difference.share <= tolerance(line))
}

/** The fastest of those lines that have a time. */
const best = (lines: readonly Line[]): (Line & { readonly ms: number }) | null =>
  lines.flatMap(line => (line.ms === undefined ? [] : [{ ...line, ms: line.ms }])).sort((a, b) => a.ms - b.ms)[0] ?? null

const peerKinds = [['eager', false], ['compile', false], ['eager', true], ['compile', true]] as const

type Compared = {
  readonly row: Row
  readonly flops: number | null
  readonly ours: (Line & { readonly ms: number }) | null
  readonly untuned: Line | null
  readonly half: Line | null
  readonly cores: Line | null
  /** In the order of `peerKinds`; of torch.compile the faster of its two modes, of the decoders' two forms the faster one. */
  readonly peers: readonly ((Line & { readonly ms: number }) | null)[]
}

export const comparedOf = (results: Results): readonly Compared[] =>
  rows.flatMap(row => {
    const linesFor = (who: string): readonly Line[] => linesOf(results.parts.find(({ name }) => name === `${who}:${row.name}`)?.lines ?? [])
    const [ours, torch] = [linesFor('ours'), linesFor('torch')]
    if (ours.length === 0 && torch.length === 0) return []
    const f32 = ours.filter(line => !rounded(line))
    const ofKind = (kind: string): Line | null => best(ours.filter(line => line.kind === kind && sound(line)))
    return [{
      row, flops: ours.find(({ flops }) => flops !== undefined)?.flops ?? null,
      ours: best(f32.filter(sound)), untuned: best(f32.filter(({ kind }) => kind === 'untuned')),
      half: ofKind('f16-tiles'), cores: ofKind('tensor-cores'),
      peers: peerKinds.map(([kind, tf32]) => best(torch.filter(line => line.tf32 === tf32 && (line.kind === 'graphs' ? 'compile' : line.kind) === kind))),
    }]
  })

const ms = (x: number | null | undefined): string => (x === null || x === undefined ? '-' : x < 0.1 ? x.toFixed(4) : x < 10 ? x.toFixed(3) : x.toFixed(1))
const percent = (x: number | null | undefined): string => (x === null || x === undefined ? '-' : `${(100 * x).toFixed(1)}%`)
const gib = (x: number | null | undefined): string => (x === null || x === undefined ? '-' : `${(x / 2 ** 30).toFixed(2)} GiB`)
const tflops = (flops: number | null, time: number): number | null => (flops === null ? null : flops / time / 1e9)
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const table = (heads: readonly string[], body: readonly (readonly string[])[]): readonly string[] =>
  [line(heads), line(heads.map((_, i) => (i === 0 ? '---' : '---:'))), ...body.map(line)]

const timesTable = (all: readonly Compared[], peak: number | null): readonly string[] =>
  table(
    [
      'what', 'ours, ms', 'untuned', 'f16 tiles', 'tensor cores', 'TFLOP/s', 'of f32 peak',
      ...peerKinds.flatMap(([kind, tf32]) => [`torch ${kind}${tf32 ? ' TF32' : ''}, ms`, 'ours / it']),
    ],
    all.map(({ row, flops, ours, untuned, half, cores, peers }) => {
      const rate = ours === null ? null : tflops(flops, ours.ms)
      return [
        row.what, ms(ours?.ms), ms(untuned?.ms), ms(half?.ms), ms(cores?.ms), rate === null ? '-' : rate.toFixed(2),
        rate === null || peak === null ? '-' : percent(rate / peak),
        ...peers.flatMap(peer => [ms(peer?.ms), peer === null || ours === null ? '-' : `${(ours.ms / peer.ms).toFixed(2)}x`]),
      ]
    }),
  )

const insideTable = (all: readonly Compared[]): readonly string[] =>
  table(
    ['what', 'dispatches', 'kernels, ms', 'beside them', 'memory, ours', 'torch eager', 'off by (wasm)', 'ready after', 'the longest kernels'],
    all.flatMap(({ row, ours, peers }) => (ours === null ? [] : [[
      row.what, String(ours.dispatches ?? '-'), ms(ours.kernelMs), percent(ours.overheadShare), gib(ours.memoryBytes), gib(peers[0]?.memoryBytes),
      ours.difference?.share?.toExponential(1) ?? '-', `${(ours.loadSeconds ?? NaN).toFixed(1)} s`,
      (ours.kernels ?? []).slice(0, 3).map(({ name, ms: time, count }) => `${name} ${ms(time)}${count === 1 ? '' : ` (${count})`}`).join(', '),
    ]])),
  )

/** What is aimed at, each with what was found. */
const aims = (all: readonly Compared[], peak: number | null): readonly string[] => {
  const of = (name: string): Compared | undefined => all.find(({ row }) => row.name === name)
  const judged = (text: string, found: number | null, good: boolean, shown: string): readonly string[] =>
    (found === null ? [text, 'not measured', '-'] : [text, shown, good ? 'yes' : 'NO'])
  const ratio = (name: string, peer: number): number | null => {
    const { ours, peers } = of(name) ?? {}
    const other = peers?.[peer]
    return ours === null || ours === undefined || other === null || other === undefined ? null : ours.ms / other.ms
  }
  const product = of('matmul4096')
  const share = product === undefined || product.ours === null || peak === null ? null : (tflops(product.flops, product.ours.ms) ?? NaN) / peak
  const rate = ratio('matmul4096', 0)
  const x = (r: number | null): string => `${(r ?? NaN).toFixed(2)}x`
  const training = ['paper-sprites/frames', 'paper-sprites/video'].flatMap(name => {
    const [eager, compile, apart] = [ratio(name, 0), ratio(name, 1), of(name)?.ours?.overheadShare ?? null]
    const step = `step of ${name}`
    return [
      judged(`${step} faster than torch eager (f32): ours / it below 1`, eager, (eager ?? NaN) < 1, x(eager)),
      judged(`${step} within 1.5 of torch.compile (f32)`, compile, (compile ?? NaN) <= 1.5, x(compile)),
      judged(`${step}: time beside the kernels under 10%`, apart, (apart ?? NaN) < 0.1, percent(apart)),
    ]
  })
  return table(['aim', 'found', 'reached'], [
    judged('matmul 4096: 60% of the f32 peak', share, (share ?? NaN) >= 0.6, percent(share)),
    judged('matmul 4096: at least 0.7 of the rate of torch f32 without TF32', rate, 1 / (rate ?? NaN) >= 0.7, (1 / (rate ?? NaN)).toFixed(2)),
    ...training,
  ])
}

/** What was found before anything was timed: conformance of the adapter, and of the PyTorch version with ours. */
const soundness = ({ parts }: Results): string => {
  const suite = parts.find(({ name }) => name === 'conformance')
  const [total, passed, skipped] = ['Total', 'Passed', 'Skipped'].map(word => new RegExp(`${word}:\\s+(\\d+)`).exec(suite?.said ?? '')?.[1])
  const conformance = suite === undefined ? 'not run' : total === undefined || suite.said?.includes('SKIPPED') === true ? `no result (${suite.status})`
    : `${passed ?? '?'} of ${total} passed, ${skipped ?? '?'} skipped`
  const peer = parts.find(({ name }) => name === 'peer:check')
  const agrees = peer === undefined ? 'not run' : peer.status === 'ok' ? 'agrees' : 'DOES NOT AGREE'
  return `Conformance suite on this adapter: ${conformance}. PyTorch version against ours: ${agrees}.`
}

const failures = ({ parts }: Results): readonly string[] =>
  parts.flatMap(({ name, status, exit, said, lines }) => [
    ...(status === 'ok' ? [] : [`- ${name}: ${status}${exit === null ? '' : ` (${exit})`}: ${(said ?? '').trim().split('\n').at(-1) ?? ''}`]),
    ...linesOf(lines).flatMap(each => [
      ...(each.error === undefined ? [] : [`- ${name}, ${each.mode}: ${each.error.split('\n')[0] ?? ''}`]),
      ...(each.ms === undefined || sound(each) ? [] : [`- ${name}, ${each.mode}: off by ${JSON.stringify(each.difference)}: its time does not count`]),
    ]),
  ])

export const markdown = (results: Results): string => {
  const { adapter, machine, date, meaningless, peakTflops } = results
  const all = comparedOf(results)
  const gpu = machine.gpu === null ? adapter.name : `${machine.gpu.name}, driver ${machine.gpu.driver}`
  const wrong = failures(results)
  return [
    ...(meaningless ? ['**A trial on a software adapter, with tiny programs: none of these figures means anything.**', ''] : []),
    `${gpu}; Node ${machine.versions.node}, webgpu ${machine.versions.webgpu ?? '-'}, ${JSON.stringify(results.torch)}; ${date}; revision ${machine.revision}.`,
    'Medians of rounds with nothing left in the queue; data stay on the device; '
      + `f32 peak taken as ${peakTflops === null ? 'unknown' : `${peakTflops} TFLOP/s`}.`,
    soundness(results),
    '', ...timesTable(all, peakTflops), '', ...insideTable(all), '', ...aims(all, peakTflops),
    ...(wrong.length === 0 ? [] : ['', 'What failed:', '', ...wrong]), '',
  ].join('\n')
}
