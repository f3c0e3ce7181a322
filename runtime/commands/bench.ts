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
import type { Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram, type ProgramInfo } from '../manifest.ts'
import { floorOfAll } from '../measure/floor.ts'
import { fillInputs } from '../measure/inputs.ts'
import { plainText, profileOf, profileText, stepTimes, type Profile } from '../measure/profile.ts'
import { measureCalls, median, msText, repeat } from '../measure/times.ts'
import { bytesText, flopsText, oneOf, positiveNumber, say, seedOption, withBuild, withThreads, type Register } from './command.ts'
import { chooseDevice, withDevice, type DeviceOptions } from './device.ts'

type Options = DeviceOptions & {
  readonly build: string
  readonly json?: true
  readonly profile?: true
  readonly seconds: number
  readonly seed: number
  readonly variant?: Variant
}

/** On the processor: what is known of the machine. */
type Machine = {
  readonly rates: Rates
  /** What was reached, as a share of the peak. */
  readonly peakShare: number
  /** The least time of all kernels at these rates, and the median as a multiple of it. */
  readonly floorMs: number
  readonly gap: number
}

type Report = Partial<Machine> & {
  readonly program: string
  readonly variant: string
  /** Measured: calls, their times, and what so many threads of this machine reach at best. */
  readonly runs: number
  readonly medianMs: number
  readonly minMs: number
  /** Counted by the compiler, by the median time. */
  readonly gflops: number
  /** Counted by the compiler: of one call. */
  readonly flops: number
  readonly kernels: number
  readonly kernelsBeforeFusion: number
  readonly bytes: number
  /** Allocated: the program's memory, whole pages. */
  readonly memoryBytes: number
  readonly profile?: Profile
  /** On a GPU, instead of a profile: the best milliseconds of each step by itself, and the same for people. */
  readonly steps?: { readonly ms: readonly number[]; readonly text: string }
}

const reportOn = (program: ProgramInfo, executable: Executable, times: readonly number[]): Report => {
  const medianMs = median(times)
  return {
    program: program.id, variant: executable.variant, runs: times.length, medianMs, minMs: Math.min(...times),
    flops: program.stats.flops, gflops: program.stats.flops / medianMs / 1e6,
    kernels: program.kernels.reduce((n, kernel) => n + kernel.count, 0), kernelsBeforeFusion: program.stats.kernelsBefore,
    bytes: program.stats.bytes, memoryBytes: executable.memoryBytes,
  }
}

/** On a GPU: beside nothing, for what it could do at best is not known here. */
const measureQueued = async (program: ProgramInfo, executable: Executable, { seconds, profile }: Options): Promise<Report> => {
  await measureCalls(executable.run, executable.done, seconds / 4, 2)
  const report = reportOn(program, executable, await measureCalls(executable.run, executable.done, seconds, 5))
  const steps = profile === true ? await stepTimes(executable, seconds) : null
  return steps === null ? report : { ...report, steps: { ms: steps.map(list => Math.min(...list)), text: plainText(program, steps) } }
}

const measure = async (program: ProgramInfo, executable: Executable, options: Options): Promise<Report> => {
  const { threads } = executable
  fillInputs(executable, options.seed)
  if (executable.device === 'webgpu') return measureQueued(program, executable, options)
  const before = await measureRates(threads)
  repeat(options.seconds / 4, 2, executable.run)
  const times = repeat(options.seconds, 5, executable.run)
  const steps = options.profile === true ? await stepTimes(executable, options.seconds) : null
  const rates = better(before, await measureRates(threads))
  const report = reportOn(program, executable, times)
  const floorMs = floorOfAll(program.kernels, rates)
  return {
    ...report, rates, peakShare: report.gflops / rates.peakGflops, floorMs, gap: report.medianMs / floorMs,
    ...(steps === null ? {} : { profile: profileOf(program, steps, rates) }),
  }
}

const threadsText = (n: number): string => (n === 1 ? '1 thread' : `${n} threads`)

const machineText = ({ gflops, rates, peakShare, floorMs, gap }: Report): readonly string[] => {
  if (rates === undefined || peakShare === undefined || floorMs === undefined || gap === undefined) return [`${gflops.toFixed(2)} GFLOP/s`]
  return [
    `${gflops.toFixed(2)} GFLOP/s, ${(100 * peakShare).toFixed(1)}% of this machine's peak of ${rates.peakGflops.toFixed(1)} GFLOP/s `
      + `(measured now, ${threadsText(rates.threads)})`,
    `floor ${msText(floorMs)}, gap ${gap.toFixed(2)}: at ${rates.productGflops.toFixed(1)} GFLOP/s of a packed product, `
      + `${rates.farGBs.toFixed(1)} GB/s of memory, ${rates.nearGBs.toFixed(1)} GB/s within the caches`,
  ]
}

const reportText = (report: Report): string => [
  `${report.program}  (${report.variant})`,
  `  median ${msText(report.medianMs)}, min ${msText(report.minMs)} of ${report.runs} ${report.rates === undefined ? 'series of calls' : 'calls'}`,
  ...machineText(report).map(line => `  ${line}`),
  `  ${report.kernels} kernels a call (${report.kernelsBeforeFusion} before fusion), ${flopsText(report.flops)}, `
    + `${bytesText(report.bytes)} moved, ${bytesText(report.memoryBytes)} of memory`,
  ...(report.profile === undefined ? [] : ['', profileText(report.profile)]),
  ...(report.steps === undefined ? [] : ['', report.steps.text]),
].join('\n')

const benchProgram = (id: string, options: Options): TE.TaskEither<Failure, void> =>
  pipe(
    openBuild(nodeHost(options.build)),
    TE.chainFirstEitherK(({ manifest }) => pipe(findProgram(manifest, id), E.chain(program => checkFresh(options.build, program)))),
    TE.chain(build => pipe(
      TE.fromEither(findProgram(build.manifest, id)),
      TE.chain(program => attempt('choosing a device', () => chooseDevice(options, build.host, [program], options.variant === undefined ? 'auto' : 'wasm'))),
      TE.chain(chosen => build.loadOn(id, { ...chosen.options, ...(options.variant === undefined ? {} : { variant: options.variant }) })),
    )),
    TE.chain(executable => attempt(`running ${id}`, () => measure(executable.program, executable, options).finally(executable.dispose))),
    TE.chainTaskK(report => say(options.json === true ? JSON.stringify(report, null, 2) : reportText(report))),
  )

export const register: Register = (cli, settle) => {
  withDevice(withThreads(withBuild(cli.command('bench'))), ['webgpu', 'wasm'], 'auto; wasm with --variant')
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
