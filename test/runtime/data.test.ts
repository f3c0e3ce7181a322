/** Data sets: splits, exactness of batches, the pendulum's physics and drawing, LPC sheets made on the fly, and every refusal. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { print, Refusal } from '../../dsl/errors.ts'
import { checkPixels, FRAME, SIDE, splitIndices, type BatchRequest } from '../../runtime/data/dataset.ts'
import { openData } from '../../runtime/data/open.ts'
import { COLOURS, drawPendulum, pendulum, swing } from '../../runtime/data/pendulum.ts'
import { keyOf, shuffled, stream } from '../../runtime/data/random.ts'
import { sprites } from '../../runtime/data/sprites.ts'

const refusal = (f: () => unknown): Refusal => {
  try {
    f()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const request = (more: Partial<BatchRequest> = {}): BatchRequest => ({ split: 'train', groups: 4, frames: 6, seed: 3, step: 5, ...more })

const random = suite('random')

random('a stream is a function of its path', () => {
  const draw = (...path: number[]): readonly number[] => { const s = stream(...path); return [s.bits(), s.bits(), s.below(10), s.uniform()] }
  assert.equal(draw(1, 2), draw(1, 2))
  assert.not.equal(draw(1, 2), draw(2, 1))
  assert.not.equal(draw(1), draw(1, 0))
  assert.not.equal(keyOf(2 ** 32 + 1), keyOf(1))
})

random('below is uniform: chi-square of 6,000 draws of a die', () => {
  const counts = [0, 0, 0, 0, 0, 0]
  const s = stream(7)
  for (let i = 0; i < 6000; i++) counts[s.below(6)]! += 1
  const chi = counts.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0)
  assert.ok(chi < 20.5, `chi-square ${chi} (0.1% point of 5 degrees of freedom is 20.5)`)
})

random('shuffled is a permutation', () => {
  const items = Array.from({ length: 50 }, (_, i) => i)
  const out = shuffled(items, stream(1))
  assert.not.equal(out, items)
  assert.equal([...out].sort((a, b) => a - b), items)
})

const batches = suite('batches')

batches('splits are disjoint, complete, deterministic, and differ by seed', () => {
  const a = splitIndices(1120, 0.1, 0)
  assert.is(a.heldOut.length, 112)
  assert.equal([...a.train, ...a.heldOut].sort((x, y) => x - y), Array.from({ length: 1120 }, (_, i) => i))
  assert.equal(a, splitIndices(1120, 0.1, 0))
  assert.not.equal(a.heldOut, splitIndices(1120, 0.1, 1).heldOut)
  assert.is(splitIndices(2, 0, 0).heldOut.length, 1)
  assert.is(splitIndices(2, 1, 0).train.length, 1)
})

batches('a batch depends on (split, seed, step) only', () => {
  const [a, b] = [pendulum(), pendulum()]
  const first = a.batch(request())
  a.batch(request({ step: 6 }))
  assert.equal(a.batch(request()).x, first.x)
  assert.equal(b.batch(request()), first)
  assert.not.equal(a.batch(request({ step: 6 })).x, first.x)
  assert.not.equal(a.batch(request({ seed: 4 })).x, first.x)
  assert.not.equal(a.batch(request({ split: 'heldOut' })).x, first.x)
  assert.equal(first.shape, [4, 1, 6, 3, 64, 64])
})

batches('a batch is written where it is asked to be, over whatever was there', () => {
  const into = new Float32Array(4 * 6 * FRAME).fill(7)
  const { x } = pendulum().batch(request({ into }))
  assert.is(x, into)
  assert.equal(x, pendulum().batch(request()).x)
  const { failure } = refusal(() => pendulum().batch(request({ into: new Float32Array(5) })))
  assert.match(print(failure), /batch of pendulum: its frames take 294912 numbers, there is room for 5/)
})

batches('a group is one identity, half one action and half another', () => {
  const { labels } = pendulum().batch(request({ groups: 7, frames: 8 }))
  assert.is(new Set(labels.identity).size, 7)
  for (let b = 0; b < 7; b++) {
    const actions = [...labels.action.slice(b * 8, b * 8 + 8)]
    assert.is(new Set(actions.slice(0, 4)).size, 1)
    assert.is(new Set(actions.slice(4)).size, 1)
    assert.not.equal(actions[0], actions[7])
    const places = [...labels.frame.slice(b * 8, b * 8 + 4)]
    assert.is(new Set(places).size, 4)
  }
  assert.equal([...labels.factors['colour']!], [...labels.identity])
})

batches('sequence order gives consecutive frames of one action', () => {
  const { labels } = pendulum({ frames: 40 }).batch(request({ order: 'sequence', frames: 40 }))
  assert.equal([...labels.frame.slice(0, 40)], Array.from({ length: 40 }, (_, i) => i))
  assert.is(new Set(labels.action.slice(0, 40)).size, 1)
  const failure = refusal(() => pendulum().batch(request({ order: 'sequence', frames: 17 }))).failure
  assert.is(failure.kind, 'data')
})

batches('a NaN or a value outside [0, 1] is refused with its place', () => {
  const batch = pendulum().batch(request())
  checkPixels('pendulum', batch)
  batch.x[(1 * 6 + 2) * FRAME + SIDE * SIDE + 3 * SIDE + 4] = NaN
  const { failure, message } = refusal(() => checkPixels('pendulum', batch))
  assert.is(failure.kind, 'data')
  assert.match(message, /group 1 .* frame 2, channel 1, row 3, column 4 is NaN/)
  batch.x.fill(255)
  assert.match(refusal(() => checkPixels('pendulum', batch)).message, /group 0 .* is 255/)
})

const swings = suite('pendulum')

swings('small swings have the period they are named for', () => {
  const angles = swing(0.01, 24, 25)
  assert.ok(Math.abs(angles[24]! - 0.01) < 1e-6)
  assert.ok(Math.abs(angles[6]!) < 1e-6)
  assert.ok(Math.abs(angles[12]! + 0.01) < 1e-6)
})

swings('energy is kept through large swings', () => {
  // theta_max is reached again: after any number of frames |theta| never exceeds the start by more than the integrator's error.
  const angles = swing(2.5, 12, 400)
  assert.ok(Math.max(...angles) < 2.5 + 1e-6)
  assert.ok(Math.max(...angles.slice(200)) > 2.45)
  assert.ok(Math.min(...angles) > -2.5 - 1e-6 && Math.min(...angles) < -2.45)
})

swings('the drawn area is that of rod and bob, and the picture points where theta says', () => {
  const out = new Float32Array(FRAME)
  // Bob: pi 7^2. Rod outside the bob: from the pivot's round end (half a disc of radius 1.25) to where it meets the bob.
  const area = Math.PI * 49 + 2.5 * (21 - Math.sqrt(49 - 1.25 ** 2)) + (Math.PI * 1.25 ** 2) / 2 - 0.05
  for (const theta of [0, 0.3, 1.1, -2.2]) {
    drawPendulum(theta, [1, 0.5, 0], out, 0)
    let [sum, x, y] = [0, 0, 0]
    for (let row = 0; row < SIDE; row++) for (let column = 0; column < SIDE; column++) {
      const v = out[row * SIDE + column]!
      sum += v
      x += v * (column - 31.5)
      y += v * (row - 31.5)
    }
    assert.ok(Math.abs(sum - area) < 0.012 * area, `area ${sum}, expected ${area}`)
    assert.ok(Math.abs(Math.atan2(x, y) - theta) < 0.01, `direction ${Math.atan2(x, y)}, expected ${theta}`)
    assert.is(out[2 * SIDE * SIDE + 31 * SIDE + 31], 0)
  }
})

swings('colours are far apart; held-out takes are not in training; one colour can be held out', () => {
  for (const [a, first] of COLOURS) for (const [b, second] of COLOURS) {
    if (a !== b) assert.ok(Math.max(...first.map((v, i) => Math.abs(v - second[i]!))) >= 0.5, `${a} and ${b}`)
  }
  const byTake = pendulum()
  assert.equal(byTake.sequences, { train: 7 * 2 * 90, heldOut: 7 * 2 * 10 })
  const byColour = pendulum({ holdOut: 'identities' })
  assert.is(byColour.identities.heldOut.length, 1)
  assert.not.ok(byColour.identities.train.includes(byColour.identities.heldOut[0]!))
  assert.is(refusal(() => pendulum({ takes: 1 })).failure.kind, 'config')
})

const sheets = suite('sprites')

/** A sheet whose cell (row, column) is filled with (red, row, column), opaque in `band` rows of every cell, transparent elsewhere. */
const sheet = (red: number, band: readonly [number, number], width = 832, height = 1344, alpha = 255): Buffer => {
  const png = new PNG({ width, height })
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    if (y % 64 >= band[0] && y % 64 < band[1]) png.data.set([red, Math.floor(y / 64), Math.floor(x / 64), alpha], (y * width + x) * 4)
  }
  return PNG.sync.write(png)
}

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'vdsm-sheets-'))
  const put = (layer: string, name: string, bytes: Buffer): void => {
    mkdirSync(join(folder, layer), { recursive: true })
    writeFileSync(join(folder, layer, name), bytes)
  }
  put('body', 'a.png', sheet(10, [0, 64]))
  put('body', 'b.png', sheet(20, [0, 64]))
  put('pants', 'p.png', sheet(30, [16, 64]))
  put('shirt', 's.png', sheet(40, [32, 64]))
  put('shirt', 't.png', sheet(50, [32, 64]))
  put('hair', 'h.png', sheet(60, [48, 64], 832, 1344, 51))
  writeFileSync(join(folder, 'hair', 'notes.txt'), 'not a sheet')
  return folder
}

