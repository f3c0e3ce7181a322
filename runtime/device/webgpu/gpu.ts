/**
 * A device of WebGPU in use: opened once per process and options, shared by all programs that are loaded on it, closed when the
 * last of them is disposed of. What goes wrong on it comes together here: the first failure stays, and everybody hears of it.
 */
/// <reference types="@webgpu/types" />
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { Refusal, type Failure } from '../../../dsl/errors.ts'
import { failures, leasing, type Failing, type Leases } from '../leases.ts'
import { findAdapter, requestDevice, type About, type Found } from './adapter.ts'
import { deviceFailure, type GpuSource, type Started } from './source.ts'

export type Gpu = Failing & {
  readonly about: About
  readonly device: GPUDevice
  /** See `Started`. */
  readonly patiently: Started['patiently']
  /** Gives the device back to the system. */
  readonly close: () => void
}

export type GpuOptions = {
  /** Also takes an adapter that computes on the processor, where there is no other. */
  readonly allowSoftware?: boolean | undefined
  /** With those features of the adapter, too, that are experiments. */
  readonly experimental?: boolean | undefined
}

const restart = 'What was on the device is gone: load the programs again, and start from the last state that was saved.'

const lost = (about: About, info: GPUDeviceLostInfo): Failure =>
  deviceFailure('lost', `the device was lost: ${about.name}${info.message === '' ? '' : ` (${info.message})`}`, restart)

/** The words of an error without the lines that say where in Dawn it was noticed. */
export const wordsOf = (message: string): string =>
  message.split('\n').map(line => line.trim()).filter(line => line !== '' && !line.startsWith('at ')).slice(0, 3).join(' ')

/** An error of WebGPU as a failure. Its kind is known by the name of its class, which Node does not have as a global. */
export const failureOf = (error: GPUError, doing: string): Failure =>
  error.constructor.name === 'GPUOutOfMemoryError'
    ? deviceFailure('memory', `out of memory while ${doing} (${wordsOf(error.message)})`,
      'Use smaller sizes (a smaller batch above all), or the device wasm.')
    : deviceFailure('validation', `refused while ${doing}: ${wordsOf(error.message)}`,
      'This is a bug of vdsm or of the driver; the device wasm computes the same.')

const gpuOn = (found: Found, device: GPUDevice): Gpu => {
  const { about } = found
  const { silence, ...failing } = failures()
  // Node keeps WebGPU alive only as long as somebody holds it.
  const state: { held: Started | null } = { held: found.started }
  void device.lost.then(info => failing.fail(lost(about, info)))
  device.addEventListener('uncapturederror', event => {
    event.preventDefault()
    failing.fail(failureOf(event.error, 'running'))
  })
  return {
    about,
    device,
    patiently: found.started.patiently,
    ...failing,
    close: () => {
      if (state.held === null) return
      silence()
      device.destroy()
      state.held = null
    },
  }
}

/** Opens a device of its own for the caller, who has to close it. */
export const openGpu = (source: GpuSource, { allowSoftware = false, experimental = false }: GpuOptions = {}): TE.TaskEither<Failure, Gpu> =>
  pipe(findAdapter(source, allowSoftware, experimental), TE.chain(found => pipe(requestDevice(found), TE.map(device => gpuOn(found, device)))))

/** The right to use a device until `release` is called. */
export type Lease = { readonly gpu: Gpu; readonly release: () => void }

const shared = new Map<GpuSource, Leases<string, Gpu>>()

/**
 * The device of this process for these options: the same for all who ask while somebody uses it. One that has failed is not
 * given any more: asking again opens a fresh one.
 */
export const gpuOf = (source: GpuSource, options: GpuOptions = {}): TE.TaskEither<Failure, Lease> => {
  const leases = shared.get(source) ?? leasing<string, Gpu>()
  shared.set(source, leases)
  const key = `${options.allowSoftware === true ? 'any' : 'hardware'}${options.experimental === true ? ', experimental' : ''}`
  return pipe(leases(key, openGpu(source, options)), TE.map(({ device, release }) => ({ gpu: device, release })))
}

/** Throws the failure of a device that has failed. */
export const alive = (gpu: Gpu): void => {
  const failure = gpu.failure()
  if (failure !== null) throw new Refusal(failure)
}
