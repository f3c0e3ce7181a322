/** Opens the data sets by name. Adding one: a file of its own, a case here, and its name and options in options.ts. */
import { refuse } from '../../dsl/errors.ts'
import type { DataSet } from './dataset.ts'
import { DATA_DIR_REMEDY, type DataConfig } from './options.ts'
import { pendulum } from './pendulum.ts'
import { sprites } from './sprites.ts'

export {
  DATA_KEYS, DATA_NAMES, DATA_OPTIONS, DataConfig, dataConfig, DEFAULT_DATA, movedDataConfig,
  type DataName, type DataOption, type DataOptions, type Reading,
} from './options.ts'

const folderOf = (config: DataConfig): string =>
  config.folder ?? refuse({ kind: 'usage', message: `the data set ${config.name} needs the folder that holds its data`, remedy: DATA_DIR_REMEDY[config.name] })

/** Opens a data set. Refuses one whose files are missing, unreadable or of the wrong kind, each by name. */
export const openData = (config: DataConfig): DataSet => {
  const { splitSeed, frameChoice, frames } = config
  switch (config.name) {
    case 'pendulum':
      return pendulum({ splitSeed, ...(frames === undefined ? {} : { frames }) })
    case 'sprites':
      return sprites({ folder: folderOf(config), splitSeed, ...(frameChoice === undefined ? {} : { frameChoice }) })
    case 'moving-mnist':
    case 'folder':
    case 'mug':
      return refuse({ kind: 'limit', what: `data set ${config.name}`, message: 'not there yet' })
  }
}
