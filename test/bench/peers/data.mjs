// @ts-check
/** The numbers that every library and ourselves are given, and the places at which results are compared. */
import { readFileSync } from 'node:fs'

/** The installed version of a library. @param {string} name @returns {string} */
export const versionOf = name => JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url), 'utf8')).version

/** Between -0.5 and 0.5, by seed. @param {number} n @param {number} seed @param {number} [scale] @param {number} [shift] */
export const values = (n, seed, scale = 1, shift = 0) =>
  Float32Array.from({ length: n }, (_, i) => scale * ((((i + 31 * seed) * 7919) % 1009) / 1009 - 0.5) + shift)

/** 97 elements, spread over the whole. @param {ArrayLike<number>} all */
export const sampled = all => {
  const last = Math.min(96, all.length - 1)
  return Array.from({ length: last + 1 }, (_, i) => Number(all[Math.floor((i * (all.length - 1)) / Math.max(1, last))]))
}

export const conv = { x: [32, 32, 32, 32], w: [64, 32, 4, 4], y: [32, 64, 16, 16] }

/** The parameters of the VAE, in the order of their paths; seeds count from 10. */
export const vae = /** @type {const} */ ([
  ['e1.weight', [32, 3, 4, 4]], ['e1.bias', [32]], ['e2.weight', [64, 32, 4, 4]], ['e2.bias', [64]], ['e3.weight', [128, 64, 4, 4]], ['e3.bias', [128]],
  ['loc.weight', [32, 8192]], ['loc.bias', [32]], ['logVariance.weight', [32, 8192]], ['logVariance.bias', [32]],
  ['d0.weight', [8192, 32]], ['d0.bias', [8192]],
  ['d1.weight', [128, 64, 4, 4]], ['d1.bias', [64]], ['d2.weight', [64, 32, 4, 4]], ['d2.bias', [32]], ['d3.weight', [32, 3, 4, 4]], ['d3.bias', [3]],
])

/** @param {readonly number[]} shape */
export const sizeOf = shape => shape.reduce((n, d) => n * d, 1)

/** Parameters as one list. */
export const vaeParams = () => vae.map(([, shape], i) => values(sizeOf(shape), 10 + i, 0.1))
/** Four images and their noise; a larger batch repeats them, which leaves the mean loss as it is. @param {number} batch */
export const vaeBatch = batch => {
  const [x, eps] = [values(4 * 3 * 64 * 64, 41, 1, 0.5), values(4 * 32, 42)]
  /** @param {Float32Array} some */
  const repeated = some => Float32Array.from({ length: (some.length * batch) / 4 }, (_, i) => some[i % some.length] ?? 0)
  return { x: repeated(x), eps: repeated(eps) }
}
