/** What programs on WebGPU have to do, case by case; they run in a process of their own (child.ts), as drivers may bring theirs down. */
import * as E from 'fp-ts/lib/Either.js'
import * as assert from 'uvu/assert'
import { print, Refusal, type Failure } from '../../../../dsl/errors.ts'
import { dawn } from '../../../../runtime/device/webgpu/dawn.ts'
import { gpuOf, type Lease } from '../../../../runtime/device/webgpu/gpu.ts'
import { runnableOn, type WebGpuOptions } from '../../../../runtime/device/webgpu/load.ts'
import type { Executable } from '../../../../runtime/executor.ts'
import { kernel, place, reads, shader, write, writes, type Written } from './programs.ts'

export const lease = async (): Promise<Lease> => {
  const opened = await gpuOf(dawn, { allowSoftware: true })()
  if (E.isLeft(opened)) throw new Refusal(opened.left)
  return opened.right
}

export const load = async ({ info, file }: Written, options: WebGpuOptions = {}): Promise<Executable> =>
  runnableOn(await lease(), dawn, info, file, { tune: false, ...options })

export const refused = async (f: () => unknown): Promise<Failure> => {
  try {
    await f()
  } catch (error) {
    if (error instanceof Refusal) return error.failure
    throw error
  }
  throw new Error('nothing was refused')
}

const refusal = async (f: () => unknown): Promise<string> => print(await refused(f))

const n = 100
const ramp = (from: number): Float32Array => Float32Array.from({ length: n }, (_, i) => from + i)

/** sum = x + y; state: total = total + x, in the place of the input; count and flags pass through a kernel of their own. */
export const sums = write({
  id: 'hand/sums',
  slots: [512, 512, 512, 512, 256, 256],
  inputs: {
    'state.total': { place: place(3), shape: [n] }, x: { place: place(0), shape: [n] }, y: { place: place(1), shape: [n] },
    count: { place: place(4), shape: [2], dtype: 'i32' }, flags: { place: place(5), shape: [3], dtype: 'bool' }, none: { place: place(4, 0), shape: [0] },
  },
  outputs: {
    sum: { place: place(2), shape: [n] }, 'state.total': { place: place(3), shape: [n] },
    flags: { place: place(5), shape: [3], dtype: 'bool' }, none: { place: place(4, 0), shape: [0] },
  },
  shaders: [
    shader('add', { a: 'r f32', b: 'r f32', to: 'w f32' }, `if (i < ${n}u) { to[i] = a[i] + b[i]; }`),
    shader('total', { a: 'r f32', to: 'w f32' }, `if (i < ${n}u) { to[i] += a[i]; }`),
  ],
  steps: [kernel('add', 0, 2, [reads(0, 400), reads(1, 400), writes(2, 400)]), kernel('total', 1, 2, [reads(0, 400), writes(3, 400)])],
})

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

const loss = async (): Promise<void> => {
  const held = await lease()
  const heard: Failure[] = []
  const program = await load(sums, { onFailure: failure => heard.push(failure) })
  program.set('x', ramp(0))
  program.run()
  const pending = program.read(['sum'])
  held.gpu.device.destroy()
  const first = await refused(() => pending)
  assert.is(first.kind === 'device' && first.reason, 'lost')
  assert.match(print(first), /WebGPU: the device was lost: .*load the programs again/s)
  const { run, set, read, done, feed } = program
  for (const call of [run, () => set('x', ramp(0)), () => read(['sum']), done, () => feed('state', 'state')]) {
    assert.is(await refused(call), first, 'every later call fails in the same way')
  }
  assert.equal(heard, [first])
  const fresh = await load(sums)
  fresh.setAll({ x: ramp(1), y: ramp(1) })
  fresh.run()
  assert.equal((await fresh.read(['sum']))[0], ramp(1).map(v => 2 * v))
  program.dispose()
  held.release()
  fresh.run()
  assert.equal((await fresh.read(['state.total']))[0], ramp(1).map(v => 2 * v), 'disposing of the dead leaves the living alone')
  fresh.dispose()
}

