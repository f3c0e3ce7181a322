/** p(z_t | z_t-1, d): the gated transition (Eq. 6), and poses that follow from it alone. */
import { add, concat, mul, relu, scan, sigmoid, softplus, sub } from '../../../dsl/index.ts'
import { linear, type Linear } from '../../../dsl/nn/index.ts'
import { normal, type Normal } from '../../../dsl/prob/index.ts'
import type { Scalar, Tensor, Vec } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'

export type Transition = {
  /** f_1 and f_2 */
  readonly gate: { readonly hidden: Linear<'Z+D', 'R'>; readonly out: Linear<'R', 'Z'> }
  /** f_3 and f_4 */
  readonly proposal: { readonly hidden: Linear<'Z+D', 'R'>; readonly out: Linear<'R', 'Z'> }
  /** f_5: what it makes of z, and what d adds where it sees {z, d}. */
  readonly kept: Linear<'Z', 'Z'>
  readonly drift: Linear<'D', 'Z'>
  /** f_6' */
  readonly scale: Linear<'Z', 'Z'>
  /** z_0, where p(z_1) follows from it. */
  readonly start: Vec<'Z'>
}

/**
 * gate = sigmoid(f_2(relu(f_1({z, d})))); prop = f_4(relu(f_3({z, d})));
 * loc = gate prop + (1 - gate) f_5; scale = softplus(f_6'(relu(prop)))
 */
export const transition = ({ transitionLinear }: Options, p: Transition, z: Vec<'Z'>, d: Vec<'D'>): Normal<['Z']> => {
  const zd = concat(z, d)
  const gate = sigmoid(linear(p.gate.out, relu(linear(p.gate.hidden, zd))))
  const proposed = linear(p.proposal.out, relu(linear(p.proposal.hidden, zd)))
  const kept = transitionLinear === 'z' ? linear(p.kept, z) : add(linear(p.kept, z), linear(p.drift, d))
  return normal(add(mul(gate, proposed), mul(sub(1, gate), kept)), softplus(linear(p.scale, relu(proposed))))
}

/** The T poses after z under dynamics d: draws by given noise, whose size `spread` scales (0: every pose is the mean). */
export const following = (o: Options, p: Transition, z: Vec<'Z'>, d: Vec<'D'>, noise: Tensor<['T', 'Z']>, spread: Scalar): Tensor<['T', 'Z']> => {
  const [, zs] = scan(z, noise, (before, eps) => {
    const { loc, scale } = transition(o, p, before, d)
    const next = add(loc, mul(mul(scale, eps), spread))
    return [next, next]
  })
  return zs
}
