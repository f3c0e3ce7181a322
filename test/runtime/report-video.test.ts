/** Films of a model of videos: what stands where at which time, in the GIF that is written and in the sheet beside it. */
import * as E from 'fp-ts/lib/Either.js'
import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseGif } from '../../runtime/io/gif-reader.ts'
import { filmFiles, films, type Film, type FilmKind } from '../../runtime/report/video.ts'
import { table, toByte, type Picture } from '../../runtime/report/sheet.ts'
import type { VideoCodec } from '../../runtime/train/codec.ts'

const SIDE = 4
const T = 3
const FRAME = 3 * SIDE * SIDE

/** Flat frames: red says who, green what, blue whether the model made it and how. */
const paint = (who: number, what: readonly number[], blue: number): Float32Array =>
  Float32Array.from({ length: what.length * FRAME }, (_, i) => [who, what[Math.floor(i / FRAME)] ?? 0, blue][Math.floor((i % FRAME) / (SIDE * SIDE))] ?? 0)

const DECODED = 0.2
const GENERATED = 0.6
const CONTINUED = 1

/** s is the red, d the change of green between frames, z the green; a key's first word says who, its second counts the calls. */
const codec: VideoCodec = {
  frames: T,
  side: SIDE,
  encode: x => {
    assert.is(x.length, T * FRAME)
    const green = Array.from({ length: T }, (_, t) => x[t * FRAME + SIDE * SIDE] ?? 0)
    return { s: x.slice(0, 1), d: Float32Array.of((green[1] ?? 0) - (green[0] ?? 0)), z: Float32Array.from(green) }
  },
  decode: (s, z) => paint(s[0] ?? 0, [...z], DECODED),
  generate: key => {
    const z = Float32Array.from({ length: T }, (_, t) => t / 10)
    const s = Float32Array.of(((key[0] ?? 0) % 200) / 255)
    return { s, d: s, z, x: paint(s[0] ?? 0, [...z], GENERATED) }
  },
  continuation: (s, d, z, _key, spread) => {
    assert.is(spread, 0)
    assert.equal([s.length, d.length, z.length], [1, 1, 1])
    const next = Float32Array.from({ length: T }, (_, t) => (z[0] ?? 0) + (t + 1) * (d[0] ?? 0))
    return { z: next, x: paint(s[0] ?? 0, [...next], CONTINUED) }
  },
}

const who = (i: number): number => (i + 1) / 10
const what = (i: number, t: number): number => (i + 1 + t * (i + 1)) / 60
const video = (i: number, frames: number): Float32Array => paint(who(i), Array.from({ length: frames }, (_, t) => what(i, t)), 0)
const videos = (count: number, frames = T): readonly Float32Array[] => Array.from({ length: count }, (_, i) => video(i, frames))

const filmOf = (all: readonly Film[], kind: FilmKind): Film => all.find(film => film.kind === kind) as Film
const drawn = async (kind: FilmKind, x: readonly Float32Array[]): Promise<Film> => filmOf(await films(codec, x, { seed: 1 }), kind)

/** Colour at a place. */
const at = ({ data, width }: Pick<Picture, 'data' | 'width'>, x: number, y: number): readonly number[] =>
  [...data.slice((y * width + x) * 4, (y * width + x) * 4 + 3)]
const colour = (...values: readonly number[]): readonly number[] => values.map(value => toByte(Math.fround(value)))
/** The first pixel of cell i along an axis with gaps of 2, where those cells have a gap of 5 in front. */
const place = (i: number, wide: readonly number[] = [], gap = 2): number =>
  Array.from({ length: i + 1 }, (_, k) => (wide.includes(k) ? 5 : gap)).reduce((sum, each) => sum + each, 0) + i * SIDE

/** The pictures of the GIF of a film. */
const played = (film: Film): readonly Picture[] => {
  const read = parseGif(filmFiles(film).gif)
  if (E.isLeft(read)) throw new Error(read.left)
  const { frames, width, height, data } = read.right
  return Array.from({ length: frames }, (_, t) => ({
    width, height,
    data: Uint8Array.from({ length: width * height * 4 }, (__, i) => (i % 4 === 3 ? 255 : data[(t * width * height + Math.floor(i / 4)) * 3 + (i % 4)] ?? 0)),
  }))
}

