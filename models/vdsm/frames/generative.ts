/** The generative model of stage 1: Eq. 1 without dynamics, frames of one identity in no order. */
import { vmap } from '../../../dsl/index.ts'
import { centredLike, type Bernoulli, type Normal } from '../../../dsl/prob/index.ts'
import type { Scalar, Tensor } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { frames, type Bank } from '../decoder.ts'
import { priorOfS, type Prior } from '../heads.ts'

export type Model = { readonly bank: Bank; readonly priorS: Prior<'S'> }
export type Latents = { readonly s: Tensor<['P', 'S']>; readonly z: Tensor<['P', 'T', 'Z']> }
export type Sites = { readonly s: Normal<['P', 'S']>; readonly z: Normal<['P', 'T', 'Z']>; readonly x: Bernoulli<['P', 'T', 3, 64, 64]> }

/** For each part of a group: p(s) prod_t p(z_t) p(x_t | s, z_t), p(z_t) = N(0, 1) */
export const generative = (o: Options, p: Model, temperature: Scalar, latents: Latents): Sites => ({
  s: vmap(latents.s, _ => priorOfS(o, p.priorS)),
  z: centredLike(latents.z),
  x: vmap(latents, part => frames(o, p.bank, temperature, part.s, part.z)),
})
