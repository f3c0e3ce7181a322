/** What the page and the worker that trains say to each other. */
import type { ConfigName } from '../../models/vdsm/config.ts'

export type DeviceChoice = 'auto' | 'webgpu' | 'wasm'

/** What is trained, where, and how long. */
export type Settings = {
  readonly config: ConfigName
  readonly device: DeviceChoice
  readonly seed: number
  readonly steps: number
}

export type ToWorker =
  /** The first message. `build`: the address of the build folder. */
  | { readonly kind: 'open'; readonly build: string; readonly settings: Settings }
  | { readonly kind: 'start' }
  | { readonly kind: 'pause' }

/**
 * Pictures for the grid of swaps, RGBA bytes of `side` x `side` pixels each, one behind the other: the `columns` that give the
 * pose, the `rows` that give the identity, and then, if the model has drawn any, the cells row by row.
 */
export type Pictures = {
  readonly side: number
  readonly rows: number
  readonly columns: number
  readonly pixels: Uint8ClampedArray<ArrayBuffer>
  readonly drawn: boolean
  /** After so many steps. */
  readonly step: number
}

export type Loss = readonly [step: number, loss: number]

export type FromWorker =
  /** A device has been chosen, and programs are being loaded on it. `notes` say, in words, why not on another; `configs` are the models of the build. */
  | { readonly kind: 'opening'; readonly notes: readonly string[]; readonly configs: readonly string[] }
  /** Everything is loaded. `device` is what the program runs on, in words. */
  | { readonly kind: 'ready'; readonly device: string; readonly parameters: number }
  | { readonly kind: 'progress'; readonly losses: readonly Loss[]; readonly stepsPerSecond: number }
  | { readonly kind: 'pictures'; readonly pictures: Pictures }
  /** Training has come to rest: paused, or after its last step. */
  | { readonly kind: 'rested'; readonly finished: boolean }
  | { readonly kind: 'failed'; readonly text: string }
