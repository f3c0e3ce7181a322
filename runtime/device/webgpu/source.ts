/** Where WebGPU comes from: what a host (Node, a browser) has to give, so that the device itself is the same everywhere. */
/// <reference types="@webgpu/types" />
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { DeviceReason, Failure } from '../../../dsl/errors.ts'

/** WebGPU, started. In Node it lives as long as `gpu` is held: whoever uses what comes from it has to hold it. */
export type Started = {
  readonly gpu: GPU
  /** What drives it, where that is known: `vulkan`, `metal`, `d3d12`. */
  readonly backend: string
  /** For people: what is missing where it has no adapter, and what to do about it. */
  readonly lacking: () => Lack
  /** Waits for work of the device that may take long, without asking after it all the time where that is how the host waits. */
  readonly patiently: <A>(work: Promise<A>) => Promise<A>
}

export type Lack = { readonly message: string; readonly remedy: string }

/** A small text that stays from one process to the next; both sides are allowed to fail silently. */
export type Store = {
  readonly read: () => Promise<string | null>
  readonly write: (text: string) => Promise<void>
}

export type GpuSource = {
  /** Starts WebGPU; with `software` adapters that are no hardware are looked for as well, with `experimental` features that are not finished. */
  readonly start: (software: boolean, experimental?: boolean) => TaskEither<Failure, Started>
  /** What has been measured about kernels. */
  readonly measured: Store
}

/** A failure of this device. */
export const deviceFailure = (reason: DeviceReason, message: string, remedy?: string): Failure =>
  ({ kind: 'device', device: 'WebGPU', reason, message, ...(remedy === undefined ? {} : { remedy }) })

/** The WebGPU standard's bits, by number: Node has no globals of these names. */
export const usage = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128, queryResolve: 512 } as const
export const mapForReading = 1
export const visibleToCompute = 4
