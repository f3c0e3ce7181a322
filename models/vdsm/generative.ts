/** The generative model of stage 1: Eq. 1 without dynamics, frames of one identity in no order. */
import { sizeOf, vmap } from '../../dsl/index.ts'
import { centredLike, type Bernoulli, type Normal } from '../../dsl/prob/index.ts'
import type { Scalar, Tensor, Vec } from '../../dsl/tensor.ts'
import type { Options } from './config.ts'
import { blended, decoder, mixture, type Bank } from './decoder.ts'

export type Latents = { readonly s: Vec<'S'>; readonly z: Tensor<['T', 'Z']> }
export type Sites = { readonly s: Normal<['S']>; readonly z: Normal<['T', 'Z']>; readonly x: Bernoulli<['T', 3, 64, 64]> }

/** The standard deviation of p(s) under each reading of Eq. 1. */
const deviation = ({ priorS }: Options): number =>
  priorS === 'one' ? 1 : priorS === 'varianceOverS' ? 1 / Math.sqrt(sizeOf('S')) : 1 / sizeOf('S')

/** p(x_1:T | s, z_1:T): the frames of one group, by the group's own decoder. */
export const frames = (o: Options, bank: Bank, temperature: Scalar, { s, z }: Latents): Bernoulli<['T', 3, 64, 64]> => {
  const w = mixture(s, temperature)
  const own = blended(bank, w)
  const who = o.decoderInput === 's' ? s : w
  return vmap(z, zt => decoder(o, own, who, zt))
}

/** p(s) prod_t p(z_t) p(x_t | s, z_t), p(z_t) = N(0, 1) */
export const generative = (o: Options, bank: Bank, temperature: Scalar, latents: Latents): Sites => ({
  s: centredLike(latents.s, deviation(o)),
  z: centredLike(latents.z),
  x: frames(o, bank, temperature, latents),
})
