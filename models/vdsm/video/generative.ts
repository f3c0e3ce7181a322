/** The generative model (Eq. 1): p(s) p(d) p(z_1) prod_t p(z_t | z_t-1, d) p(x_t | s, z_t), for each video of a group. */
import { concat, dropLast, ones, vmap, zeros } from '../../../dsl/index.ts'
import { centredLike, normal, type Bernoulli, type Normal } from '../../../dsl/prob/index.ts'
import type { Scalar, Tensor, Vec } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { frames, type Bank } from '../decoder.ts'
import { deviationD, deviationS } from '../heads.ts'
import { transition, type Transition } from './transition.ts'

export type Model = { readonly bank: Bank; readonly transition: Transition }
export type Latents = { readonly s: Tensor<['P', 'S']>; readonly d: Tensor<['P', 'D']>; readonly z: Tensor<['P', 'T', 'Z']> }
export type Sites = {
  readonly s: Normal<['P', 'S']>
  readonly d: Normal<['P', 'D']>
  readonly z: Normal<['P', 'T', 'Z']>
  readonly x: Bernoulli<['P', 'T', 3, 64, 64]>
}

/** p(z_1) = N(0, 1) and p(z_t | z_t-1, d) for given poses, all times at once. */
export const dynamicPrior = (o: Options, p: Transition, z: Tensor<['T', 'Z']>, d: Vec<'D'>): Normal<['T', 'Z']> => {
  const later = vmap(dropLast(z), zt => transition(o, p, zt, d))
  return normal(concat(zeros([1, 'Z']), later.loc), concat(ones([1, 'Z']), later.scale))
}

export const generative = (o: Options, p: Model, temperature: Scalar, latents: Latents): Sites => ({
  s: centredLike(latents.s, deviationS(o)),
  d: centredLike(latents.d, deviationD(o)),
  z: vmap(latents, part => dynamicPrior(o, p.transition, part.z, part.d)),
  x: vmap(latents, part => frames(o, p.bank, temperature, part.s, part.z)),
})
