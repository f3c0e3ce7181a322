/** What is known of a latent variable from its posteriors alone: what they cost, and how far their mixture is from the prior. All in nats. */
import type { Gaussians } from './vectors.ts'

export type Facts = {
  readonly dimensions: number
  /** Mean KL(q(v | x) || p(v)): what v may say of x at most. */
  readonly kl: number
  /** Dimensions whose mean KL exceeds 0.1. */
  readonly active: number
  /**
   * KL(N(m, w) || p(v)), m and w the mean and variance of the mixture of all posteriors, dimension by dimension, summed: 0 where
   * draws from the prior look like inferred values, as far as two moments can tell. Never above the KL of the mixture itself.
   */
  readonly gap: number
  /** The larger part of `kl` that can be about x: kl - gap is a bound from above, so is the logarithm of the number of posteriors. */
  readonly information: number
}

const ACTIVE = 0.1

/** KL(N(mean, variance) || N(0, deviation^2)) in nats. */
export const klToPrior = (mean: number, variance: number, deviation: number): number => {
  const ratio = variance / deviation ** 2
  return 0.5 * (ratio + (mean / deviation) ** 2 - 1 - Math.log(ratio))
}

/** The facts of posteriors under the prior N(0, deviation^2). */
export const factsOf = ({ count, width, loc, scale }: Gaussians, deviation: number): Facts => {
  const dimension = (j: number): { readonly kl: number; readonly gap: number } => {
    let [kl, mean, square] = [0, 0, 0]
    for (let at = j; at < loc.length; at += width) {
      const [l, v] = [loc[at] as number, (scale[at] as number) ** 2]
      kl += klToPrior(l, v, deviation) / count
      mean += l / count
      square += (l * l + v) / count
    }
    return { kl, gap: klToPrior(mean, square - mean * mean, deviation) }
  }
  const each = Array.from({ length: width }, (_, j) => dimension(j))
  const kl = each.reduce((sum, d) => sum + d.kl, 0)
  const gap = each.reduce((sum, d) => sum + d.gap, 0)
  return { dimensions: width, kl, active: each.filter(d => d.kl > ACTIVE).length, gap, information: Math.max(0, Math.min(kl - gap, Math.log(count))) }
}
