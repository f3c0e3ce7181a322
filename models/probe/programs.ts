/** What is compiled for each kind of probe: its start, a step of Adam on a batch, and its answers. */
import { adam, adamInit, add, mean, mul, neg, oneHot, sum, valueAndGrad, vmap, type AdamState, type Key } from '../../dsl/index.ts'
import type { Scalar, Tensor, Vec } from '../../dsl/tensor.ts'
import { logProbabilities, type Probe } from './probe.ts'

/** All that training carries from step to step. */
export type State<P> = { readonly params: P; readonly optimizer: AdamState<P> }
/** N examples: features, and the class of each. */
export type Features = Tensor<['N', 'F']>
export type Labels = Vec<'N', 'i32'>
/** `decay` weighs half the sum of squares of the weights beside the mean cross entropy (in nats). */
export type Schedule = { readonly learningRate: Scalar; readonly decay: Scalar }

export const programs = <P>({ init, logits, weights }: Probe<P>) => {
  const loss = (params: P, x: Features, label: Labels, classes: Vec<'C'>, decay: Scalar): Scalar => {
    const each = vmap({ x, label }, one => sum(mul(oneHot(one.label, 'C'), logProbabilities(logits(params, one.x), classes))))
    return add(neg(mean(each)), mul(mul(weights(params), 0.5), decay))
  }
  return {
    /** A probe before its first step. Another key, another start. */
    init: (key: Key): State<P> => {
      const params = init(key)
      return { params, optimizer: adamInit(params) }
    },
    /** One step of Adam; classes that do not exist are 0 in `classes`, and no example may have one. */
    trainStep: (state: State<P>, x: Features, label: Labels, classes: Vec<'C'>, schedule: Schedule): { readonly state: State<P>; readonly loss: Scalar } => {
      const { value, grad } = valueAndGrad(loss)(state.params, x, label, classes, schedule.decay)
      const next = adam(state.params, state.optimizer, grad, { learningRate: schedule.learningRate })
      return { state: { params: next.params, optimizer: next.state }, loss: value }
    },
    /** log p(class | x) of N examples. */
    predict: (params: P, x: Features, classes: Vec<'C'>): Tensor<['N', 'C']> => vmap(x, one => logProbabilities(logits(params, one), classes)),
  }
}
