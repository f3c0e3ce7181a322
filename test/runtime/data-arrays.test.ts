/** Data sets in arrays: sprites with labels in every form that is read, converted MUG sequences, and every fault by file and array. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FRAME, SIDE, type DataSet } from '../../runtime/data/dataset.ts'
import { openData } from '../../runtime/data/open.ts'
import { upTo } from '../../runtime/data/source.ts'
import { ints, npy, refusal, writeNpz } from './support/arrays.ts'
import { temporary } from './toy.ts'

const folderWith = (files: Readonly<Record<string, Uint8Array>>): string => {
  const folder = temporary()
  Object.entries(files).forEach(([name, bytes]) => writeFileSync(join(folder, name), bytes))
  return folder
}

/** Bytes [count, frames, height, width, channels]; every value of a frame is 10 n + t, plus 100 in the second channel. */
const bytesOf = (count: number, frames: number, height: number, width: number, channels: number): Uint8Array => {
  const size = height * width * channels
  return Uint8Array.from({ length: count * frames * size },
    (_, i) => 10 * Math.floor(i / (frames * size)) + (Math.floor(i / size) % frames) + (i % channels === 1 ? 100 : 0))
}
const videos = (count: number, frames: number, height = SIDE, width = SIDE, channels = 3): Uint8Array =>
  npy([count, frames, height, width, channels], bytesOf(count, frames, height, width, channels))

/** Of every sequence of a split: what its first frame says, identity, action, factors. */
const all = (data: DataSet): readonly (readonly [number, number, number, Readonly<Record<string, number>>])[] =>
  (['train', 'heldOut'] as const).flatMap(split => upTo(data.sequences[split]).map(index => {
    const { x, identity, action, factors } = data.clip(split, index, 1)
    return [Math.floor(Math.round((x[0] ?? 0) * 255) / 10), identity, action, factors] as const
  })).sort((a, b) => a[0] - b[0])

const sprites = (folder: string): DataSet => openData({ name: 'sprites', splitSeed: 0, folder })
const refused = (files: Readonly<Record<string, Uint8Array>>): string => refusal(() => sprites(folderWith(files))).message

const labelled = suite('arrays with labels')

labelled('an archive: identity, action and factors', () => {
  for (const packed of [false, true]) {
    const folder = temporary()
    writeNpz(join(folder, 'a.npz'),
      { frames: videos(6, 4), identity: ints(7, 7, 3, 3, 9, 9), action: ints(2, 5, 2, 5, 2, 2), hair: ints(0, 0, 4, 4, 0, 0) }, packed)
    for (const place of [folder, join(folder, 'a.npz')]) {
      const data = sprites(place)
      assert.equal(data.actions, ['action 2', 'action 5'])
      assert.equal(data.factors, [{ name: 'hair', values: ['0', '4'] }])
      assert.equal(all(data),
        [[0, 1, 0, { hair: 0 }], [1, 1, 1, { hair: 0 }], [2, 0, 0, { hair: 1 }], [3, 0, 1, { hair: 1 }], [4, 2, 0, { hair: 0 }], [5, 2, 0, { hair: 0 }]])
      assert.equal([data.sequences.train + data.sequences.heldOut, data.sequences.heldOut, data.identities.heldOut.length], [6, 1, 1])
      const { x } = data.clip('train', 1, 2, 2)
      const own = Math.round((x[0] ?? 0) * 255)
      assert.is(own % 10, 2)
      assert.equal([x[SIDE * SIDE], x[FRAME]].map(v => Math.round((v ?? 0) * 255)), [own + 100, own + 1])
      assert.match(data.credit ?? '', /CC-BY-SA/)
    }
  }
})

labelled('several archives are one set; without identity, equal factors make one; without labels, each sequence is one', () => {
  const folder = temporary()
  writeNpz(join(folder, 'part2.npz'), { x: videos(2, 3), body: ints(1, 0), hair: ints(1, 1) })
  writeNpz(join(folder, 'part10.npz'), { x: videos(2, 3), body: ints(0, 1), hair: ints(1, 1) })
  const data = sprites(folder)
  assert.equal(new Set(all(data).map(([, identity, , { body }]) => `${identity} ${body}`)), new Set(['0 1', '1 0']))
  assert.equal([data.actions, data.factors.map(({ name }) => name), data.sequences], [[], ['body', 'hair'], { train: 3, heldOut: 1 }])
  const bare = sprites(folderWith({ 'x.npy': videos(5, 3) }))
  assert.equal(all(bare).map(([n, identity]) => [n, identity]), upTo(5).map(n => [n, n]))
  writeNpz(join(folder, 'part3.npz'), { x: videos(2, 3), body: ints(1, 0) })
  assert.match(refusal(() => sprites(folder)).message, /part3\.npz: has no labels "hair", other files have them/)
})

