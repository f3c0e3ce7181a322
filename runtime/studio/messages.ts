/** What the page and its workers say to each other. */
import type { ConfigName } from '../../models/vdsm/config.ts'
import type { MeasuredProgram } from './measured.ts'

export type PageDevice = 'webgpu' | 'webgl' | 'wasm'
export type DeviceChoice = 'auto' | PageDevice

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

/** How one device stands: in use (or being tried), not to be used and why, next where that one fails, or not asked for. */
export type DeviceLine = { readonly device: PageDevice; readonly role: 'used' | 'passed' | 'next' | 'idle'; readonly text: string }

export type FromWorker =
  /** `configs` are the models of the build that a page can train. */
  | { readonly kind: 'found'; readonly configs: readonly string[] }
  /** How the devices stand: programs are being loaded on the one that is `used`. */
  | { readonly kind: 'devices'; readonly lines: readonly DeviceLine[] }
  /** Everything is loaded. */
  | { readonly kind: 'ready'; readonly parameters: number }
  | { readonly kind: 'progress'; readonly losses: readonly Loss[]; readonly stepsPerSecond: number }
  | { readonly kind: 'pictures'; readonly pictures: Pictures }
  /** The device has failed, and programs are being loaded anew. */
  | { readonly kind: 'failing'; readonly text: string }
  /** Training goes on from step `steps`: what came after it is done again. */
  | { readonly kind: 'recovered'; readonly text: string; readonly steps: number }
  /** Training has come to rest: paused, or after its last step. */
  | { readonly kind: 'rested'; readonly finished: boolean }
  | { readonly kind: 'failed'; readonly text: string }

/** Milliseconds: of the first call, with loading and compiling, and the median of so many `calls` after it; `finite`: all numbers of all results were. */
export type Timing =
  | { readonly kind: 'measured'; readonly device: string; readonly first: number; readonly median: number; readonly calls: number; readonly finite: boolean }
  | { readonly kind: 'refused'; readonly why: string }

/** The one message to the worker that times programs. */
export type ToMeasurer = { readonly build: string; readonly config: ConfigName; readonly device: PageDevice }

export type FromMeasurer =
  | { readonly kind: 'timing'; readonly program: MeasuredProgram; readonly timing: Timing }
  | { readonly kind: 'measured' }
  | { readonly kind: 'failed'; readonly text: string }
