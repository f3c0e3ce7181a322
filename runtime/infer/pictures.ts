/** How videos that were made are shown: strips of frames, one video a row, and animations with videos side by side. */
import { refuse } from '../../dsl/errors.ts'
import { FRAME, SIDE } from '../data/dataset.ts'
import { table, type Cell, type Ink, type Picture } from '../report/sheet.ts'

/** Frames [n, 3, 64, 64] one by one, as views. */
export const framesOf = (x: Float32Array): readonly Float32Array[] => Array.from({ length: x.length / FRAME }, (_, t) => x.subarray(t * FRAME, (t + 1) * FRAME))

/** Frames in a line of a strip; longer videos go on in the lines beneath. */
const LINE = 16
/** Frames of each video that a strip shows: more than that is a matter for the GIF. */
const MOST = 256

export type StripStyle = {
  /** From that frame on, frames have an orange edge: the model made them, not the input. */
  readonly madeFrom?: number
}

const MADE: Ink = [0xff, 0x9a, 0x1f]

/** Videos as rows, frame by frame from the left. Where they are longer than a line, the same rows come again beneath, apart. */
export const strip = (videos: readonly Float32Array[], { madeFrom = Infinity }: StripStyle = {}): Picture => {
  const rows = videos.map(x => framesOf(x).slice(0, MOST))
  const longest = Math.max(...rows.map(row => row.length))
  const lines = Array.from({ length: Math.ceil(longest / LINE) }, (_, i) => rows.map((row): readonly Cell[] => row.slice(i * LINE, (i + 1) * LINE)))
  const frame = (row: number, column: number): Ink | undefined => (Math.floor(row / videos.length) * LINE + column >= madeFrom ? MADE : undefined)
  // A video that is over leaves its row in later lines empty, so that rows keep their meaning.
  return table(lines.flat(), { side: SIDE, group: videos.length > 1 ? videos.length : 0, frame })
}

/** Pixels of an animation: its pictures are in memory at once, four bytes a pixel. */
const MOST_PIXELS = 2 ** 26

export type AnimationStyle = StripStyle & {
  /** Videos in a row of the grid. */
  readonly columns: number
  /** Whole-number enlargement. */
  readonly scale?: number
}

/** Videos side by side in a grid, each repeated until the longest is over. One video alone has no edge, so that it can be an input again. */
export const animation = (videos: readonly Float32Array[], { columns, scale = 1, madeFrom }: AnimationStyle): readonly Picture[] => {
  const all = videos.map(framesOf)
  const longest = Math.max(...all.map(frames => frames.length))
  const pixels = longest * all.length * (SIDE * scale) ** 2
  if (pixels > MOST_PIXELS) {
    const beside = all.length === 1 ? '' : `${all.length} side by side, `
    refuse({ kind: 'limit', what: 'the GIF',
      message: `${longest} frames, ${beside}enlarged ${scale} times, are ${pixels} pixels; ${MOST_PIXELS} are the most`,
      remedy: 'Ask for fewer frames, or a smaller --scale.' })
  }
  return Array.from({ length: longest }, (_, t) => {
    const now = all.map(frames => frames[t % frames.length])
    const rows = Array.from({ length: Math.ceil(now.length / columns) }, (__, i) => now.slice(i * columns, (i + 1) * columns))
    const frame = (): Ink | undefined => (madeFrom !== undefined && t >= madeFrom ? MADE : undefined)
    return table(rows, { side: SIDE, scale, gap: videos.length > 1 || madeFrom !== undefined ? 2 : 0, frame })
  })
}
