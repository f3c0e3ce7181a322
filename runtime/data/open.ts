/** The data sets by name, and what each accepts. Adding one: a file of its own, and a line in each table here. */
import * as t from 'io-ts'
import { refuse } from '../../dsl/errors.ts'
import type { DataSet } from './dataset.ts'
import { pendulum } from './pendulum.ts'
import { sprites } from './sprites.ts'

export const DATA_NAMES = ['pendulum', 'sprites'] as const
export type DataName = (typeof DATA_NAMES)[number]

/** What a run's config.json records about its data; `folder` is absolute or relative to the working directory. */
export const DataConfig = t.exact(
  t.intersection([
    t.type({ name: t.union([t.literal('pendulum'), t.literal('sprites')]), splitSeed: t.number }),
    t.partial({ folder: t.string, frameChoice: t.union([t.literal('paper'), t.literal('li-mandt')]), frames: t.number }),
  ]),
)
export type DataConfig = t.TypeOf<typeof DataConfig>

/** Opens a data set. Refuses `sprites` without a folder. */
export const openData = (config: DataConfig): DataSet => {
  switch (config.name) {
    case 'pendulum':
      return pendulum({ splitSeed: config.splitSeed, ...(config.frames === undefined ? {} : { frames: config.frames }) })
    case 'sprites': {
      if (config.folder === undefined) {
        return refuse({
          kind: 'usage',
          message: 'the data set sprites needs the folder that holds its sheets',
          remedy: 'Add --data-dir FOLDER, with the sub-folders body, pants, shirt and hair of LPC sheets (PNG, 832 x 1344).',
        })
      }
      const { folder, splitSeed, frameChoice } = config
      return sprites({ folder, splitSeed, ...(frameChoice === undefined ? {} : { frameChoice }) })
    }
  }
}
