/** What programs on WebGPU have to do, case by case; they run in a process of their own (child.ts), as drivers may bring theirs down. */
import * as assert from 'uvu/assert'
import { dawn } from '../../../../runtime/device/webgpu/dawn.ts'
import type { Lease } from '../../../../runtime/device/webgpu/gpu.ts'
import { runnableOn, type WebGpuOptions } from '../../../../runtime/device/webgpu/load.ts'
import { lease, load, ramp, refusal, sums } from './common.ts'
import { failingCases, single } from './failing.ts'
import { kernel, place, reads, shader, write, writes } from './programs.ts'
import { sharingCases } from './sharing.ts'

const addsAndKeeps = async (): Promise<void> => {
  const program = await load(sums)
  program.setAll({ x: ramp(0), y: Array.from(ramp(1000)), count: [-1, 2 ** 31 - 1], flags: [0, 5, 1], none: [] })
  program.run()
  program.run()
  program.feed('state', 'state')
  const [sum, total, flags, count, none, x] = await program.read(['sum', 'state.total', 'flags', 'count', 'none', 'x'])
  assert.equal(sum, ramp(0).map(value => 2 * value + 1000))
  assert.equal(total, ramp(0).map(value => 2 * value))
  assert.equal(flags, Uint8Array.of(0, 1, 1))
  assert.equal(count, Int32Array.of(-1, 2 ** 31 - 1))
  assert.equal(none, new Float32Array(0))
  assert.equal(x, ramp(0), 'inputs keep their values')
  program.fill('x', view => view.fill(7))
  program.runStep(0)
  assert.equal((await program.read(['sum']))[0], ramp(1000).map(value => value + 7))
  assert.equal((await program.read(['state.total']))[0], total, 'the other step has not been run')
  assert.match(await refusal(() => program.set('x', [1, 2])), /x: expected f32\[100\] \(100 elements\), got 2 elements/)
  assert.match(await refusal(() => program.set('z', [1])), /no input is called 'z'/)
  assert.match(await refusal(() => program.runStep(2)), /has 2 steps; there is no step 2/)
  assert.match(await refusal(() => program.read(['nothing'])), /no output is called 'nothing'/)
  assert.is(program.memoryBytes, 4 * 512 + 2 * 256)
  await program.done()
  program.dispose()
  program.dispose()
  assert.match(await refusal(() => program.run()), /has been disposed of/)
}

const snapshots = async (): Promise<void> => {
  const program = await load(sums)
  program.setAll({ x: ramp(0), y: ramp(0) })
  program.run()
  const first = program.read(['sum', 'y'])
  program.set('y', ramp(5))
  program.run()
  const second = program.read(['sum', 'y'])
  program.fill('y', view => view.fill(0))
  program.run()
  program.dispose() // What was asked for before still comes.
  assert.equal(await second, [ramp(0).map((v, i) => v + 5 + i), ramp(5)])
  assert.equal(await first, [ramp(0).map(v => 2 * v), ramp(0)])
}

/** out[4 i + j] = 10 i + j for two loops around a kernel; a constant is added; then rows are shifted within the slot, and copied to another. */
const loops = write({
  slots: [1536, 256, 512, 256],
  inputs: {},
  outputs: {
    out: { place: place(0), shape: [12] }, shifted: { place: place(0, 256), shape: [12] }, both: { place: place(0, 768), shape: [76] },
    copied: { place: place(2), shape: [12] }, total: { place: place(3), shape: [1] },
  },
  constants: [{ slot: 1, offset: 0, dtype: 'f32', data: [0.5, '-Infinity', 'NaN'] }],
  shaders: [
    shader('total', { to: 'w f32' }, 'if (i == 0u) { to[0] += f32(c0.x); }', 1),
    shader('number', { c: 'r f32', to: 'w f32' }, 'if (i == 0u) { to[4 * c0.x + c1.x] = f32(10 * c0.x + c1.x) + c[0]; }', 2),
  ],
  steps: [
    { kind: 'loop', size: 3, steps: [{ kind: 'loop', size: 4, steps: [kernel('number', 1, 1, [reads(1, 12), writes(0, 48)])] }] },
    { kind: 'copy', from: place(0), to: place(0, 256), bytes: 48 },
    // More dispatches than go to the queue at once.
    { kind: 'loop', size: 5000, steps: [kernel('total', 0, 1, [writes(3, 4)])] },
    { kind: 'copy', from: place(0), to: place(0, 768), bytes: 304 },
    { kind: 'copy', from: place(0, 256), to: place(2), bytes: 48 },
  ],
})

const loopsAndCopies = async (): Promise<void> => {
  const program = await load(loops)
  program.run()
  const expected = Float32Array.from({ length: 12 }, (_, i) => 10 * Math.floor(i / 4) + (i % 4) + 0.5)
  assert.equal(await program.read(['out', 'shifted', 'copied']), [expected, expected, expected])
  const [both, total] = await program.read(['both', 'total'])
  assert.equal(total, Float32Array.of(4999 * 2500))
  assert.equal([both?.slice(0, 12), both?.slice(64)], [expected, expected])
  program.dispose()
}

/** Swaps two states that lie in one slot: `feed` may not overwrite what it has yet to copy. */
const swapping = write({
  slots: [1024],
  inputs: { 's.a': { place: place(0), shape: [4] }, 's.b': { place: place(0, 256), shape: [4] } },
  outputs: { 's.a': { place: place(0, 256), shape: [4] }, 's.b': { place: place(0), shape: [4] } },
  shaders: [], steps: [],
})

