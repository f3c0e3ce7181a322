/** The generative model (Eq. 1): p(s) p(d) p(z_1) prod_t p(z_t | z_t-1, d) p(x_t | s, z_t), for each video of a group. */
import { concat, dropFirst, dropLast, first, reshape, vmap, zeros } from '../../../dsl/index.ts'
import { normal, standardNormal, type Bernoulli, type Normal } from '../../../dsl/prob/index.ts'
import type { Scalar, Tensor, Vec } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { frames, type Bank } from '../decoder.ts'
import { priorOfD, priorOfS, type Prior } from '../heads.ts'
import { following, transition, type Transition } from './transition.ts'

export type Model = { readonly bank: Bank; readonly priorS: Prior<'S'>; readonly priorD: Prior<'D'>; readonly transition: Transition }
export type Latents = { readonly s: Tensor<['P', 'S']>; readonly d: Tensor<['P', 'D']>; readonly z: Tensor<['P', 'T', 'Z']> }
export type Sites = {
  readonly s: Normal<['P', 'S']>
  readonly d: Normal<['P', 'D']>
  readonly z: Normal<['P', 'T', 'Z']>
  readonly x: Bernoulli<['P', 'T', 3, 64, 64]>
}

/** p(z_1): a standard normal, or the transition from z_0. */
export const firstPose = (o: Options, p: Transition, d: Vec<'D'>): Normal<['Z']> =>
  o.firstPose === 'standard' ? standardNormal(['Z']) : transition(o, p, p.start, d)

/** p(z_1) and p(z_t | z_t-1, d) for given poses, all times at once. */
export const dynamicPrior = (o: Options, p: Transition, z: Tensor<['T', 'Z']>, d: Vec<'D'>): Normal<['T', 'Z']> => {
  const one = firstPose(o, p, d)
  const later = vmap(dropLast(z), zt => transition(o, p, zt, d))
  return normal(concat(reshape(one.loc, [1, 'Z']), later.loc), concat(reshape(one.scale, [1, 'Z']), later.scale))
}

/** Poses of a whole video from their prior, by given noise; `spread` scales the noise of what follows from a transition. */
export const posesFromPrior = (o: Options, p: Transition, d: Vec<'D'>, noise: Tensor<['T', 'Z']>, spread: Scalar): Tensor<['T', 'Z']> => {
  if (o.firstPose === 'transition') return following(o, p, p.start, d, noise, spread)
  const later = following(o, p, first(noise), d, concat(dropFirst(noise), zeros([1, 'Z'])), spread)
  return concat(reshape(first(noise), [1, 'Z']), dropLast(later))
}

export const generative = (o: Options, p: Model, temperature: Scalar, latents: Latents): Sites => ({
  s: vmap(latents.s, _ => priorOfS(o, p.priorS)),
  d: vmap(latents.d, _ => priorOfD(o, p.priorD)),
  z: vmap(latents, part => dynamicPrior(o, p.transition, part.z, part.d)),
  x: vmap(latents, part => frames(o, p.bank, temperature, part.s, part.z)),
})
