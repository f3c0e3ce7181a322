/** Distributions, and the lower bounds of the evidence that compose a guide with a model. */
export * from './distributions.ts'
export { elbo } from './elbo.ts'
export type { Agree, Elbo, Weights } from './elbo.ts'
export { importanceBound } from './importance.ts'
