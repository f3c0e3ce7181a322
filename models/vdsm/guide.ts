/** The guide of stage 1: q(s | x_1:T) prod_t q(z_t | x_t), Eq. 2 without dynamics. */
import { vmap } from '../../dsl/index.ts'
import { draw, type Draw, type Normal } from '../../dsl/prob/index.ts'
import type { Tensor, Vec } from '../../dsl/tensor.ts'
import type { Options } from './config.ts'
import { encoder, type Encoder } from './encoder.ts'
import { head, identity, type Head } from './static.ts'

export type Guide = { readonly encoder: Encoder; readonly identity: Head<'E', 'S'>; readonly pose: Head<'F', 'Z'> }
/** The frames of one group: one identity, values in [0, 1]. */
export type Frames = Tensor<['T', 3, 64, 64]>
export type Data = { readonly x: Frames }
/** Standard normal numbers, one for each latent variable. */
export type Noise = { readonly s: Vec<'S'>; readonly z: Tensor<['T', 'Z']> }
export type Posterior = { readonly s: Normal<['S']>; readonly z: Normal<['T', 'Z']> }
export type Draws = { readonly s: Draw<['S']>; readonly z: Draw<['T', 'Z']> }

/** q(s | x_1:T) and q(z_t | x_t). */
export const posterior = (o: Options, p: Guide, x: Frames): Posterior => {
  const { e, h } = vmap(x, frame => encoder(o, p.encoder, frame))
  return { s: identity(o, p.identity, e), z: vmap(h, ht => head(p.pose, ht)) }
}

/** The latents of a group of frames as functions of given noise. */
export const guide = (o: Options, p: Guide, { x }: Data, noise: Noise): Draws => {
  const { s, z } = posterior(o, p, x)
  return { s: draw(s, noise.s), z: draw(z, noise.z) }
}
