/** Pictures: layout and bytes of contact sheets, what stands where in the swap grid, and the loss curve. */
import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { curve, ticks, tickText } from '../../runtime/report/curve.ts'
import { drawText, TEXT_HEIGHT, textWidth } from '../../runtime/report/numerals.ts'
import { frameOf, poseSources, reconstructionSheet, swapGrid, type Codec } from '../../runtime/report/pictures.ts'
import { firstNames, plural } from '../../runtime/report/words.ts'
import { encodePng, table, toByte, type Picture } from '../../runtime/report/sheet.ts'

const pixel = (picture: Picture, x: number, y: number): readonly number[] => [...picture.data.slice((y * picture.width + x) * 4, (y * picture.width + x) * 4 + 4)]
const flat = (side: number, ...rgb: readonly number[]): Float32Array => Float32Array.from({ length: 3 * side * side }, (_, i) => rgb[Math.floor(i / (side * side))] ?? 0)

const sheets = suite('contact sheets')

sheets('cells stand where they should; gaps and empty cells show the background', () => {
  const picture = table([[flat(4, 1, 0, 0), undefined], [flat(4, 0, 1, 0), flat(4, 0, 0, 0.5)]], { side: 4, scale: 2, gap: 1 })
  assert.equal([picture.width, picture.height], [1 + 8 + 1 + 8 + 1, 19])
  assert.equal(pixel(picture, 1, 1), [255, 0, 0, 255])
  assert.equal(pixel(picture, 8, 17), [0, 255, 0, 255])
  assert.equal(pixel(picture, 10, 10), [0, 0, 128, 255])
  const background = pixel(picture, 0, 0)
  assert.equal(pixel(picture, 9, 10), background)
  assert.equal(pixel(picture, 12, 3), background)
})

sheets('heads and groups stand apart', () => {
  const row = [flat(4, 1, 1, 1), flat(4, 1, 1, 1), flat(4, 1, 1, 1)]
  const head = table([row, row, row], { side: 4, gap: 1, headRows: 1, headColumns: 1 })
  assert.equal([head.width, head.height], [1 + 4 + 5 + 4 + 1 + 4 + 1, 20])
  assert.is(table([row, row, row, row], { side: 4, gap: 1, group: 2 }).height, 1 + 4 + 1 + 4 + 5 + 4 + 1 + 4 + 1)
})

sheets('values become bytes: rounded, clamped, NaN is black', () => {
  assert.equal([0, 1, 0.5, -3, 7, NaN, 127.4 / 255].map(toByte), [0, 255, 128, 0, 255, 0, 127])
})

sheets('PNG: what is written is what is read, and the same picture gives the same bytes', () => {
  const picture = table([[flat(4, 0.2, 0.4, 0.6)]], { side: 4 })
  const bytes = encodePng(picture)
  const back = PNG.sync.read(Buffer.from(bytes))
  assert.equal([back.width, back.height], [picture.width, picture.height])
  assert.is(Buffer.compare(back.data, Buffer.from(picture.data)), 0)
  assert.is(Buffer.compare(Buffer.from(bytes), Buffer.from(encodePng(picture))), 0)
})

const shape = { groups: 3, frames: 4, side: 4 }
const FRAME = 3 * 16
/** Frames whose red is the group's and whose green is the frame's; s is the red, z the green, the decoder paints (s, z). */
const x = Float32Array.from({ length: 3 * 4 * FRAME }, (_, i) => {
  const [n, c] = [Math.floor(i / FRAME), Math.floor((i % FRAME) / 16)]
  return c === 0 ? (1 + Math.floor(n / 4)) / 4 : c === 1 ? (1 + n % 4 + 4 * Math.floor(n / 4)) / 20 : 0
})
const codec: Codec = {
  encode: given => ({
    s: { shape: [3, 1], data: Float32Array.from({ length: 3 }, (_, b) => frameOf(given, shape, b, 0)[0]!) },
    z: { shape: [3, 4, 1], data: Float32Array.from({ length: 12 }, (_, n) => frameOf(given, shape, Math.floor(n / 4), n % 4)[16]!) },
  }),
  decode: (s, z) => Float32Array.from({ length: 12 * FRAME }, (_, i) => {
    const [n, c] = [Math.floor(i / FRAME), Math.floor((i % FRAME) / 16)]
    return c === 0 ? s[Math.floor(n / 4)]! : c === 1 ? z[n]! : 0
  }),
}

const grids = suite('grids')