const feeds = async (): Promise<void> => {
  const program = await load(swapping)
  program.setAll({ 's.a': [1, 2, 3, 4], 's.b': [5, 6, 7, 8] })
  program.feed('s', 's')
  assert.equal(await program.read(['s.a', 's.b'], 'inputs'), [Float32Array.of(5, 6, 7, 8), Float32Array.of(1, 2, 3, 4)])
  program.dispose()
}

const waits = async (): Promise<void> => {
  const held = await lease()
  const turns = { count: 0, over: false }
  const turn = (): void => {
    turns.count++
    if (!turns.over) setImmediate(turn)
  }
  const after = <A>(milliseconds: number, value: A): Promise<A> => new Promise(done => setTimeout(() => done(value), milliseconds))
  const awaited = held.gpu.patiently(after(400, 'done'))
  await after(200, null)
  turn()
  assert.is(await awaited, 'done')
  turns.over = true
  // In 200 ms there is room for 40 naps of 5 ms, and for thousands of turns that do nothing.
  assert.ok(turns.count < 100, `${turns.count} turns`)
  assert.match(String(await held.gpu.patiently(Promise.reject(new Error('no'))).catch((error: unknown) => error)), /no/)
  held.release()
}

const flat = async (): Promise<void> => {
  const program = await load(sums)
  program.setAll({ x: ramp(1), y: ramp(0) })
  const settle = async (): Promise<number> => {
    await program.done()
    globalThis.gc?.()
    return process.memoryUsage().rss
  }
  const rounds = async (runs: number): Promise<void> => {
    for (let i = 0; i < runs; i++) {
      program.fill('y', view => view.fill(i))
      program.run()
      if (i % 20 === 0) await program.read(['sum'])
    }
  }
  await rounds(1000)
  // The first thousand fill pools, and a busy machine is behind with freeing: what leaks grows every time.
  const grown: number[] = []
  while (grown.length < 3 && !grown.some(growth => growth < 8)) {
    const before = await settle()
    await rounds(1000)
    grown.push((await settle() - before) / 2 ** 20)
  }
  assert.ok(grown.some(growth => growth < 8), `memory grew by ${grown.map(growth => growth.toFixed(1)).join(', ')} MiB in 1,000 runs each`)
  const runs = 1000 * (1 + grown.length)
  assert.equal((await program.read(['state.total']))[0], ramp(1).map(v => runs * v))
  program.dispose()
}

const chosen = (value: number): ReturnType<typeof shader> =>
  shader('fill', { to: 'w f32' }, `for (var k = 0; k < ${value === 1 ? 20000 : 1}; k++) { to[i] = ${value}.0; }`)

/** Two alternatives, one of which works far longer; a third that needs what no adapter has. */
const alternatives = write({
  ...single, slots: [512],
  shaders: [{ ...chosen(0), code: `enable no_such_feature;\n${chosen(0).code}` }, chosen(1), chosen(2)],
  steps: [{
    kind: 'kernel', name: 'fill', places: [], flops: 0, bytes: 0,
    choices: [0, 1, 2].map(number => [{ shader: number, groups: 2, bindings: [writes(0, 512)] }]),
  }],
})

const tunes = async (): Promise<void> => {
  const ran = async (options: WebGpuOptions): Promise<number | undefined> => {
    const program = await load(alternatives, options)
    program.run()
    const [out] = await program.read(['out'])
    program.dispose()
    return out?.[0]
  }
  assert.is(await ran({ tune: false }), 1, 'the first that can be run')
  assert.is(await ran({ tune: true }), 2, 'the fastest')
  const book = JSON.parse(await dawn.measured.read() ?? '{}') as Record<string, Record<string, number>>
  assert.equal(Object.values(book).flatMap(known => Object.values(known)), [1])
  await dawn.measured.write(JSON.stringify(Object.fromEntries(Object.entries(book).map(([adapter, known]) =>
    [adapter, Object.fromEntries(Object.keys(known).map(key => [key, 0]))]))))
  assert.is(await ran({ tune: true }), 1, 'what is remembered is not measured again')
}

/** The same for subgroups and without; which of the two is the faster is not asked. */
const settled = write({
  ...single, slots: [512],
  shaders: [{ ...chosen(1), code: `enable subgroups;\n${chosen(1).code.replace('1.0', 'f32(subgroupMin(1))')}` }, chosen(2)],
  steps: [{
    kind: 'kernel', name: 'fill', places: [], flops: 0, bytes: 0, settled: true,
    choices: [0, 1].map(number => [{ shader: number, groups: 2, bindings: [writes(0, 512)] }]),
  }],
})

const settles = async (): Promise<void> => {
  const ran = async (held: Lease): Promise<number | undefined> => {
    const program = await runnableOn(held, dawn, settled.info, settled.file, { tune: true })
    program.run()
    const [out] = await program.read(['out'])
    program.dispose()
    return out?.[0]
  }
  const held = await lease()
  const { features } = held.gpu.about
  assert.is(await ran(held), features.includes('subgroups') ? 1 : 2)
  const other = await lease()
  const lacking = { ...other.gpu, about: { ...other.gpu.about, features: features.filter(feature => feature !== 'subgroups') } }
  assert.is(await ran({ ...other, gpu: lacking }), 2)
}

export const cases: Readonly<Record<string, () => Promise<void>>> = {
  'arrays are set, added, kept, read; wrong uses are refused': addsAndKeeps,
  'what is read is a snapshot': snapshots,
  'loops give their counters; copies within a slot and between slots': loopsAndCopies,
  'a feed whose copies overlap': feeds,
  ...sharingCases,
  'the fastest alternative is taken, and remembered': tunes,
  'subgroups where the adapter has them, unmeasured where that is settled': settles,
  'the processor rests while the device works': waits,
  ...failingCases,
  'memory stays flat over 1,000 runs': flat,
}
