/**
 * Reads one LPC sheet: a PNG of 13 x 21 cells of 64 x 64 pixels, and keeps the cells that the nine classes need, as RGBA bytes.
 */
import { readFileSync } from 'node:fs'
import { PNG } from 'pngjs'
import { refuse } from '../../dsl/errors.ts'
import { SIDE } from './source.ts'

const SHEET_WIDTH = 13 * SIDE
const SHEET_HEIGHT = 21 * SIDE
/** Bytes of one RGBA cell. */
export const CELL = SIDE * SIDE * 4

/** Which column each of the eight frames of an action comes from. `paper`: as the paper's pictures play them; `li-mandt`: as in Li and Mandt 2018. */
export const FRAME_CHOICES = ['paper', 'li-mandt'] as const
export type FrameChoice = (typeof FRAME_CHOICES)[number]

type ActionName = 'spellcast' | 'walk' | 'slash'

const COLUMNS: Readonly<Record<FrameChoice, Readonly<Record<ActionName, readonly number[]>>>> = {
  'paper': { spellcast: [0, 1, 2, 3, 4, 5, 6, 6], walk: [0, 1, 2, 3, 4, 5, 6, 7], slash: [0, 1, 2, 3, 4, 5, 5, 5] },
  'li-mandt': { spellcast: [0, 1, 2, 3, 4, 5, 4, 6], walk: [8, 1, 2, 3, 4, 5, 6, 7], slash: [0, 1, 2, 3, 4, 5, 4, 0] },
}

/** First row of each action's block of four views: back, left, front, right. */
const BLOCK: readonly (readonly [ActionName, number])[] = [['spellcast', 0], ['walk', 8], ['slash', 12]]
const VIEWS: readonly (readonly [string, number])[] = [['left', 1], ['front', 2], ['right', 3]]

/** The nine classes: action and view, in the order of their rows on the sheet. */
export const CLASSES = BLOCK.flatMap(([action, first]) => VIEWS.map(([view, add]) => ({ name: `${action} ${view}`, action, row: first + add })))
export const CLASS_FRAMES = 8

/**
 * The cells of one sheet, [9 classes, 8 frames, 64, 64, 4] bytes (1.2 MB), and for each cell the part that is not
 * transparent: its first row, the row after its last one, and the same of its columns, [72, 4].
 */
export type Sheet = { readonly cells: Uint8Array; readonly boxes: Uint8Array }

const boxOf = (cells: Uint8Array, from: number): readonly [top: number, bottom: number, left: number, right: number] => {
  let [top, bottom, left, right] = [SIDE, 0, SIDE, 0]
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      if (cells[from + 4 * (y * SIDE + x) + 3] === 0) continue
      ;[top, bottom, left, right] = [Math.min(top, y), y + 1, Math.min(left, x), Math.max(right, x + 1)]
    }
  }
  return [top, bottom, left, right]
}

const reason = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  // What the decoder says of a file that ends too early, or that never began as a PNG.
  return /finished stream|unexpected end/i.test(text) ? 'it is cut off, or no PNG at all' : text
}

const decode = (path: string): PNG => {
  try {
    return PNG.sync.read(readFileSync(path))
  } catch (error) {
    return refuse({
      kind: 'file',
      path,
      message: `not a readable PNG (${reason(error)})`,
      remedy: 'Download this sheet again, or remove it from the folder: every sheet that is there is used.',
    })
  }
}

/** Reads a sheet. Refuses what is no PNG, and sizes other than 832 x 1344. */
export const readSheet = (path: string, choice: FrameChoice): Sheet => {
  const png = decode(path)
  if (png.width !== SHEET_WIDTH || png.height !== SHEET_HEIGHT) {
    refuse({
      kind: 'data',
      source: 'sprites',
      message: `${path}: sheet of the wrong size\n  expected ${SHEET_WIDTH} x ${SHEET_HEIGHT} (13 x 21 cells of 64 x 64)\n`
        + `  actual   ${png.width} x ${png.height}`,
      remedy: 'Use sheets of the Universal LPC spritesheet in their original size.',
    })
  }
  const cells = new Uint8Array(CLASSES.length * CLASS_FRAMES * CELL)
  CLASSES.forEach(({ action, row }, c) =>
    COLUMNS[choice][action].forEach((column, f) => {
      for (let y = 0; y < SIDE; y++) {
        const from = ((row * SIDE + y) * SHEET_WIDTH + column * SIDE) * 4
        cells.set(png.data.subarray(from, from + SIDE * 4), (c * CLASS_FRAMES + f) * CELL + y * SIDE * 4)
      }
    }),
  )
  return { cells, boxes: Uint8Array.from(Array.from({ length: CLASSES.length * CLASS_FRAMES }, (_, i) => boxOf(cells, i * CELL)).flat()) }
}
