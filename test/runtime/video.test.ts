/** Videos in and out: GIFs against another reader and writer, every kind of input, every fault by name, sizes by area. */
import * as E from 'fp-ts/lib/Either.js'
import fc from 'fast-check'
import { zipSync } from 'fflate'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GifReader, GifWriter } from 'omggif'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Refusal } from '../../dsl/errors.ts'
import { encodeGif, encodePictures } from '../../runtime/io/gif.ts'
import { parseGif, type GifFrames } from '../../runtime/io/gif-reader.ts'
import { printNpy, type Outgoing } from '../../runtime/io/npy.ts'
import { printNpz } from '../../runtime/io/npz.ts'
import { fitVideo } from '../../runtime/io/resize.ts'
import { naturally, readVideo, type Video } from '../../runtime/io/video.ts'
import { temporary } from './toy.ts'

const folder = temporary()
const at = (name: string): string => join(folder, name)
const put = (name: string, bytes: Uint8Array | string): string => (writeFileSync(at(name), bytes), at(name))

const gifOf = (bytes: Uint8Array): GifFrames => {
  const read = parseGif(bytes)
  if (E.isLeft(read)) throw new Error(read.left)
  return read.right
}
const problemOf = (bytes: Uint8Array): string => {
  const read = parseGif(bytes)
  return E.isLeft(read) ? read.left : 'accepted'
}
const refusal = (path: string): string => {
  try {
    readVideo(path)
    return 'accepted'
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

/** Pictures of a few colours, or of many, from numbers. */
const picture = (width: number, height: number, colour: (i: number) => number) => {
  const data = new Uint8Array(width * height * 4)
  for (let i = 0; i < width * height; i++) {
    const rgb = colour(i)
    data.set([rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255], 4 * i)
  }
  return { width, height, data }
}
const rgbOf = (data: Uint8Array): readonly number[] => [...data].filter((_, i) => i % 4 !== 3)

const pictures = fc.record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }), frames: fc.integer({ min: 1, max: 4 }),
  colours: fc.integer({ min: 1, max: 256 }), seed: fc.nat() })
  .map(({ width, height, frames, colours, seed }) => Array.from({ length: frames }, (_, t) =>
    picture(width, height, i => ((Math.imul(i * i + 7 * t + seed, 2654435761) >>> 5) % colours) * 0x010305 + (seed & 0xff))))

test('a GIF holds up to 256 colours of all frames exactly; our reader and another see the same', () => {
  fc.assert(fc.property(pictures, all => {
    const bytes = encodePictures(all)
    const { frames, width, height, data } = gifOf(bytes)
    assert.equal([frames, width, height], [all.length, all[0]!.width, all[0]!.height])
    assert.equal([...data], all.flatMap(({ data: each }) => rgbOf(each)))
    const other = new GifReader(bytes)
    all.forEach((each, t) => {
      const pixels = new Uint8Array(each.data.length)
      other.decodeAndBlitFrameRGBA(t, pixels)
      assert.equal(pixels, each.data)
    })
  }), { numRuns: 60 })
})

test('where each frame has at most 256 colours but all together more, each is exact with a palette of its own', () => {
  const all = [0, 1, 2].map(t => picture(16, 16, i => (t << 16) | (i << 8) | t))
  const { data } = gifOf(encodePictures(all))
  assert.equal([...data], all.flatMap(({ data: each }) => rgbOf(each)))
})

test('frames with more colours are quantised: close, and the same bytes every time', () => {
  const all = [0, 1].map(t => picture(64, 64, i => ((i % 64) * 4 << 16) | ((i >> 6) * 4 << 8) | (t * 90)))
  const bytes = encodePictures(all)
  assert.equal(encodePictures(all), bytes)
  const { data } = gifOf(bytes)
  const errors = all.flatMap(({ data: each }) => rgbOf(each)).map((v, i) => Math.abs(v - (data[i] ?? 0)))
  // 4096 colours of a plane on 256: a 16 x 16 grid of cells of 16 levels, whose mean distance to the middle is 4 in two of three channels.
  assert.ok(errors.reduce((a, b) => a + b) / errors.length < 4, 'mean error')
})

