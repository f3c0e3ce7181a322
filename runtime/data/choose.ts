/**
 * Which frames make a group of a batch: a function of the source, the request's sizes and a random stream. A group is one
 * identity in `parts` parts (clips), each of `frames` frames.
 */
import { shuffled, type Stream } from './random.ts'
import { upTo, type Source, type Split } from './source.ts'

/**
 * `identity`: order means nothing (stage 1 of the paper). With one part, half of the frames come from one random action
 * and half from another, at random places in each; with several, each part's frames come from one action.
 * `sequence`: each part is consecutive frames of one take of one action.
 */
export type Order = 'identity' | 'sequence'

export type Frame = { readonly action: number; readonly take: number; readonly frame: number }

/** Above this many items, a few are drawn without shuffling all; the numbers that are drawn differ from those of a whole shuffle. */
const MANY = 4096

/** `count` different items, at random; `count` is at most their number. */
const drawFew = (items: readonly number[], count: number, s: Stream): readonly number[] => {
  const moved = new Map<number, number>()
  return upTo(count).map(i => {
    const j = i + s.below(items.length - i)
    const found = moved.get(j) ?? j
    moved.set(j, moved.get(i) ?? i)
    return items[found] as number
  })
}

/** The first `count` of `items` in random order; starts over with a new permutation when they run out. */
export const drawMany = (items: readonly number[], count: number, s: Stream): readonly number[] =>
  items.length > MANY && count <= items.length
    ? drawFew(items, count, s)
    : Array.from({ length: Math.ceil(count / items.length) }, () => shuffled(items, s)).flat().slice(0, count)

const pick = (items: readonly number[], s: Stream): number => items[s.below(items.length)] as number

type Take = Pick<Frame, 'action' | 'take'>

/** `count` random places of a take, ascending; no place comes twice before each has come once. */
const placesIn = (source: Source, identity: number, { action, take }: Take, count: number, s: Stream): readonly Frame[] =>
  [...drawMany(upTo(source.framesOf(identity, action, take)), count, s)].sort((a, b) => a - b).map(frame => ({ action, take, frame }))

const consecutive = (source: Source, identity: number, { action, take }: Take, count: number, s: Stream): readonly Frame[] => {
  const start = s.below(source.framesOf(identity, action, take) - count + 1)
  return upTo(count).map(t => ({ action, take, frame: start + t }))
}

/** One part in `identity` order: two actions (more where the frames need them), an equal share of each, places ascending. */
const mixed = (source: Source, split: Split, identity: number, frames: number, s: Stream): readonly Frame[] => {
  const shares = Math.min(frames, Math.max(2, Math.ceil(frames / source.leastFramesOf(identity))))
  const actions = drawMany(source.actionsOf(split, identity), shares, s)
  return actions.flatMap((action, i) => {
    const share = Math.floor(((i + 1) * frames) / shares) - Math.floor((i * frames) / shares)
    const take = pick(source.takesOf(split, identity, action), s)
    return placesIn(source, identity, { action, take }, share, s)
  })
}

/** A take for each part: of different actions as far as there are any, then of different takes. */
const takesForParts = (source: Source, split: Split, identity: number, parts: number, s: Stream): readonly Take[] => {
  const actions = drawMany(source.actionsOf(split, identity), parts, s)
  const takes = new Map([...new Set(actions)].map(action => {
    const wanted = actions.filter(each => each === action).length
    return [action, drawMany(source.takesOf(split, identity, action), wanted, s)] as const
  }))
  return actions.map((action, i) => ({ action, take: takes.get(action)?.[actions.slice(0, i).filter(each => each === action).length] ?? 0 }))
}

/** The frames of one group, part after part. */
export const chooseFrames = (source: Source, split: Split, identity: number, parts: number, frames: number, order: Order, s: Stream): readonly Frame[] => {
  if (parts > 1) {
    const choose = order === 'identity' ? placesIn : consecutive
    return takesForParts(source, split, identity, parts, s).flatMap(take => choose(source, identity, take, frames, s))
  }
  if (order === 'identity') return mixed(source, split, identity, frames, s)
  const action = pick(source.actionsOf(split, identity), s)
  const take = pick(source.takesOf(split, identity, action), s)
  return consecutive(source, identity, { action, take }, frames, s)
}
