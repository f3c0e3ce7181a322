/** q(z_t | z_t-1, x_1:T, d): the combiner (Eq. 5), and the poses of a whole video drawn by it. */
import { add, concat, mul, scan, tanh, vmap } from '../../../dsl/index.ts'
import { linear, type Linear } from '../../../dsl/nn/index.ts'
import { draw, normal, type Draw, type Normal } from '../../../dsl/prob/index.ts'
import type { Tensor, Vec } from '../../../dsl/tensor.ts'
import { head, type Head } from '../heads.ts'

export type Combiner = {
  /** f_6 */
  readonly context: Linear<'H+D', 'H'>
  /** f_7 */
  readonly previous: Linear<'Z', 'H'>
  /** f_8 and f_9 */
  readonly pose: Head<'H', 'Z'>
  /** z_0 */
  readonly start: Vec<'Z'>
}

/** g_t = f_6({h~_t, d}); c_t = (tanh(f_7(z_t-1)) + g_t) / 2; z_t ~ N(f_8(c_t), softplus(f_9(c_t))^2) */
const combined = (p: Combiner, g: Vec<'H'>, z: Vec<'Z'>): Normal<['Z']> => head(p.pose, mul(0.5, add(tanh(linear(p.previous, z)), g)))

/** Poses of all frames, one after the other, as functions of given noise. */
export const poses = (p: Combiner, contexts: Tensor<['T', 'H']>, d: Vec<'D'>, noise: Tensor<['T', 'Z']>): Draw<['T', 'Z']> => {
  const gs = vmap(contexts, h => linear(p.context, concat(h, d)))
  const [, { loc, scale, value }] = scan(p.start, { g: gs, eps: noise }, (z, { g, eps }) => {
    const { dist, value } = draw(combined(p, g, z), eps)
    return [value, { loc: dist.loc, scale: dist.scale, value }]
  })
  return { dist: normal(loc, scale), value }
}