const folder = makeFolder()
sheets.after(() => rmSync(folder, { recursive: true }))

sheets('layers, rows, columns and alpha are composed as documented', () => {
  const data = sprites({ folder })
  assert.is(data.identities.train.length + data.identities.heldOut.length, 4)
  const walkFront = data.actions.indexOf('walk front')
  const slash = data.actions.indexOf('slash right')
  const seen = new Set<string>()
  for (let step = 0; step < 40; step++) {
    const { x, labels } = data.batch({ split: 'train', groups: 1, frames: 16, seed: 0, step })
    const [body, shirt] = [labels.factors['body']![0]!, labels.factors['shirt']![0]!]
    for (let t = 0; t < 16; t++) {
      const value = (row: number, c: number): number => Math.round(x[t * FRAME + c * SIDE * SIDE + row * SIDE + 5]! * 255)
      assert.is(value(0, 0), [10, 20][body])
      assert.is(value(20, 0), 30)
      assert.is(value(40, 0), [40, 50][shirt])
      assert.is(value(60, 0), [44, 52][shirt], 'hair at alpha 0.2 over the shirt')
      seen.add(`${labels.action[t]}`)
      if (labels.action[t] === walkFront) assert.equal([value(0, 1), value(0, 2)], [10, labels.frame[t]])
      if (labels.action[t] === slash) assert.equal([value(0, 1), value(0, 2)], [15, Math.min(5, labels.frame[t]!)])
    }
  }
  assert.is(seen.size, 9)
  assert.equal(data.factors.map(f => `${f.name}: ${f.values.join(' ')}`), ['body: a b', 'pants: p', 'shirt: s t', 'hair: h'])
  assert.match(data.credit ?? '', /CC-BY-SA/)
})