test('frames of numbers in [0, 1] become a GIF, enlarged, at a rate', () => {
  const frames = [0, 1, 2].map(t => new Float32Array(3 * 4 * 4).map((_, i) => ((i + t) % 5) / 4))
  const bytes = encodeGif(frames, { side: 4, fps: 4, scale: 3 })
  const { frames: count, width, height, data } = gifOf(bytes)
  assert.equal([count, width, height], [3, 12, 12])
  assert.is(new GifReader(bytes).frameInfo(1).delay, 25)
  for (const [y, x] of [[0, 0], [5, 7], [11, 11]] as const) {
    for (let c = 0; c < 3; c++) {
      assert.is(data[((12 + y) * 12 + x) * 3 + c], Math.round(255 * frames[1]![c * 16 + Math.floor(y / 3) * 4 + Math.floor(x / 3)]!))
    }
  }
  assert.throws(() => encodeGif([], { side: 4 }), /at least one frame/)
  assert.throws(() => encodeGif(frames, { side: 4, fps: 100 }), /0\.01 to 50 frames a second, not 100/)
  assert.throws(() => encodePictures([picture(2, 2, () => 0), picture(2, 3, () => 0)]), /frame 1 of a GIF is 2 x 3, the first is 2 x 2/)
})

const [black, red, green, blue, white] = [0x000000, 0xff0000, 0x00ff00, 0x0000ff, 0xffffff]
type Part = { readonly place: readonly [x: number, y: number, w: number, h: number]; readonly indices: readonly number[]; readonly disposal?: number;
  readonly palette?: number[]; readonly transparent?: number }
/** A 2 x 2 GIF made of parts, by the other writer. */
const layered = (parts: readonly Part[]): Uint8Array => {
  const bytes = new Uint8Array(4096)
  const writer = new GifWriter(bytes, 2, 2, { palette: [black, red, green, blue], loop: 0 })
  for (const { place: [x, y, w, h], indices, ...options } of parts) writer.addFrame(x, y, w, h, [...indices], options)
  return bytes.slice(0, writer.end())
}
const shown = (bytes: Uint8Array): readonly (readonly number[])[] => {
  const { frames, data } = gifOf(bytes)
  return Array.from({ length: frames },
    (_, t) => Array.from({ length: 4 }, (__, i) => (data[(t * 4 + i) * 3]! << 16) | (data[(t * 4 + i) * 3 + 1]! << 8) | data[(t * 4 + i) * 3 + 2]!))
}
const all = [0, 0, 2, 2] as const

test('images lie over one another: places, disposal, transparency, local palettes', () => {
  const first: Part = { place: all, indices: [1, 1, 1, 1] }
  const corner: Part = { place: [1, 1, 1, 1], indices: [2] }
  const other: Part = { place: [0, 0, 1, 1], indices: [3] }
  assert.equal(shown(layered([first, corner, other])), [[red, red, red, red], [red, red, red, green], [blue, red, red, green]])
  assert.equal(shown(layered([first, { ...corner, disposal: 1 }, other]))[2], [blue, red, red, green], 'left as it is')
  assert.equal(shown(layered([first, { ...corner, disposal: 2 }, other]))[2], [blue, red, red, black], 'its place is cleared')
  assert.equal(shown(layered([first, { ...corner, disposal: 3 }, other]))[2], [blue, red, red, red], 'as it was before')
  assert.equal(shown(layered([first, { place: all, indices: [0, 2, 0, 2], transparent: 0 }]))[1], [red, green, red, green],
    'transparent pixels show what is beneath')
  assert.equal(shown(layered([{ place: all, indices: [0, 2, 0, 2], transparent: 0 }]))[0], [black, green, black, green], 'or black, where nothing is')
  assert.equal(shown(layered([first, { ...corner, palette: [black, white] , indices: [1] }, other])),
    [[red, red, red, red], [red, red, red, white], [blue, red, red, white]])
  assert.equal(shown(layered([{ ...corner, transparent: 0, indices: [2] }, first]))[0], [black, black, black, green], 'an image smaller than its screen')
})

