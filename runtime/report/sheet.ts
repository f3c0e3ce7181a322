/**
 * Contact sheets: frames laid out in a table and written as PNG. `table` is a pure function from frames to RGBA bytes;
 * `encodePng` is too. Nothing here touches the disk.
 */
import { PNG } from 'pngjs'

/** One frame: `[3, side, side]` planar values in [0, 1], or nothing (an empty cell). */
export type Cell = Float32Array | undefined

/** RGBA bytes, rows from the top. */
export type Picture = { readonly width: number; readonly height: number; readonly data: Uint8Array }

export type TableStyle = {
  readonly side: number
  /** Whole-number enlargement, by repeating pixels. */
  readonly scale?: number
  /** Pixels between cells. */
  readonly gap?: number
  /** Cells in the first `headRows` rows and `headColumns` columns stand apart by a wider gap. */
  readonly headRows?: number
  readonly headColumns?: number
  /** A wider gap before every `group`-th row (counted after the head rows). */
  readonly group?: number
  /** The same for columns. */
  readonly columnGroup?: number
  /** A frame of this colour, as wide as the gap, around a cell. */
  readonly frame?: (row: number, column: number) => Ink | undefined
}

/** A colour: bytes of red, green, blue. */
export type Ink = readonly [red: number, green: number, blue: number]

const BACKGROUND = [0x2a, 0x2a, 0x32, 0xff] as const
const WIDE = 5

/** Byte of a value in [0, 1]; values outside are clamped, NaN shows as 0. */
export const toByte = (value: number): number => (value > 0 ? (value < 1 ? Math.round(value * 255) : 255) : 0)

type Axis = { readonly starts: readonly number[]; readonly length: number }

/** Where the cells along one axis begin, given the gap in front of each. */
const layOut = (count: number, size: number, gapBefore: (i: number) => number, edge: number): Axis => {
  const starts: number[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    at += i === 0 ? edge : gapBefore(i)
    starts.push(at)
    at += size
  }
  return { starts, length: at + edge }
}

const paint = ({ width, data }: Picture, cell: Float32Array, side: number, scale: number, top: number, left: number): void => {
  const plane = side * side
  for (let row = 0; row < side; row++) {
    const first = ((top + row * scale) * width + left) * 4
    let to = first
    for (let from = row * side; from < (row + 1) * side; from++) {
      const [red, green, blue] = [toByte(cell[from] ?? 0), toByte(cell[plane + from] ?? 0), toByte(cell[2 * plane + from] ?? 0)]
      for (let again = 0; again < scale; again++) {
        data[to] = red
        data[to + 1] = green
        data[to + 2] = blue
        to += 4
      }
    }
    for (let again = 1; again < scale; again++) data.copyWithin(first + again * width * 4, first, to)
  }
}

/** Fills a rectangle. */
const fill = ({ width, data }: Picture, colour: readonly number[], top: number, left: number, height: number, across: number): void => {
  for (let y = top; y < top + height; y++) for (let x = left; x < left + across; x++) data.set(colour, (y * width + x) * 4)
}

const outline = (picture: Picture, ink: Ink, top: number, left: number, size: number, thick: number): void => {
  fill(picture, ink, top - thick, left - thick, thick, size + 2 * thick)
  fill(picture, ink, top + size, left - thick, thick, size + 2 * thick)
  fill(picture, ink, top, left - thick, size, thick)
  fill(picture, ink, top, left + size, size, thick)
}

const blank = (width: number, height: number): Picture => {
  const data = new Uint8Array(width * height * 4)
  data.set(BACKGROUND)
  for (let done = 4; done < data.length; done *= 2) data.copyWithin(done, 0, done)
  return { width, height, data }
}

/** Lays rows of frames out as one picture. Rows may differ in length; missing cells show the background. */
export const table = (rows: readonly (readonly Cell[])[], style: TableStyle): Picture => {
  const { side, scale = 1, gap = 2, headRows = 0, headColumns = 0, group = 0, columnGroup = 0, frame } = style
  const columns = Math.max(1, ...rows.map(row => row.length))
  const size = side * scale
  const gapBefore = (head: number, every: number) => (i: number): number =>
    (i === head && head > 0) || (every > 0 && i > head && (i - head) % every === 0) ? WIDE : gap
  const across = layOut(columns, size, gapBefore(headColumns, columnGroup), gap)
  const down = layOut(Math.max(1, rows.length), size, gapBefore(headRows, group), gap)
  const picture = blank(across.length, down.length)
  rows.forEach((row, r) => row.forEach((cell, c) => {
    const [top, left, ink] = [down.starts[r] ?? 0, across.starts[c] ?? 0, frame?.(r, c)]
    if (ink !== undefined) outline(picture, ink, top, left, size, gap)
    if (cell !== undefined) paint(picture, cell, side, scale, top, left)
  }))
  return picture
}

/** The PNG file of an opaque picture; same picture, same bytes. Rows are not filtered: cells are flat or noisy, which packs better as it is. */
export const encodePng = (picture: Picture): Uint8Array => {
  const png = new PNG({ width: picture.width, height: picture.height })
  png.data.set(picture.data)
  return PNG.sync.write(png, { colorType: 2, filterType: 0, deflateLevel: 6, deflateStrategy: 0 })
}
