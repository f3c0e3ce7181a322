/** Videos of one's own: GIFs, folders of PNGs and arrays in one sub-folder per identity, and every fault by its file. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sequencesText } from '../../runtime/commands/opening-lines.ts'
import { FRAME, SIDE, type DataSet, type Split } from '../../runtime/data/dataset.ts'
import { openData } from '../../runtime/data/open.ts'
import { ownVideos } from '../../runtime/data/own-videos.ts'
import { upTo } from '../../runtime/data/source.ts'
import { heldOutOf } from '../../runtime/evaluate/split.ts'
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

/** The actions (videos) of an identity in a split. */
const videosOf = (data: DataSet, split: Split, identity: number): readonly number[] =>
  upTo(data.sequences[split]).map(index => data.labels(split, index)).filter(each => each.identity === identity).map(({ action }) => action)

/** A folder of one-frame videos: so many for each identity, named a, b, ... */
const folderOf = (...counts: readonly number[]): string => {
  const place = temporary()
  counts.forEach((count, identity) => upTo(count).forEach(v =>
    put(join(place, String.fromCharCode(97 + identity), `${v}.npy`), npy([1, 2, 2], new Uint8Array(4).fill(10 * identity + v)))))
  return place
}

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
      assert.is(own[0] !== own[1], videosOf(data, 'train', identity).length > 1)
      tones(x.subarray(b * 6 * FRAME, (b + 1) * 6 * FRAME))
    }
  }
  assert.match(refusal(() => data.batch({ split: 'train', groups: 1, frames: 4, seed: 0, step: 0, order: 'sequence' })).message,
    /4 consecutive frames were asked for, .*(b\.npz|1\.gif) has only 3\n.*Take this sequence out/)
  assert.is(data.batch({ split: 'train', groups: 2, frames: 16, seed: 0, step: 0 }).x.length, 32 * FRAME)
})

test('of few identities videos are held out: some of each that has three, never an only one; none is in both splits', () => {
  const checked = (counts: readonly number[], heldOut: readonly number[]): string => {
    const data = open(folderOf(...counts))
    assert.is(heldOutOf(data), 'takes')
    assert.equal(data.identities, { train: upTo(counts.length), heldOut: upTo(counts.length).filter(id => (heldOut[id] ?? 0) > 0) })
    counts.forEach((count, id) => {
      const [learnt, held] = [videosOf(data, 'train', id), videosOf(data, 'heldOut', id)]
      assert.is(held.length, heldOut[id])
      assert.equal([...learnt, ...held].sort((a, b) => a - b), upTo(count))
    })
    for (const split of ['train', 'heldOut'] as const) {
      const { labels } = data.batch({ split, groups: 4, parts: 2, frames: 1, seed: 0, step: 0 })
      labels.identity.forEach((id, b) => [0, 1].forEach(p => assert.ok(videosOf(data, split, id).includes(labels.action[2 * b + p] ?? -1))))
      data.batch({ split, groups: 4, frames: 4, seed: 0, step: 0 })
    }
    return sequencesText(data)
  }
  assert.match(checked([3, 3, 3], [1, 1, 1]), /^6 sequences, 3 held out: a\/\d\.npy, b\/\d\.npy, c\/\d\.npy$/)
  assert.match(checked([1, 20, 2, 4], [0, 2, 0, 1]), /^24 sequences, 3 held out: b\/\d+\.npy, b\/\d+\.npy, d\/\d\.npy$/)
  assert.match(checked([3, 3, 3, 3, 3], [1, 1, 1, 1, 1]), /^10 sequences, 5 held out: a\/\d\.npy, b\/\d\.npy, c\/\d\.npy and 2 more$/)
  const [one, two] = [open(folderOf(1, 2)), open(folderOf(2, 2, 2))]
  assert.equal([one.sequences, one.identities.heldOut], [{ train: 2, heldOut: 1 }, [1]])
  assert.equal([two.sequences, two.identities.heldOut.length], [{ train: 5, heldOut: 1 }, 1])
  assert.equal(open(folderOf(3, 3, 3)).batch({ split: 'heldOut', groups: 3, frames: 1, seed: 0, step: 0 }),
    open(folderOf(3, 3, 3)).batch({ split: 'heldOut', groups: 3, frames: 1, seed: 0, step: 0 }))
})

test('whole identities are held out where there are twenty, or where each has one video; the opening line names them', () => {
  const [many, single] = [open(folderOf(...upTo(20).map(() => 3))), open(folderOf(1, 1, 1))]
  assert.equal([many, single].map(heldOutOf), ['identities', 'identities'])
  assert.equal([many.sequences, single.sequences], [{ train: 54, heldOut: 6 }, { train: 2, heldOut: 1 }])
  assert.match(sequencesText(many), /^54 sequences, 6 held out: identities [a-t], [a-t]$/)
  assert.match(sequencesText(single), /^2 sequences, 1 held out: identity [abc]$/)
  const fake = { sequences: { train: 9, heldOut: 5 }, identities: { train: [5, 6], heldOut: [0, 1, 2, 3, 4] } }
  assert.is(sequencesText({ ...fake, identityName: id => `p${id}` }), '9 sequences, 5 held out: identities p0, p1, p2 and 2 more')
  assert.is(sequencesText(fake), '9 sequences, 5 held out, of 5 other identities')
  assert.is(sequencesText({ sequences: { train: 1, heldOut: 1 }, identities: { train: [0], heldOut: [0] } }), '1 sequence, 1 held out, of the same 1 identity')
})

test('files of other kinds are left out, and one line says so', () => {
  assert.equal(open(folder).notes, ['left out: cleo/notes.txt (only GIF, PNG folders, npy, npz are read; convert them, e.g. with ffmpeg)'])
  assert.equal(open(folderOf(1, 1)).notes, [])
  const place = folderOf(2, 2)
  for (const name of ['a/clip.mp4', 'a/b.jpg', 'b/c.mov', 'b/.hidden']) put(join(place, name), Uint8Array.of(1))
  assert.match(open(place).notes.join('\n'), /^left out: a\/b\.jpg and 2 more \([^\n]*ffmpeg\)$/)
  put(join(place, 'loose.gif'), Uint8Array.of(1))
  assert.is(open(place).notes[1], 'left out: loose.gif (videos are read from the sub-folders of identities)')
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
  const others = (...names: readonly string[]) => (path: string): void => {
    rmSync(join(path, 'cleo'), { recursive: true })
    names.forEach(name => put(join(path, 'cleo', name), Uint8Array.of(1)))
  }
  assert.match(broken(others('talk/1.JPG', 'talk/2.JPG')),
    /talk: the folder holds no PNG, but 2 other files, such as 1\.JPG\n.*\n.*mogrify -format png '.*talk\/\*\.JPG'$/)
  assert.match(broken(others('talk.mp4')),
    /cleo: no video is in this folder, but talk\.mp4\n.*\n.*ffmpeg -i '.*cleo\/talk\.mp4' -vf fps=8 '.*cleo\/talk\.gif'$/)
  assert.match(refusal(() => open(folder).requireFrames(9, { one: 9, two: 2, three: 3, four: 4 })).message,
    /9 consecutive frames were asked for, .*(b\.npz|1\.gif) has only 3\n {2}Take this sequence out, or[^\n]*\n {2}So few frames are enough for three \(3\), two \(2\)\.$/)
})

test.run()
