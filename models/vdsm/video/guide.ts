/** The guide: q(s | x_1:T) q(d | x_1:T) prod_t q(z_t | z_t-1, x_1:T, d), Eq. 2. */
import { vmap } from '../../../dsl/index.ts'
import { draw, type Draw, type Normal } from '../../../dsl/prob/index.ts'
import { linear } from '../../../dsl/nn/index.ts'
import type { Tensor, Vec } from '../../../dsl/tensor.ts'
import type { Options } from '../config.ts'
import { encoder } from '../encoder.ts'
import type { Clip, Data, Guide as FrameGuide } from '../frames/guide.ts'
import { identity, ofNext } from '../heads.ts'
import { poses, type Combiner } from './combiner.ts'
import { contexts, dynamics, type Dynamics, type Sequence } from './dynamics.ts'

export type Guide = FrameGuide & { readonly dynamics: Dynamics; readonly sequence: Sequence; readonly combiner: Combiner }
/** Standard normal numbers, one for each latent variable of a group of P videos. */
export type Noise = { readonly s: Tensor<['P', 'S']>; readonly d: Tensor<['P', 'D']>; readonly z: Tensor<['P', 'T', 'Z']> }
export type Draws = { readonly s: Draw<['P', 'S']>; readonly d: Draw<['P', 'D']>; readonly z: Draw<['P', 'T', 'Z']> }
/** What is inferred of one video: q(s), and d and z drawn. */
export type Inferred = { readonly s: Normal<['S']>; readonly d: Draw<['D']>; readonly z: Draw<['T', 'Z']> }

/**
 * One video. The dynamics see of a frame what stage 1 found to vary within an identity: the location of q(z_t | x_t). The
 * features behind it show the identity as well, and d would carry it.
 */
export const infer = (o: Options, p: Guide, x: Clip, noise: { readonly d: Vec<'D'>; readonly z: Tensor<['T', 'Z']> }): Inferred => {
  const { e, h } = vmap(x, frame => encoder(o, p.encoder, frame))
  const d = draw(dynamics(p.dynamics, vmap(h, ht => linear(p.pose.loc, ht))), noise.d)
  return { s: identity(o, p.identity, e), d, z: poses(p.combiner, contexts(p.sequence, d.value), d.value, noise.z) }
}

/** The latents of a group as functions of given noise: each part's s from the next part, its d and z from its own frames. */
export const guide = (o: Options, p: Guide, { x }: Data, noise: Noise): Draws => {
  const { s, d, z } = vmap({ x, eps: { d: noise.d, z: noise.z } }, part => infer(o, p, part.x, part.eps))
  return { s: draw(ofNext(s), noise.s), d, z }
}
