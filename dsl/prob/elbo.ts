/**
 * The evidence lower bound as a composition of a guide and a model.
 *
 * A guide maps parameters, data and noise to a record of draws, one for each latent site. A model maps parameters and a
 * record of latent values to a record of distributions, one for each site, latent or observed. `elbo(guide, model)`
 * exists only where the sites agree in names and shapes; otherwise its second argument is a message.
 */
import { add, mul, sub } from '../ops/elementwise.ts'
import type { Clash, LooseIn, Same, Shape, Show, ShowLoose } from '../shape.ts'
import type { Check, Scalar, ShapeOf } from '../tensor.ts'
import { divergence, logLikelihood } from './distributions.ts'
import type { Distribution, Draw, ElementsOf, Floats } from './distributions.ts'

// ---- what can be wrong with sites --------------------------------------------------------------------------------
type Site<Op extends string, K extends string, D, G> =
  Same<ElementsOf<D>, ElementsOf<G>> extends true ? Vague<Op, K, ElementsOf<D>> : `${Op}: site ${K} is ${Show<ElementsOf<D>>} in the model, ${Show<ElementsOf<G>>} in the guide${Clash<ElementsOf<D>, ElementsOf<G>>}`
type Datum<Op extends string, K extends string, D, X> =
  Same<ElementsOf<D>, ShapeOf<X>> extends true ? Vague<Op, K, ElementsOf<D>> : `${Op}: site ${K} is ${Show<ElementsOf<D>>} in the model, ${Show<ShapeOf<X>>} in the data${Clash<ElementsOf<D>, ShapeOf<X>>}`
/** never where every dim of a site is one literal */
type Vague<Op extends string, K extends string, S extends Shape> = Same<LooseIn<S>, [true]> extends true ? `${Op}: a dimension of site ${K}, ${ShowLoose<S>}, is not one literal` : never
type Forgotten<M, G, X> = Exclude<keyof M, keyof G | keyof X>
type Extra<M, G> = Exclude<keyof G, keyof M>
type Twice<G, X> = Extract<keyof G, keyof X>
type Mismatched<Op extends string, M, G, X> = { [K in keyof M & string]: K extends keyof G ? Site<Op, K, M[K], G[K]> : K extends keyof X ? Datum<Op, K, M[K], X[K]> : never }[keyof M & string]
type Sites<Op extends string, M, G, X> =
  [Forgotten<M, G, X>] extends [never]
    ? [Extra<M, G>] extends [never]
      ? [Twice<G, X>] extends [never]
        ? [Mismatched<Op, M, G, X>] extends [never] ? null : Mismatched<Op, M, G, X>
        : `${Op}: site ${Twice<G, X> & string} is drawn by the guide and given as data`
      : `${Op}: the guide draws ${Extra<M, G> & string}, which is no site of the model`
    : `${Op}: site ${Forgotten<M, G, X> & string} of the model is neither drawn by the guide nor given as data`
type Reading<Op extends string, L, G> = {
  [K in keyof L & string]: K extends keyof G
    ? Same<ShapeOf<L[K]>, ElementsOf<G[K]>> extends true ? never : `${Op}: the model reads ${K} as ${Show<ShapeOf<L[K]>>}, the guide draws ${Show<ElementsOf<G[K]>>}${Clash<ShapeOf<L[K]>, ElementsOf<G[K]>>}`
    : `${Op}: the model reads ${K}, which the guide does not draw`
}[keyof L & string]
/** null, or the message that says what keeps a model M that reads L, the draws G of a guide and the data X apart. */
export type Agree<M, G, X, L, Op extends string = 'elbo'> =
  Sites<Op, M, G, X> extends infer E ? ([E] extends [null] ? ([Reading<Op, L, G>] extends [never] ? null : Reading<Op, L, G>) : E) : never

// ---- the bound ---------------------------------------------------------------------------------------------------
/** One weight for each latent site: 1 everywhere gives the true bound. */
export type Weights<G> = { readonly [K in keyof G]: Scalar | number }

/** The bound and its parts, in nats. */
export type Elbo<M, G> = {
  /** sum of logLikelihood - sum of weight * kl */
  readonly elbo: Scalar
  /** log p(data | latents) of each observed site. */
  readonly logLikelihood: { readonly [K in Exclude<keyof M, keyof G>]: Scalar }
  /** KL(q || p) of each latent site, without its weight. */
  readonly kl: { readonly [K in keyof G]: Scalar }
  /** What the guide drew: the posteriors, for terms of your own beside the bound. */
  readonly draws: G
}

type SiteRecord = Readonly<Record<string, Distribution<Shape>>>
type Draws = Readonly<Record<string, Draw<Shape, Distribution<Shape>>>>
type Scalars = Readonly<Record<string, Scalar>>

/** What the bound is over records of any sites. */
const bound = (sites: SiteRecord, draws: Draws, data: Readonly<Record<string, Floats>>, weights: Readonly<Record<string, Scalar | number>>) => {
  const kl: Scalars = Object.fromEntries(Object.entries(draws).map(([site, q]) => [site, divergence(q, sites[site]!)]))
  const logLik: Scalars = Object.fromEntries(Object.entries(sites).filter(([site]) => !Object.keys(draws).includes(site)).map(([site, p]) => [site, logLikelihood(p, data[site]!)]))
  const total = Object.values(logLik).reduce((a, b) => add(a, b))
  const penalty = Object.entries(kl).map(([site, k]) => mul(k, weights[site]! as Scalar)).reduce((a, b) => add(a, b))
  return { elbo: sub(total, penalty), logLikelihood: logLik, kl, draws }
}

/**
 * E_q[log p(data | latents)] - sum over latent sites of weight * KL(q || p), estimated at the guide's one draw (Eq. 3).
 * KL is analytic where both sides are normal, log q - log p at the draw elsewhere. The parts come back beside the sum.
 *
 * The body is the one marked border of the probabilistic part: it walks records whose sites it does not know. The types
 * have made sure that they agree.
 */
export const elbo = <P, X, E, G, M, L>(
  guide: (p: P, data: X, noise: E) => G,
  model: Check<Agree<M, G, X, L>, (p: P, latents: L) => M>,
): ((p: P, data: X, noise: E, weights: Weights<NoInfer<G>>) => Elbo<M, G>) =>
  (p, data, noise, weights) => {
    const draws = guide(p, data, noise) as unknown as Draws
    const latents = Object.fromEntries(Object.entries(draws).map(([site, q]) => [site, q.value]))
    const sites = (model as unknown as (p: P, latents: unknown) => SiteRecord)(p, latents)
    return bound(sites, draws, data as unknown as Readonly<Record<string, Floats>>, weights as unknown as Readonly<Record<string, Scalar | number>>) as unknown as Elbo<M, G>
  }
