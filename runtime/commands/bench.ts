/**
 * `vdsm bench PROGRAM`: how fast a program runs here, on seeded random inputs, beside what this machine can do at best,
 * measured in the same run. `--profile` times each step of the program.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import { attempt, openBuild } from '../build.ts'
import { nodeHost } from '../device/node.ts'
import { measurePeak, type Peak } from '../device/peak.ts'
import type { Variant } from '../device/wasm.ts'
import type { Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram, sizeOfShape, type ProgramInfo, type Slot } from '../manifest.ts'
import { bytesText, flopsText, oneOf, positiveNumber, say, seedOption, withBuild, type Register } from './command.ts'

type Options = {
  readonly build: string
  readonly json?: true
  readonly profile?: true
  readonly seconds: number
  readonly seed: number
  readonly variant?: Variant
}

/** Numbers uniform in [0, 1), by seed: a plain linear congruential step with a scrambled output. */
const uniform = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    let x = Math.imul(state ^ (state >>> 16), 0x45d9f3b)
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b)
    return ((x ^ (x >>> 16)) >>> 8) / 2 ** 24
  }
}

/** Random values of a kind that most programs can live with: real numbers in [0, 0.1), small indices, any bits. */
const randomArray = (slot: Slot, next: () => number): Float64Array => {
  const size = sizeOfShape(slot.shape)
  switch (slot.dtype) {
    case 'f32': return Float64Array.from({ length: size }, () => 0.1 * next())
    case 'i32': return Float64Array.from({ length: size }, () => Math.floor(4 * next()))
    case 'u32': return Float64Array.from({ length: size }, () => Math.floor(2 ** 32 * next()))
    case 'bool': return Float64Array.from({ length: size }, () => (next() < 0.5 ? 0 : 1))
  }
}

const timed = (f: () => void): number => {
  const start = performance.now()
  f()
  return performance.now() - start
}

const median = (times: readonly number[]): number => {
  const sorted = [...times].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}

/** Calls `f` for about that long, at least `least` times, and gives every duration in milliseconds. */
const repeat = (seconds: number, least: number, f: () => void): readonly number[] => {
  const end = performance.now() + 1000 * seconds
  const times: number[] = []
  while (times.length < least || (performance.now() < end && times.length < 100_000)) times.push(timed(f))
  return times
}

type StepTime = {
  readonly step: number
  readonly ms: number
  readonly share: number
  readonly gflops: number
  readonly kernels: readonly string[]
  readonly places: readonly string[]
}

const profile = (executable: Executable, seconds: number): readonly StepTime[] => {
  const times = Array.from({ length: executable.steps }, (): number[] => [])
  repeat(seconds, 3, () => times.forEach((list, step) => list.push(timed(() => executable.runStep(step)))))
  const medians = times.map(median)
  const total = medians.reduce((a, b) => a + b, 0)
  return medians.map((ms, step) => {
    const kernels = executable.program.kernels.filter(kernel => kernel.step === step)
    const flops = kernels.reduce((sum, kernel) => sum + kernel.flops * kernel.count, 0)
    return { step, ms, share: ms / total, gflops: flops / ms / 1e6, kernels: kernels.map(k => k.name), places: [...new Set(kernels.flatMap(k => k.places))] }
  }).sort((a, b) => b.ms - a.ms)
}

type Report = {
  readonly program: string
  readonly variant: string
  /** Measured: calls, their times, and the peak of one thread. */
  readonly runs: number
  readonly medianMs: number
  readonly minMs: number
  readonly peakGflops: number
  /** Counted by the compiler, by the median time: operations a second, and their share of the peak. */
  readonly gflops: number
  readonly peakShare: number
  /** Counted by the compiler: of one call. */
  readonly flops: number
  readonly kernels: number
  readonly kernelsBeforeFusion: number
  readonly bytes: number
  /** Allocated: the program's memory, whole pages. */
  readonly memoryBytes: number
  readonly profile?: readonly StepTime[]
}

