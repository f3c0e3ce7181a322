/**
 * `vdsm bench PROGRAM`: how fast a program runs here, on seeded random inputs, beside what this machine can do at best,
 * measured in the same run. `--profile` times each step of the program beside the least time that it can take.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../dsl/errors.ts'
import { attempt, openBuild } from '../build.ts'
import { nodeHost } from '../device/node.ts'
import { better, measureRates, type Rates } from '../device/rates.ts'
import type { Variant } from '../device/wasm.ts'
import type { LocalExecutable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram, type ProgramInfo } from '../manifest.ts'
import { floorOfAll } from '../measure/floor.ts'
import { fillInputs } from '../measure/inputs.ts'
import { profileOf, profileText, stepTimes, type Profile } from '../measure/profile.ts'
import { median, msText, repeat } from '../measure/times.ts'
import { bytesText, flopsText, oneOf, positiveNumber, say, seedOption, withBuild, withThreads, type Register } from './command.ts'

type Options = {
  readonly build: string
  readonly json?: true
  readonly profile?: true
  readonly seconds: number
  readonly seed: number
  readonly variant?: Variant
  readonly threads?: number
}

type Report = {
  readonly program: string
  readonly variant: string
  /** Measured: calls, their times, and what so many threads of this machine reach at best. */
  readonly runs: number
  readonly medianMs: number
  readonly minMs: number
  readonly rates: Rates
  /** Counted by the compiler, by the median time: operations a second, and their share of the peak. */
  readonly gflops: number
  readonly peakShare: number
  /** The least time of all kernels at these rates, and the median as a multiple of it. */
  readonly floorMs: number
  readonly gap: number
  /** Counted by the compiler: of one call. */
  readonly flops: number
  readonly kernels: number
  readonly kernelsBeforeFusion: number
  readonly bytes: number
  /** Allocated: the program's memory, whole pages. */
  readonly memoryBytes: number
  readonly profile?: Profile
}

const measure = async (program: ProgramInfo, executable: LocalExecutable, options: Options): Promise<Report> => {
  const { threads } = executable
  fillInputs(executable, options.seed)
  const before = await measureRates(threads)
  repeat(options.seconds / 4, 2, executable.run)
  const times = repeat(options.seconds, 5, executable.run)
  const steps = options.profile === true ? stepTimes(executable, options.seconds) : null
  const rates = better(before, await measureRates(threads))
  const medianMs = median(times)
  const gflops = program.stats.flops / medianMs / 1e6
  const floorMs = floorOfAll(program.kernels, rates)
  return {
    program: program.id, variant: executable.variant, runs: times.length, medianMs, minMs: Math.min(...times), rates,
    flops: program.stats.flops, gflops, peakShare: gflops / rates.peakGflops, floorMs, gap: medianMs / floorMs,
    kernels: program.kernels.reduce((n, kernel) => n + kernel.count, 0), kernelsBeforeFusion: program.stats.kernelsBefore,
    bytes: program.stats.bytes, memoryBytes: executable.memoryBytes,
    ...(steps === null ? {} : { profile: profileOf(program, steps, rates) }),
  }
}

const threadsText = (n: number): string => (n === 1 ? '1 thread' : `${n} threads`)

const shareText = ({ gflops, peakShare, rates }: Report): string =>
  `${gflops.toFixed(2)} GFLOP/s, ${(100 * peakShare).toFixed(1)}% of this machine's peak of ${rates.peakGflops.toFixed(1)} GFLOP/s `
    + `(measured now, ${threadsText(rates.threads)})`

const floorText = ({ floorMs, gap, rates }: Report): string =>
  `floor ${msText(floorMs)}, gap ${gap.toFixed(2)}: at ${rates.productGflops.toFixed(1)} GFLOP/s of a packed product, `
    + `${rates.farGBs.toFixed(1)} GB/s of memory, ${rates.nearGBs.toFixed(1)} GB/s within the caches`

const reportText = (report: Report): string => [
  `${report.program}  (${report.variant})`,
  `  median ${msText(report.medianMs)}, min ${msText(report.minMs)} of ${report.runs} calls`,
  `  ${shareText(report)}`,
  `  ${floorText(report)}`,
  `  ${report.kernels} kernels a call (${report.kernelsBeforeFusion} before fusion), ${flopsText(report.flops)}, `
    + `${bytesText(report.bytes)} moved, ${bytesText(report.memoryBytes)} of memory`,
  ...(report.profile === undefined ? [] : ['', profileText(report.profile)]),
].join('\n')

const benchProgram = (id: string, options: Options): TE.TaskEither<Failure, void> =>
  pipe(
    openBuild(nodeHost(options.build)),
    TE.chainFirstEitherK(({ manifest }) => pipe(findProgram(manifest, id), E.chain(program => checkFresh(options.build, program)))),
    TE.chain(build => build.load(id, {
      ...(options.variant === undefined ? {} : { variant: options.variant }), ...(options.threads === undefined ? {} : { threads: options.threads }),
    })),
    TE.chain(executable => attempt(`running ${id}`, () => measure(executable.program, executable, options))),
    TE.chainTaskK(report => say(options.json === true ? JSON.stringify(report, null, 2) : reportText(report))),
  )

export const register: Register = (cli, settle) => {
  withThreads(withBuild(cli.command('bench')))
    .description('Measures a compiled program on random inputs. Times and this machine\'s rates are measured here and now; '
      + 'kernels, FLOP and bytes moved are what the compiler counted, GFLOP/s is what it counted by the median time, and the '
      + 'floor is the least time of its kernels at these rates.')
    .argument('<program>', 'its id, as `vdsm list` shows it')
    .option('--profile', 'time each step of the program, beside its floor')
    .option('--seconds <n>', 'how long to measure', positiveNumber, 2)
    .option('--seed <n>', 'of the random inputs', seedOption, 0)
    .option('--variant <name>', 'fma or simd: force one of the two modules', oneOf('fma', 'simd'))
    .option('--json', 'as JSON, for other programs')
    .action((id: string, options: Options) => settle(benchProgram(id, options)))
}
