/** Distributions, and the evidence lower bound that composes a guide with a model. */
export * from './distributions.ts'
export { elbo } from './elbo.ts'
export type { Agree, Elbo, Weights } from './elbo.ts'
