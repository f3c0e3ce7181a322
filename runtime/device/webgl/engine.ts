/** What a program needs of the device below it: textures, kernels that make them, and their numbers back. */
import type { GlFunction, GlKernel } from '../../gl-program.ts'
import type { Failing } from '../leases.ts'

/** What is known of a device. */
export type About = {
  /** For people: `ANGLE (NVIDIA, NVIDIA GeForce RTX 3060, OpenGL 4.5)`. */
  readonly name: string
  readonly vendor: string
  /** It computes on the processor, and slowly: good for trials only. */
  readonly software: boolean
  /** Texels along one side of a texture; an array lies in one texture. */
  readonly maxTextureSize: number
}

/** An array of the device. It never changes while somebody holds it; the last one that releases it gives its memory back. */
export type Texture = { readonly texels: number; readonly retain: () => void; readonly release: () => void }

/** Makes a texture, which the caller then holds, of textures and the counters of the loops around the kernel. */
export type Run = (inputs: readonly Texture[], counters: readonly number[]) => Texture

/** Textures that exist, in use or kept for the next time. */
export type Held = { readonly textures: number; readonly bytes: number; readonly used: number; readonly kernels: number }

export type Engine = Failing & {
  readonly about: About
  /** For people and for `arithmetic`: `webgl, ANGLE (...)`. */
  readonly words: string
  /** Whether an array of so many texels has room in a texture. */
  readonly fits: (texels: number) => boolean
  /** Bytes of the texture of an array. */
  readonly bytesOf: (texels: number) => number
  /** Makes a kernel ready; the same one is made once. Throws a `Refusal` where it cannot be compiled. */
  readonly prepare: (kernel: GlKernel, functions: ReadonlyMap<string, GlFunction>) => Run
  /** A texture of numbers that `write` puts at the beginning of an array, which holds anything before. */
  readonly upload: (texels: number, write: (numbers: Float32Array) => void) => Texture
  readonly zeros: (texels: number) => Texture
  /** The numbers of textures. Rejects with a `Refusal` where the device failed. */
  readonly read: (textures: readonly Texture[]) => Promise<readonly Float32Array[]>
  /** Resolves when everything that was asked for has been done; rejects with a `Refusal` where the device failed. */
  readonly done: () => Promise<void>
  /** Gives memory back that is only kept for the next time. */
  readonly trim: () => void
  readonly held: () => Held
  /** Gives everything back. */
  readonly close: () => void
}

/** What tells kernels apart. */
export const kernelKey = ({ code, inputs, counters, texels }: GlKernel): string => `${inputs.join(' ')}, ${counters}, ${texels}\n${code}`
