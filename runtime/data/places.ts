/** What lies at a path: for data sets that are told where to look. */
import { readdirSync, statSync } from 'node:fs'
import { refuse } from '../../dsl/errors.ts'
import { naturally } from '../io/video.ts'

/** Whether a folder or a file is there; null for neither, and where that cannot be told. */
export const kindOf = (path: string): 'folder' | 'file' | null => {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file'
  } catch {
    return null
  }
}

/** The names in a folder but hidden ones, numbers in them in order of size. Refuses a folder that cannot be read. */
export const namesIn = (folder: string, remedy: string): readonly string[] => {
  try {
    return readdirSync(folder).filter(name => !name.startsWith('.')).sort(naturally)
  } catch (error) {
    return refuse({ kind: 'file', path: folder, message: `not a readable folder (${error instanceof Error ? error.message : String(error)})`, remedy })
  }
}