/** One array, written by one kernel. */
const single = {
  slots: [512], inputs: {}, outputs: { out: { place: place(0), shape: [n] } }, steps: [kernel('softplus_bias', 0, 2, [writes(0, 512)])],
} as const
const broken = (body: string): Written => write({ ...single, shaders: [shader('softplus_bias', { to: 'w f32' }, body)] })

const shaderErrors = async (): Promise<void> => {
  const failure = await refused(() => load(broken('to[i] = 1.0 + missing;')))
  assert.is(failure.kind === 'device' && failure.reason, 'shader')
  assert.match(print(failure), /kernel softplus_bias \(model\.ts:3:5\) does not compile for .*missing.*\n  line 5 of its WGSL: to\[i\] = 1\.0 \+ missing;/)
  const program = await load(broken('to[i] = 1.0;'))
  program.run()
  assert.equal((await program.read(['out']))[0], new Float32Array(n).fill(1), 'the device itself is well')
  program.dispose()
}

/** Bound for reading and for writing at once. */
const invalid = write({
  ...single, shaders: [shader('twofold', { a: 'r f32', to: 'w f32' }, 'to[i] = a[i];')], steps: [kernel('twofold', 0, 1, [reads(0, 400), writes(0, 400)])],
})

const validation = async (): Promise<void> => {
  const program = await load(invalid)
  program.run()
  const failure = await refused(() => program.read(['out']))
  assert.is(failure.kind === 'device' && failure.reason, 'validation')
  assert.match(print(failure), /refused while running hand\/made: .*usage/)
  assert.is(await refused(() => program.run()), failure)
  program.dispose()
}

const limits = async (): Promise<void> => {
  const wide = 2 ** 40
  assert.match(await refusal(() => load(write({ ...single, slots: [wide], shaders: broken('').file.shaders }))),
    /WebGPU, hand\/made: out: 1048576\.0 MiB in one buffer; .* allows .* MiB \(maxBufferSize\)\n  Bind the program to smaller sizes/)
  const between = { slots: [512, wide], steps: [kernel('wide_sum', 0, 1, [writes(1, wide)])], shaders: broken('').file.shaders }
  assert.match(await refusal(() => load(write({ ...single, ...between }))),
    /what kernel wide_sum works on \(model\.ts:3:5\): 1048576\.0 MiB/)
  const many = Array.from({ length: 40 }, () => reads(0, 4))
  assert.match(await refusal(() => load(write({ ...single, steps: [kernel('many', 0, 1, many)], shaders: broken('').file.shaders }))),
    /kernel many \(model\.ts:3:5\) cannot run on .*: it works on 40 buffers at once; the adapter allows \d+ \(maxStorageBuffersPerShaderStage\)/)
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

const tile = write({
  ...single, shaders: [shader('tiles', { to: 'w f32' }, 'to[i] = f32(tile_t(1.0 / 3.0));')].map(one => ({ ...one, code: `alias tile_t = f32;\n${one.code}` })),
})

const halves = async (): Promise<void> => {
  const held = await lease()
  const can = held.gpu.about.features.includes('shader-f16')
  held.release()
  if (!can) return assert.match(await refusal(() => load(tile, { precision: 'f16-tiles' })), /precision f16-tiles: .* has no half precision \(shader-f16\)/)
  const program = await load(tile, { precision: 'f16-tiles' })
  program.run()
  assert.is((await program.read(['out']))[0]?.[0], 0.333251953125)
  program.dispose()
}

export const cases: Readonly<Record<string, () => Promise<void>>> = {
  'arrays are set, added, kept, read; wrong uses are refused': addsAndKeeps,
  'what is read is a snapshot': snapshots,
  'loops give their counters; copies within a slot and between slots': loopsAndCopies,
  'a feed whose copies overlap': feeds,
  'two programs share an array': shares,
  'arrays that lie side by side are shared one by one': sharesRanges,
  'a shader that does not compile is named': shaderErrors,
  'a call that WebGPU refuses is a failure, never a wrong number': validation,
  'what the adapter is too small for is refused': limits,
  'the fastest alternative is taken, and remembered': tunes,
  'half precision where the adapter has it': halves,
  'a lost device: the same failure for all, a fresh device after it': loss,
  'memory stays flat over 1,000 runs': flat,
}
