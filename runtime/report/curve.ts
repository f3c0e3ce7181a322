/** A small line chart of a metric against the step, as a picture with numbers on its axes: for a glance; every value is in metrics.jsonl. */
import { drawText, TEXT_HEIGHT, textWidth } from './numerals.ts'
import type { Ink, Picture } from './sheet.ts'

export type Point = { readonly step: number; readonly value: number }

const WIDTH = 640
const HEIGHT = 320
const EDGE = 14
const BELOW = 34
/** Between an axis and its numbers. */
const GAP = 8
const LINE: Ink = [0x1f, 0x4e, 0xb4]
const GRID: Ink = [0xe4, 0xe4, 0xe8]
const AXIS: Ink = [0x80, 0x80, 0x80]
const TEXT: Ink = [0x30, 0x30, 0x38]

/** Round numbers within [low, high], about `count` of them: multiples of 1, 2 or 5 times a power of ten, which is at least `least`. */
export const ticks = (low: number, high: number, count: number, least = 0): readonly number[] => {
  const span = high - low
  if (!(span > 0)) return [low]
  const power = 10 ** Math.floor(Math.log10(span / count))
  const step = Math.max(least, ([1, 2, 5].find(factor => span / (factor * power) <= count) ?? 10) * power)
  const first = Math.ceil(low / step - 1e-9)
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** A number as an axis has it: plain where that is short. */
export const tickText = (value: number): string => {
  const plain = String(value)
  return plain.length <= 7 && !plain.includes('e') ? plain : value.toExponential().replace('+', '')
}

/** Draws the curve; the vertical axis spans the 1st to the 99th percentile, values beyond are clamped to it. Non-finite values are left out. */
export const curve = (points: readonly Point[]): Picture => {
  const data = new Uint8Array(WIDTH * HEIGHT * 4).fill(0xff)
  const dot = (ink: Ink) => (x: number, y: number): void => {
    if (x >= 0 && y >= 0 && x < WIDTH && y < HEIGHT) data.set(ink, (y * WIDTH + x) * 4)
  }
  const rule = (ink: Ink, x0: number, y0: number, x1: number, y1: number): void => {
    const count = Math.max(1, Math.abs(x1 - x0), Math.abs(y1 - y0))
    for (let k = 0; k <= count; k++) dot(ink)(Math.round(x0 + ((x1 - x0) * k) / count), Math.round(y0 + ((y1 - y0) * k) / count))
  }
  const write = (text: string, left: number, top: number): void => drawText(text, (x, y) => dot(TEXT)(left + x, top + y))

  const finite = points.filter(p => Number.isFinite(p.value))
  const sorted = finite.map(p => p.value).sort((a, b) => a - b)
  const quantile = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0
  const [low, high] = [quantile(0.01), quantile(0.99)]
  const [from, to] = [finite[0]?.step ?? 0, finite[finite.length - 1]?.step ?? 1]
  const [across, down] = finite.length === 0 ? [[], []] : [ticks(from, to, 8, 1), ticks(low, high, 6)]

  const left = EDGE + Math.max(0, ...down.map(value => textWidth(tickText(value)))) + GAP
  const [right, top, bottom] = [WIDTH - 2 * EDGE, EDGE, HEIGHT - BELOW]
  const placeX = (step: number): number => left + Math.round(((step - from) / Math.max(1, to - from)) * (right - left))
  const placeY = (value: number): number => bottom - Math.round(Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (bottom - top))

  for (const value of down) {
    const [text, y] = [tickText(value), placeY(value)]
    rule(GRID, left, y, right, y)
    write(text, left - GAP - textWidth(text), y - Math.floor(TEXT_HEIGHT / 2))
  }
  for (const step of across) {
    const [text, x] = [tickText(step), placeX(step)]
    rule(GRID, x, top, x, bottom)
    write(text, Math.min(x - Math.floor(textWidth(text) / 2), WIDTH - textWidth(text) - 2), bottom + GAP)
  }
  rule(AXIS, left, top, left, bottom)
  rule(AXIS, left, bottom, right, bottom)
  finite.forEach((p, i) => {
    const before = finite[i - 1] ?? p
    rule(LINE, placeX(before.step), placeY(before.value), placeX(p.step), placeY(p.value))
  })
  return { width: WIDTH, height: HEIGHT, data }
}
