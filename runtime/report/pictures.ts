/**
 * The two pictures of a trained first stage, from the programs `encode` and `decode` given as functions:
 * reconstructions beside their inputs, and the identity/pose swap grid (paper, Fig. 8).
 */
import { table, type Cell, type Picture } from './sheet.ts'

/** A tensor on the host. */
export type Values = { readonly shape: readonly number[]; readonly data: Float32Array }

/** A value, or one that is still to come. */
export type Awaitable<A> = A | Promise<A>

/** What the pictures need of a model; all batches have the model's own fixed [B, T, ...] shape. */
export type Codec = {
  /** x [B, T, 3, H, W] -> locations of s [B, S] and z [B, T, Z]. */
  readonly encode: (x: Float32Array) => Awaitable<{ readonly s: Values; readonly z: Values }>
  /** s [B, S], z [B, T, Z] -> means [B, T, 3, H, W]. */
  readonly decode: (s: Float32Array, z: Float32Array) => Awaitable<Float32Array>
}

export type BatchShape = { readonly groups: number; readonly frames: number; readonly side: number }

const frameSize = (shape: BatchShape): number => 3 * shape.side * shape.side

/** Frame t of group b of a [B, T, 3, side, side] batch, as a view. */
export const frameOf = (x: Float32Array, shape: BatchShape, b: number, t: number): Float32Array => {
  const size = frameSize(shape)
  const at = (b * shape.frames + t) * size
  return x.subarray(at, at + size)
}

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** Pairs of rows: the frames of a group, and beneath them the model's means for them. At most `most` groups. */
export const reconstructionSheet = (x: Float32Array, means: Float32Array, shape: BatchShape, most = 6): Picture => {
  const row = (from: Float32Array, b: number): readonly Cell[] => upTo(Math.min(12, shape.frames)).map(t => frameOf(from, shape, b, t))
  const rows = upTo(Math.min(most, shape.groups)).flatMap(b => [row(x, b), row(means, b)])
  return table(rows, { side: shape.side, group: 2 })
}

/** Frame t of group b with s and z of that very frame's group: the plain reconstruction, through encode and decode. */
export const reconstruct = async (codec: Codec, x: Float32Array): Promise<Float32Array> => {
  const { s, z } = await codec.encode(x)
  return codec.decode(s.data, z.data)
}

/**
 * Which frames give their pose: one per column, each from another group where there are enough, at places spread over
 * the group's frames so that both of its actions appear.
 */
export const poseSources = (shape: BatchShape): readonly { readonly group: number; readonly frame: number }[] =>
  upTo(shape.frames).map(j => ({ group: (shape.groups - 1 - (j % shape.groups) + shape.groups) % shape.groups, frame: (j * 5 + Math.floor(shape.frames / 2)) % shape.frames }))

/**
 * The swap grid. First row: the frames that give the pose; first column: the frames that give the identity; cell (i, j) is
 * decode(s of i, z of j). Rows share who, columns share what if the model separates the two.
 */
export const swapGrid = async (codec: Codec, x: Float32Array, shape: BatchShape, most = 8): Promise<Picture> => {
  const { s, z } = await codec.encode(x)
  const sizeZ = z.shape[z.shape.length - 1] ?? 1
  const poses = poseSources(shape)
  const mixed = new Float32Array(z.data.length)
  for (let b = 0; b < shape.groups; b++) {
    poses.forEach(({ group, frame }, j) => {
      const from = (group * shape.frames + frame) * sizeZ
      mixed.set(z.data.subarray(from, from + sizeZ), (b * shape.frames + j) * sizeZ)
    })
  }
  const means = await codec.decode(s.data, mixed)
  const head: readonly Cell[] = [undefined, ...poses.map(({ group, frame }) => frameOf(x, shape, group, frame))]
  const body = upTo(Math.min(most, shape.groups)).map((b): readonly Cell[] => [frameOf(x, shape, b, 0), ...poses.map((_, j) => frameOf(means, shape, b, j))])
  return table([head, ...body], { side: shape.side, headRows: 1, headColumns: 1 })
}