const films_ = suite('films')

films_('the four, always in the same bytes; what is played is what was drawn', async () => {
  const all = await films(codec, videos(3), { seed: 1 })
  assert.equal(all.map(({ kind }) => kind), ['reconstruction', 'transfer', 'generate', 'continuation'])
  assert.equal(all.map(({ frames }) => frames.length), [T, T, T, 3 * T])
  for (const [i, film] of (await films(codec, videos(3), { seed: 1 })).entries()) {
    const { gif, png } = filmFiles(film)
    assert.is(Buffer.compare(filmFiles(all[i] as Film).gif, gif), 0)
    assert.is(Buffer.compare(filmFiles(all[i] as Film).png, png), 0)
    played(film).forEach((picture, t) => assert.equal(picture, film.frames[t]))
    const sheet = PNG.sync.read(Buffer.from(png))
    assert.equal([sheet.width, sheet.height], [film.sheet.width, film.sheet.height])
    assert.is(Buffer.compare(sheet.data, film.sheet.data), 0)
  }
})

films_('reconstruction: inputs above, what the model gives back beneath', async () => {
  const film = await drawn('reconstruction', videos(3))
  assert.equal([film.sheet.width, film.sheet.height], [place(T), 6 * SIDE + 5 * 2 + 2 * 5])
  for (let i = 0; i < 3; i++) for (let t = 0; t < T; t++) {
    const picture = film.frames[t] as Picture
    assert.equal(at(picture, place(i), place(0)), colour(who(i), what(i, t), 0))
    assert.equal(at(picture, place(i), place(1)), colour(who(i), what(i, t), DECODED))
    assert.equal(at(film.sheet, place(t), place(2 * i, [2, 4])), colour(who(i), what(i, t), 0))
    assert.equal(at(film.sheet, place(t), place(2 * i + 1, [2, 4])), colour(who(i), what(i, t), DECODED))
  }
})

films_('transfer: cell (i, j) shows who is in video i doing what is done in video j', async () => {
  const film = await drawn('transfer', videos(3))
  const blocks = [3, 6, 9]
  for (let i = 0; i < 3; i++) for (let t = 0; t < T; t++) {
    const picture = film.frames[t] as Picture
    const input = colour(who(i), what(i, t), 0)
    assert.equal(at(picture, place(i + 1, [1]), place(0)), input)
    assert.equal(at(picture, place(0), place(i + 1, [1])), input)
    assert.equal(at(film.sheet, place(3 * (i + 1) + t, blocks), place(0)), input)
    assert.equal(at(film.sheet, place(t), place(i + 1, [1])), input)
    for (let j = 0; j < 3; j++) {
      const made = colour(who(i), what(j, t), DECODED)
      assert.equal(at(picture, place(j + 1, [1]), place(i + 1, [1])), made)
      assert.equal(at(film.sheet, place(3 * (j + 1) + t, blocks), place(i + 1, [1])), made)
    }
  }
  assert.equal(at(film.frames[0] as Picture, place(0), place(0)), at(film.frames[0] as Picture, 0, 0), 'the corner is empty')
})

films_('generation: as many videos as asked for, all different, four in a row; another seed gives others', async () => {
  const film = filmOf(await films(codec, videos(2), { seed: 1, generated: 6 }), 'generate')
  assert.equal([film.frames[0]?.width, film.frames[0]?.height], [place(4), place(2)])
  assert.equal([film.sheet.width, film.sheet.height], [place(T), place(6)])
  const reds = Array.from({ length: 6 }, (_, i) => at(film.sheet, place(0), place(i))[0])
  assert.is(new Set(reds).size, 6)
  for (let i = 0; i < 6; i++) for (let t = 0; t < T; t++) {
    assert.equal(at(film.frames[t] as Picture, place(i % 4), place(Math.floor(i / 4))), at(film.sheet, place(t), place(i)))
    assert.is(at(film.sheet, place(t), place(i))[1], toByte(Math.fround(t / 10)))
  }
  const other = filmOf(await films(codec, videos(2), { seed: 2, generated: 6 }), 'generate')
  assert.not.equal(other.sheet, film.sheet)
})

