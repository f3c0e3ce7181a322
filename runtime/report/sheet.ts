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
}

const BACKGROUND = [0x2a, 0x2a, 0x32, 0xff] as const
const WIDE = 5

/** Byte of a value in [0, 1]; values outside are clamped, NaN shows as 0. */
export const toByte = (value: number): number => (value > 0 ? Math.min(255, Math.round(value * 255)) : 0)

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

const paint = (picture: Picture, cell: Float32Array, side: number, scale: number, top: number, left: number): void => {
  const plane = side * side
  for (let y = 0; y < side * scale; y++) {
    for (let x = 0; x < side * scale; x++) {
      const from = Math.floor(y / scale) * side + Math.floor(x / scale)
      const to = ((top + y) * picture.width + left + x) * 4
      for (let c = 0; c < 3; c++) picture.data[to + c] = toByte(cell[c * plane + from] ?? 0)
    }
  }
}

/** Lays rows of frames out as one picture. Rows may differ in length; missing cells show the background. */
export const table = (rows: readonly (readonly Cell[])[], style: TableStyle): Picture => {
  const { side, scale = 1, gap = 2, headRows = 0, headColumns = 0, group = 0 } = style
  const columns = Math.max(1, ...rows.map(row => row.length))
  const size = side * scale
  const across = layOut(columns, size, i => (i === headColumns && headColumns > 0 ? WIDE : gap), gap)
  const wideRow = (i: number): boolean => (i === headRows && headRows > 0) || (group > 0 && i > headRows && (i - headRows) % group === 0)
  const down = layOut(Math.max(1, rows.length), size, i => (wideRow(i) ? WIDE : gap), gap)
  const data = new Uint8Array(across.length * down.length * 4)
  for (let i = 0; i < data.length; i += 4) data.set(BACKGROUND, i)
  const picture = { width: across.length, height: down.length, data }
  rows.forEach((row, r) => row.forEach((cell, c) => cell && paint(picture, cell, side, scale, down.starts[r] ?? 0, across.starts[c] ?? 0)))
  return picture
}

/** The PNG file of a picture; same picture, same bytes. */
export const encodePng = (picture: Picture): Uint8Array => {
  const png = new PNG({ width: picture.width, height: picture.height })
  png.data.set(picture.data)
  return PNG.sync.write(png, { colorType: 6 })
}
