/** The loss against the step, drawn on a canvas: every loss faintly, and their moving mean. */
import { ticks, tickText } from '../report/curve.ts'
import { colour, page, type Canvas, type Context } from './dom.ts'
import type { Loss } from './messages.ts'

const HEIGHT = 220
const EDGE = { top: 10, right: 12, bottom: 24, left: 52 } as const

/** Means of the latest losses, of more where there are many; the first ones are not drawn to zero. */
const smooth = (losses: readonly Loss[]): readonly Loss[] => {
  const keep = 1 - 1 / Math.max(6, losses.length / 30)
  let [sum, weight] = [0, 0]
  return losses.map(([step, loss]) => {
    sum = keep * sum + (1 - keep) * loss
    weight = keep * weight + (1 - keep)
    return [step, sum / weight]
  })
}

/** From the lowest loss to the 97th percentile: the first steps would press all others onto the axis. */
const rangeOf = (losses: readonly Loss[]): readonly [low: number, high: number] => {
  const sorted = losses.map(([, loss]) => loss).sort((a, b) => a - b)
  const [low = 0, high = 1] = [sorted[0], sorted[Math.min(sorted.length - 1, Math.floor(0.97 * sorted.length))]]
  const margin = 0.05 * (high - low || Math.abs(high) || 1)
  return [low - margin, high + margin]
}

const line = (to: Context, points: readonly (readonly [x: number, y: number])[]): void => {
  to.beginPath()
  points.forEach(([x, y], i) => (i === 0 ? to.moveTo(x, y) : to.lineTo(x, y)))
  to.stroke()
}

/** Draws in the width that the canvas has on the page. `steps`: where the horizontal axis ends. */
export const drawChart = (canvas: Canvas, losses: readonly Loss[], steps: number): void => {
  const [width, ratio] = [canvas.clientWidth, page.devicePixelRatio]
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(HEIGHT * ratio)
  const to = canvas.getContext('2d')
  if (to === null || width === 0) return
  to.scale(ratio, ratio)
  to.font = '11px system-ui, sans-serif'
  to.lineWidth = 1
  const [low, high] = losses.length === 0 ? [0, 1] : rangeOf(losses)
  const last = Math.max(steps, 1)
  const x = (step: number): number => EDGE.left + (step / last) * (width - EDGE.left - EDGE.right)
  const y = (loss: number): number =>
    EDGE.top + (1 - (Math.min(high, Math.max(low, loss)) - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom)

  to.strokeStyle = colour('line')
  to.fillStyle = colour('quiet')
  to.textAlign = 'right'
  to.textBaseline = 'middle'
  for (const value of losses.length === 0 ? [] : ticks(low, high, 5)) {
    line(to, [[EDGE.left, y(value)], [width - EDGE.right, y(value)]])
    to.fillText(tickText(value), EDGE.left - 8, y(value))
  }
  line(to, [[EDGE.left, HEIGHT - EDGE.bottom], [width - EDGE.right, HEIGHT - EDGE.bottom]])
  to.textAlign = 'center'
  to.textBaseline = 'top'
  for (const step of ticks(0, last, width < 420 ? 4 : 8, 1)) {
    const text = tickText(step)
    to.fillText(text, Math.min(x(step), width - to.measureText(text).width / 2), HEIGHT - EDGE.bottom + 7)
  }

  // No more points than there are places for them.
  const every = Math.ceil(losses.length / (2 * width))
  const shown = (items: readonly Loss[]) => items.filter((_, i) => i % every === 0 || i === items.length - 1).map(([step, loss]) => [x(step), y(loss)] as const)
  to.lineJoin = 'round'
  to.strokeStyle = colour('accent')
  to.globalAlpha = 0.35
  line(to, shown(losses))
  to.globalAlpha = 1
  to.lineWidth = 2
  line(to, shown(smooth(losses)))
}
