/** The guide of stage 1: q(s | x_1:T) prod_t q(z_t | x_t), Eq. 2 without dynamics. */
import { vmap } from '../../../dsl/index.ts'
import { draw, type Draw, type Normal } from '../../../dsl/prob/index.ts'
import type { Tensor } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { encoder, type Encoder } from '../encoder.ts'
import { head, identity, ofNext, type Head } from '../heads.ts'

export type Guide = { readonly encoder: Encoder; readonly identity: Head<'E', 'S'>; readonly pose: Head<'F', 'Z'> }
/** T frames of one identity, values in [0, 1]. */
export type Clip = Tensor<['T', 3, 64, 64]>
/** The parts of one group: one identity, in stage 1 one action or two each. */
export type Parts = Tensor<['P', 'T', 3, 64, 64]>
export type Data = { readonly x: Parts }
/** Standard normal numbers, one for each latent variable. */
export type Noise = { readonly s: Tensor<['P', 'S']>; readonly z: Tensor<['P', 'T', 'Z']> }
export type Posterior = { readonly s: Normal<['S']>; readonly z: Normal<['T', 'Z']> }
export type Draws = { readonly s: Draw<['P', 'S']>; readonly z: Draw<['P', 'T', 'Z']> }

/** q(s | x_1:T) and q(z_t | x_t). */
export const posterior = (o: Options, p: Guide, x: Clip): Posterior => {
  const { e, h } = vmap(x, frame => encoder(o, p.encoder, frame))
  return { s: identity(o, p.identity, e), z: vmap(h, ht => head(p.pose, ht)) }
}

/** The latents of a group as functions of given noise: each part's s from the next part, its z from its own frames. */
export const guide = (o: Options, p: Guide, { x }: Data, noise: Noise): Draws => {
  const { s, z } = vmap(x, part => posterior(o, p, part))
  return { s: draw(ofNext(s), noise.s), z: draw(z, noise.z) }
}
