/** Videos of one's own: GIFs, folders of PNGs and arrays in one sub-folder per identity, and every fault by its file. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FRAME, SIDE, type DataSet } from '../../runtime/data/dataset.ts'
import { openData } from '../../runtime/data/open.ts'
import { ownVideos } from '../../runtime/data/own-videos.ts'
import { upTo } from '../../runtime/data/source.ts'
import { encodePictures } from '../../runtime/io/gif.ts'
import type { Picture } from '../../runtime/report/sheet.ts'
import { npy, refusal, writeNpz } from './support/arrays.ts'
import { temporary } from './toy.ts'

/** A picture of one grey, red outside its middle square. */
const grey = (value: number, width: number, height: number): Picture => {
  const data = new Uint8Array(width * height * 4)
  const side = Math.min(width, height)
  const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)]
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const within = x >= left && x < left + side && y >= top && y < top + side
    data.set(within ? [value, value, value, 255] : [255, 0, 0, 255], (y * width + x) * 4)
  }
  return { width, height, data }
}

const put = (path: string, bytes: Uint8Array): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}
const png = (picture: Picture): Uint8Array => {
  const out = new PNG({ width: picture.width, height: picture.height })
  out.data.set(picture.data)
  return PNG.sync.write(out)
}

/** Three people; video v of person p has frames of grey 60 p + 20 v + t. */
const makeFolder = (): string => {
  const folder = temporary()
  put(join(folder, 'anna', 'wave.gif'), encodePictures(upTo(4).map(t => grey(t, 96, 64))))
  upTo(12).forEach(t => put(join(folder, 'anna', 'run', `frame${t}.png`), png(grey(20 + t, 40, 100))))
  put(join(folder, 'ben', 'a.npy'), npy([5, 64, 64, 3], Uint8Array.from({ length: 5 * FRAME }, (_, i) => 60 + Math.floor(i / FRAME))))
  writeNpz(join(folder, 'ben', 'b.npz'), { x: npy([3, 128, 128], Uint8Array.from({ length: 3 * 128 * 128 }, (_, i) => 80 + Math.floor(i / 128 / 128))) })
  put(join(folder, 'cleo', '1.gif'), encodePictures(upTo(3).map(t => grey(120 + t, 64, 64))))
  put(join(folder, 'cleo', 'notes.txt'), Uint8Array.of(1))
  put(join(folder, '.hidden', 'x.txt'), Uint8Array.of(1))
  put(join(folder, 'readme.md'), Uint8Array.of(1))
  return folder
}
const folder = makeFolder()
const open = (path: string): DataSet => openData({ name: 'folder', splitSeed: 0, folder: path })
/** The grey of every frame; each frame must be of one colour: the red margin is cut off. */
const tones = (x: Float32Array): readonly number[] => upTo(x.length / FRAME).map(t => {
  const frame = x.subarray(t * FRAME, (t + 1) * FRAME)
  assert.is(new Set(frame).size, 1)
  return Math.round((frame[0] ?? 0) * 255)
})

test('every kind of video, of any size; each an action of its identity; names in natural order', () => {
  const data = open(folder)
  assert.equal([data.frames, data.actions, data.factors, data.identities.heldOut.length], [3, [], [], 1])
  const seen = (['train', 'heldOut'] as const).flatMap(split => upTo(data.sequences[split]).map(index => {
    const { identity, action, take, frames } = data.labels(split, index)
    return [60 * identity + 20 * action, take, tones(data.clip(split, index, frames).x)] as const
  }))
  // anna's folder run comes before wave.gif; the clip says which video it is.
  const firsts = [[20, 0, 12], [0, 20, 4], [60, 60, 5], [80, 80, 3], [120, 120, 3]] as const
  assert.equal(seen.map(([, take, [first]]) => [take, first]).sort((a, b) => (a[1] ?? 0) - (b[1] ?? 0)),
    firsts.map(([first]) => [0, first]).sort((a, b) => (a[1] ?? 0) - (b[1] ?? 0)))
  for (const [place, , values] of seen) {
    const found = firsts.find(([first]) => first === values[0])
    assert.is(place, found?.[1] === 20 ? 20 : found?.[0] === 20 ? 0 : found?.[0])
    assert.equal(values, upTo(found?.[2] ?? 0).map(t => (found?.[0] ?? 0) + t))
  }
})