films_('continuation: the input, then twice as many frames from its last pose on, framed', async () => {
  const film = await drawn('continuation', videos(2))
  const background = at(film.sheet, 0, 0)
  for (let i = 0; i < 2; i++) for (let t = 0; t < 3 * T; t++) {
    const picture = film.frames[t] as Picture
    const [x, y] = [place(i, [], 3), 3]
    const [column, row] = [place(t, [T]), place(i)]
    const wanted = colour(who(i), what(i, t), t < T ? 0 : CONTINUED)
    // Sums of float32 may differ in the last place, which a byte can show.
    const near = (found: readonly number[]): void =>
      found.forEach((value, c) => assert.ok(Math.abs(value - (wanted[c] ?? 0)) <= 1, `${i}, ${t}: ${found} for ${wanted}`))
    near(at(picture, x, y))
    near(at(film.sheet, column, row))
    for (const mark of [at(picture, x - 1, y), at(picture, x, y + SIDE), at(film.sheet, column + 1, row - 1)]) {
      assert.is(mark[0] === 0xff && mark[1] === 0x9a, t >= T, `${i}, ${t}`)
    }
    assert.equal(at(picture, 0, picture.height - 1), t < T ? background : [0xff, 0x9a, 0x1f])
  }
})

films_('continuation: where the data go on, they stand above, unframed, until they end', async () => {
  const film = await drawn('continuation', [video(0, 2 * T), video(1, 5 * T), video(2, T)])
  const background = at(film.sheet, 0, 0)
  const [groups, ends] = [[2, 4], [2 * T, 3 * T, T]]
  for (let i = 0; i < 3; i++) for (let t = 0; t < 3 * T; t++) {
    const [picture, known] = [film.frames[t] as Picture, t < (ends[i] ?? 0)]
    const wanted = known ? colour(who(i), what(i, t), 0) : background
    assert.equal(at(picture, place(i, [], 3), 3), wanted)
    assert.equal(at(film.sheet, place(t, [T]), place(2 * i, groups)), wanted)
    assert.is(at(picture, place(i, [], 3), place(1, [], 3))[2], t < T ? 0 : 255)
    assert.is(at(film.sheet, place(t, [T]), place(2 * i + 1, groups))[2], t < T ? 0 : 255)
  }
})

films_('at most eight videos are read, six in the grid and in roll-outs', async () => {
  const all = await films(codec, videos(9), { seed: 1 })
  assert.is(filmOf(all, 'reconstruction').frames[0]?.width, place(8))
  assert.equal([filmOf(all, 'transfer').frames[0]?.width, filmOf(all, 'transfer').frames[0]?.height], [place(7, [1]), place(7, [1])])
  assert.is(filmOf(all, 'continuation').frames[0]?.width, place(6, [], 3))
})

const styles = suite('tables')

styles('groups of columns stand apart, counted after the head; a frame is as wide as the gap', () => {
  const cell = new Float32Array(FRAME)
  const row = Array.from({ length: 5 }, () => cell)
  const picture = table([row], { side: SIDE, gap: 1, headColumns: 1, columnGroup: 2, frame: (_, c) => (c === 4 ? [9, 8, 7] : undefined) })
  assert.is(picture.width, place(5, [1, 3], 1))
  const left = place(4, [1, 3], 1)
  for (const [x, y] of [[left - 1, 0], [left + SIDE, 0], [left - 1, SIDE + 1], [left + SIDE, SIDE + 1], [left, 0]] as const) {
    assert.equal(at(picture, x, y), [9, 8, 7])
  }
  assert.equal(at(picture, left, 1), [0, 0, 0])
  assert.not.equal(at(picture, left - 2, 0), [9, 8, 7])
})

styles('what is enlarged has every pixel as a square, at whatever place', () => {
  const cell = Float32Array.from({ length: FRAME }, (_, i) => (i % (SIDE * SIDE)) / 255)
  const picture = table([[undefined, cell]], { side: SIDE, scale: 3, gap: 1 })
  for (let y = 0; y < 3 * SIDE; y++) for (let x = 0; x < 3 * SIDE; x++) {
    const value = Math.floor(y / 3) * SIDE + Math.floor(x / 3)
    assert.equal(at(picture, 2 + 3 * SIDE + x, 1 + y), [value, value, value])
  }
})

films_.run()
styles.run()
