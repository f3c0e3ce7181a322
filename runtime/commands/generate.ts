/** `vdsm generate`: new videos from the priors of a trained model. */
import { InvalidArgumentError } from 'commander'
import { animation, strip } from '../infer/pictures.ts'
import type { Made, Model } from '../infer/model.ts'
import type { Outgoing } from '../io/npy.ts'
import { attempt } from '../train/task.ts'
import { positive, seedOption, type Register } from './command.ts'
import { checkCount, framesArray, makeVideos, rowsArray, withModel, type Options as Common } from './making.ts'

type Options = Common & { readonly frames?: number; readonly count: number; readonly seed: number; readonly spread: number }

/** How far poses are drawn from their means: 0 or more. */
export const spreadOption = (text: string): number => {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError('Expected a number of at least 0.')
  return value
}

/** Arrays of several videos, one behind the other along a first axis; of one video, without that axis. */
const stacked = (arrays: readonly Outgoing[]): Outgoing => {
  const [first] = arrays
  if (first === undefined || arrays.length === 1) return first ?? { shape: [0], dtype: 'f32', data: [] }
  const size = first.data.length
  const data = new Float32Array(size * arrays.length)
  arrays.forEach((array, i) => data.set(Float32Array.from(array.data), i * size))
  return { shape: [arrays.length, ...first.shape], dtype: 'f32', data }
}

const make = async (model: Model, { count, seed, spread, scale, frames = model.window }: Options) => {
  checkCount(frames, count)
  const videos: Made[] = []
  for (let i = 0; i < count; i++) videos.push(await model.generate(frames, { seed: seed + i, spread }))
  const shown = videos.map(({ x }) => x)
  const arrays = new Map<string, Outgoing>([
    ['x', stacked(shown.map(framesArray))],
    ['s', stacked(videos.map(({ s }) => rowsArray(s)))],
    ['d', stacked(videos.map(({ d }) => rowsArray(d)))],
    ['z', stacked(videos.map(({ z }) => rowsArray(z, frames)))],
  ])
  return {
    animation: animation(shown, { columns: Math.ceil(Math.sqrt(count)), scale }), strip: strip(shown), arrays, about: { frames, count, seed, spread },
    text: `${count === 1 ? 'a video' : `${count} videos`} of ${frames === 1 ? '1 frame' : `${frames} frames`}`,
  }
}

export const register: Register = (cli, settle) => {
  withModel(cli.command('generate')
    .summary('make new videos from the priors')
    .description('make new videos: identity, dynamics and first pose are drawn from the priors; writes a GIF, a strip of frames, and arrays (x, s, d, z)')
    .option('--frames <n>', 'frames of each video (default: as many as the model was trained on)', positive)
    .option('--count <n>', 'how many videos', positive, 1)
    .option('--seed <n>', 'of the first video; the next ones have the seeds that follow', seedOption, 0)
    .option('--spread <x>', 'noise of the transitions: 1 draws from the model, 0 follows the means', spreadOption, 1))
    .action((run: string | undefined, options: Options) =>
      settle(attempt(() => makeVideos({ command: 'generate', run, options, make: model => make(model, options) }))))
}
