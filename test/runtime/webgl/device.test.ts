/** The device webgl by gpu.js's mode cpu, on programs written by hand: what calls do to arrays, what is held, what is refused. */
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { print, refuse, Refusal } from '../../../dsl/errors.ts'
import { openBuild } from '../../../runtime/build.ts'
import { nodeHost } from '../../../runtime/device/node.ts'
import type { Engine } from '../../../runtime/device/webgl/engine.ts'
import { interpretedEngine } from '../../../runtime/device/webgl/interpreted.ts'
import { importLibrary } from '../../../runtime/device/webgl/library.ts'
import { parseGlProgram, runnableOn } from '../../../runtime/device/webgl/load.ts'
import { checkProgram } from './support/calls.ts'
import { all, byHand, chain, empty, exchange, filesOf, hostOf, long, reader, without, words, type Made } from './support/hand.ts'

const test = suite('webgl')
const host = nodeHost('.')

const refusalOf = async (f: () => unknown): Promise<string> => {
  try {
    await f()
    return 'nothing was refused'
  } catch (error) {
    if (error instanceof Refusal) return print(error.failure)
    throw error
  }
}

/** A device of its own, whose textures can be counted. */
const device = async (side?: number) => {
  const engine = interpretedEngine(await importLibrary(), side)
  const state = { leases: 0 }
  const load = ({ info, file }: Made) => {
    state.leases++
    return runnableOn({ engine, release: () => void state.leases-- }, info, file)
  }
  return { engine, load, leases: () => state.leases }
}

test('calls, loops, partial stores, words, exchange, sharing and feeding', () => checkProgram(host, { interpreted: true }))

test('steps one by one are a call; arrays without elements, and what nothing wrote', async () => {
  const { load } = await device()
  const program = await load(chain)
  assert.is(program.steps, 4)
  program.setAll({ x: [1, 2, 3, 4, 5, 6, 7], y: [1] })
  for (let i = 0; i < program.steps; i++) program.runStep(i)
  assert.equal((await program.read(['sum'])).map(array => [...array]), [[28, 56, 84]])
  assert.match(await refusalOf(() => program.runStep(4)), /there is no step 4$/)
  const none = await load(empty)
  none.set('x', [])
  none.run()
  assert.equal(await none.read(['y', 'z', 'x']), [new Float32Array(), new Int32Array(3), new Float32Array()])
})

test('what is between kernels is let go, and nothing grows in a thousand calls', async () => {
  const { engine, load, leases } = await device()
  const programs = await Promise.all([chain, exchange, reader].map(load))
  const [adder, step, other] = programs
  assert.ok(adder !== undefined && step !== undefined && other !== undefined)
  adder.run()
  // Its inputs and outputs alone.
  assert.is(engine.held().textures, 4)
  assert.ok(other.share(step, [['a', 'p'], ['b', 'q']]))
  assert.is(other.memoryBytes, 4 * (4 + 4), 'what is shared is not its own')
  const turn = () => {
    step.set('b', [1, 2, 3, 4])
    step.run()
    step.feed('kept', 'b')
    other.run()
    adder.run()
  }
  turn()
  const before = engine.held()
  for (let i = 0; i < 1000; i++) turn()
  assert.equal(engine.held(), before)
  step.dispose()
  assert.is(engine.held().textures, before.textures, 'what the other one shares stays, and what was fed is one with what it was fed from')
  await other.read(['p', 'q'], 'inputs')
  adder.dispose()
  adder.dispose()
  other.dispose()
  assert.is(engine.held().textures, 0)
  await new Promise(done => setTimeout(done))
  assert.is(leases(), 0)
  assert.match(await refusalOf(() => adder.run()), /hand\/chain has been disposed of/)
  const kernels = engine.held().kernels
  await load(chain)
  assert.is(engine.held().kernels, kernels, 'kernels are made once')
})

test('an array that a program writes itself is not shared with another; those of other devices cannot be', async () => {
  const { load } = await device()
  const step = await load(exchange)
  const other = await load(reader)
  assert.is(step.share(other, [['p', 'a']]), false, 'it would write the array of the other')
  assert.is((await (await device()).load(reader)).share(step, [['a', 'p']]), false)
  assert.is(other.share(other, [['p', 'q']]), false)
  assert.match(await refusalOf(() => other.share(step, [['nothing', 'p']])), /no output is called 'nothing'/)
  const integers = await load(words)
  assert.match(await refusalOf(() => other.share(integers, [['i', 'p']])), /input p is f32\[4\], hand\/words has i as i32\[5\]/)
  assert.ok(other.share(step, [['a', 'p']]))
  assert.match(await refusalOf(() => other.set('p', [1, 2, 3, 4])), /p is shared with another program, and cannot be set here/)
  assert.match(await refusalOf(() => other.set('q', [1])), /q: expected f32\[4\] \(4 elements\), got 1 elements/)
  assert.match(await refusalOf(() => other.feed('out', 'nothing')), /no input is called 'nothing'/)
})