test('interlaced rows come to their places', () => {
  const rows = picture(3, 11, i => Math.floor(i / 3) * 0x050505)
  const bytes = encodePictures([rows])
  const order = [0, 8, 4, 2, 6, 10, 1, 3, 5, 7, 9]
  const woven = encodePictures([picture(3, 11, i => order[Math.floor(i / 3)]! * 0x050505)])
  // The image's flags: after its mark 0x2c, place and size.
  const mark = woven.findIndex((byte, i) => byte === 0x2c && woven[i + 5] === 3 && woven[i + 7] === 11)
  woven[mark + 9] = woven[mark + 9]! | 0x40
  assert.equal(gifOf(woven).data, gifOf(bytes).data)
})

test('a GIF that is cut anywhere, or is none, is refused by its fault; damage never goes beyond a refusal', () => {
  const whole = encodePictures([picture(20, 20, i => i * 0x10101), picture(20, 20, i => (400 - i) * 0x101)])
  for (let length = 0; length < whole.length; length++) assert.match(problemOf(whole.slice(0, length)), /cut off/, `cut at ${length}`)
  for (let i = 0; i < whole.length; i++) {
    const changed = whole.slice()
    changed[i] = (changed[i] ?? 0) ^ 0x55
    const read = parseGif(changed, 1e6)
    if (E.isRight(read)) assert.is(read.right.data.length, read.right.frames * read.right.width * read.right.height * 3)
  }
  assert.match(problemOf(new TextEncoder().encode('GIF90a......')), /not a GIF/)
  assert.match(problemOf(Uint8Array.from([...new TextEncoder().encode('GIF89a'), 2, 0, 2, 0, 0, 0, 0, 0x3b])), /it holds no image/)
  assert.match(problemOf(Uint8Array.from([...new TextEncoder().encode('GIF89a'), 2, 0, 0, 0, 0, 0, 0, 0x3b])), /its screen has 2 x 0 pixels/)
  assert.match(problemOf(Uint8Array.from([...new TextEncoder().encode('GIF89a'), 2, 0, 2, 0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 1, 0x44, 0, 0x3b])),
    /an image has no palette/)
  const read = parseGif(whole, 700)
  assert.match(E.isLeft(read) ? read.left : '', /an image of 20 x 20 pixels is too large, or too much beside those before it/)
  // Images count as they are stored: a screen of one pixel does not make them small.
  const tiny = whole.slice()
  tiny.set([1, 0, 1, 0], 6)
  assert.is(gifOf(tiny).frames, 2)
  const many = parseGif(tiny, 700)
  assert.match(E.isLeft(many) ? many.left : '', /an image of 20 x 20 pixels is too large, or too much beside those before it/)
  const wide = whole.slice()
  wide.set([40, 0], 6)
  const more = parseGif(wide, 1500)
  assert.match(E.isLeft(more) ? more.left : '', /more than 1 frames of 40 x 20 pixels/)
})

const png = (width: number, height: number, rgba: (i: number) => readonly number[]): Uint8Array => {
  const image = new PNG({ width, height })
  for (let i = 0; i < width * height; i++) image.data.set(rgba(i), 4 * i)
  return PNG.sync.write(image, { colorType: 6 })
}
const bytesOf = (shape: readonly number[], value: (i: number) => number): Uint8Array => {
  const data = Uint8Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => value(i))
  // Written as NumPy's uint8: the project's own writer has no bytes, but bools are laid out alike.
  return replaced(printNpy({ shape, dtype: 'bool', data }), data)
}
const replaced = (npy: Uint8Array, data: Uint8Array): Uint8Array => {
  const out = npy.slice()
  out.set(new TextEncoder().encode(new TextDecoder('latin1').decode(npy.subarray(10, 128)).replace('|b1', '|u1')), 10)
  out.set(data, out.length - data.length)
  return out
}
const real = (shape: readonly number[], value: (i: number) => number): Outgoing =>
  ({ shape, dtype: 'f32', data: Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => value(i)) })
