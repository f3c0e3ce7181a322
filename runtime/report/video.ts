/**
 * What a model of videos does with held-out ones, as films: pictures to be played, and a sheet that shows the same at one
 * glance. Four of them: reconstructions beneath their inputs, the action-transfer grid, videos from the
 * priors, and roll-outs beyond the end of the input. The same model, videos and seed give the same bytes.
 */
import { keyOf, PURPOSE } from '../data/random.ts'
import { encodePictures } from '../io/gif.ts'
import type { Latents, VideoCodec } from '../train/codec.ts'
import { encodePng, table, type Cell, type Ink, type Picture, type TableStyle } from './sheet.ts'

export type FilmKind = 'reconstruction' | 'transfer' | 'generate' | 'continuation'
export type Film = { readonly kind: FilmKind; readonly frames: readonly Picture[]; readonly sheet: Picture }

/** A video with the latents of its first T frames, and these as the model gives them back. */
type Clip = { readonly x: Float32Array; readonly latents: Latents; readonly means: Float32Array }

type Rows = readonly (readonly Cell[])[]

export type FilmOptions = {
  /** Decides what is drawn at random. */
  readonly seed: number
  /** Videos from the priors. Default 12. */
  readonly generated?: number
  /** Noise of the transitions in roll-outs: 0, the default, follows the means. */
  readonly spread?: number
}

/** How many videos each film shows at most. */
const MOST = { reconstruction: 8, transfer: 6, continuation: 6 } as const
/** Videos from the priors side by side. */
const COLUMNS = 4
/** Moments of a transfer that its sheet shows. */
const MOMENTS = 4
/** A roll-out is so many times as long as its input. */
const BEYOND = 2
/** Around what the model made itself, after the end of the input. */
const MADE: Ink = [0xff, 0x9a, 0x1f]

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

const frameSize = (codec: VideoCodec): number => 3 * codec.side * codec.side

/** Frame t of a video, as a view; nothing where the video is over. */
const frameAt = (codec: VideoCodec, x: Float32Array, t: number): Cell => {
  const size = frameSize(codec)
  return (t + 1) * size <= x.length ? x.subarray(t * size, (t + 1) * size) : undefined
}

const framesAt = (codec: VideoCodec, x: Float32Array, places: readonly number[]): readonly Cell[] => places.map(t => frameAt(codec, x, t))

/** The pictures of a film: `rows` says what stands where at a time. */
const playing = (count: number, rows: (t: number) => Rows, style: TableStyle | ((t: number) => TableStyle)): readonly Picture[] =>
  upTo(count).map(t => table(rows(t), typeof style === 'function' ? style(t) : style))

const read = async (codec: VideoCodec, x: Float32Array): Promise<Clip> => {
  const latents = await codec.encode(x.slice(0, codec.frames * frameSize(codec)))
  return { x, latents, means: await codec.decode(latents.s, latents.z) }
}

/** Inputs, and beneath each what the model gives back. The sheet has two rows a video: the input, and the model's frames. */
const reconstruction = (codec: VideoCodec, clips: readonly Clip[]): Film => {
  const { frames: count, side } = codec
  const every = upTo(count)
  return {
    kind: 'reconstruction',
    frames: playing(count, t => [clips.map(({ x }) => frameAt(codec, x, t)), clips.map(({ means }) => frameAt(codec, means, t))], { side }),
    sheet: table(clips.flatMap(({ x, means }) => [framesAt(codec, x, every), framesAt(codec, means, every)]), { side, group: 2 }),
  }
}

/** At most MOMENTS places in n frames, from the first to the last. */
const momentsOf = (n: number): readonly number[] => {
  const count = Math.min(n, MOMENTS)
  return upTo(count).map(k => (count === 1 ? 0 : Math.round((k * (n - 1)) / (count - 1))))
}

/**
 * The transfer grid. First row and first column: the inputs; cell (i, j) has s of row i and z of column j, which is what
 * video j does (z follows from its d). Rows share who, columns share what. In the sheet each cell is a few moments of it.
 */
const transfer = async (codec: VideoCodec, clips: readonly Clip[]): Promise<Film> => {
  const { side } = codec
  const made = await Promise.all(clips.map(who => Promise.all(clips.map(what => codec.decode(who.latents.s, what.latents.z)))))
  /** The grid where each cell is a strip of these moments. */
  const grid = (moments: readonly number[]): Rows => [
    [...moments.map(() => undefined), ...clips.flatMap(({ x }) => framesAt(codec, x, moments))],
    ...clips.map(({ x }, i) => [...framesAt(codec, x, moments), ...(made[i] ?? []).flatMap(video => framesAt(codec, video, moments))]),
  ]
  const moments = momentsOf(codec.frames)
  return {
    kind: 'transfer',
    frames: playing(codec.frames, t => grid([t]), { side, headRows: 1, headColumns: 1 }),
    sheet: table(grid(moments), { side, headRows: 1, headColumns: moments.length, columnGroup: moments.length }),
  }
}

