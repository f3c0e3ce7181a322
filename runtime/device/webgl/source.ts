/**
 * Where WebGL comes from: what a host (a page, a worker) has to give, so that the device itself is the same everywhere, and the
 * little of WebGL2 that is used beside gpu.js, as types: the DOM library would bring names for everything into the whole project.
 */
import type * as E from 'fp-ts/lib/Either.js'
import type { DeviceReason, Failure } from '../../../dsl/errors.ts'

declare const opaque: unique symbol
type Opaque<Name extends string> = { readonly [opaque]: Name }
export type GlTexture = Opaque<'texture'>
export type GlBuffer = Opaque<'buffer'>
export type GlFramebuffer = Opaque<'framebuffer'>
export type GlShaderProgram = Opaque<'program'>
export type GlSync = Opaque<'sync'>

/** A context of WebGL2. */
export type Gl = {
  readonly getExtension: (name: string) => unknown
  readonly getParameter: (name: number) => unknown
  readonly getError: () => number
  readonly isContextLost: () => boolean
  readonly createTexture: () => GlTexture | null
  readonly deleteTexture: (texture: GlTexture) => void
  readonly activeTexture: (unit: number) => void
  readonly bindTexture: (target: number, texture: GlTexture | null) => void
  readonly texParameteri: (target: number, name: number, value: number) => void
  readonly texStorage2D: (target: number, levels: number, format: number, width: number, height: number) => void
  readonly texSubImage2D: (target: number, level: number, x: number, y: number, width: number, height: number, format: number, type: number,
    data: Float32Array, from: number) => void
  readonly createFramebuffer: () => GlFramebuffer | null
  readonly bindFramebuffer: (target: number, framebuffer: GlFramebuffer | null) => void
  readonly framebufferTexture2D: (target: number, attachment: number, kind: number, texture: GlTexture | null, level: number) => void
  readonly scissor: (x: number, y: number, width: number, height: number) => void
  readonly clearBufferfv: (buffer: number, index: number, values: readonly number[]) => void
  readonly createBuffer: () => GlBuffer | null
  readonly deleteBuffer: (buffer: GlBuffer) => void
  readonly bindBuffer: (target: number, buffer: GlBuffer | null) => void
  readonly bufferData: (target: number, bytes: number, usage: number) => void
  readonly getBufferSubData: (target: number, from: number, to: Float32Array) => void
  readonly readPixels: (x: number, y: number, width: number, height: number, format: number, type: number, offset: number) => void
  readonly fenceSync: (condition: number, flags: number) => GlSync | null
  readonly clientWaitSync: (sync: GlSync, flags: number, timeout: number) => number
  readonly deleteSync: (sync: GlSync) => void
  readonly flush: () => void
  readonly bindAttribLocation: (program: GlShaderProgram, at: number, name: string) => void
  readonly linkProgram: (program: GlShaderProgram) => void
  readonly getProgramParameter: (program: GlShaderProgram, name: number) => unknown
  readonly getProgramInfoLog: (program: GlShaderProgram) => string | null
}

/** The WebGL standard's numbers. */
export const gl = {
  noError: 0, outOfMemory: 0x505, contextLost: 0x9242,
  vendor: 0x1f00, renderer: 0x1f01, maxTextureSize: 0xd33, maxViewport: 0xd3a, unmaskedVendor: 0x9245, unmaskedRenderer: 0x9246,
  texture2d: 0xde1, texture15: 0x84cf, nearest: 0x2600, clamp: 0x812f, minFilter: 0x2801, magFilter: 0x2800, wrapS: 0x2802, wrapT: 0x2803,
  r32f: 0x822e, red: 0x1903, rgba: 0x1908, float: 0x1406, readFormat: 0x8b9b, readType: 0x8b9a,
  framebuffer: 0x8d40, color0: 0x8ce0, color: 0x1800, packBuffer: 0x88eb, streamRead: 0x88e1,
  commandsDone: 0x9117, alreadyDone: 0x911a, conditionSatisfied: 0x911c, waitFailed: 0x911d, linked: 0x8b82,
} as const

/** A canvas, of a page or of none. */
export type GlCanvas = {
  readonly getContext: (kind: 'webgl2', attributes: Readonly<Record<string, boolean | string>>) => Gl | null
  readonly addEventListener: (kind: 'webglcontextlost', listener: (event: { readonly statusMessage?: string }) => void) => void
}

export type Opened = { readonly canvas: GlCanvas; readonly gl: Gl }

export type GlSource = {
  /** A fresh context of WebGL2. */
  readonly open: () => E.Either<Failure, Opened>
}

/** What to do about a failure. */
export const remedies = {
  bug: 'This is a bug of vdsm or of the driver; the device wasm computes the same.',
  smaller: 'Use smaller sizes (a smaller batch above all), or the device wasm.',
  driver: 'Update the driver of your GPU, or use the device wasm.',
  elsewhere: 'Use the device webgpu where there is one, or wasm.',
  reload: 'What was on the device is gone: load the programs again, and start from the last state that was saved.',
} as const

/** A failure of this device. */
export const glFailure = (reason: DeviceReason, message: string, remedy?: string): Failure =>
  ({ kind: 'device', device: 'WebGL', reason, message, ...(remedy === undefined ? {} : { remedy }) })