const shapeOf = ({ frames, height, width }: Video): readonly number[] => [frames, height, width]

test('a GIF and a PNG by what is in them, not by their names; a PNG is laid on black', () => {
  const video = readVideo(put('film.dat', layered([{ place: all, indices: [1, 2, 3, 0] }])))
  assert.equal([shapeOf(video), [...video.data]], [[1, 2, 2], [255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0]])
  const one = readVideo(put('one.gif', png(2, 1, i => (i === 0 ? [10, 20, 30, 255] : [100, 200, 50, 51]))))
  assert.equal([shapeOf(one), [...one.data]], [[1, 1, 2], [10, 20, 30, 20, 40, 10]])
})

test('a folder of PNGs in natural order', () => {
  mkdirSync(at('frames'))
  for (const n of [10, 9, 1, 100]) writeFileSync(at(`frames/f${n}.png`), png(1, 1, () => [n, 0, 0, 255]))
  writeFileSync(at('frames/.hidden.png'), 'no')
  writeFileSync(at('frames/credits.txt'), 'text')
  const video = readVideo(at('frames'))
  assert.equal([shapeOf(video), [...video.data].filter((_, i) => i % 3 === 0)], [[4, 1, 1], [1, 9, 10, 100]])
  assert.equal(['b', 'a10', 'a9', 'a09', 'a', '10', 'a9b'].sort(naturally), ['10', 'a', 'a09', 'a9', 'a9b', 'a10', 'b'])
  // An order: every pair is comparable in one way only.
  fc.assert(fc.property(fc.stringMatching(/^[a0-9]{0,6}$/), fc.stringMatching(/^[a0-9]{0,6}$/), (a, b) => {
    assert.is(Math.sign(naturally(a, b)), -Math.sign(naturally(b, a)) || 0)
    assert.is(naturally(a, b) === 0, a === b)
  }))
})

test('arrays: bytes and real numbers, grey and coloured, channels in front and behind', () => {
  const colour = readVideo(put('a.npy', bytesOf([2, 1, 2, 3], i => i * 20)))
  assert.equal([shapeOf(colour), [...colour.data]], [[2, 1, 2], Array.from({ length: 12 }, (_, i) => i * 20)])
  const grey = readVideo(put('b.npy', bytesOf([2, 1, 2], i => i * 80)))
  assert.equal([shapeOf(grey), [...grey.data]], [[2, 1, 2], [0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240]])
  const planes = readVideo(put('c.npy', printNpy(real([1, 3, 1, 2], i => i / 5))))
  assert.equal([shapeOf(planes), [...planes.data]], [[1, 1, 2], [0, 102, 204, 51, 153, 255]])
  const cube = readVideo(put('d.npy', printNpy(real([3, 3, 3, 3], i => (i % 27 < 9 ? 1 : 0)))))
  assert.equal([...cube.data.slice(0, 3)], [255, 0, 0], 'real numbers: [T, 3, H, W] where both are possible')
})

test('an array [H, W, 3] is one frame of three colours; of any other width its frames are grey', () => {
  const one = readVideo(put('one.npy', bytesOf([2, 4, 3], i => i)))
  assert.equal([shapeOf(one), [...one.data]], [[1, 2, 4], Array.from({ length: 24 }, (_, i) => i)])
  assert.equal(shapeOf(readVideo(put('four.npy', bytesOf([2, 3, 4], () => 0)))), [2, 3, 4])
})

test('an archive: the array x, or the only one that is a video', () => {
  const archive = new Map<string, Outgoing>([['s', real([4], () => 0)], ['first', real([1, 3, 2, 2], () => 0)], ['x', real([2, 3, 2, 2], () => 1)]])
  assert.equal(shapeOf(readVideo(put('e.npz', printNpz(archive)))), [2, 2, 2])
  archive.delete('x')
  assert.equal(shapeOf(readVideo(put('f.npz', printNpz(archive)))), [1, 2, 2])
})

