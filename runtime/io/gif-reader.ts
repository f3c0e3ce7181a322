/**
 * Reading GIFs as their pictures look when they are played: images laid over one another with their palettes, places,
 * transparency and disposal. Where nothing was ever drawn, and where an image clears its place, the picture is black.
 * Every image is one frame, however long it is shown. Nothing is half read: a file that ends early is refused.
 */
import * as E from 'fp-ts/lib/Either.js'
import { unpackLzw } from './lzw.ts'

/** Frames as bytes, [frames, height, width, 3]. */
export type GifFrames = { readonly frames: number; readonly height: number; readonly width: number; readonly data: Uint8Array }

type Palette = Uint8Array
type Control = { readonly disposal: number; readonly transparent: number }
type Image = {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  readonly palette: Palette
  readonly interlaced: boolean
  readonly indices: Uint8Array
  readonly control: Control
}
type Parsed = { readonly width: number; readonly height: number; readonly images: readonly Image[] }

class Damaged extends Error {}

const damaged = (message: string): never => {
  throw new Damaged(message)
}

const plain: Control = { disposal: 0, transparent: -1 }

/** Reads forwards and complains where the bytes end. */
type Reader = {
  readonly byte: () => number
  readonly word: () => number
  readonly take: (n: number) => Uint8Array
  readonly blocks: () => Uint8Array
  readonly ended: () => boolean
}

const readerOf = (bytes: Uint8Array): Reader => {
  let at = 0
  const take = (n: number): Uint8Array => {
    if (at + n > bytes.length) return damaged(`it is cut off after ${bytes.length} bytes`)
    at += n
    return bytes.subarray(at - n, at)
  }
  const byte = (): number => take(1)[0] ?? 0
  const blocks = (): Uint8Array => {
    const parts: Uint8Array[] = []
    for (let size = byte(); size > 0; size = byte()) parts.push(take(size))
    const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
    parts.reduce((to, part) => (out.set(part, to), to + part.length), 0)
    return out
  }
  return { byte, word: () => byte() | (byte() << 8), take, blocks, ended: () => at >= bytes.length }
}

const paletteOf = (read: Reader, flags: number): Palette | undefined => ((flags & 0x80) === 0 ? undefined : read.take(3 << ((flags & 7) + 1)))

const controlOf = (block: Uint8Array): Control => {
  const [flags = 0, , , transparent = 0] = block
  return { disposal: (flags >> 2) & 7, transparent: (flags & 1) === 0 ? -1 : transparent }
}

const imageOf = (read: Reader, common: Palette | undefined, control: Control, most: number): Image => {
  const [left, top, width, height, flags] = [read.word(), read.word(), read.word(), read.word(), read.byte()]
  const palette = paletteOf(read, flags) ?? common ?? damaged('an image has no palette')
  // Larger than its screen an image may be (what is outside is not shown), but not all of them together without end.
  if (width * height > most) damaged(`an image of ${width} x ${height} pixels is too large, or too much beside those before it`)
  const bits = read.byte()
  const indices = unpackLzw(read.blocks(), bits, width * height)
  if (typeof indices === 'string') return damaged(indices)
  const colours = palette.length / 3
  const strange = indices.findIndex(index => index >= colours && index !== control.transparent)
  if (strange >= 0) damaged(`pixel ${strange} of an image has colour ${indices[strange] ?? 0} of a palette of ${colours}`)
  return { left, top, width, height, palette, interlaced: (flags & 0x40) !== 0, indices, control }
}

/** The whole file; `most` is how many pixels all its frames together may have, and all its images as they are stored. */
const parse = (bytes: Uint8Array, most: number): Parsed => {
  const read = readerOf(bytes)
  const magic = String.fromCharCode(...read.take(6))
  if (magic !== 'GIF87a' && magic !== 'GIF89a') damaged('not a GIF (no GIF87a or GIF89a at its start)')
  const [width, height, flags] = [read.word(), read.word(), read.byte()]
  if (width * height === 0) damaged(`its screen has ${width} x ${height} pixels`)
  read.take(2)
  const common = paletteOf(read, flags)
  const images: Image[] = []
  let [control, left] = [plain, most]
  for (;;) {
    if (read.ended()) damaged(`it is cut off after ${bytes.length} bytes: its end mark is missing`)
    const kind = read.byte()
    if (kind === 0x3b) return { width, height, images }
    if (kind === 0x2c) {
      const image = imageOf(read, common, control, left)
      images.push(image)
      ;[control, left] = [plain, left - image.indices.length]
      if (width * height * images.length > most) damaged(`it has more than ${images.length - 1} frames of ${width} x ${height} pixels, which is too large`)
    } else if (kind === 0x21) {
      const label = read.byte()
      const content = read.blocks()
      if (label === 0xf9) control = controlOf(content)
    } else damaged(`an unknown block (0x${kind.toString(16)}) is where an image should be`)
  }
}

/** The row of the image that each stored row is: interlaced images bring every eighth first. */
const rowsOf = ({ height, interlaced }: Image): readonly number[] => {
  const every = (from: number, step: number): readonly number[] =>
    Array.from({ length: Math.max(0, Math.ceil((height - from) / step)) }, (_, i) => from + i * step)
  return interlaced ? [...every(0, 8), ...every(4, 8), ...every(2, 4), ...every(1, 2)] : every(0, 1)
}

/** Lays an image over the screen (RGB bytes). */
const draw = (screen: Uint8Array, width: number, height: number, image: Image): void => {
  const { left, top, palette, indices, control: { transparent } } = image
  rowsOf(image).forEach((row, stored) => {
    const y = top + row
    if (y >= height) return
    for (let i = 0; i < image.width && left + i < width; i++) {
      const index = indices[stored * image.width + i] ?? 0
      if (index === transparent) continue
      const to = (y * width + left + i) * 3
      for (let c = 0; c < 3; c++) screen[to + c] = palette[index * 3 + c] ?? 0
    }
  })
}

/** Clears the place of an image. */
const clear = (screen: Uint8Array, width: number, height: number, { left, top, width: w, height: h }: Image): void => {
  const right = Math.min(width, left + w)
  for (let y = top; y < Math.min(height, top + h); y++) if (left < right) screen.fill(0, (y * width + left) * 3, (y * width + right) * 3)
}

const play = ({ width, height, images }: Parsed): GifFrames => {
  const size = width * height * 3
  const data = new Uint8Array(size * images.length)
  let screen = new Uint8Array(size)
  images.forEach((image, i) => {
    const before = image.control.disposal === 3 ? screen.slice() : undefined
    draw(screen, width, height, image)
    data.set(screen, i * size)
    if (image.control.disposal === 2) clear(screen, width, height, image)
    if (before !== undefined) screen = before
  })
  return { frames: images.length, height, width, data }
}

/** The frames of a GIF, at most `most` pixels in all, or what is wrong with it. */
export const parseGif = (bytes: Uint8Array, most = 2 ** 28): E.Either<string, GifFrames> =>
  E.tryCatch(
    () => {
      const parsed = parse(bytes, most)
      return parsed.images.length === 0 ? damaged('it holds no image') : play(parsed)
    },
    error => {
      if (error instanceof Damaged) return error.message
      throw error
    },
  )