const measure = (program: ProgramInfo, executable: Executable, options: Options): Report => {
  const next = uniform(options.seed)
  program.inputs.forEach(slot => executable.set(slot.path, randomArray(slot, next)))
  const before: Peak = measurePeak(150)
  repeat(options.seconds / 4, 2, executable.run)
  const times = repeat(options.seconds, 5, executable.run)
  const peakGflops = Math.max(before.gflops, measurePeak(150).gflops)
  const medianMs = median(times)
  const gflops = program.stats.flops / medianMs / 1e6
  return {
    program: program.id, variant: executable.variant, runs: times.length, medianMs, minMs: Math.min(...times),
    flops: program.stats.flops, gflops, peakGflops, peakShare: gflops / peakGflops,
    kernels: program.kernels.reduce((n, kernel) => n + kernel.count, 0), kernelsBeforeFusion: program.stats.kernelsBefore,
    bytes: program.stats.bytes, memoryBytes: executable.memoryBytes,
    ...(options.profile === true ? { profile: profile(executable, options.seconds) } : {}),
  }
}

const ms = (value: number): string => `${value < 10 ? value.toFixed(3) : value.toFixed(1)} ms`

const names = (kernels: readonly string[]): string => `${kernels.slice(0, 3).join(', ')}${kernels.length > 3 ? `, ... (${kernels.length} kernels)` : ''}`

const stepText = (time: StepTime): string =>
  [
    `  ${ms(time.ms).padStart(11)} ${(100 * time.share).toFixed(1).padStart(5)}%  ${time.gflops.toFixed(1).padStart(6)} GFLOP/s`,
    `s${time.step} ${names(time.kernels)}`,
    time.places[0] ?? '',
  ].join('  ')

const shareText = ({ gflops, peakShare, peakGflops }: Report): string =>
  `${gflops.toFixed(2)} GFLOP/s, ${(100 * peakShare).toFixed(1)}% of this machine's peak of ${peakGflops.toFixed(1)} GFLOP/s (measured now, 1 thread)`

const reportText = (report: Report): string => [
  `${report.program}  (${report.variant}, 1 thread)`,
  `  median ${ms(report.medianMs)}, min ${ms(report.minMs)} of ${report.runs} calls`,
  `  ${shareText(report)}`,
  `  ${report.kernels} kernels a call (${report.kernelsBeforeFusion} before fusion), ${flopsText(report.flops)}, `
    + `${bytesText(report.bytes)} moved, ${bytesText(report.memoryBytes)} of memory`,
  ...(report.profile === undefined ? [] : ['', '  steps, slowest first', ...report.profile.map(stepText)]),
].join('\n')

const benchProgram = (id: string, options: Options): TE.TaskEither<Failure, void> =>
  pipe(
    openBuild(nodeHost(options.build)),
    TE.chainFirstEitherK(({ manifest }) => pipe(findProgram(manifest, id), E.chain(program => checkFresh(options.build, program)))),
    TE.chain(build => build.load(id, options.variant === undefined ? {} : { variant: options.variant })),
    TE.chain(executable => attempt(`running ${id}`, () => measure(executable.program, executable, options))),
    TE.chainTaskK(report => say(options.json === true ? JSON.stringify(report, null, 2) : reportText(report))),
  )

export const register: Register = (cli, settle) => {
  withBuild(cli.command('bench'))
    .description('Measures a compiled program on random inputs. Times and the peak are measured here and now, in one thread; '
      + 'kernels, FLOP and bytes moved are what the compiler counted, and GFLOP/s is what it counted by the median time.')
    .argument('<program>', 'its id, as `vdsm list` shows it')
    .option('--profile', 'time each step of the program')
    .option('--seconds <n>', 'how long to measure', positiveNumber, 2)
    .option('--seed <n>', 'of the random inputs', seedOption, 0)
    .option('--variant <name>', 'fma or simd: force one of the two modules', oneOf('fma', 'simd'))
    .option('--json', 'as JSON, for other programs')
    .action((id: string, options: Options) => settle(benchProgram(id, options)))
}
