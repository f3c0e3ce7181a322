/** Programs on WebGPU that use arrays of each other without a copy. */
import * as assert from 'uvu/assert'
import { load, n, ramp, refusal, sums } from './common.ts'
import { kernel, place, reads, shader, write, writes } from './programs.ts'

/** y = 2 w: a reader of what another program trains. */
const reader = write({
  id: 'hand/reader',
  slots: [512, 512],
  inputs: { w: { place: place(0), shape: [n] } },
  outputs: { y: { place: place(1), shape: [n] } },
  shaders: [shader('twice', { a: 'r f32', to: 'w f32' }, `if (i < ${n}u) { to[i] = 2 * a[i]; }`)],
  steps: [kernel('twice', 0, 2, [reads(0, 400), writes(1, 400)])],
})

const shares = async (): Promise<void> => {
  const [trainer, other] = await Promise.all([load(sums), load(reader)])
  other.set('w', ramp(3))
  assert.is(other.share(trainer, [['state.total', 'w']]), true)
  assert.is(other.memoryBytes, 512)
  trainer.set('x', ramp(1))
  for (const turns of [1, 2]) {
    trainer.run()
    other.run()
    assert.equal((await other.read(['y']))[0], ramp(1).map(v => 2 * turns * v))
  }
  assert.match(await refusal(() => other.set('w', ramp(0))), /w is shared with another program/)
  assert.match(await refusal(() => other.share(trainer, [['count', 'w']])), /input w is f32\[100\], hand\/sums has count as i32\[2\]/)
  assert.is(trainer.share(other, [['y', 'state.total']]), false, 'an input that is written cannot be shared')
  trainer.dispose()
  other.run()
  assert.equal((await other.read(['y']))[0], ramp(1).map(v => 4 * v), 'what is shared outlives its owner')
  other.dispose()
}

/** What `sums` trains and more, side by side: before and behind it lies something else. */
const packed = write({
  shaders: sums.file.shaders, id: 'hand/packed',
  slots: [512, 1536],
  inputs: {
    x: { place: place(0), shape: [n] }, 'state.first': { place: place(1), shape: [n] }, 'state.total': { place: place(1, 512), shape: [n] },
    'state.last': { place: place(1, 1024), shape: [n] },
  },
  outputs: {
    'state.first': { place: place(1), shape: [n] }, 'state.total': { place: place(1, 512), shape: [n] }, 'state.last': { place: place(1, 1024), shape: [n] },
  },
  steps: [kernel('total', 1, 2, [reads(0, 400), writes(1, 400, 512)])],
})

/** y = v + w, of two arrays that come from one buffer; a third has no slot of its own. */
const adder = write({
  id: 'hand/adder',
  slots: [512, 512, 512, 1024],
  inputs: {
    v: { place: place(0), shape: [n] }, w: { place: place(1), shape: [n] }, a: { place: place(3), shape: [n] }, b: { place: place(3, 512), shape: [n] },
  },
  outputs: { y: { place: place(2), shape: [n] } },
  shaders: [shader('add', { a: 'r f32', b: 'r f32', to: 'w f32' }, `if (i < ${n}u) { to[i] = a[i] + b[i]; }`)],
  steps: [kernel('add', 0, 2, [reads(0, 512), reads(1, 400), writes(2, 400)])],
})

const sharesRanges = async (): Promise<void> => {
  const [trainer, first, second] = await Promise.all([load(packed), load(adder), load(adder)])
  trainer.setAll({ x: ramp(1), 'state.first': ramp(0), 'state.total': ramp(10), 'state.last': ramp(1000) })
  assert.is(first.share(trainer, [['state.total', 'v'], ['state.last', 'w']]), true)
  assert.is(second.share(first, [['w', 'v'], ['v', 'w']]), true, 'what is shared can be shared again')
  assert.is(second.share(trainer, [['state.total', 'a']]), false, 'its slot holds another input, too')
  assert.is(first.share(first, [['v', 'w']]), false, 'not with itself')
  // All are in the queue before anything is waited for.
  const reading = [0, 1, 2].flatMap(() => {
    trainer.run()
    first.run()
    second.run()
    return [first.read(['y', 'v']), second.read(['y'])]
  })
  const results = await Promise.all(reading)
  results.forEach(([y], i) => assert.equal(y, ramp(0).map(v => v + 10 + (v + 1) * (1 + Math.floor(i / 2)) + v + 1000), `reading ${i}`))
  assert.equal(results[4]?.[1], ramp(0).map(v => v + 10 + 3 * (v + 1)))
  await Promise.all([trainer, first, second].map(program => program.done()))
  for (const program of [trainer, first, second]) program.dispose()
}

export const sharingCases = {
  'two programs share an array': shares,
  'arrays that lie side by side are shared one by one': sharesRanges,
}
