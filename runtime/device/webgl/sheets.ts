/**
 * Textures of a context: arrays lie in them, one f32 a texel, row by row. One that nobody holds any more is kept for the next
 * array of its size, so that a program that runs again and again makes none anew.
 */
import { refuse } from '../../../dsl/errors.ts'
import { lostFailure } from './context.ts'
import type { About, Held, Texture } from './engine.ts'
import type { Built, Library, Sheet } from './library.ts'
import { gl as n, glFailure, remedies, type Gl, type GlTexture } from './source.ts'

export type Sheets = {
  readonly sizeOf: (texels: number) => readonly [width: number, height: number]
  /** What an array's texture is behind it. */
  readonly sheetOf: (texture: Texture) => Sheet
  /** A texture that holds anything, for an array; the caller holds it. Throws a `Refusal` where there is no memory left. */
  readonly take: (texels: number) => Texture
  /** Binds it, to be written by the processor. */
  readonly bind: (texture: Texture) => void
  /** Makes all of it zero. */
  readonly clear: (texture: Texture) => void
  /** Stands for any array of so many texels while kernels are built, and has no memory. */
  readonly dummy: (texels: number) => Sheet
  readonly trim: () => void
  readonly held: () => Omit<Held, 'kernels'>
}

type Owned = Texture & { readonly sheet: Sheet }

/** `built`: a kernel of gpu.js to make textures of its class by. */
export const sheetsOf = (gl: Gl, about: About, { utils }: Library, built: Built): Sheets => {
  const free = new Map<string, Sheet[]>()
  const sizes = new Map<number, readonly [number, number]>()
  const state = { textures: 0, bytes: 0, used: 0 }
  const sizeOf = (texels: number): readonly [number, number] => {
    const known = sizes.get(texels)
    if (known !== undefined) return known
    const [width = 1, height = 1] = Array.from(utils.closestSquareDimensions(Math.max(1, texels)))
    sizes.set(texels, [width, height])
    return [width, height]
  }
  const sheetOn = (texture: GlTexture, texels: number): Sheet => new built.TextureConstructor({
    texture, size: Int32Array.from(sizeOf(texels)), dimensions: [texels, 1, 1], output: [texels], context: gl, kernel: built,
    internalFormat: n.r32f, textureFormat: n.red,
  })
  const bytesOf = (texels: number): number => 4 * sizeOf(texels)[0] * sizeOf(texels)[1]
  const failed = (texels: number, error: number): never => {
    if (gl.isContextLost() || error === n.contextLost) return refuse(lostFailure(about.name))
    if (error !== n.outOfMemory) return refuse(glFailure('validation', `a call was refused before a texture was made (error ${error})`, remedies.bug))
    const mib = (state.bytes / 2 ** 20).toFixed(1)
    const message = `out of memory: no texture for ${texels} numbers beside the ${state.textures} that there are (${mib} MiB)`
    return refuse(glFailure('memory', message, remedies.smaller))
  }
  const trim = (): void => {
    for (const [key, sheets] of free) {
      const [width = 0, height = 0] = key.split('x').map(Number)
      for (const { texture } of sheets) {
        gl.deleteTexture(texture)
        state.textures--
        state.bytes -= 4 * width * height
      }
    }
    free.clear()
  }
  const make = (texels: number): GlTexture => {
    const texture = gl.createTexture()
    if (texture === null) return failed(texels, n.contextLost)
    const [width, height] = sizeOf(texels)
    gl.activeTexture(n.texture15)
    gl.bindTexture(n.texture2d, texture)
    for (const [name, value] of [[n.wrapS, n.clamp], [n.wrapT, n.clamp], [n.minFilter, n.nearest], [n.magFilter, n.nearest]] as const) {
      gl.texParameteri(n.texture2d, name, value)
    }
    gl.texStorage2D(n.texture2d, 1, n.r32f, width, height)
    const error = gl.getError()
    if (error !== n.noError) {
      gl.deleteTexture(texture)
      if (error !== n.outOfMemory || free.size === 0) return failed(texels, error)
      trim()
      return make(texels)
    }
    state.textures++
    state.bytes += bytesOf(texels)
    return texture
  }
  const keyOf = (texels: number): string => sizeOf(texels).join('x')
  const put = (sheet: Sheet, texels: number): void => {
    const kept = free.get(keyOf(texels)) ?? []
    free.set(keyOf(texels), kept)
    kept.push(sheet)
  }
  // Bound once, so that it is a texture that may be attached.
  const empty = gl.createTexture()
  gl.activeTexture(n.texture15)
  gl.bindTexture(n.texture2d, empty)
  const framebuffer = gl.createFramebuffer()
  return {
    sizeOf,
    sheetOf: texture => (texture as Owned).sheet, // all textures of this engine are made by `take`
    take: texels => {
      // One sheet to a texture, for good: gpu.js counts them, and would not write a texture that has two.
      const sheet = free.get(keyOf(texels))?.pop() ?? sheetOn(make(texels), texels)
      let users = 1
      state.used++
      const owned: Owned = {
        sheet, texels,
        retain: () => void users++,
        release: () => {
          if (--users !== 0) return
          state.used--
          put(sheet, texels)
        },
      }
      return owned
    },
    bind: texture => {
      gl.activeTexture(n.texture15)
      gl.bindTexture(n.texture2d, (texture as Owned).sheet.texture)
    },
    clear: texture => {
      gl.bindFramebuffer(n.framebuffer, framebuffer)
      gl.framebufferTexture2D(n.framebuffer, n.color0, n.texture2d, (texture as Owned).sheet.texture, 0)
      // gpu.js limits what is written, and does so again before each of its own kernels.
      gl.scissor(0, 0, ...sizeOf(texture.texels))
      gl.clearBufferfv(n.color, 0, [0, 0, 0, 0])
      gl.framebufferTexture2D(n.framebuffer, n.color0, n.texture2d, null, 0)
    },
    dummy: texels => (empty === null ? refuse(lostFailure(about.name)) : sheetOn(empty, texels)),
    trim,
    held: () => ({ ...state }),
  }
}