test('parts come from different videos where there are any; batches repeat, also where little is kept', () => {
  const data = open(folder)
  const poor = ownVideos({ folder, keptBytes: 1 })
  for (let step = 0; step < 6; step++) {
    const request = { split: 'train', groups: 2, parts: 2, frames: 3, seed: 0, step, order: 'sequence' } as const
    const { x, labels } = data.batch(request)
    assert.equal(poor.batch(request).x, x)
    for (const [b, identity] of labels.identity.entries()) {
      const own = [0, 3].map(t => labels.action[b * 6 + t])
      assert.is(own[0] !== own[1], identity !== 2, 'cleo has one video alone')
      tones(x.subarray(b * 6 * FRAME, (b + 1) * 6 * FRAME))
    }
  }
  assert.match(refusal(() => data.batch({ split: 'train', groups: 1, frames: 4, seed: 0, step: 0, order: 'sequence' })).message,
    /4 consecutive frames were asked for, .*(b\.npz|1\.gif) has only 3\n.*Take this sequence out/)
  assert.is(data.batch({ split: 'train', groups: 2, frames: 16, seed: 0, step: 0 }).x.length, 32 * FRAME)
})

test('a square is averaged by area', () => {
  const place = temporary()
  // 128 x 128 of stripes, one column of 0 and one of 200: every pixel of 64 x 64 covers one of each.
  const stripes = Uint8Array.from({ length: 2 * 128 * 128 * 3 }, (_, i) => (Math.floor(i / 3) % 2) * 200)
  for (const name of ['a', 'b']) put(join(place, name, 'x.npy'), npy([2, 128, 128, 3], stripes))
  const { x } = open(place).clip('train', 0, 2)
  assert.ok(x.every(v => Math.abs(v - 100 / 255) < 1e-6))
})

test('faults name the file', () => {
  const at = (path: string): string => refusal(() => open(path)).message
  const broken = (change: (path: string) => void): string => {
    const place = temporary()
    cpSync(folder, place, { recursive: true })
    change(place)
    return at(place)
  }
  assert.match(at(join(folder, 'nowhere')), /nowhere: there is no such folder\n.*one sub-folder per identity/)
  assert.match(at(join(folder, 'readme.md')), /readme\.md: it is a file, not a folder/)
  assert.match(at(join(folder, 'cleo')), /no sub-folder is in it/)
  assert.match(broken(path => ['ben', 'cleo'].forEach(name => rmSync(join(path, name), { recursive: true }))),
    /only one sub-folder is in it; two identities are needed/)
  assert.match(broken(path => rmSync(join(path, 'cleo', '1.gif'))), /cleo: no video is in this folder, but notes\.txt/)
  assert.match(broken(path => writeFileSync(join(path, 'cleo', '1.gif'), encodePictures([grey(1, 64, 64)]).subarray(0, 30))), /1\.gif: not a readable GIF/)
  assert.match(broken(path => writeFileSync(join(path, 'ben', 'a.npy'), npy([3], new Uint8Array(3), '|O'))), /a\.npy: an array of Python objects/)
  assert.match(broken(path => writeFileSync(join(path, 'anna', 'run', 'frame3.png'), png(grey(0, 64, 64)))), /run: its frames differ in size/)
  assert.match(broken(path => writeFileSync(join(path, 'ben', 'loose.png'), png(grey(0, SIDE, SIDE)))),
    /loose\.png: a PNG lies directly in the folder of an identity/)
})

test.run()