grids('swap grid: cell (i, j) has the identity of row i and the pose of column j', async () => {
  const picture = await swapGrid(codec, x, shape)
  const poses = poseSources(shape)
  assert.is(new Set(poses.map(({ group, frame }) => `${group} ${frame}`)).size, 4)
  const place = (i: number): number => (i === 0 ? 2 : 2 + 4 + 5 + (i - 1) * 6)
  const at = (row: number, column: number): readonly number[] => pixel(picture, place(column), place(row)).slice(0, 2)
  const red = (b: number): number => toByte((1 + b) / 4)
  const green = (b: number, t: number): number => toByte((1 + t + 4 * b) / 20)
  poses.forEach(({ group, frame }, j) => assert.equal(at(0, j + 1), [red(group), green(group, frame)]))
  for (let b = 0; b < 3; b++) {
    assert.equal(at(b + 1, 0), [red(b), green(b, 0)])
    poses.forEach(({ group, frame }, j) => assert.equal(at(b + 1, j + 1), [red(b), green(group, frame)]))
  }
})

grids('pose sources: as many as frames, all different, from several groups', () => {
  for (const [groups, frames] of [[16, 8], [20, 16], [2, 2], [1, 4], [7, 5]] as const) {
    const sources = poseSources({ groups, frames, side: 64 })
    assert.is(sources.length, frames)
    assert.is(new Set(sources.map(({ group, frame }) => `${group} ${frame}`)).size, frames)
    sources.forEach(({ group, frame }) => assert.ok(group >= 0 && group < groups && frame >= 0 && frame < frames))
    assert.is(new Set(sources.map(({ group }) => group)).size, Math.min(groups, frames))
  }
})

grids('reconstructions stand beneath their inputs', () => {
  const means = x.map(v => 1 - v)
  const picture = reconstructionSheet(x, means, shape, 2)
  assert.is(picture.height, 2 + 4 + 2 + 4 + 5 + 4 + 2 + 4 + 2)
  assert.equal(pixel(picture, 2, 2)[0], 64)
  assert.equal(pixel(picture, 2, 8)[0], 191)
  assert.equal(pixel(picture, 2, 17)[0], 128)
})

grids('the loss curve falls where the loss falls', () => {
  const picture = curve(Array.from({ length: 100 }, (_, i) => ({ step: i + 1, value: i === 50 ? NaN : 100 - i })))
  const inked = (x: number): number => { for (let y = 0; y < picture.height; y++) if (pixel(picture, x, y)[2] === 0xb4) return y; return -1 }
  assert.ok(inked(70) >= 0 && inked(70) < inked(240) && inked(240) < inked(600))
  curve([])
  curve([{ step: 3, value: 1 }])
})

grids('numbers on axes: round, within the axis, written short', () => {
  assert.equal(ticks(930, 7800, 6), [2000, 4000, 6000])
  assert.equal(ticks(1, 3, 8, 1), [1, 2, 3], 'steps are whole')
  assert.equal(ticks(-0.0012, 0.0063, 6), [0, 0.002, 0.004, 0.006])
  assert.equal(ticks(5, 5, 6), [5])
  for (const [low, high] of [[0, 1], [-3, 0.1], [1e-9, 3e-9], [12, 8000], [4723, 5424], [1e6, 3e7]] as const) {
    const found = ticks(low, high, 6)
    assert.ok(found.length >= 2 && found.length <= 7 && found.every(value => value >= low && value <= high), `${low} ${high}: ${found}`)
  }
  assert.equal([0, -120, 0.002, 120000, 1.5e9, 2e-9].map(tickText), ['0', '-120', '0.002', '120000', '1.5e9', '2e-9'])
})

grids('every character of a number has its pixels, within its place; the numbers of a curve are on it', () => {
  const shapes = [...'0123456789-.e'].map(character => {
    const inked: string[] = []
    drawText(character, (x, y) => {
      assert.ok(x >= 0 && x < textWidth(character) && y >= 0 && y < TEXT_HEIGHT)
      inked.push(`${x} ${y}`)
    })
    return inked.sort().join()
  })
  assert.ok(shapes.every(Boolean) && new Set(shapes).size === shapes.length)
  const picture = curve([{ step: 1, value: 10 }, { step: 9, value: 20 }])
  const inks = (x0: number, x1: number, y0: number, y1: number): boolean => {
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) if (pixel(picture, x, y)[0] === 0x30) return true
    return false
  }
  assert.ok(inks(0, 40, 0, 280) && inks(40, 640, 290, 320))
  assert.not(inks(60, 640, 0, 280))
})

grids('words follow numbers', () => {
  assert.equal([plural(1, 'part'), plural(992, 'part'), plural(2, 'identity', 'identities')], ['1 part', '992 parts', '2 identities'])
  assert.equal([firstNames(2, String), firstNames(5, String)], ['0, 1', '0, 1, 2 and 2 more'])
})

sheets.run()
grids.run()