const faults: readonly (readonly [name: string, path: () => string, expected: RegExp])[] = [
  ['no file', () => at('none.gif'), /none\.gif: no such file\n {2}A video is a GIF, a folder of PNGs/],
  ['a path through a file', () => join(put('plain', 'x'), 'y.gif'), /a part of the path is a file/],
  ['an empty file', () => put('empty.gif', ''), /the file is empty/],
  ['text', () => put('text.gif', 'hello, world'), /neither a GIF, a PNG nor an array/],
  ['a film', () => put('film.mp4', '\0\0\0\x18ftypisom....'), /an MP4 or QuickTime film\n[^]*ffmpeg -i '.*film\.mp4' -vf fps=8 '.*film\.gif'$/],
  ['a JPEG', () => put('p.jpg', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0)), /it is a JPEG picture\n.*\n.*mogrify -format png '.*\*\.jpg'$/],
  ['a cut GIF', () => put('cut.gif', encodePictures([picture(9, 9, i => i)]).slice(0, -20)), /not a readable GIF: it is cut off[^]*Write it again/],
  ['an empty folder', () => (mkdirSync(at('void')), at('void')), /the folder is empty/],
  ['a folder of other files', () => (mkdirSync(at('other')), put('other/b.jpg', 'x'), at('other')),
    /the folder holds no PNG, but b\.jpg\n.*\n.*mogrify -format png '.*other\/\*\.jpg'$/],
  ['a folder of a film', () => (mkdirSync(at('reel')), put('reel/b.mov', 'x'), at('reel')),
    /no PNG, but b\.mov\n.*\n.*ffmpeg -i '.*reel\/b\.mov' .*reel\/frame%04d\.png'$/],
  ['a cut PNG', () => put('cut.png', png(9, 9, i => [i, i, i, 255]).slice(0, -30)), /not a readable PNG \(it is cut off\)/],
  ['a PNG that claims to be huge', () => {
    const bytes = png(2, 2, () => [0, 0, 0, 255])
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(16, 1e9)
    return put('huge.png', bytes)
  }, /1 GiB is the most that is read/],
  ['frames of different sizes', () => {
    mkdirSync(at('mixed'))
    put('mixed/1.png', png(2, 2, () => [0, 0, 0, 255]))
    put('mixed/2.png', png(2, 3, () => [0, 0, 0, 255]))
    return at('mixed')
  }, /its frames differ in size: 1\.png is 2 x 2, 2\.png is 2 x 3\n {2}All frames/],
  ['a shape that is no video', () => put('flat.npy', printNpy(real([4, 4], () => 0))), /the array is float32 \[4, 4\], which is no video/],
  ['several videos', () => put('many.npy', printNpy(real([2, 1, 3, 2, 2], () => 0))), /float32 \[2, 1, 3, 2, 2\], which is 2 videos\n {2}Save one of them/],
  ['two channels', () => put('two.npy', bytesOf([2, 4, 4, 2], () => 0)), /uint8 \[2, 4, 4, 2\], which is no video/],
  ['whole numbers that are not bytes', () => put('int.npy', printNpy({ shape: [1, 2, 2, 3], dtype: 'i32', data: new Int32Array(12) })),
    /int32 \[1, 2, 2, 3\]\n.*astype\(numpy\.uint8\)/],
  ['real numbers up to 255', () => put('bright.npy', printNpy(real([1, 3, 1, 1], i => i * 100))), /its element 1 is 100, beyond \[0, 1\]\n {2}.*divide by 255/],
  ['a NaN', () => put('nan.npy', printNpy(real([1, 3, 1, 1], () => NaN))), /its element 0 is NaN, beyond \[0, 1\]/],
  ['no frames', () => put('none.npy', bytesOf([0, 4, 4, 3], () => 0)), /it holds no frames/],
  ['no pixels', () => put('point.npy', bytesOf([2, 0, 4, 3], () => 0)), /it holds no pixels/],
  ['a pickle', () => put('pickle.npy', pickled()), /Python objects \(a pickle\), which is never opened/],
  ['an archive without a video', () => put('no.npz', printNpz(new Map([['s', real([4], () => 0)]]))), /none of its arrays is a video: s float32 \[4\]/],
  ['an archive of two videos, none called x', () =>
    put('two.npz', printNpz(new Map([['a', real([1, 3, 1, 1], () => 0)], ['b', real([2, 2, 2], () => 0)], ['s', real([4], () => 0)]]))),
    /two\.npz: 2 of its arrays may be the video: a float32 \[1, 3, 1, 1\], b float32 \[2, 2, 2\]\n {2}Call the one that is meant x: numpy\.savez\(path, x=a\)/],
  ['an archive whose x is no video', () => put('nox.npz', printNpz(new Map([['x', real([4], () => 0)], ['y', real([1, 3, 1, 1], () => 0)]]))),
    /array "x" is float32 \[4\], which is no video/],
  ['an archive of other things', () => put('zip.npz', zipSync({ 'a.txt': new Uint8Array(3) })), /entry "a\.txt" is not an \.npy array/],
]
const pickled = (): Uint8Array => {
  const header = `{'descr': '|O', 'fortran_order': False, 'shape': (1,), }`
  return Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0, ...new TextEncoder().encode(header), 0])
}
for (const [name, path, expected] of faults) test(`refused: ${name}`, () => assert.match(refusal(path()), expected))