labelled('one file per action, attributes one-hot by frame; real numbers; other sizes; grey', () => {
  // Two attributes of three values: sequence n has (n % 3, 2), the same in each of its 4 frames.
  const attributes = (count: number): Uint8Array => npy([count, 4, 2, 3], Float64Array.from({ length: count * 24 }, (_, i) => {
    const [n, a, v] = [Math.floor(i / 24), Math.floor(i / 3) % 2, i % 3]
    return v === (a === 0 ? n % 3 : 2) ? 1 : 0
  }))
  const real = npy([6, 4, 20, 32, 1], Float32Array.from(bytesOf(6, 4, 20, 32, 1), v => v / 255))
  const data = sprites(folderWith({
    'walk_front_frames_train.npy': videos(6, 4), 'walk_front_attributes_train.npy': attributes(6),
    'walk_front_frames_test.npy': videos(3, 4), 'walk_front_attributes_test.npy': attributes(3),
    'slash_frames_train.npy': real, 'slash_attributes_train.npy': attributes(6), 'readme.txt': Uint8Array.of(1),
  }))
  assert.equal(data.actions, ['slash', 'walk front'])
  assert.equal(data.factors, [{ name: 'attribute 1', values: ['0', '1', '2'] }, { name: 'attribute 2', values: ['2'] }])
  assert.equal([data.identities.train.length, data.identities.heldOut.length, data.sequences], [3, 3, { train: 12, heldOut: 3 }], 'one of the five of each')
  for (const [n, identity, , factors] of all(data)) assert.equal([identity, factors], [n % 3, { 'attribute 1': n % 3, 'attribute 2': 0 }])
  const grey = upTo(data.sequences.train).map(index => data.clip('train', index, 4)).find(({ action }) => action === 0)
  const tones = [0, 1, 2, 3].map(t => Math.round((grey?.x[t * FRAME] ?? 0) * 255) % 10)
  assert.equal(tones, [0, 1, 2, 3])
  assert.equal(new Set(grey?.x.subarray(0, FRAME)).size, 1)
})

labelled('faults name file and array', () => {
  const frames = videos(3, 2, 4, 4)
  assert.match(refused({ 'x.npy': frames, 'hair.npy': ints(1, 2) }), /hair\.npy: 2 labels for 3 sequences\n.*Expected one array of frames/)
  assert.match(refused({ 'x.npy': frames, 'hair.npy': ints(1, -2, 0) }), /hair\.npy: label 1 is -2; labels are whole numbers/)
  assert.match(refused({ 'x.npy': frames, 'hair.npy': npy([3, 2], new Int32Array(6)) }), /hair\.npy: holds int32 \[3, 2\], which are neither frames nor labels/)
  assert.match(refused({ 'x.npy': frames, 'y.npy': frames }), /2 arrays of frames \(five axes\) among: x\.npy uint8 \[3, 2, 4, 4, 3\], y\.npy/)
  assert.match(refused({ 'hair.npy': ints(1, 2) }), /no array of frames \(five axes\) among: hair\.npy int32 \[2\]/)
  assert.match(refused({ 'x.npy': frames, 'identity.npy': ints(0, 0, 1), 'hair.npy': ints(0, 1, 1) }),
    /factor hair differs between the sequences 0 and 1, which are of one identity/)
  assert.match(refused({ 'x.npy': frames, 'identity.npy': ints(4, 4, 4) }), /all sequences are of one identity; two identities are needed/)
  assert.match(refused({ 'x.npy': videos(3, 2, 4, 4, 2) }), /x\.npy: holds uint8 \[3, 2, 4, 4, 2\]; the last axis has 3 colours or 1/)
  assert.match(refused({ 'x.npy': frames.subarray(0, 200) }), /x\.npy: truncated/)
  assert.match(refused({ 'x.npz': Uint8Array.from([80, 75, 3, 4, 5, 6]) }), /x\.npz: a damaged or truncated zip archive/)
  assert.match(refusal(() => openData({ name: 'sprites', splitSeed: 0, frameChoice: 'paper', folder: folderWith({ 'x.npy': frames }) })).message,
    /--frame-choice means nothing to arrays/)
  const draw = (array: Uint8Array): string => refusal(() => sprites(folderWith({ 'x.npy': array })).clip('train', 0, 1)).message
  assert.match(draw(npy([3, 2, 4, 4, 3], new Float32Array(288).fill(7))), /x\.npy: its element \d+ is 7; pixels of type float32 lie in \[0, 1\]/)
  assert.match(draw(npy([3, 2, 4, 4, 3], new Int32Array(288))), /its elements are int32; pixels are bytes/)
  assert.match(draw(npy([3, 2, 4, 4, 3], new Uint8Array(288), '|u1', 'True')), /its elements lie in Fortran order/)
})

