/** `vdsm continue`: what comes after a video, or after one image. */
import { FRAME } from '../data/dataset.ts'
import { animation, strip } from '../infer/pictures.ts'
import type { Model } from '../infer/model.ts'
import { attempt } from '../train/task.ts'
import { positive, seedOption, type Register } from './command.ts'
import { spreadOption } from './generate.ts'
import { checkCount, framesArray, makeVideos, readClip, rowsArray, VIDEOS, withModel, type Options as Common } from './making.ts'

type Options = Common & { readonly from: string; readonly frames?: number; readonly seed: number; readonly spread: number }

const make = async (model: Model, { from, seed, spread, scale, frames = model.window }: Options) => {
  checkCount(frames)
  const before = readClip(from)
  const { s, d, z, x } = await model.continueFrom(before, frames, { seed, spread })
  const whole = new Float32Array(before.length + x.length)
  whole.set(before)
  whole.set(x, before.length)
  return {
    animation: animation([whole], { columns: 1, scale, madeFrom: before.length / FRAME }), strip: strip([whole], { madeFrom: before.length / FRAME }),
    arrays: new Map([['x', framesArray(x)], ['s', rowsArray(s)], ['d', rowsArray(d)], ['z', rowsArray(z, frames)], ['input', framesArray(before)]]),
    about: { from, frames, seed, spread },
    text: `${frames === 1 ? '1 frame' : `${frames} frames`} after ${before.length === FRAME ? 'an image' : from} (in the pictures: with an orange edge)`,
  }
}

export const register: Register = (cli, settle) => {
  withModel(cli.command('continue')
    .summary('go on from a video, or from one image')
    .description('go on from a video, or from one image; writes a GIF and a strip (the video, then what follows with an orange edge) '
      + 'and arrays (x: what follows, s, d, z, input). ' + VIDEOS)
    .requiredOption('--from <file>', 'the video or image')
    .option('--frames <n>', 'how many frames follow (default: as many as the model was trained on)', positive)
    .option('--seed <n>', 'of the noise, where --spread asks for some', seedOption, 0)
    .option('--spread <x>', 'noise of the transitions: 0 follows the means, 1 draws from the model', spreadOption, 0))
    .action((run: string | undefined, options: Options) =>
      settle(attempt(() => makeVideos({ command: 'continue', run, options, make: model => make(model, options) }))))
}