test('what is shared is not fed any more, and what is gone is not shared', async () => {
  const { load } = await device()
  const [one, two, gone] = [await load(chain), await load(chain), await load(chain)]
  one.set('x', [1, 2, 3, 4, 5, 6, 7])
  one.run()
  two.feed('twice', 'x')
  assert.ok(two.share(one, [['twice', 'x']]))
  assert.match(await refusalOf(() => two.feed('twice', 'x')), /x is shared with another program, and cannot be set here/)
  assert.equal((await one.read(['twice'])).map(array => [...array]), [[2, 4, 6, 8, 10, 12, 14]])
  gone.dispose()
  assert.match(await refusalOf(() => one.share(gone, [['y', 'y']])), /^hand\/chain has been disposed of: it cannot be used any more\n {2}Load it again/)
})

test('a program whose constants find no room leaves nothing behind', async () => {
  const { engine } = await device()
  const made = byHand({ id: 'hand/constants', arrays: { c: ['f32', 3], d: ['f32', 3] }, inputs: [], outputs: ['c=c', 'd=d'],
    constants: { c: [1, 2, 3], d: [4, 5, 6] }, kernels: [], steps: [] })
  const full: Engine = {
    ...engine,
    upload: (texels, write) => (engine.held().textures < 1 ? engine.upload(texels, write)
      : refuse({ kind: 'device', device: 'WebGL', reason: 'memory', message: 'out of memory' })),
  }
  let released = 0
  assert.is(await refusalOf(() => runnableOn({ engine: full, release: () => (released += 1) }, made.info, made.file)), 'WebGL: out of memory')
  assert.equal([released, engine.held().textures], [1, 0])
})

test('what a failed device says, it says for good, to all', async () => {
  const { engine, load } = await device()
  const [one, two] = [await load(chain), await load(long)]
  const heard: string[] = []
  engine.onFailure(failure => heard.push(print(failure)))
  engine.fail({ kind: 'device', device: 'WebGL', reason: 'lost', message: 'the context was lost: X' })
  engine.fail({ kind: 'device', device: 'WebGL', reason: 'memory', message: 'later' })
  for (const f of [() => one.run(), () => two.set('x', []), () => one.read(['sum']), () => two.done(), () => one.feed('twice', 'x')]) {
    assert.is(await refusalOf(f), 'WebGL: the context was lost: X')
  }
  assert.equal(heard, ['WebGL: the context was lost: X'])
  assert.is(await refusalOf(() => load(reader)), 'WebGL: the context was lost: X')
})

test('refused when it is loaded: what is too large, not there, damaged, or of another version; and WebGL in Node', async () => {
  const small = await device(2)
  assert.match(await refusalOf(() => small.load(words)),
    /^WebGL, hand\/words: u: 10 numbers in one texture; gpu\.js in JavaScript has textures of at most 2 x 2 = 4\n {2}Bind the program to smaller sizes/)
  assert.is(small.leases(), 0)
  const files = new Map(filesOf([...all, ...without]))
  files.set('hand-long.webgl.json', new TextEncoder().encode('{}'))
  const opened = await openBuild(hostOf(host, files))()
  const said = async (id: string, interpreted = true): Promise<string> => {
    const result = E.isLeft(opened) ? opened : await opened.right.loadOn(id, { device: 'webgl', interpreted })()
    return E.isLeft(result) ? print(result.left) : 'nothing was refused'
  }
  assert.match(await said('hand/obstacle'), /^WebGL: hand\/obstacle cannot run on it: kernel 3 \(a\.ts:1:2\) reads 9 arrays\n/)
  assert.match(await said('hand/none'), /^WebGL: hand\/none has not been compiled for it\n {2}Compile again/)
  assert.match(await said('hand/long'), /hand-long\.webgl\.json: it is damaged, or belongs to another compile/)
  assert.match(await said('hand/chain', false), /^WebGL: it runs in pages, where a browser has it, and not in Node\n {2}See it in a page: npx vdsm studio\./)
  const texts = [
    ['{', /not valid JSON/], ['{"version":99}', /version 99; this runtime reads version 1/], ['{"version":1}', /not a program for WebGL: /],
  ] as const
  for (const [text, message] of texts) {
    const parsed = parseGlProgram(text, 'x.json')
    assert.ok(E.isLeft(parsed))
    assert.match(print(parsed.left), message)
  }
})

test.run()
