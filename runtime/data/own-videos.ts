/**
 * `folder`: videos of your own. One sub-folder per identity, which is all the supervision there is; in it, one entry per
 * video: a GIF, a folder of PNGs in natural order, or an .npy/.npz array (see io/video.ts). Hidden files are left
 * alone; files of other kinds are left out, which the set's notes say. Any size: the middle square of each frame is averaged down (or up) to 64 x 64.
 *
 * With fewer than 20 identities, a tenth of the videos is held out, else of the identities (see held-out.ts).
 *
 * Each video counts as an action of its identity, so that the parts of a group come from different videos where there are
 * any; the numbers of actions mean nothing across identities, and there are no factors. All files are decoded when the set
 * is opened, so that a bad one is refused before anything is trained; what is kept are bytes (12 kB a frame).
 */
import { basename, join, relative } from 'node:path'
import { refuse } from '../../dsl/errors.ts'
import { conversionOf, readVideo } from '../io/video.ts'
import type { DataSet } from './dataset.ts'
import { kindOf, namesIn } from './places.ts'
import { FRAME } from './source.ts'
import { decodedWhole, fittedBytes, KEPT_BYTES, keepUpTo, sequenceSet, type Keep, type Sequence } from './videos.ts'

export type FolderOptions = {
  readonly folder: string
  /** Share of the identities that is held out; of the videos, where identities are few. */
  readonly heldOutShare?: number
  /** Decides which are held out. */
  readonly splitSeed?: number
  /** Bytes of decoded frames that stay in memory. */
  readonly keptBytes?: number
}

const LAYOUT = 'Give --data-dir a folder with one sub-folder per identity, each holding GIFs, folders of PNGs, or .npy/.npz arrays.'
const FILES = /\.(gif|npy|npz)$/i

const bad = (path: string, message: string, more?: string): never =>
  refuse({ kind: 'file', path, message, remedy: more === undefined ? LAYOUT : `${LAYOUT}\n  ${more}` })

const isFolder = (path: string): boolean => kindOf(path) === 'folder'

const isVideo = (path: string): boolean => FILES.test(path) || isFolder(path)

/** The videos of one identity, and the files that are none, by path. */
type Found = { readonly videos: readonly string[]; readonly others: readonly string[] }

const filesOf = (folder: string): Found => {
  const names = namesIn(folder, LAYOUT)
  const paths = names.map(name => join(folder, name))
  const [videos, others] = [paths.filter(isVideo), paths.filter(path => !isVideo(path))]
  const picture = names.find(name => /\.png$/i.test(name))
  if (picture !== undefined) bad(join(folder, picture), 'a PNG lies directly in the folder of an identity; the frames of each video need a folder of their own')
  if (videos.length > 0) return { videos, others }
  return bad(folder, names.length === 0 ? 'the folder is empty'
    : `no video is in this folder, but ${names.length === 1 ? names[0] : `${names.length} other files, such as ${names[0]}`}`,
  conversionOf(folder, names, 'GIF'))
}

/** One line about all files that are not read, and one about videos that are in no sub-folder. */
const leftOut = (folder: string, others: readonly string[], loose: readonly string[]): readonly string[] => {
  const line = (paths: readonly string[], why: string): readonly string[] => {
    const [first] = paths
    return first === undefined ? [] : [`left out: ${relative(folder, first)}${paths.length > 1 ? ` and ${paths.length - 1} more` : ''} (${why})`]
  }
  return [
    ...line(others, 'only GIF, PNG folders, npy, npz are read; convert them, e.g. with ffmpeg'),
    ...line(loose, 'videos are read from the sub-folders of identities'),
  ]
}

const decode = (path: string): Uint8Array => {
  const { data, frames, height, width } = readVideo(path)
  return fittedBytes(data, frames, [height, width, 3])
}

const open = (path: string, keep: Keep): Sequence => decodedWhole(path, keep(path, () => decode(path)).length / FRAME, keep, () => decode(path))

/** Opens a folder of videos. Refuses missing folders, identities without a video, and every file that cannot be read, by name. */
export const ownVideos = ({ folder, heldOutShare = 0.1, splitSeed = 0, keptBytes = KEPT_BYTES }: FolderOptions): DataSet => {
  if (!isFolder(folder)) bad(folder, kindOf(folder) === null ? 'there is no such folder' : 'it is a file, not a folder')
  const entries = namesIn(folder, LAYOUT).map(name => join(folder, name))
  const people = entries.filter(isFolder)
  if (people.length < 2) {
    bad(folder, `${people.length === 0 ? 'no sub-folder is in it' : 'only one sub-folder is in it'}; `
      + 'two identities are needed, to learn in what they differ')
  }
  const found = people.map(filesOf)
  const videos = found.flatMap(({ videos: own }) => own)
  const keep = keepUpTo(keptBytes)
  return sequenceSet({
    name: 'folder',
    sequences: videos.map(path => open(path, keep)),
    facts: {
      identity: found.flatMap(({ videos: own }, identity) => own.map(() => identity)),
      identityNames: people.map(path => basename(path)),
      sequenceNames: videos.map(path => relative(folder, path)),
    },
    notes: leftOut(folder, found.flatMap(({ others }) => others), entries.filter(path => FILES.test(path) && !isFolder(path))),
    heldOutShare,
    splitSeed,
  })
}
