/**
 * Videos of any size as a model takes them: the middle square of each frame, averaged over areas to the model's size. A new
 * pixel is the mean of the old ones that it covers, each by its covered share: frames of the right size stay as they are.
 */
import type { Video } from './video.ts'

/** Which old pixels one new pixel covers, from the first, by which shares (their sum is 1). */
type Cover = { readonly first: number; readonly shares: readonly number[] }

/** The covers of `to` equal parts of `from` pixels that begin at `start`. */
const coversOf = (start: number, from: number, to: number): readonly Cover[] =>
  Array.from({ length: to }, (_, i) => {
    // In units of 1/to of an old pixel, so that the ends are whole numbers.
    const [low, high] = [i * from, (i + 1) * from]
    const [first, last] = [Math.floor(low / to), Math.ceil(high / to) - 1]
    const shares = Array.from({ length: last - first + 1 }, (__, k) => (Math.min(high, (first + k + 1) * to) - Math.max(low, (first + k) * to)) / from)
    return { first: start + first, shares }
  })

/** Writes one frame [3, side, side], values in [0, 1], at `to` of `out`; its bytes [height, width, channels] begin at `from` of `data`. */
export type Fit = (data: Uint8Array, from: number, out: Float32Array, to: number) => void

/** Covers as flat arrays: those of part i are shares[ends[i - 1]..ends[i]], of the pixels from firsts[i] on. */
const flat = (covers: readonly Cover[]): { readonly firsts: Int32Array; readonly ends: Int32Array; readonly shares: Float64Array } => {
  let end = 0
  return { firsts: Int32Array.from(covers, ({ first }) => first), ends: Int32Array.from(covers, ({ shares }) => (end += shares.length)),
    shares: Float64Array.from(covers.flatMap(({ shares }) => shares)) }
}

/** Frames of the right size stay as they are. */
const copier = (channels: 1 | 3, plane: number): Fit => (data, from, out, to) => {
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) out[to + c * plane + i] = (data[from + i * channels + (c % channels)] as number) / 255
}

/** What fits frames of one size, with three channels or one (grey, written three times). */
export const fitterOf = (height: number, width: number, channels: 1 | 3 = 3, side = 64): Fit => {
  if (height === side && width === side) return copier(channels, side * side)
  const square = Math.min(height, width)
  const rows = flat(coversOf(Math.floor((height - square) / 2), square, side))
  const columns = flat(coversOf(Math.floor((width - square) / 2), square, side))
  const line = new Float64Array(width * channels)
  const size = line.length
  const plane = side * side
  return (data, from, out, to) => {
    for (let y = 0, down = 0; y < side; y++) {
      line.fill(0)
      const top = (rows.firsts[y] as number) - down
      for (; down < (rows.ends[y] as number); down++) {
        const share = rows.shares[down] as number
        const at = from + (top + down) * size
        for (let i = 0; i < size; i++) line[i] = (line[i] as number) + share * (data[at + i] as number)
      }
      for (let c = 0; c < channels; c++) {
        for (let x = 0, across = 0; x < side; x++) {
          const left = (columns.firsts[x] as number) - across
          let sum = 0
          for (; across < (columns.ends[x] as number); across++) sum += (columns.shares[across] as number) * (line[(left + across) * channels + c] as number)
          out[to + c * plane + y * side + x] = Math.min(1, sum / 255)
        }
      }
    }
    if (channels === 1) for (let c = 1; c < 3; c++) out.copyWithin(to + c * plane, to, to + plane)
  }
}

/** Frames [T, 3, side, side] with values in [0, 1]. */
export const fitVideo = ({ frames, height, width, data }: Video, side = 64): Float32Array => {
  const fit = fitterOf(height, width, 3, side)
  const out = new Float32Array(frames * 3 * side * side)
  for (let t = 0; t < frames; t++) fit(data, t * height * width * 3, out, t * 3 * side * side)
  return out
}
