/** Parts of a group, clips and labels by sequence, on sources whose frames say where they come from. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { drawMany } from '../../runtime/data/choose.ts'
import { checkPixels, FRAME, makeDataSet, type DataSet, type Source } from '../../runtime/data/dataset.ts'
import { pendulum } from '../../runtime/data/pendulum.ts'
import { stream } from '../../runtime/data/random.ts'
import { everyIndex, grid, listed, upTo, type Listed } from '../../runtime/data/source.ts'
import { keepUpTo } from '../../runtime/data/videos.ts'
import { refusal } from './support/arrays.ts'

/** Every value of a frame is (identity, action, take, frame) in digits, over 10,000. */
const code = (identity: number, action: number, take: number, frame: number): number => (identity * 1000 + action * 100 + take * 10 + frame) / 10_000
const written = (inventory: ReturnType<typeof grid>, identities: number): DataSet => {
  const source: Source = {
    ...inventory,
    name: 'written', factors: [{ name: 'parity', values: ['even', 'odd'] }], actions: [], identities: everyIndex(identities),
    factorsOf: identity => ({ parity: identity % 2 }),
    draw: (identity, action, take, frame, out, offset) => void out.fill(code(identity, action, take, frame), offset, offset + FRAME),
  }
  return makeDataSet(source)
}

const full = (): DataSet => written(grid(3, everyIndex(4), 9), 5)
/** What each frame of a batch says of itself: [identity, action, take, frame]. */
const told = (x: Float32Array): readonly (readonly number[])[] =>
  Array.from({ length: x.length / FRAME }, (_, i) => [...String(Math.round((x[i * FRAME] ?? 0) * 10_000)).padStart(4, '0')].map(Number))

const parts = suite('parts')

parts('several parts: one action each, all different where there are enough', () => {
  for (const order of ['identity', 'sequence'] as const) {
    for (let step = 0; step < 20; step++) {
      const { x, shape, labels } = full().batch({ split: 'train', groups: 2, parts: 3, frames: 4, seed: 1, step, order })
      assert.equal(shape, [2, 3, 4, 3, 64, 64])
      const frames = told(x)
      assert.equal([...labels.action], frames.map(f => f[1]))
      assert.equal([...labels.frame], frames.map(f => f[3]))
      for (let b = 0; b < 2; b++) {
        const group = frames.slice(b * 12, b * 12 + 12)
        assert.equal(new Set(group.map(f => f[0])), new Set([labels.identity[b]]))
        const clips = [0, 1, 2].map(p => group.slice(p * 4, p * 4 + 4))
        assert.is(new Set(clips.map(clip => clip[0]?.[1])).size, 3)
        for (const clip of clips) {
          assert.is(new Set(clip.map(f => `${f[1]} ${f[2]}`)).size, 1)
          const places = clip.map(f => f[3] ?? 0)
          assert.ok(places.every((place, t) => t === 0 || (order === 'sequence' ? place === (places[t - 1] ?? 0) + 1 : place > (places[t - 1] ?? 0))),
            `${places}`)
        }
      }
    }
  }
})

parts('more parts than actions: other takes of the same action, as far as there are any', () => {
  for (let step = 0; step < 10; step++) {
    const frames = told(full().batch({ split: 'train', groups: 1, parts: 6, frames: 2, seed: 0, step, order: 'sequence' }).x)
    const clips = frames.filter((_, i) => i % 2 === 0).map(f => `${f[1]} ${f[2]}`)
    assert.is(new Set(clips).size, 6)
    const alone = written(grid(1, everyIndex(1), 9), 2).batch({ split: 'train', groups: 1, parts: 3, frames: 2, seed: 0, step, order: 'sequence' })
    assert.is(new Set(told(alone.x).map(f => `${f[1]} ${f[2]}`)).size, 1)
  }
})

parts('one part is what it is without parts; parts of different numbers are batches of their own', () => {
  const data = pendulum()
  const request = { split: 'train', groups: 3, frames: 4, seed: 2, step: 1 } as const
  for (const order of ['identity', 'sequence'] as const) assert.equal(data.batch({ ...request, order, parts: 1 }), data.batch({ ...request, order }))
  const two = data.batch({ ...request, parts: 2 })
  assert.equal(two.x, data.batch({ ...request, parts: 2, into: new Float32Array(3 * 2 * 4 * FRAME) }).x)
  assert.equal([...two.labels.factors['colour'] ?? []], [...two.labels.identity])
  assert.match(refusal(() => data.batch({ ...request, parts: 0 })).message, /parts must be a whole number, at least 1; it is 0/)
  assert.match(refusal(() => data.batch({ ...request, parts: 2, into: new Float32Array(3 * 4 * FRAME) })).message,
    /take 294912 numbers, there is room for 147456/)
  two.x[(1 * 8 + 1 * 4 + 2) * FRAME] = 2
  assert.match(refusal(() => checkPixels('pendulum', two)).message, /group 1 .*, part 1, frame 2, channel 0, row 0, column 0 is 2;/)
})