const key = (seed: number, ...path: readonly number[]): Uint32Array => Uint32Array.from(keyOf(seed, PURPOSE.pictures, ...path))

/** Videos from the priors; in the sheet one is a row. */
const generate = async (codec: VideoCodec, { seed, generated = 12 }: FilmOptions): Promise<Film> => {
  const { frames: count, side } = codec
  const videos = (await Promise.all(upTo(generated).map(i => codec.generate(key(seed, 0, i))))).map(({ x }) => x)
  const lines = upTo(Math.ceil(generated / COLUMNS)).map(row => videos.slice(row * COLUMNS, (row + 1) * COLUMNS))
  return {
    kind: 'generate',
    frames: playing(count, t => lines.map(line => line.map(x => frameAt(codec, x, t))), { side }),
    sheet: table(videos.map(x => framesAt(codec, x, upTo(count))), { side }),
  }
}

/** The first T frames of a video and BEYOND * T more, each T of them from the last pose before them. */
const rollOut = async (codec: VideoCodec, { x, latents: { s, d, z } }: Clip, video: number, { seed, spread = 0 }: FilmOptions): Promise<Float32Array> => {
  const block = codec.frames * frameSize(codec)
  const poseSize = z.length / codec.frames
  const out = new Float32Array((1 + BEYOND) * block)
  out.set(x.subarray(0, block))
  let last = z.slice(-poseSize)
  for (const part of upTo(BEYOND)) {
    const next = await codec.continuation(s, d, last, key(seed, 1, video, part), spread)
    out.set(next.x, (1 + part) * block)
    last = next.z.slice(-poseSize)
  }
  return out
}

/**
 * Roll-outs: a video up to frame T, then what the model makes of it, framed in MADE. Where the data go on after T, they
 * stand above.
 */
const continuation = async (codec: VideoCodec, clips: readonly Clip[], options: FilmOptions): Promise<Film> => {
  const { frames: given, side } = codec
  const total = (1 + BEYOND) * given
  const made = await Promise.all(clips.map((clip, i) => rollOut(codec, clip, i, options)))
  const known = clips.some(({ x }) => x.length > given * frameSize(codec))
  const rowsOf = (above: readonly Cell[], own: readonly Cell[]): Rows => (known ? [above, own] : [own])
  const isOwn = (row: number): boolean => !known || row % 2 === 1
  const frame = (row: number, t: number): Ink | undefined => (isOwn(row) && t >= given ? MADE : undefined)
  return {
    kind: 'continuation',
    frames: playing(
      total,
      t => rowsOf(clips.map(({ x }) => frameAt(codec, x, t)), made.map(x => frameAt(codec, x, t))),
      t => ({ side, gap: 3, frame: row => frame(row, t) }),
    ),
    sheet: table(
      clips.flatMap(({ x }, i) => rowsOf(framesAt(codec, x, upTo(total)), framesAt(codec, made[i] ?? x, upTo(total)))),
      { side, headColumns: given, frame, ...(known ? { group: 2 } : {}) },
    ),
  }
}

/**
 * All films of a model. `videos` are held-out ones of different identities and actions, each [n, 3, side, side] with n at
 * least T; what they show beyond T frames stands above the roll-outs, for comparison. Six to eight are enough.
 */
export const films = async (codec: VideoCodec, videos: readonly Float32Array[], options: FilmOptions): Promise<readonly Film[]> => {
  const clips = await Promise.all(videos.slice(0, Math.max(...Object.values(MOST))).map(x => read(codec, x)))
  return [
    reconstruction(codec, clips.slice(0, MOST.reconstruction)),
    await transfer(codec, clips.slice(0, MOST.transfer)),
    await generate(codec, options),
    await continuation(codec, clips.slice(0, MOST.continuation), options),
  ]
}

/** The files of a film: an animated GIF, and its sheet as a PNG. */
export const filmFiles = ({ frames, sheet }: Film, fps = 8): { readonly gif: Uint8Array; readonly png: Uint8Array } =>
  ({ gif: encodePictures(frames, fps, 'all'), png: encodePng(sheet) })
