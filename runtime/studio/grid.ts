/** The grid of swaps on a canvas: poses in the first row, identities in the first column, and what the model makes of both. */
import { colour, page, type Canvas } from './dom.ts'
import type { Pictures } from './messages.ts'

/** Pixels between pictures, and between those given and those made. */
const GAP = 4
const WIDE = 12

/** Where picture i along an axis begins, the one in front of the gap being number 0. */
const place = (i: number, side: number): number => (i === 0 ? 0 : side + WIDE + (i - 1) * (side + GAP))

/** Draws at one pixel a pixel; the style sheet fits the canvas into the page. */
export const drawGrid = (canvas: Canvas, { side, rows, columns, pixels, drawn }: Pictures): void => {
  canvas.width = place(columns, side) + side
  canvas.height = place(rows, side) + side
  const to = canvas.getContext('2d')
  if (to === null) return
  const size = side * side * 4
  const picture = (i: number, row: number, column: number): void =>
    to.putImageData(new page.ImageData(pixels.slice(i * size, (i + 1) * size), side, side), place(column, side), place(row, side))
  to.clearRect(0, 0, canvas.width, canvas.height)
  for (let column = 0; column < columns; column++) picture(column, 0, 1 + column)
  for (let row = 0; row < rows; row++) {
    picture(columns + row, 1 + row, 0)
    for (let column = 0; column < columns; column++) {
      if (drawn) picture(columns + rows + row * columns + column, 1 + row, 1 + column)
      else {
        to.fillStyle = colour('empty')
        to.fillRect(place(1 + column, side), place(1 + row, side), side, side)
      }
    }
  }
}
