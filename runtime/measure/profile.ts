/**
 * Where a program's time goes: each of its top-level steps (a kernel, or a loop of several) timed by itself beside its floor,
 * and the steps that lose most. What a step loses is its time beyond the floor: the list of those says what to optimise.
 */
import type { Rates } from '../device/rates.ts'
import type { Executable } from '../executor.ts'
import type { ProgramInfo } from '../manifest.ts'
import { floorOf, floorOfAll } from './floor.ts'
import { measureCalls, median, msText, repeat, timed } from './times.ts'

export type StepTime = {
  readonly step: number
  /** The best of its runs (whatever else the machine does only adds to it), its share of the sum of all, and the median. */
  readonly ms: number
  readonly medianMs: number
  readonly share: number
  readonly gflops: number
  /** The least time that is possible, what sets it (of the kernel whose floor is highest), and time / floor. */
  readonly floorMs: number
  readonly bound: 'arithmetic' | 'memory' | 'cache'
  readonly gap: number
  /** time - floor, and its share of the sum over all steps. */
  readonly lostMs: number
  readonly lostShare: number
  readonly kernels: readonly string[]
  readonly places: readonly string[]
}

export type Profile = {
  /** Slowest first. */
  readonly steps: readonly StepTime[]
  /** Sums over all steps. */
  readonly ms: number
  readonly floorMs: number
  readonly gap: number
}

/** Times of every step by itself, turn by turn for about so many seconds. */
export const stepTimes = async (executable: Executable, seconds: number): Promise<readonly (readonly number[])[]> => {
  if (executable.device === 'webgpu') {
    const each: (readonly number[])[] = []
    for (let step = 0; step < executable.steps; step++) {
      each.push(await measureCalls(() => executable.runStep(step), executable.done, seconds / executable.steps, 3))
    }
    return each
  }
  const times = Array.from({ length: executable.steps }, (): number[] => [])
  repeat(seconds, 3, () => times.forEach((list, step) => list.push(timed(() => executable.runStep(step)))))
  return times
}

/** What `stepTimes` found where nothing is known of the least time: all steps, slowest first, with what it takes to hand each to the device. */
export const plainText = ({ kernels: all }: Pick<ProgramInfo, 'kernels'>, times: readonly (readonly number[])[]): string => {
  const steps = times.map((list, step) => ({ step, ms: Math.min(...list), kernels: all.filter(kernel => kernel.step === step) }))
  const total = steps.reduce((sum, { ms }) => sum + ms, 0)
  return [
    '  steps, slowest first (ms: the best of its runs, each handed to the device by itself)',
    `  ${['ms', 'share', 'GFLOP/s'].map((head, i) => head.padStart(widths[i] ?? 0)).join(' ')}  ${'step'.padEnd(32)} source`,
    ...steps.sort((a, b) => b.ms - a.ms).map(({ step, ms, kernels }) => {
      const flops = kernels.reduce((sum, kernel) => sum + kernel.flops * kernel.count, 0)
      const name = `s${step} ${kernels.slice(0, 2).map(kernel => kernel.name).join(' ')}${kernels.length > 2 ? ` +${kernels.length - 2}` : ''}`
      const cells = [bare(ms), percent(ms / total), (flops / ms / 1e6).toFixed(1)].map((cell, i) => cell.padStart(widths[i] ?? 0)).join(' ')
      return `  ${cells}  ${cut(name, 32).padEnd(32)} ${placed([...new Set(kernels.flatMap(kernel => kernel.places))])}`.trimEnd()
    }),
  ].join('\n')
}

/** What `stepTimes` found, beside what the machine can do. */
export const profileOf = ({ kernels: all }: Pick<ProgramInfo, 'kernels'>, times: readonly (readonly number[])[], rates: Rates): Profile => {
  const steps = times.map((list, step) => {
    const ms = Math.min(...list)
    const kernels = all.filter(kernel => kernel.step === step)
    const flops = kernels.reduce((sum, kernel) => sum + kernel.flops * kernel.count, 0)
    const floorMs = floorOfAll(kernels, rates)
    const [highest] = kernels.map(kernel => floorOf(kernel, rates)).sort((a, b) => b.ms - a.ms)
    return {
      step, ms, medianMs: median(list), gflops: flops / ms / 1e6,
      floorMs, bound: highest?.bound ?? 'memory', gap: floorMs > 0 ? ms / floorMs : Infinity, lostMs: ms - floorMs,
      kernels: kernels.map(k => k.name), places: [...new Set(kernels.flatMap(k => k.places))],
    }
  })
  const total = (of: (s: (typeof steps)[number]) => number): number => steps.reduce((n, s) => n + of(s), 0)
  const [ms, floorMs, lost] = [total(s => s.ms), total(s => s.floorMs), total(s => Math.max(0, s.lostMs))]
  return {
    ms, floorMs, gap: ms / floorMs,
    steps: steps.map(s => ({ ...s, share: s.ms / ms, lostShare: lost > 0 ? Math.max(0, s.lostMs) / lost : 0 })).sort((a, b) => b.ms - a.ms),
  }
}

const bare = (ms: number): string => msText(ms).replace(' ms', '')
const gapText = (gap: number): string => (Number.isFinite(gap) ? gap.toFixed(gap < 100 ? 2 : 0) : '-')
const percent = (share: number): string => `${(100 * share).toFixed(1)}%`
const cut = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 2)}..`)

const named = ({ step, kernels }: StepTime): string =>
  `s${step} ${kernels.slice(0, 2).join(' ')}${kernels.length > 2 ? ` +${kernels.length - 2}` : kernels.length === 0 ? 'copy' : ''}`

/** The end of the first place, and how many more there are: `yardsticks.ts:12:58 +2`. */
const placed = (places: readonly string[]): string => {
  const [first] = places
  return first === undefined ? '' : `${first.slice(first.lastIndexOf('/') + 1)}${places.length > 1 ? ` +${places.length - 1}` : ''}`
}

const heads = ['ms', 'share', 'GFLOP/s', 'floor ms', 'gap', 'lost ms', 'of all'] as const
const widths = [9, 6, 8, 9, 6, 9, 6] as const

const row = (cells: readonly string[], name: string, place: string): string =>
  `  ${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join(' ')}  ${cut(name, 32).padEnd(32)} ${place}`.trimEnd()

const stepText = (s: StepTime): string =>
  row([bare(s.ms), percent(s.share), s.gflops.toFixed(1), bare(s.floorMs), gapText(s.gap), bare(s.lostMs), percent(s.lostShare)], named(s), placed(s.places))

/** A table of at most 120 columns: all steps, slowest first, the sums, and the ten that lose most. */
export const profileText = ({ steps, ms, floorMs, gap }: Profile): string => {
  const worst = [...steps].sort((a, b) => b.lostMs - a.lostMs).slice(0, 10)
  const title = worst.length === 1 ? 'the step that loses most' : `the ${worst.length} steps that lose most`
  const theirs = worst.reduce((n, s) => n + s.lostShare, 0)
  return [
    '  steps, slowest first (ms: the best of its runs; floor: the least possible; gap: ms / floor; lost: ms - floor)',
    row(heads, 'step', 'source'),
    ...steps.map(stepText),
    row([bare(ms), '100%', '', bare(floorMs), gapText(gap), bare(ms - floorMs), '100%'], 'all steps', ''),
    '',
    `  ${title}: ${(100 * theirs).toFixed(0)}% of the time beyond the floor`,
    row(heads, 'step', 'set by'),
    ...worst.map(s => `${stepText({ ...s, places: [] }).padEnd(95)}${s.bound}`),
  ].join('\n')
}
