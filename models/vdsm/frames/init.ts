/**
 * The start of training. It decides more than the schedule: s has to differ between identities BEFORE training (by a third
 * of its posterior scale or so), or the decoder settles on the mean image and lets z carry what s should. So: He-normal
 * weights, each unit's weights moved to mean zero (rectified features share a large common part), frames scaled up
 * (config `input`), a gain on the last layer of q(s | x), scale heads that start as constants, and a bank whose experts
 * share half of their initial variance.
 */
import { at, full, split, type Key } from '../../../dsl/index.ts'
import { initConv, initExpertsConvT, initLinear, leakyGain } from '../../../dsl/nn/index.ts'
import type { Dim } from '../../../dsl/shape.ts'
import type { Options } from '../config.ts'
import type { Bank } from '../decoder.ts'
import type { Encoder } from '../encoder.ts'
import type { Params } from './objective.ts'
import type { Head, Prior } from '../heads.ts'

/** The number that softplus takes to x > 0. */
export const unSoftplus = (x: number): number => Math.log(Math.expm1(x))

/** A head whose location starts as a centred map of a given gain, and whose scale starts at one value for all inputs. */
export const startHead = <const I extends Dim, const O extends Dim>(key: Key, i: I, o: O, gain: number, scale: number): Head<I, O> => ({
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

const startBank = (key: Key, { slope, start }: Options): Bank => {
  const keys = split(key, 5)
  const gain = leakyGain(slope)
  return {
    layer1: initExpertsConvT(at(keys, 0), 'S', 'S+Z', 'G1', 4, 4, start.shared, { gain: 1 }),
    layer2: initExpertsConvT(at(keys, 1), 'S', 'G1', 'G2', 4, 2, start.shared, { gain }),
    layer3: initExpertsConvT(at(keys, 2), 'S', 'G2', 'G3', 4, 2, start.shared, { gain }),
    layer4: initExpertsConvT(at(keys, 3), 'S', 'G3', 'G4', 4, 2, start.shared, { gain }),
    layer5: initExpertsConvT(at(keys, 4), 'S', 'G4', 3, 4, 2, start.shared, { gain, bias: start.logit }),
  }
}

/** N(0, 1) */
export const startPrior = <const N extends Dim>(n: N): Prior<N> => ({ loc: full([n], 0), scale: full([n], unSoftplus(1)) })

/** All parameters of stage 1 from a key. */
export const startParams = (o: Options, key: Key): Params => {
  const keys = split(key, 4)
  return {
    encoder: startEncoder(at(keys, 0), o.slope),
    identity: startHead(at(keys, 1), 'E', 'S', o.start.gainS, o.start.scaleS),
    pose: startHead(at(keys, 2), 'F', 'Z', o.start.gainZ, o.start.scaleZ),
    bank: startBank(at(keys, 3), o),
    priorS: startPrior('S'),
  }
}
