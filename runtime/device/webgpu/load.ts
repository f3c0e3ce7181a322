/** Loads a compiled program on WebGPU: its file is checked, what the adapter cannot do is refused, kernels are chosen and compiled. */
/// <reference types="@webgpu/types" />
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { refuse, type Failure } from '../../../dsl/errors.ts'
import type { Executable } from '../../executor.ts'
import { GpuProgram, gpuProgramVersion, type KernelStep } from '../../gpu-program.ts'
import type { ProgramInfo } from '../../manifest.ts'
import type { Host } from '../host.ts'
import { again, programParser, readProgramFile } from '../program-file.ts'
import { prepare, type Choose } from './commands.ts'
import { asFailure, executableOn } from './executable.ts'
import { gpuOf, type Gpu, type GpuOptions, type Lease } from './gpu.ts'
import { kernelsOf, tooLarge } from './memory.ts'
import { obstacleTo, type Precision } from './pipelines.ts'
import type { GpuSource } from './source.ts'
import { onTensorCores, permitted, withoutTensorCores } from './tensor-cores.ts'
import { measuredChoice } from './tune.ts'

export type WebGpuOptions = GpuOptions & {
  /** Half precision of what products multiply; sums stay f32. Default f32. */
  readonly precision?: Precision | undefined
  /** Measures the alternatives of kernels and takes the fastest, which is remembered. Default: on hardware. */
  readonly tune?: boolean | undefined
  /** Hears of the device's failure as soon as it is noticed, besides everybody who calls the program afterwards. */
  readonly onFailure?: ((failure: Failure) => void) | undefined
}

/** Reads the text of a program's file; `path` is where it came from, for the failure's message. */
export const parseGpuProgram = programParser('WebGPU', gpuProgramVersion, GpuProgram)

const readProgram = (host: Host, { webgpu, id }: ProgramInfo): TE.TaskEither<Failure, GpuProgram> =>
  webgpu === undefined ? TE.left({ kind: 'limit', what: 'WebGPU', message: `${id} has not been compiled for it`, remedy: `${again} Or use the device wasm.` })
    : readProgramFile(host, webgpu, parseGpuProgram)

/** The alternatives of a kernel that may be taken and that the adapter can run; refuses where it can run none. */
const runnable = (gpu: Gpu, program: ProgramInfo, file: GpuProgram, kernel: KernelStep, precision: Precision): KernelStep['choices'] => {
  const all = permitted(file, kernel.choices, precision === 'tensor-cores')
  const obstacles = all.map(choice => choice.map(info => obstacleTo(gpu, file, info)).find(obstacle => obstacle !== null) ?? null)
  const choices = all.filter((_, i) => obstacles[i] === null)
  if (kernel.settled === true && choices.length > 0) return choices.slice(0, 1)
  return choices.length > 0 || all.length === 0 ? choices : refuse({
    kind: 'limit', what: `WebGPU, ${program.id}`,
    message: `kernel ${kernel.name} (${kernel.places.join(', ')}) cannot run on ${gpu.about.name}: ${obstacles[0] ?? ''}`,
    remedy: 'Use another adapter, or the device wasm.',
  })
}

/** Makes a program ready on a device that is open. Rejects with a `Refusal`; the lease is released then, or when the executable is disposed of. */
export const runnableOn = async (lease: Lease, source: GpuSource, program: ProgramInfo, file: GpuProgram, options: WebGpuOptions = {}): Promise<Executable> => {
  const { gpu } = lease
  const { precision = 'f32', tune = !gpu.about.software, onFailure } = options
  const deaf = onFailure === undefined ? () => undefined : gpu.onFailure(onFailure)
  const held: Lease = {
    gpu,
    release: () => {
      deaf()
      lease.release()
    },
  }
  try {
    if (precision === 'f16-tiles' && !gpu.about.features.includes('shader-f16')) {
      refuse({ kind: 'limit', what: 'precision f16-tiles', message: `${gpu.about.name} has no half precision (shader-f16)`, remedy: 'Use the precision f32.' })
    }
    const lacking = precision === 'tensor-cores' ? withoutTensorCores(gpu.about) : null
    if (lacking !== null) refuse(lacking)
    const large = tooLarge(gpu, program, file)
    if (large !== null) refuse(large)
    const choices = new Map(kernelsOf(file.steps).map(kernel => [kernel, runnable(gpu, program, file, kernel, precision)] as const))
    const measured = tune ? await measuredChoice(gpu, source.measured, file, choices, precision) : new Map<KernelStep, number>()
    const choose: Choose = kernel => choices.get(kernel)?.[measured.get(kernel) ?? 0] ?? []
    const commands = await prepare(gpu, file, choose, precision)
    const rounded: Readonly<Record<Precision, () => string>> = {
      'f32': () => '',
      'f16-tiles': () => ', tiles in f16',
      'tensor-cores': () => `, tensor cores in ${[...choices.keys()].filter(kernel => onTensorCores(file, choose(kernel))).length} of ${choices.size} kernels`,
    }
    const arithmetic = `webgpu, ${gpu.about.name}${rounded[precision]()}`
    return await executableOn(held, program, file, commands, { variant: arithmetic, arithmetic })
  } catch (error) {
    held.release()
    throw error
  }
}

/** Loads a program on the device that all programs of these options share. */
export const loadWebGpu = (host: Host, program: ProgramInfo, options: WebGpuOptions = {}): TE.TaskEither<Failure, Executable> =>
  pipe(
    readProgram(host, program),
    TE.chain(file => pipe(
      gpuOf(host.gpu, { ...options, experimental: options.precision === 'tensor-cores' }),
      TE.chain(lease => TE.tryCatch(() => runnableOn(lease, host.gpu, program, file, options), error => asFailure(error, `loading ${program.id} on WebGPU`))),
    )),
  )
