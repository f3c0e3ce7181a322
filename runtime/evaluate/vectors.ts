/** Embeddings as the host holds them: a Gaussian for each sequence, draws from it, and rows of features for probes. */
import { normals, type Stream } from '../data/random.ts'

/** `count` diagonal Gaussians over `width` variables: locations and standard deviations, each [count, width]. */
export type Gaussians = { readonly count: number; readonly width: number; readonly loc: Float32Array; readonly scale: Float32Array }

/** `count` rows of `width` features, [count, width], and the class of each row. */
export type Rows = { readonly count: number; readonly width: number; readonly x: Float32Array; readonly label: Int32Array }

const repeated = <A extends Float32Array | Int32Array>(make: (n: number) => A, data: A, times: number): A => {
  const out = make(data.length * times)
  for (let i = 0; i < times; i++) out.set(data, i * data.length)
  return out
}

/** The locations as features. */
export const locations = ({ count, width, loc }: Gaussians, label: Int32Array): Rows => ({ count, width, x: loc, label })

/** `times` draws from every Gaussian as features. */
export const draws = ({ count, width, loc, scale }: Gaussians, label: Int32Array, times: number, s: Stream): Rows => {
  const x = normals(times * count * width, s)
  for (let i = 0; i < x.length; i++) x[i] = (loc[i % loc.length] as number) + (scale[i % loc.length] as number) * (x[i] as number)
  return { count: times * count, width, x, label: repeated(n => new Int32Array(n), label, times) }
}

/** The Gaussians of some sequences, in that order. */
export const pickGaussians = ({ width, loc, scale }: Gaussians, indices: readonly number[]): Gaussians => {
  const pick = (from: Float32Array): Float32Array => {
    const out = new Float32Array(indices.length * width)
    indices.forEach((index, i) => out.set(from.subarray(index * width, (index + 1) * width), i * width))
    return out
  }
  return { count: indices.length, width, loc: pick(loc), scale: pick(scale) }
}

/** Mean and standard deviation of every column; a deviation that is rounding beside its mean is 0. */
export type Moments = { readonly mean: Float64Array; readonly deviation: Float64Array }

/** Some units in the last place of float32. */
const ROUNDING = 1e-6

export const momentsOf = (x: Float32Array, width: number): Moments => {
  const count = x.length / width
  const mean = new Float64Array(width)
  const square = new Float64Array(width)
  for (let i = 0; i < x.length; i++) mean[i % width]! += (x[i] as number) / count
  for (let i = 0; i < x.length; i++) square[i % width]! += ((x[i] as number) - (mean[i % width] as number)) ** 2 / count
  return { mean, deviation: square.map((v, j) => (Math.sqrt(v) > ROUNDING * Math.abs(mean[j] as number) ? Math.sqrt(v) : 0)) }
}

/** A map of features: (x - mean) / deviation, then the inverse of the lower triangle `factor` [width, width]. */
export type Whitening = Moments & { readonly factor: Float64Array }

/** Directions with less than this share of a standardised feature's variance are not blown up to full size: they are rounding. */
const RIDGE = 1e-6

/** The lower triangle L with L L^T = a [n, n] (Cholesky). */
const choleskyOf = (a: Float64Array, n: number): Float64Array => {
  const l = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j] as number
      for (let k = 0; k < j; k++) sum -= (l[i * n + k] as number) * (l[j * n + k] as number)
      l[i * n + j] = i === j ? Math.sqrt(sum) : sum / (l[j * n + j] as number)
    }
  }
  return l
}

/**
 * The map after which the columns have mean 0, variance 1 and no correlation. A linear probe can read the same before and
 * after, but learns it in a tenth of the steps.
 */
export const whiteningOf = ({ count, width, x }: Rows): Whitening => {
  const { mean, deviation } = momentsOf(x, width)
  const correlation = new Float64Array(width * width)
  const row = new Float64Array(width)
  for (let at = 0; at < x.length; at += width) {
    for (let j = 0; j < width; j++) row[j] = (deviation[j] as number) > 0 ? ((x[at + j] as number) - (mean[j] as number)) / (deviation[j] as number) : 0
    for (let i = 0; i < width; i++) for (let j = 0; j <= i; j++) correlation[i * width + j]! += ((row[i] as number) * (row[j] as number)) / count
  }
  for (let i = 0; i < width; i++) correlation[i * width + i]! += RIDGE
  return { mean, deviation, factor: choleskyOf(correlation, width) }
}

/** The rows, whitened and padded with zeros to `padded` columns. A column that did not vary becomes zeros. */
export const whitened = ({ count, width, x, label }: Rows, { mean, deviation, factor }: Whitening, padded: number): Rows => {
  const out = new Float32Array(count * padded)
  const y = new Float64Array(width)
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < width; i++) {
      const spread = deviation[i] as number
      let v = spread > 0 ? ((x[row * width + i] as number) - (mean[i] as number)) / spread : 0
      for (let j = 0; j < i; j++) v -= (factor[i * width + j] as number) * (y[j] as number)
      y[i] = v / (factor[i * width + i] as number)
    }
    out.set(y, row * padded)
  }
  return { count, width: padded, x: out, label }
}
