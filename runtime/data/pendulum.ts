/**
 * The embedded data set: a pendulum in one of seven colours (identity) swings at one of two speeds (action) from a random
 * angle. Frames are drawn, nothing is read from disk.
 *
 * The motion is theta'' = -(g/l) sin(theta) from rest, integrated with Runge-Kutta 4 (step 1/32 frame). The picture is
 * drawn with analytic coverage: a pixel's share of the shape is clamp(1/2 - d, 0, 1), d its centre's signed distance in pixels.
 *
 * What is held out: seven identities are too few to judge "an identity never seen", so by default TAKES (initial angles)
 * are held out and both splits show all colours. `holdOut: 'identities'` holds out one colour instead. Angles are one
 * number, so a held-out frame always has near neighbours in training: this set shows that the model works, not that it generalises.
 */
import { refuse } from '../../dsl/errors.ts'
import { makeDataSet, type DataSet } from './dataset.ts'
import { PURPOSE, stream } from './random.ts'
import { everyIndex, FRAME, grid, SIDE, splitIndices } from './source.ts'

export type PendulumOptions = {
  /** Frames in a sequence; 16 for training, 40 for roll-outs. */
  readonly frames?: number
  /** Takes (initial angles) per colour and speed. */
  readonly takes?: number
  readonly holdOut?: 'takes' | 'identities'
  /** Share of takes (or colours) that is held out. */
  readonly heldOutShare?: number
  /** Decides the initial angles and the split. */
  readonly splitSeed?: number
}

type Colour = readonly [red: number, green: number, blue: number]

/** Far apart in RGB: any two differ by at least 0.5 in some channel. */
export const COLOURS: readonly (readonly [name: string, rgb: Colour])[] = [
  ['red', [1, 0.1, 0.1]],
  ['green', [0.1, 0.9, 0.1]],
  ['blue', [0.15, 0.25, 1]],
  ['yellow', [1, 0.9, 0.1]],
  ['magenta', [1, 0.1, 0.9]],
  ['cyan', [0.1, 0.9, 1]],
  ['white', [1, 1, 1]],
]

/** Small-angle periods in frames; (g/l) = (2 pi / period)^2. */
export const PERIODS: readonly (readonly [name: string, frames: number])[] = [['slow', 24], ['fast', 12]]

const PIVOT = (SIDE - 1) / 2
const ROD = 21
const ROD_HALF_WIDTH = 1.25
const BOB_RADIUS = 7
const SUBSTEPS = 32
/** Initial angles lie this far from rest on either side, in radians: never so small that nothing moves, never near the unstable top. */
const LEAST_ANGLE = 0.5
const LARGEST_ANGLE = 2.5

/** Angles (radians, 0 hangs down, positive to the right) of `frames` frames from rest at `start`. */
export const swing = (start: number, period: number, frames: number): Float64Array => {
  const stiffness = (2 * Math.PI / period) ** 2
  const h = 1 / SUBSTEPS
  const pull = (theta: number): number => -stiffness * Math.sin(theta)
  const angles = new Float64Array(frames)
  let theta = start
  let omega = 0
  for (let t = 0; t < frames; t++) {
    angles[t] = theta
    for (let i = 0; i < SUBSTEPS; i++) {
      const [a1, v1] = [pull(theta), omega]
      const [a2, v2] = [pull(theta + (h / 2) * v1), omega + (h / 2) * a1]
      const [a3, v3] = [pull(theta + (h / 2) * v2), omega + (h / 2) * a2]
      const [a4, v4] = [pull(theta + h * v3), omega + h * a3]
      theta += (h / 6) * (v1 + 2 * v2 + 2 * v3 + v4)
      omega += (h / 6) * (a1 + 2 * a2 + 2 * a3 + a4)
    }
  }
  return angles
}

/** Much faster than Math.hypot, which guards against overflow that cannot occur here. */
const distance = (x: number, y: number): number => Math.sqrt(x * x + y * y)
const clamp01 = (v: number): number => Math.min(1, Math.max(0, v))

