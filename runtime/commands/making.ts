/** What the commands that use a trained model share: their options, how videos are read, and the way from a model to files. */
import type { Command } from 'commander'
import { refuse } from '../../dsl/errors.ts'
import { FRAME, SIDE } from '../data/dataset.ts'
import { checkPlace, writeProduct, type Product } from '../infer/folder.ts'
import { openModel, type Model } from '../infer/model.ts'
import type { Outgoing } from '../io/npy.ts'
import { fitVideo } from '../io/resize.ts'
import { readVideo } from '../io/video.ts'
import { positive, positiveNumber, say, withBuild, withThreads } from './command.ts'
import { chooseDevice, withDevice, type DeviceOptions } from './device.ts'

/** What is common to all of them, under commander's names. */
export type Options = DeviceOptions & {
  readonly checkpoint?: string
  readonly out?: string
  readonly force?: true
  readonly fps: number
  readonly scale: number
  readonly build: string
}

/** What the commands take, for their help. */
export const VIDEOS = 'Videos are GIFs, folders of PNGs, PNGs, or .npy and .npz arrays, of one frame or at least as many as the model was trained on; '
  + 'their middle square is used, resized to 64 x 64'

/** Adds the run and the common options, behind the command's own. */
export const withModel = (command: Command): Command =>
  withDevice(withThreads(withBuild(command.argument('[run]',
    'the folder of a run (its newest checkpoint of stage 2 is used), or a checkpoint (default: the newest in runs/)'))))
    .option('--checkpoint <file>', 'this checkpoint of stage 2 instead of the newest of the run')
    .option('--out <folder>', `where the files go; those of an earlier call are replaced (default: made/${command.name()})`)
    .option('--force', 'replace what is there, whoever made it')
    .option('--fps <n>', 'frames a second of the GIF', positiveNumber, 8)
    .option('--scale <n>', 'enlarges the GIF so many times', positive, 2)

/** What a GIF can play is refused early. */
const checkStyle = ({ fps, scale }: Options): void => {
  if (fps < 0.01 || fps > 50) refuse({ kind: 'usage', message: `option --fps: a GIF plays 0.01 to 50 frames a second, not ${fps}` })
  if (scale > 16) refuse({ kind: 'usage', message: `option --scale: at most 16, not ${scale}` })
}

/** The most frames that one call makes: a GIF of more is of no use, and pictures take memory. */
const MOST = 4096

/** Refuses more frames than are made at once. */
export const checkCount = (frames: number, videos = 1): void => {
  if (frames * videos > MOST) {
    refuse({ kind: 'limit', what: videos === 1 ? '--frames' : '--frames and --count',
      message: `${frames * videos} frames are asked for; ${MOST} are the most that are made at once`, remedy: 'Ask for fewer.' })
  }
}

/** A video as the model takes it: [n, 3, 64, 64]. */
export const readClip = (path: string): Float32Array => {
  const video = readVideo(path)
  if (video.frames > MOST) {
    refuse({ kind: 'limit', what: path, message: `it has ${video.frames} frames; ${MOST} are the most that are read at once`,
      remedy: 'Use a shorter video, or a part of it.' })
  }
  return fitVideo(video, SIDE)
}

/** Frames [n, 3, 64, 64] for a file. */
export const framesArray = (x: Float32Array): Outgoing => ({ shape: [x.length / FRAME, 3, SIDE, SIDE], dtype: 'f32', data: x })

/** Rows [n, length] for a file, or a vector where `rows` is 0. */
export const rowsArray = (data: Float32Array, rows = 0): Outgoing => ({ shape: rows === 0 ? [data.length] : [rows, data.length / rows], dtype: 'f32', data })

export type Task = {
  readonly command: string
  readonly run: string | undefined
  readonly options: Options
  /** Makes the product, and says in a few words what it is. */
  readonly make: (model: Model) => Promise<Omit<Product, 'fps'> & { readonly text: string }>
}

/** Opens the model, makes, writes, and says so. Everything that can be refused is refused before anything is written. */
export const makeVideos = async ({ command, run, options, make }: Task): Promise<void> => {
  checkStyle(options)
  const folder = options.out ?? `made/${command}`
  const model = await openModel({ run, checkpoint: options.checkpoint }, options.build,
    async (host, programs) => (await chooseDevice(options, host, programs)).options)
  const { checkpoint, credit } = model.source
  checkPlace(folder, command, credit, options.force === true)
  const { text, ...product } = await make(model).finally(model.release)
  const about = { checkpoint: checkpoint.path, config: model.config, step: checkpoint.step, temperature: model.temperature, ...product.about }
  const names = await writeProduct(folder, command, { ...product, fps: options.fps, about }, credit)
  await say(`${folder}: ${names.join(', ')}\n  ${text}, from ${checkpoint.path} (${model.device()})`)()
}
