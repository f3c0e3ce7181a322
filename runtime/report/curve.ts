/** A small line chart of a metric against the step, as a picture without text: for a glance, the numbers are in metrics.jsonl. */
import type { Picture } from './sheet.ts'

export type Point = { readonly step: number; readonly value: number }

const WIDTH = 480
const HEIGHT = 240
const EDGE = 12

/** Draws the curve; the vertical axis spans the 1st to the 99th percentile, values beyond are clamped to it. Non-finite values are left out. */
export const curve = (points: readonly Point[]): Picture => {
  const data = new Uint8Array(WIDTH * HEIGHT * 4).fill(0xff)
  const dot = (x: number, y: number, ink: readonly [number, number, number]): void => {
    if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT) return
    data.set(ink, (y * WIDTH + x) * 4)
  }
  for (let x = EDGE; x < WIDTH - EDGE; x++) dot(x, HEIGHT - EDGE, [0x80, 0x80, 0x80])
  for (let y = EDGE; y <= HEIGHT - EDGE; y++) dot(EDGE, y, [0x80, 0x80, 0x80])
  const finite = points.filter(p => Number.isFinite(p.value))
  const sorted = finite.map(p => p.value).sort((a, b) => a - b)
  const quantile = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
  const [low, high] = [quantile(0.01), quantile(0.99)]
  const [from, to] = [finite[0]?.step ?? 0, finite[finite.length - 1]?.step ?? 1]
  const place = (p: Point): readonly [number, number] => {
    const x = EDGE + Math.round(((p.step - from) / Math.max(1, to - from)) * (WIDTH - 2 * EDGE))
    const share = Math.min(1, Math.max(0, (p.value - low) / (high - low || 1)))
    return [x, HEIGHT - EDGE - Math.round(share * (HEIGHT - 2 * EDGE))]
  }
  finite.forEach((p, i) => {
    const [x1, y1] = place(p)
    const [x0, y0] = i === 0 ? [x1, y1] : place(finite[i - 1] as Point)
    const count = Math.max(1, Math.abs(x1 - x0), Math.abs(y1 - y0))
    for (let k = 0; k <= count; k++) dot(Math.round(x0 + ((x1 - x0) * k) / count), Math.round(y0 + ((y1 - y0) * k) / count), [0x1f, 0x4e, 0xb4])
  })
  return { width: WIDTH, height: HEIGHT, data }
}
