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

/** Frames [T, 3, side, side] with values in [0, 1]. */
export const fitVideo = ({ frames, height, width, data }: Video, side = 64): Float32Array => {
  const square = Math.min(height, width)
  const rows = coversOf(Math.floor((height - square) / 2), square, side)
  const columns = coversOf(Math.floor((width - square) / 2), square, side)
  const out = new Float32Array(frames * 3 * side * side)
  const line = new Float64Array(width * 3)
  for (let t = 0; t < frames; t++) {
    rows.forEach(({ first: top, shares: downs }, y) => {
      line.fill(0)
      downs.forEach((share, k) => {
        const at = (t * height + top + k) * width * 3
        for (let i = 0; i < line.length; i++) line[i] = (line[i] ?? 0) + share * (data[at + i] ?? 0)
      })
      columns.forEach(({ first: left, shares: acrosses }, x) => {
        for (let c = 0; c < 3; c++) {
          const sum = acrosses.reduce((total, share, k) => total + share * (line[(left + k) * 3 + c] ?? 0), 0)
          out[((t * 3 + c) * side + y) * side + x] = Math.min(1, sum / 255)
        }
      })
    })
  }
  return out
}
