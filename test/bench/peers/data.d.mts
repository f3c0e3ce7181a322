/** The types of data.mjs, which is plain JavaScript so that other libraries' processes start without a loader. */
export const versionOf: (name: string) => string
export const values: (n: number, seed: number, scale?: number, shift?: number) => Float32Array
export const sampled: (all: ArrayLike<number>) => number[]
type Shape = readonly number[]
export const conv: { readonly x: Shape; readonly w: Shape; readonly y: Shape }
export const vae: readonly (readonly [name: string, shape: Shape])[]
export const sizeOf: (shape: Shape) => number
export const vaeParams: () => Float32Array[]
export const vaeBatch: (batch: number) => { readonly x: Float32Array; readonly eps: Float32Array }
