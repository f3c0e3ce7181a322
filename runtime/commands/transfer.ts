/** `vdsm transfer`: who is in one video does what is done in another. */
import { FRAME } from '../data/dataset.ts'
import { animation, strip } from '../infer/pictures.ts'
import type { Model } from '../infer/model.ts'
import { attempt } from '../train/task.ts'
import type { Register } from './command.ts'
import { framesArray, makeVideos, readClip, rowsArray, VIDEOS, withModel, type Options as Common } from './making.ts'

type Options = Common & { readonly identity: string; readonly action: string }

const make = async (model: Model, { identity, action, scale }: Options) => {
  const [who, what] = [readClip(identity), readClip(action)]
  if (what.length === FRAME) process.stderr.write('The action is one image, so the result is one frame.\n')
  const { s, d, z, x } = await model.transfer(who, what)
  const [identityArray, actionArray, result] = [framesArray(who), framesArray(what), framesArray(x)]
  const frames = result.shape[0] ?? 0
  return {
    animation: animation([who, what, x], { columns: 3, scale }), strip: strip([who, what, x]),
    arrays: new Map([['x', result], ['s', rowsArray(s)], ['d', rowsArray(d)], ['z', rowsArray(z, frames)],
      ['identity', identityArray], ['action', actionArray]]),
    about: { identity, action },
    text: `${frames === 1 ? '1 frame' : `${frames} frames`} (in the pictures: identity, action, result)`,
  }
}

export const register: Register = (cli, settle) => {
  withModel(cli.command('transfer')
    .summary('put the action of one video on the identity of another')
    .description('put the action of one video on the identity of another; writes a GIF and a strip (identity, action, result) '
      + 'and arrays (x, s, d, z, identity, action). ' + VIDEOS)
    .requiredOption('--identity <file>', 'the video, or image, that shows who')
    .requiredOption('--action <file>', 'the video that shows what is done; the result is as long'))
    .action((run: string | undefined, options: Options) =>
      settle(attempt(() => makeVideos({ command: 'transfer', run, options, make: model => make(model, options) }))))
}