sheets('the frame choice of Li and Mandt', () => {
  const data = sprites({ folder, frameChoice: 'li-mandt' })
  const columns = new Map<string, number>()
  for (let step = 0; step < 40; step++) {
    const { x, labels } = data.batch({ split: 'train', groups: 1, frames: 16, seed: 0, step })
    for (let t = 0; t < 16; t++) columns.set(`${data.actions[labels.action[t]!]} ${labels.frame[t]}`, Math.round(x[t * FRAME + 2 * SIDE * SIDE]! * 255))
  }
  const play = (name: string): readonly number[] => Array.from({ length: 8 }, (_, i) => columns.get(`${name} ${i}`) ?? -1)
  assert.equal(play('walk left'), [8, 1, 2, 3, 4, 5, 6, 7])
  assert.equal(play('spellcast front'), [0, 1, 2, 3, 4, 5, 4, 6])
  assert.equal(play('slash left'), [0, 1, 2, 3, 4, 5, 4, 0])
})

sheets('every bad folder is refused by name', () => {
  const at = (path: string): Refusal => refusal(() => sprites({ folder: path }))
  assert.match(at(join(folder, 'nowhere')).message, /nowhere: there is no such folder\n.*body, pants, shirt and hair/)
  assert.match(at(join(folder, 'hair', 'notes.txt', 'x')).message, /x: there is no such folder/)
  const broken = makeFolder()
  writeFileSync(join(broken, 'shirt', 't.png'), sheet(50, [0, 64], 832, 1280))
  assert.match(at(broken).message, /t\.png: sheet of the wrong size\n +expected 832 x 1344.*\n +actual +832 x 1280/)
  assert.is(at(broken).failure.kind, 'data')
  writeFileSync(join(broken, 'shirt', 't.png'), sheet(50, [0, 64]).subarray(0, 500))
  assert.match(at(broken).message, /t\.png: not a readable PNG/)
  rmSync(join(broken, 'shirt', 't.png'))
  rmSync(join(broken, 'shirt', 's.png'))
  assert.match(at(broken).message, /shirt: the folder holds no PNG sheet/)
  rmSync(join(broken, 'shirt'), { recursive: true })
  assert.match(at(broken).message, /shirt: there is no such folder/)
  rmSync(broken, { recursive: true })
  assert.match(refusal(() => openData({ name: 'sprites', splitSeed: 0 })).message, /--data-dir/)
})

random.run()
batches.run()
swings.run()
sheets.run()
