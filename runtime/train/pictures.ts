/** The pictures of each stage: what is shown of the held-out data, and under which names. */
import { SIDE, type DataSet } from '../data/dataset.ts'
import { PURPOSE, shuffled, stream } from '../data/random.ts'
import { curve } from '../report/curve.ts'
import { reconstruct, reconstructionSheet, swapGrid } from '../report/pictures.ts'
import { encodePng } from '../report/sheet.ts'
import { filmFiles, films } from '../report/video.ts'
import { codecOf, videoCodecOf } from './codec.ts'
import { placeName, type Place } from './folder.ts'
import type { MetricsLine } from './metrics.ts'
import type { Programs } from './programs.ts'
import type { Numbers } from './stages.ts'

/** A file of the folder `pictures`. */
export type PictureFile = { readonly name: string; readonly bytes: Uint8Array }

export type Shown = Place & {
  readonly programs: Programs
  readonly data: DataSet
  /** Of the stage: decides what is shown, which is the same after every step. */
  readonly seed: number
  readonly schedule: Numbers
  /** What has been recorded so far. */
  readonly metrics: readonly MetricsLine[]
}

/** Groups of which pictures are drawn. */
const GROUPS = 8

const frames = async ({ programs, schedule, data, seed, ...place }: Shown): Promise<readonly PictureFile[]> => {
  const codec = await codecOf(programs, schedule)
  if (codec === undefined) return []
  const shape = { groups: GROUPS, frames: codec.frames, side: SIDE }
  const { x, labels } = data.batch({ split: 'heldOut', groups: GROUPS, frames: codec.frames, seed, step: 0 })
  const identities = new Set(labels.identity).size
  return [
    { name: `${placeName(place, 'reconstruction')}.png`, bytes: encodePng(reconstructionSheet(x, await reconstruct(codec, x), shape)) },
    { name: `${placeName(place, 'swap')}.png`, bytes: encodePng(await swapGrid(codec, x, shape, Math.min(GROUPS, identities))) },
  ]
}

/** Videos that are looked at for the most different ones. */
const CANDIDATES = 256

/** Indices of at most `count` held-out sequences, of as many identities and actions as there are among some of them. */
export const differentSequences = (data: DataSet, count: number, seed: number): readonly number[] => {
  const all = shuffled(Array.from({ length: data.sequences.heldOut }, (_, i) => i), stream(seed, PURPOSE.pictures)).slice(0, CANDIDATES)
  const candidates = all.map(index => ({ index, ...data.labels('heldOut', index) }))
  type Candidate = (typeof candidates)[number]
  const times = (chosen: readonly Candidate[], key: 'identity' | 'action', one: Candidate): number => chosen.filter(other => other[key] === one[key]).length
  const choose = (chosen: readonly Candidate[], rest: readonly Candidate[]): readonly Candidate[] => {
    if (chosen.length === count || rest.length === 0) return chosen
    const cost = (one: Candidate): number => times(chosen, 'identity', one) * count + times(chosen, 'action', one)
    const best = rest.reduce((least, one) => (cost(one) < cost(least) ? one : least))
    return choose([...chosen, best], rest.filter(one => one !== best))
  }
  return choose([], candidates).map(({ index }) => index)
}

/** A roll-out goes on for so many times the frames that a model takes; where the data know how, it is shown beside it. */
const SHOWN = 3

const video = async ({ programs, schedule, data, seed, ...place }: Shown): Promise<readonly PictureFile[]> => {
  const codec = await videoCodecOf(programs, schedule)
  if (codec === undefined) return []
  const most = SHOWN * codec.frames
  const videos = differentSequences(data, GROUPS, seed).map(index => data.clip('heldOut', index, Math.min(data.labels('heldOut', index).frames, most)).x)
  return (await films(codec, videos, { seed })).flatMap(film => {
    const name = placeName(place, film.kind)
    const { gif, png } = filmFiles(film)
    return [{ name: `${name}.gif`, bytes: gif }, { name: `${name}.png`, bytes: png }]
  })
}

const loss = ({ metrics, stage }: Shown): readonly PictureFile[] => {
  const points = metrics.flatMap(line => (line.stage === stage && typeof line['loss'] === 'number' ? [{ step: line.step, value: line['loss'] }] : []))
  return points.length > 1 ? [{ name: `stage${stage}-loss.png`, bytes: encodePng(curve(points)) }] : []
}

/** All pictures of a place in the run, drawn and encoded. */
export const picturesOf = async (shown: Shown): Promise<readonly PictureFile[]> => [...(await (shown.stage === 1 ? frames : video)(shown)), ...loss(shown)]
