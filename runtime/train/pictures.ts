/** The pictures of each stage: what is shown of the held-out data, and under which names. */
import { SIDE, type DataSet } from '../data/dataset.ts'
import { curve } from '../report/curve.ts'
import { reconstruct, reconstructionSheet, swapGrid } from '../report/pictures.ts'
import { encodePng } from '../report/sheet.ts'
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
    { name: `${placeName(place, 'reconstruction')}.png`, bytes: encodePng(reconstructionSheet(x, reconstruct(codec, x), shape)) },
    { name: `${placeName(place, 'swap')}.png`, bytes: encodePng(swapGrid(codec, x, shape, Math.min(GROUPS, identities))) },
  ]
}

const video = async ({ programs, schedule }: Shown): Promise<readonly PictureFile[]> => {
  const codec = await videoCodecOf(programs, schedule)
  return codec === undefined ? [] : []
}

const loss = ({ metrics, stage }: Shown): readonly PictureFile[] => {
  const points = metrics.flatMap(line => (line.stage === stage && typeof line['loss'] === 'number' ? [{ step: line.step, value: line['loss'] }] : []))
  return points.length > 1 ? [{ name: `stage${stage}-loss.png`, bytes: encodePng(curve(points)) }] : []
}

/** All pictures of a place in the run, drawn and encoded. */
export const picturesOf = async (shown: Shown): Promise<readonly PictureFile[]> => [...(await (shown.stage === 1 ? frames : video)(shown)), ...loss(shown)]
