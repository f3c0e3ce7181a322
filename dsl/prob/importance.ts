/** The importance-weighted bound: several draws of a guide, weighed against each other, are worth more than their mean. */
import { logSumExp } from '../ops/reduce.ts'
import { add, sub } from '../ops/elementwise.ts'
import { shapeOf } from '../ops/border.ts'
import { vmap, type OneLead } from '../combinators.ts'
import type { Same, Shape, Show } from '../shape.ts'
import type { Any, Check, Describe, Scalar, ShapeOf, Then, Vec } from '../tensor.ts'
import type { Listed, Path, Static } from '../tree.ts'
import { logLikelihood } from './distributions.ts'
import type { Distribution, Draw, Floats } from './distributions.ts'
import type { Agree } from './elbo.ts'

/** One text per tensor of the noise N that is not one of E with an axis in front. */
type Unlike<N, E, At extends string> =
  E extends Any
    ? N extends Any
      ? Same<ShapeOf<N>, [ShapeOf<N>[0], ...ShapeOf<E>]> extends true ? never : `${At}${At extends '' ? '' : ' '}is ${Describe<N>}, not ${Show<['K', ...ShapeOf<E>]>}`
    : `${At} is no tensor`
  : E extends Static ? never
  : { [K in keyof E]: K extends keyof N ? Unlike<N[K], E[K], Path<At, K>> : `${Path<At, K>} is missing` }[E extends readonly unknown[] ? number & keyof E : keyof E]
/** null where N is noise E for one number of draws. */
type Several<N, E> = Then<[Unlike<N, E, ''>] extends [never] ? null : `importanceBound: the noise of K draws: ${Listed<Unlike<N, E, ''>>}`, OneLead<'importanceBound', N>>

type SiteRecord = Readonly<Record<string, Distribution<Shape>>>
type Draws = Readonly<Record<string, Draw<Shape, Distribution<Shape>>>>
type Values = Readonly<Record<string, Floats>>

/** log p(data, latents) - log q(latents | data) at one draw. */
const logWeight = (sites: SiteRecord, draws: Draws, data: Values): Scalar => {
  const joint = Object.entries(sites).map(([site, p]) => logLikelihood(p, Object.keys(draws).includes(site) ? draws[site]!.value : data[site]!)).reduce((a, b) => add(a, b))
  const guided = Object.values(draws).map(q => logLikelihood(q.dist, q.value)).reduce((a, b) => add(a, b))
  return sub(joint, guided)
}

/**
 * log(1/K sum_k p(data, latents_k) / q(latents_k | data)) in nats, for K draws of a guide: `noises` is what the guide takes as noise
 * with a leading axis K. Its expected value is a lower bound of log p(data) that never falls with K and tends to log p(data);
 * with K = 1 it is the evidence lower bound, with every divergence taken at the draw. Source: Y. Burda, R. Grosse, R. Salakhutdinov,
 * "Importance Weighted Autoencoders" (2016), Eq. 8 and Theorem 1.
 *
 * Guide and model have to agree as those of `elbo`. Border: the body walks records whose sites it does not know.
 */
export const importanceBound = <P, X, E, G, M, L>(
  guide: (p: P, data: X, noise: E) => G,
  model: Check<Agree<M, G, X, L, 'importanceBound'>, (p: P, latents: L) => M>,
): (<N>(p: P, data: X, noises: Check<Several<N, E>, N>) => Scalar) =>
  (p, data, noises) => {
    const one = (noise: unknown): Scalar => {
      const draws = guide(p, data, noise as E) as unknown as Draws
      const latents = Object.fromEntries(Object.entries(draws).map(([site, q]) => [site, q.value]))
      const sites = (model as unknown as (p: P, latents: unknown) => SiteRecord)(p, latents)
      return logWeight(sites, draws, data as unknown as Values)
    }
    const weights = (vmap as unknown as (xs: unknown, f: (x: unknown) => Scalar) => Vec<'K'>)(noises, one)
    return sub(logSumExp(weights), Math.log(shapeOf(weights)[0]!))
  }
