/**
 * Writing animated GIFs. Colours are exact where 256 are enough: for all frames together, or else for each frame by itself;
 * a frame with more is quantised (gifenc, pairwise nearest neighbours). Equal frames give equal bytes.
 */
/// <reference path="./gifenc.d.ts" />
import gifenc from 'gifenc'
import { refuse } from '../../dsl/errors.ts'
import { table, type Cell, type Picture } from '../report/sheet.ts'

type Colour = readonly [number, number, number]
type Indexed = { readonly palette: readonly Colour[]; readonly indices: Uint8Array }

const MOST = 256

/** Whole bytes of their own, without transparency: so gifenc wants them. */
const opaque = ({ data }: Picture): Uint8Array => {
  const out = data.slice()
  for (let i = 3; i < out.length; i += 4) out[i] = 255
  return out
}

const colourAt = (rgba: Uint8Array, i: number): number => ((rgba[i] ?? 0) << 16) | ((rgba[i + 1] ?? 0) << 8) | (rgba[i + 2] ?? 0)

/** The place of each colour in the palette of all of them, in order of first use; nothing where they are too many. */
const placesOf = (frames: readonly Uint8Array[]): ReadonlyMap<number, number> | undefined => {
  const places = new Map<number, number>()
  for (const rgba of frames) {
    for (let i = 0; i < rgba.length; i += 4) {
      const colour = colourAt(rgba, i)
      if (places.has(colour)) continue
      if (places.size === MOST) return undefined
      places.set(colour, places.size)
    }
  }
  return places
}

const paletteOf = (places: ReadonlyMap<number, number>): readonly Colour[] =>
  [...places.keys()].map(colour => [colour >> 16, (colour >> 8) & 255, colour & 255])

const exact = (rgba: Uint8Array, places: ReadonlyMap<number, number>): Uint8Array => {
  const out = new Uint8Array(rgba.length / 4)
  for (let i = 0; i < out.length; i++) out[i] = places.get(colourAt(rgba, 4 * i)) ?? 0
  return out
}

/** A frame with a palette of its own. */
const indexed = (rgba: Uint8Array): Indexed => {
  const places = placesOf([rgba])
  if (places !== undefined) return { palette: paletteOf(places), indices: exact(rgba, places) }
  const palette = gifenc.quantize(rgba, MOST, { format: 'rgb565' })
  return { palette, indices: gifenc.applyPalette(rgba, palette, 'rgb565') }
}

/** All frames with one palette, which is theirs together. */
const indexedAlike = (frames: readonly Uint8Array[]): readonly Indexed[] => {
  const size = frames[0]?.length ?? 0
  const all = new Uint8Array(size * frames.length)
  frames.forEach((rgba, i) => all.set(rgba, i * size))
  const palette = gifenc.quantize(all, MOST, { format: 'rgb565' })
  const indices = gifenc.applyPalette(all, palette, 'rgb565')
  return frames.map((_, i) => ({ palette, indices: indices.subarray((i * size) / 4, ((i + 1) * size) / 4) }))
}

/** The milliseconds of a frame. GIF counts in hundredths of a second, and players slow down what claims less than two. */
const delayOf = (fps: number): number =>
  Number.isFinite(fps) && fps >= 0.01 && fps <= 50 ? 10 * Math.round(100 / fps)
    : refuse({ kind: 'usage', message: `a GIF plays 0.01 to 50 frames a second, not ${fps}` })

/**
 * The bytes of an endlessly repeated GIF of these pictures (transparency is ignored). `palette`, where there are more than 256
 * colours: one of its own for `each` frame, or one for `all`, which is faster, smaller and does not flicker, and good
 * where the frames look alike. Refuses none, and pictures of different sizes.
 */
export const encodePictures = (pictures: readonly Picture[], fps = 8, palette: 'each' | 'all' = 'each'): Uint8Array => {
  const [first] = pictures
  if (first === undefined) return refuse({ kind: 'usage', message: 'a GIF needs at least one frame' })
  const { width, height } = first
  const odd = pictures.findIndex(picture => picture.width !== width || picture.height !== height)
  if (odd >= 0) {
    refuse({ kind: 'usage', message: `frame ${odd} of a GIF is ${pictures[odd]?.width} x ${pictures[odd]?.height}, the first is ${width} x ${height}` })
  }
  if (Math.max(width, height) > 65535) {
    refuse({ kind: 'limit', what: 'GIF', message: `pictures have at most 65535 pixels a side; these are ${width} x ${height}` })
  }
  const delay = delayOf(fps)
  const frames = pictures.map(opaque)
  const places = placesOf(frames)
  const shared = places === undefined ? undefined : paletteOf(places)
  const alike = places === undefined && palette === 'all' ? indexedAlike(frames) : undefined
  const encoder = gifenc.GIFEncoder()
  frames.forEach((rgba, i) => {
    const { palette: own, indices } =
      alike?.[i] ?? (places === undefined || shared === undefined ? indexed(rgba) : { palette: shared, indices: exact(rgba, places) })
    encoder.writeFrame(indices, width, height, { delay, ...(i === 0 || (shared ?? alike) === undefined ? { palette: own } : {}) })
  })
  encoder.finish()
  return encoder.bytes()
}

export type GifStyle = {
  /** Pixels along a side of a frame. */
  readonly side: number
  /** Frames a second, 0.01 to 50. Default 8. */
  readonly fps?: number
  /** Whole-number enlargement, by repeating pixels. Default 1. */
  readonly scale?: number
}

/** The bytes of an animated GIF of frames [3, side, side] with values in [0, 1]. */
export const encodeGif = (frames: readonly Cell[], { side, fps = 8, scale = 1 }: GifStyle): Uint8Array =>
  encodePictures(frames.map(frame => table([[frame]], { side, scale, gap: 0 })), fps)