test('frames of the right size stay exactly as they are, each number a byte over 255', () => {
  const data = Uint8Array.from({ length: 2 * 64 * 64 * 3 }, (_, i) => (i * 7) % 256)
  const out = fitVideo({ frames: 2, height: 64, width: 64, data })
  for (let i = 0; i < data.length; i++) {
    const [t, y, x, c] = [Math.floor(i / 12288), Math.floor(i / 192) % 64, Math.floor(i / 3) % 64, i % 3]
    assert.is(out[((t * 3 + c) * 64 + y) * 64 + x], Math.fround((data[i] ?? 0) / 255))
  }
})

test('other sizes: the middle square, each number the mean of the area it covers', () => {
  // 2 x 4: the middle square is columns 1 and 2.
  const wide = fitVideo({ frames: 1, height: 2, width: 4, data: Uint8Array.from([0, 10, 20, 30, 40, 50, 60, 70].flatMap(v => [v, 0, 255])) }, 1)
  assert.equal([...wide], [Math.fround((10 + 20 + 50 + 60) / 4 / 255), 0, 1])
  // 3 to 2: halves of the middle row and column belong to both sides.
  const three = fitVideo({ frames: 1, height: 3, width: 3, data: Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap(v => [v * 9, v * 9, v * 9])) }, 2)
  const mean = (a: number, b: number, c: number, d: number): number => (a * 4 + b * 2 + c * 2 + d) // shares 4 2 2 1 of 9, times 9
  assert.ok([mean(0, 1, 3, 4), mean(2, 1, 5, 4), mean(6, 3, 7, 4), mean(8, 5, 7, 4)].every((v, i) => Math.abs((three[i] ?? 0) * 255 - v) < 1e-4))
  // 1 to 3: every new pixel lies within the old one.
  assert.equal([...fitVideo({ frames: 1, height: 1, width: 1, data: Uint8Array.of(255, 51, 0) }, 3)],
    [...Array(9).fill(1), ...Array(9).fill(Math.fround(0.2)), ...Array(9).fill(0)])
})

test('resizing keeps values in range, constant pictures constant, and the mean of the square', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 70 }), fc.nat(255), fc.nat(),
    (height, width, side, level, seed) => {
    const square = Math.min(height, width)
    const flat = fitVideo({ frames: 1, height, width, data: new Uint8Array(height * width * 3).fill(level) }, side)
    assert.ok(flat.every(v => Math.abs(v - level / 255) < 1e-6))
    const data = Uint8Array.from({ length: square * square * 3 }, (_, i) => Math.imul(i + seed, 2654435761) >>> 24)
    const out = fitVideo({ frames: 1, height: square, width: square, data }, side)
    assert.ok(out.every(v => v >= 0 && v <= 1))
    const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, v) => sum + v / values.length, 0)
    // Rounding of sums to float32 only.
    assert.ok(Math.abs(mean(out) - mean(data) / 255) < 1e-5)
  }), { numRuns: 40 })
})

test.run()
