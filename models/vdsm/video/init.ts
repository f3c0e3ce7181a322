/** The start of stage 2: parameters of the dynamics and the transition. What comes from stage 1 is put in their place by whoever trains. */
import { at, split, vmap, zeros, type Key, type Mul } from '../../../dsl/index.ts'
import { identityLinear, initLinear, initLstm, type BiLstm, type Lstm } from '../../../dsl/nn/index.ts'
import type { Options } from '../config.ts'
import { startHead, startPrior, unSoftplus } from '../frames/init.ts'
import type { Combiner } from './combiner.ts'
import type { Dynamics, Sequence } from './dynamics.ts'
import type { Trained } from './objective.ts'
import type { Transition } from './transition.ts'

const startDynamics = (key: Key): Dynamics => {
  const keys = split(key, 3)
  return {
    embed: initLinear(at(keys, 0), 'Z', '2*H', { gain: 1 }),
    layers: vmap(split(at(keys, 1), 'L'), (own): BiLstm<Mul<2, 'H'>, 'H'> => {
      const two = split(own, 2)
      return { forward: initLstm(at(two, 0), '2*H', 'H'), backward: initLstm(at(two, 1), '2*H', 'H') }
    }),
    head: startHead(at(keys, 2), '2*L*H', 'D', 2, 0.5),
  }
}

const startSequence = (key: Key): Sequence => {
  const keys = split(key, 3)
  return {
    hidden: initLinear(at(keys, 0), 'D', 'L*H', { gain: 1 }),
    cell: initLinear(at(keys, 1), 'D', 'L*H', { gain: 1 }),
    start: zeros(['H']),
    layers: vmap(split(at(keys, 2), 'L'), (own): Lstm<'H', 'H'> => initLstm(own, 'H', 'H')),
  }
}

const startCombiner = (key: Key): Combiner => {
  const keys = split(key, 3)
  return {
    context: initLinear(at(keys, 0), 'H+D', 'H', { gain: 1 }),
    previous: initLinear(at(keys, 1), 'Z', 'H', { gain: 1 }),
    pose: startHead(at(keys, 2), 'H', 'Z', 1, 0.5),
    start: zeros(['Z']),
  }
}

/** The linear part starts as the identity, so the first transition that is tried says: nothing changes much. */
const startTransition = (key: Key): Transition => {
  const keys = split(key, 6)
  return {
    gate: { hidden: initLinear(at(keys, 0), 'Z+D', 'R'), out: initLinear(at(keys, 1), 'R', 'Z', { gain: 1 }) },
    proposal: { hidden: initLinear(at(keys, 2), 'Z+D', 'R'), out: initLinear(at(keys, 3), 'R', 'Z', { gain: 1 }) },
    kept: identityLinear('Z'),
    drift: initLinear(at(keys, 4), 'D', 'Z', { gain: 0 }),
    scale: initLinear(at(keys, 5), 'Z', 'Z', { gain: 0.1, bias: unSoftplus(0.5) }),
    start: zeros(['Z']),
  }
}

/** All that stage 2 trains. `identity` and `priorS` have starts of their own as well: training takes them from stage 1. */
export const startTrained = (o: Options, key: Key): Trained => {
  const keys = split(key, 5)
  return {
    identity: startHead(at(keys, 0), 'E', 'S', o.start.gainS, o.start.scaleS),
    dynamics: startDynamics(at(keys, 1)),
    sequence: startSequence(at(keys, 2)),
    combiner: startCombiner(at(keys, 3)),
    transition: startTransition(at(keys, 4)),
    priorS: startPrior('S'),
    priorD: startPrior('D'),
  }
}
