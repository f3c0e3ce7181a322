/** `vdsm reconstruct`: a video by way of what the model keeps of it. */
import { animation, strip } from '../infer/pictures.ts'
import type { Model } from '../infer/model.ts'
import { attempt } from '../train/task.ts'
import type { Register } from './command.ts'
import { framesArray, makeVideos, readClip, rowsArray, VIDEOS, withModel, type Options as Common } from './making.ts'

type Options = Common & { readonly from: string }

const make = async (model: Model, { from, scale }: Options) => {
  const input = readClip(from)
  const { s, d, z, x } = await model.reconstruct(input)
  const result = framesArray(x)
  const frames = result.shape[0] ?? 0
  const error = x.reduce((sum, v, i) => sum + Math.abs(v - (input[i] ?? 0)) / x.length, 0)
  return {
    animation: animation([input, x], { columns: 2, scale }), strip: strip([input, x]),
    arrays: new Map([['x', result], ['s', rowsArray(s)], ['d', rowsArray(d)], ['z', rowsArray(z, frames)], ['input', framesArray(input)]]),
    about: { from },
    text: `${frames === 1 ? '1 frame' : `${frames} frames`} (in the pictures: input, reconstruction), mean difference ${(255 * error).toFixed(1)} of 255`,
  }
}

export const register: Register = (cli, settle) => {
  withModel(cli.command('reconstruct')
    .summary('encode a video and decode it again')
    .description('encode a video and decode it again; writes a GIF and a strip (input, reconstruction) and arrays (x, s, d, z, input). ' + VIDEOS)
    .requiredOption('--from <file>', 'the video or image'))
    .action((run: string | undefined, options: Options) =>
      settle(attempt(() => makeVideos({ command: 'reconstruct', run, options, make: model => make(model, options) }))))
}
