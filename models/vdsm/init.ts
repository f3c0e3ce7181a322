/**
 * The start of training. It decides more than the schedule: s has to differ between identities BEFORE training (by a third
 * of its posterior scale or so), or the decoder settles on the mean image and lets z carry what s should. So: He-normal
 * weights, each unit's weights moved to mean zero (rectified features share a large common part), frames scaled up
 * (config `input`), a gain on the last layer of q(s | x), scale heads that start as constants, and a bank whose experts
 * share half of their initial variance.
 */
import { add, at, full, mul, randomNormal, split, vmap, type Batched, type Key } from '../../dsl/index.ts'
import { initConv, initLinear, leakyGain, type ConvT } from '../../dsl/nn/index.ts'
import { sizeOf } from '../../dsl/core/apply.ts'
import type { Dim } from '../../dsl/shape.ts'
import type { Options } from './config.ts'
import type { Bank } from './decoder.ts'
import type { Encoder } from './encoder.ts'
import type { Params } from './objective.ts'
import type { Head } from './static.ts'

/** The number that softplus takes to x > 0. */
const unSoftplus = (x: number): number => Math.log(Math.expm1(x))

/** A head whose location starts as a centred map of a given gain, and whose scale starts at one value for all inputs. */
const startHead = <const I extends Dim, const O extends Dim>(key: Key, i: I, o: O, gain: number, scale: number): Head<I, O> => ({
  loc: initLinear(key, i, o, { gain, centred: true }),
  scale: initLinear(key, i, o, { gain: 0, bias: unSoftplus(scale) }),
})

const startEncoder = (key: Key, slope: number): Encoder => {
  const keys = split(key, 6)
  const start = { gain: leakyGain(slope), centred: true } as const
  return {
    conv1: initConv(at(keys, 0), 3, 'C1', 4, { gain: start.gain }),
    conv2: initConv(at(keys, 1), 'C1', 'C2', 4, start),
    conv3: initConv(at(keys, 2), 'C2', 'C3', 4, start),
    conv4: initConv(at(keys, 3), 'C3', 'C4', 4, start),
    conv5: initConv(at(keys, 4), 'C4', 'F', 4, start),
    embed: initLinear(at(keys, 5), 'F', 'E', start),
  }
}

/**
 * S transposed convolutions: W_k = deviation (sqrt(shared) W + sqrt(1 - shared) V_k), W and V_k standard normal. Under a
 * uniform mixture the blend has variance shared + (1 - shared) / S of that; `deviation` makes up for it, so the blended
 * decoder starts as He has it.
 */
const startBank = <const I extends Dim, const O extends Dim>(key: Key, i: I, o: O, stride: number, gain: number, shared: number, bias: number): Batched<'S', ConvT<I, O, 4>> => {
  const keys = split(key, 2)
  const blend = shared + (1 - shared) / sizeOf('S')
  const deviation = gain / Math.sqrt((blend * sizeOf(i) * 16) / (stride * stride))
  const common = mul(randomNormal(at(keys, 0), [i, o, 4, 4]), deviation * Math.sqrt(shared))
  const own = mul(randomNormal(at(keys, 1), ['S', i, o, 4, 4]), deviation * Math.sqrt(1 - shared))
  return { weight: vmap(own, w => add(w, common)), bias: full(['S', o], bias) }
}

const startDecoders = (key: Key, { slope, start }: Options): Bank => {
  const keys = split(key, 5)
  const gain = leakyGain(slope)
  return {
    layer1: startBank(at(keys, 0), 'S+Z', 'G1', 4, 1, start.shared, 0),
    layer2: startBank(at(keys, 1), 'G1', 'G2', 2, gain, start.shared, 0),
    layer3: startBank(at(keys, 2), 'G2', 'G3', 2, gain, start.shared, 0),
    layer4: startBank(at(keys, 3), 'G3', 'G4', 2, gain, start.shared, 0),
    layer5: startBank(at(keys, 4), 'G4', 3, 2, gain, start.shared, start.logit),
  }
}

/** All parameters of stage 1 from a key. */
export const startParams = (o: Options, key: Key): Params => {
  const keys = split(key, 4)
  return {
    guide: {
      encoder: startEncoder(at(keys, 0), o.slope),
      identity: startHead(at(keys, 1), 'E', 'S', o.start.gainS, o.start.scaleS),
      pose: startHead(at(keys, 2), 'F', 'Z', o.start.gainZ, o.start.scaleZ),
    },
    bank: startDecoders(at(keys, 3), o),
  }
}