parts('a few of many items: all different, and every item as likely', () => {
  const many = upTo(5000)
  const counts = new Float64Array(5)
  for (let i = 0; i < 400; i++) {
    const drawn = drawMany(many, 50, stream(i))
    assert.is(new Set(drawn).size, 50)
    drawn.forEach(n => { counts[Math.floor(n / 1000)]! += 1 })
  }
  const chi = counts.reduce((sum, n) => sum + (n - 4000) ** 2 / 4000, 0)
  assert.ok(chi < 18.5, `chi-square ${chi} (0.1% point of 4 degrees of freedom is 18.5)`)
  assert.equal(new Set(drawMany(many, 5000, stream(1))), new Set(many))
})

const clips = suite('clips')

const uneven: readonly Listed[] = [
  { identity: 0, action: 2, frames: 5, name: 'a' }, { identity: 1, action: 0, frames: 3, name: 'b' }, { identity: 0, action: 0, frames: 4, name: 'c' },
  { identity: 1, action: 0, frames: 6, name: 'd' }, { identity: 0, action: 2, frames: 7, name: 'e' },
]

clips('sequences run by identity, then action, then take', () => {
  const data = full()
  assert.equal(data.sequences, { train: 60, heldOut: 60 })
  for (const index of [0, 1, 4, 11, 12, 59]) {
    const { x, ...known } = data.clip('train', index, 3, 2)
    const [identity, action, take] = [Math.floor(index / 12), Math.floor(index / 4) % 3, index % 4]
    assert.equal(known, { identity, action, take, factors: { parity: identity % 2 } })
    assert.equal(told(x), [2, 3, 4].map(t => [identity, action, take, t]))
    assert.equal(data.labels('train', index), { ...known, frames: 9 })
  }
  assert.match(refusal(() => data.clip('heldOut', 60, 1)).message, /has the sequences 0 to 59 in heldOut; 60 was asked for/)
  assert.match(refusal(() => data.clip('heldOut', 3, 4, 6)).message, /frames 6 to 9 of sequence 3 in heldOut were asked for; it has 9/)
})

clips('sequences of any number and length; takes count those of one identity and action', () => {
  const data = written(listed(uneven), 2)
  assert.equal(data.sequences, { train: 5, heldOut: 5 })
  assert.is(data.frames, 3)
  assert.equal(upTo(5).map(i => { const { identity, action, take, frames } = data.labels('train', i); return [identity, action, take, frames] }),
    [[0, 0, 0, 4], [0, 2, 0, 5], [0, 2, 1, 7], [1, 0, 0, 3], [1, 0, 1, 6]])
  const lengths = new Map(upTo(5).map(i => {
    const { identity, action, take, frames } = data.labels('train', i)
    return [`${identity} ${action} ${take}`, frames]
  }))
  for (let step = 0; step < 30; step++) {
    const frames = told(data.batch({ split: 'train', groups: 2, parts: 2, frames: 3, seed: 0, step, order: 'sequence' }).x)
    for (const [identity, action, take, frame] of frames) assert.ok((frame ?? 9) < (lengths.get(`${identity} ${action} ${take}`) ?? 0))
  }
  data.requireFrames(3)
  assert.match(refusal(() => data.requireFrames(4)).message, /4 consecutive frames were asked for, b has only 3\n/)
  assert.match(refusal(() => data.batch({ split: 'train', groups: 1, frames: 4, seed: 0, step: 0, order: 'sequence' })).message, /b has only 3/)
})

clips('a clip of the pendulum is what a batch shows of it', () => {
  const data = pendulum()
  const batch = data.batch({ split: 'heldOut', groups: 1, frames: 16, seed: 0, step: 0, order: 'sequence' })
  const found = upTo(data.sequences.heldOut).find(i => {
    const { identity, action } = data.labels('heldOut', i)
    return identity === batch.labels.identity[0] && action === batch.labels.action[0] && data.clip('heldOut', i, 16).x.every((v, k) => v === batch.x[k])
  })
  assert.ok(found !== undefined)
})

clips('bytes are kept up to a limit, the latest used last to go', () => {
  const made: string[] = []
  const keep = keepUpTo(20)
  const get = (name: string): void => void keep(name, () => (made.push(name), new Uint8Array(8)))
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) get(name)
  assert.equal(made, ['a', 'b', 'c', 'b'])
  keep('huge', () => new Uint8Array(100))
  get('huge')
  assert.equal(made, ['a', 'b', 'c', 'b'])
})

parts.run()
clips.run()
