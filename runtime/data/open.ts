/** Opens the data sets by name. Adding one: a file of its own, a case here, and its name and options in options.ts. */
import { join } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import type { DataSet } from './dataset.ts'
import { movingMnist } from './moving-mnist.ts'
import { mug } from './mug.ts'
import { DATA_DIR_REMEDY, type DataConfig } from './options.ts'
import { ownVideos } from './own-videos.ts'
import { pendulum } from './pendulum.ts'
import { kindOf } from './places.ts'
import { sprites } from './sprites.ts'
import { TEST_FILE, testSequences } from './test-sequences.ts'

export {
  DATA_KEYS, DATA_NAMES, DATA_OPTIONS, DataConfig, dataConfig, DEFAULT_DATA, movedDataConfig,
  type DataName, type DataOption, type DataOptions, type Reading,
} from './options.ts'

const folderOf = (config: DataConfig): string =>
  config.folder ?? refuse({ kind: 'usage', message: `the data set ${config.name} needs the folder that holds its data`, remedy: DATA_DIR_REMEDY[config.name] })

/** The file of moving sequences that a path means, where it means one. */
const sequencesFile = (path: string): string | undefined => {
  if (kindOf(path) === 'file') return path
  const inside = join(path, TEST_FILE)
  return kindOf(inside) === 'file' ? inside : undefined
}

const openMoving = ({ folder, splitSeed, digits, frames }: DataConfig): DataSet => {
  const file = folder === undefined ? undefined : sequencesFile(folder)
  if (file === undefined) {
    return movingMnist({ splitSeed, ...(folder === undefined ? {} : { folder }), ...(digits === undefined ? {} : { digits }),
      ...(frames === undefined ? {} : { frames }) })
  }
  if (digits !== undefined || frames !== undefined) {
    const flag = digits === undefined ? '--sequence-frames' : '--digits'
    refuse({ kind: 'usage', message: `${flag} means nothing to ${file}, whose sequences are as they are`,
      remedy: 'Leave it out, or leave out --data-dir to have sequences made.' })
  }
  return testSequences(file, { splitSeed })
}

/** Opens a data set. Refuses one whose files are missing, unreadable or of the wrong kind, each by name. */
export const openData = (config: DataConfig): DataSet => {
  const { splitSeed, frameChoice, frames } = config
  switch (config.name) {
    case 'pendulum':
      return pendulum({ splitSeed, ...(frames === undefined ? {} : { frames }) })
    case 'sprites':
      return sprites({ folder: folderOf(config), splitSeed, ...(frameChoice === undefined ? {} : { frameChoice }) })
    case 'moving-mnist':
      return openMoving(config)
    case 'folder':
      return ownVideos({ folder: folderOf(config), splitSeed })
    case 'mug':
      return mug({ folder: folderOf(config), splitSeed })
  }
}