/** Rows (or columns) that the shape can touch when the bob's centre lies `bob` pixels from the pivot along that axis. */
const extent = (bob: number): { readonly first: number; readonly last: number } => ({
  first: Math.max(0, Math.floor(PIVOT + Math.min(-ROD_HALF_WIDTH, bob - BOB_RADIUS) - 0.5)),
  last: Math.min(SIDE - 1, Math.ceil(PIVOT + Math.max(ROD_HALF_WIDTH, bob + BOB_RADIUS) + 0.5)),
})

/** Writes the planar [3, 64, 64] picture of a pendulum at `theta` in `colour`, on black. */
export const drawPendulum = (theta: number, colour: Colour, out: Float32Array, offset: number): void => {
  const [dx, dy] = [Math.sin(theta), Math.cos(theta)]
  const plane = SIDE * SIDE
  const rows = extent(ROD * dy)
  const columns = extent(ROD * dx)
  out.fill(0, offset, offset + FRAME)
  for (let row = rows.first; row <= rows.last; row++) {
    for (let column = columns.first; column <= columns.last; column++) {
      const [x, y] = [column - PIVOT, row - PIVOT]
      const along = Math.min(ROD, Math.max(0, x * dx + y * dy))
      const rod = distance(x - along * dx, y - along * dy) - ROD_HALF_WIDTH
      const bob = distance(x - ROD * dx, y - ROD * dy) - BOB_RADIUS
      const coverage = clamp01(0.5 - Math.min(rod, bob))
      const at = offset + row * SIDE + column
      out[at] = coverage * colour[0]
      out[at + plane] = coverage * colour[1]
      out[at + 2 * plane] = coverage * colour[2]
    }
  }
}

const initialAngle = (seed: number, identity: number, action: number, take: number): number => {
  const s = stream(seed, PURPOSE.sequences, identity, action, take)
  const side = s.below(2) === 0 ? -1 : 1
  return side * (LEAST_ANGLE + (LARGEST_ANGLE - LEAST_ANGLE) * s.uniform())
}

/** Opens the pendulum data set. Refuses sizes that make no split. */
export const pendulum = (options: PendulumOptions = {}): DataSet => {
  const { frames = 16, takes = 100, holdOut = 'takes', heldOutShare = 0.1, splitSeed = 0 } = options
  if (!Number.isInteger(frames) || frames < 1) {
    refuse({ kind: 'config', where: 'pendulum.frames', message: `must be a whole number, at least 1; it is ${frames}` })
  }
  if (!Number.isInteger(takes) || takes < 2) refuse({ kind: 'config', where: 'pendulum.takes', message: `must be a whole number, at least 2; it is ${takes}` })
  // Angles are computed when a take is first shown and kept: a few hundred bytes each.
  const known = new Map<number, Float64Array>()
  const anglesOf = (identity: number, action: number, take: number): Float64Array => {
    const index = (identity * PERIODS.length + action) * takes + take
    const found = known.get(index)
    if (found !== undefined) return found
    const angles = swing(initialAngle(splitSeed, identity, action, take), PERIODS[action]?.[1] ?? 24, frames)
    known.set(index, angles)
    return angles
  }
  return makeDataSet({
    ...grid(PERIODS.length, holdOut === 'takes' ? splitIndices(takes, heldOutShare, splitSeed) : everyIndex(takes), frames),
    name: 'pendulum',
    factors: [{ name: 'colour', values: COLOURS.map(([name]) => name) }],
    actions: PERIODS.map(([name]) => name),
    identities: holdOut === 'identities' ? splitIndices(COLOURS.length, heldOutShare, splitSeed) : everyIndex(COLOURS.length),
    factorsOf: identity => ({ colour: identity }),
    draw: (identity, action, take, frame, out, offset) =>
      drawPendulum(anglesOf(identity, action, take)[frame] ?? 0, COLOURS[identity]?.[1] ?? [1, 1, 1], out, offset),
  })
}
