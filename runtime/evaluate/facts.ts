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

/** A diagonal Gaussian: locations and standard deviations. */
export type Prior = { readonly loc: ArrayLike<number>; readonly scale: ArrayLike<number> }

/** N(0, deviation^2) in so many dimensions. */
export const centred = (width: number, deviation = 1): Prior => ({ loc: new Float64Array(width), scale: new Float64Array(width).fill(deviation) })

/** KL(N(mean, variance) || N(loc, scale^2)) in nats. */
export const klOf = (mean: number, variance: number, loc: number, scale: number): number => {
  const ratio = variance / scale ** 2
  return 0.5 * (ratio + ((mean - loc) / scale) ** 2 - 1 - Math.log(ratio))
}

/** The facts of posteriors under a prior. */
export const factsOf = ({ count, width, loc, scale }: Gaussians, prior: Prior): Facts => {
  const dimension = (j: number): { readonly kl: number; readonly gap: number } => {
    const [at0, spread] = [prior.loc[j] as number, prior.scale[j] as number]
    let [kl, mean, square] = [0, 0, 0]
    for (let at = j; at < loc.length; at += width) {
      const [l, v] = [loc[at] as number, (scale[at] as number) ** 2]
      kl += klOf(l, v, at0, spread) / count
      mean += l / count
      square += (l * l + v) / count
    }
    return { kl, gap: klOf(mean, square - mean * mean, at0, spread) }
  }
  const each = Array.from({ length: width }, (_, j) => dimension(j))
  const kl = each.reduce((sum, d) => sum + d.kl, 0)
  const gap = each.reduce((sum, d) => sum + d.gap, 0)
  return { dimensions: width, kl, active: each.filter(d => d.kl > ACTIVE).length, gap, information: Math.max(0, Math.min(kl - gap, Math.log(count))) }
}