const faces = suite('mug')

const LENGTHS = [5, 3, 4, 6, 3, 3, 8, 3, 3, 3, 3, 4] as const
/** Twelve sequences of three people, as numpy.savez writes them: eleven comes after two. */
const converted = (folder: string, packed = false, labels?: Uint8Array): string => {
  mkdirSync(folder, { recursive: true })
  const arrays = LENGTHS.map((frames, n) =>
    [`arr_${n}`, npy([frames, 112, 112, 3], Uint8Array.from({ length: frames * 112 * 112 * 3 }, (_, i) => 10 * n + Math.floor(i / (112 * 112 * 3))))] as const)
  writeNpz(join(folder, 'sequences.npz'), Object.fromEntries([...arrays].reverse()), packed)
  writeNpz(join(folder, 'labels.npz'), { arr_0: labels ?? npy([12, 2], Int32Array.from(LENGTHS.flatMap((_, n) => [[20, 5, 11][n % 3] ?? 0, 1 + (n % 2)]))) })
  return folder
}
const mug = (folder: string): DataSet => openData({ name: 'mug', splitSeed: 0, folder })

faces('sequences of their own lengths, labels by row; of three people, sequences are held out', () => {
  for (const packed of [false, true]) {
    const data = mug(converted(temporary(), packed))
    assert.equal([data.frames, data.actions, data.factors, data.identities.heldOut.length, data.sequences],
      [3, ['action 1', 'action 2'], [], 3, { train: 9, heldOut: 3 }])
    assert.equal([0, 1, 2].map(identity => data.identityName?.(identity)), ['5', '11', '20'])
    for (const [n, identity, action] of all(data)) assert.equal([identity, action], [[2, 0, 1][n % 3], n % 2])
    for (let index = 0; index < 9; index++) {
      const { frames } = data.labels('train', index)
      const { x } = data.clip('train', index, frames)
      const first = Math.round((x[0] ?? 0) * 255)
      assert.equal(upTo(frames).map(t => Math.round((x[t * FRAME + 5000] ?? 0) * 255)), upTo(frames).map(t => first + t))
      assert.is(frames, LENGTHS[first / 10])
    }
    const { labels } = data.batch({ split: 'train', groups: 2, parts: 2, frames: 3, seed: 0, step: 0, order: 'sequence' })
    assert.equal(new Set(labels.identity).size, 2)
    assert.match(refusal(() => data.requireFrames(4)).message, /4 consecutive frames were asked for, .*array "arr_1" has only 3/)
  }
})

faces('pickles are refused with the conversion; faults name file and array', () => {
  const at = (folder: string): string => refusal(() => mug(folder)).message
  const folder = temporary()
  assert.match(at(folder), /no \.npz archive of sequences is in this folder/)
  const pickle = npy([12], new Uint8Array(12), '|O')
  writeNpz(join(folder, 'MUG_0-255_OF_112x112_color.npz'), { arr_0: pickle })
  assert.match(at(folder), /array "arr_0": an array of Python objects \(a pickle\)[^]*allow_pickle=True[^]*np\.savez\('converted\/sequences\.npz', \*\[np\.asarray\(s, np\.uint8\) for s in a\]\)[^]*--data-dir converted/)
  const good = converted(join(folder, 'good'))
  assert.is(mug(join(good, 'sequences.npz')).sequences.train, 9)
  writeNpz(join(good, 'labels.npz'), { arr_0: pickle })
  assert.match(at(good), /labels\.npz, array "arr_0": an array of Python objects[^]*converted/)
  writeNpz(join(good, 'labels.npz'), { arr_0: npy([11, 2], new Int32Array(22)) })
  assert.match(at(good), /labels\.npz, array "arr_0": holds int32 \[11, 2\]; 12 sequences need labels \[12, 2\]/)
  writeNpz(join(good, 'labels.npz'), { arr_0: npy([12, 2], new Float32Array(24).fill(0.5)) })
  assert.match(at(good), /row 0 has 0\.5; labels are whole numbers/)
  writeNpz(join(good, 'sequences.npz'), { a: npy([3, 112, 112], new Uint8Array(3 * 112 * 112)) })
  writeNpz(join(good, 'labels.npz'), { arr_0: npy([1, 2], new Int32Array(2)) })
  assert.match(at(good), /array "a": holds uint8 \[3, 112, 112\]; a sequence is uint8 \[T, 112, 112, 3\]/)
  assert.match(at(join(folder, 'nowhere')), /nowhere: there is no such file or folder/)
})

labelled.run()
faces.run()
