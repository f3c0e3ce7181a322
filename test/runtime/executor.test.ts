/** Loading and running: the WebAssembly device, the eager device, feeding states, typed calls, and what they refuse. */
import * as E from 'fp-ts/lib/Either.js'
import { readFileSync, writeFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { print, Refusal } from '../../dsl/errors.ts'
import { loadProgram, type LocalOptions } from '../../runtime/build.ts'
import { arr, load, loadOn, type Arr } from '../../runtime/bindings.ts'
import { nodeHost } from '../../runtime/device/node.ts'
import { measurePeak } from '../../runtime/device/peak.ts'
import { executableOver, transfer, type LocalExecutable } from '../../runtime/executor.ts'
import type { ProgramInfo } from '../../runtime/manifest.ts'
import { crc32 } from '../../runtime/io/crc32.ts'
import { toyBuild, toyModule, toyProgram } from './toy.ts'

const ready = async (options: LocalOptions = {}, build = toyBuild().build, id = 'toy/step'): Promise<LocalExecutable> => {
  const loaded = await loadProgram(nodeHost(build), id, options)()
  if (E.isLeft(loaded)) throw new Refusal(loaded.left)
  return loaded.right
}

const refusal = async (f: () => unknown): Promise<string> => {
  try {
    await f()
  } catch (error) {
    if (error instanceof Refusal) return print(error.failure)
    throw error
  }
  throw new Error('nothing was refused')
}

for (const options of [{ variant: 'fma' }, { variant: 'simd' }, { device: 'eager' }] as const satisfies readonly LocalOptions[]) {
  test(`the toy program runs: ${JSON.stringify(options)}`, async () => {
    const step = await ready(options)
    step.setAll({ 'state.w': [1, 2], x: [10, 20], key: [4294967295, 7], flags: [0, 1] })
    step.run()
    assert.equal(step.get('state.w'), Float32Array.of(11, 22))
    assert.equal(step.get('bits'), Uint32Array.of(4294967295, 7))
    assert.equal(step.get('flags'), Uint8Array.of(0, 1))
    assert.equal(step.view('flags'), Uint32Array.of(0, 1))
    step.feed('state', 'state')
    step.run()
    assert.equal(step.get('state.w'), Float32Array.of(21, 42))
    step.set('x', [0.5, 0.25])
    step.feed('state', 'state')
    step.run()
    assert.equal(step.get('state.w'), Float32Array.of(21.5, 42.25))
    assert.equal([...step.input('state.w'), ...step.input('flags')], [21, 42, 0, 1])
  })

  test(`wrong uses are refused: ${JSON.stringify(options)}`, async () => {
    const step = await ready(options)
    assert.match(await refusal(() => step.set('y', [1, 2])), /no input is called 'y'; there are: state.w, x, key, flags/)
    assert.match(await refusal(() => step.set('x', [1, 2, 3])), /x: expected f32\[2\] \(2 elements\), got 3 elements/)
    assert.match(await refusal(() => step.get('z')), /no output is called 'z'/)
    assert.match(await refusal(() => step.feed('bits', 'x')), /output bits is u32\[2\], input x is f32\[2\]/)
    assert.match(await refusal(() => step.feed('nothing', 'state')), /no output is called 'nothing'/)
  })
}

test('truth values of any non-zero kind become 1 inside', async () => {
  const step = await ready()
  step.set('flags', [7, 0])
  assert.equal(step.inputView('flags'), Uint32Array.of(1, 0))
})

test('steps run one by one', async () => {
  const step = await ready()
  step.setAll({ 'state.w': [1, 2], x: [3, 4], key: [5, 6] })
  assert.is(step.steps, 2)
  step.runStep(0)
  assert.equal([...step.get('state.w'), ...step.get('bits')], [4, 6, 0, 0])
  step.runStep(1)
  assert.equal(step.get('bits'), Uint32Array.of(5, 6))
  assert.match(await refusal(() => step.runStep(2)), /has 2 steps/)
})

test('an engine without relaxed SIMD gets the other module; without either it says so', async () => {
  const { build } = toyBuild()
  assert.is((await ready({}, build)).variant, 'wasm, relaxed FMA, 1 thread')
  writeFileSync(join(build, 'step.fma.wasm'), Uint8Array.of(0, 0x61, 0x73, 0x6d, 9, 9, 9, 9))
  assert.is((await ready({}, build)).variant, 'wasm, multiply and add, 1 thread')
  writeFileSync(join(build, 'step.wasm'), 'junk')
  assert.match(await refusal(() => ready({}, build)), /step\.wasm: not a WebAssembly module.*\n.*npm run compile/)
  rmSync(join(build, 'step.fma.wasm'))
  assert.match(await refusal(() => ready({}, build)), /step\.fma\.wasm: no such file/)
})

test('memory that cannot be had is a limit with figures', async () => {
  const { build } = toyBuild(m => ({ ...m, programs: [{ ...toyProgram, memoryBytes: 5 * 2 ** 30 }] }))
  assert.match(await refusal(() => ready({}, build)), /needs 5120\.0 MiB; a WebAssembly memory holds at most 4096\.0 MiB/)
})

test('a module that is not the one of the manifest is refused, whichever of the two it is', async () => {
  const checksums = { simd: crc32(toyModule(false)), fma: crc32(toyModule(true)) }
  const { build } = toyBuild(m => ({ ...m, programs: [{ ...toyProgram, checksums }] }))
  assert.is((await ready({}, build)).variant, 'wasm, relaxed FMA, 1 thread')
  writeFileSync(join(build, 'step.fma.wasm'), toyModule(false))
  assert.match(await refusal(() => ready({}, build)), /step\.fma\.wasm: the module is damaged, or belongs to another compile.*\n.*Compile again/)
  assert.is((await ready({ variant: 'simd' }, build)).variant, 'wasm, multiply and add, 1 thread')
})

test('unknown programs are refused with the near ones', async () => {
  assert.match(await refusal(() => ready({}, undefined, 'other/step')), /no program 'other\/step'.*\n.*Did you mean: toy\/step/)
})

test('the eager device says when the source no longer fits', async () => {
  const { folder, build } = toyBuild()
  rmSync(join(folder, 'toy.ts'))
  assert.match(await refusal(() => ready({ device: 'eager' }, build)), /toy\.ts: the model's source could not be imported/)
  const other = toyBuild(m => ({ ...m, programs: [{ ...toyProgram, id: 'toy/notAProgram' }] }))
  assert.match(await refusal(() => ready({ device: 'eager' }, other.build, 'toy/notAProgram')), /no longer exports a program called notAProgram/)
  const reshaped = toyBuild(m => ({ ...m, programs: [{ ...toyProgram, outputs: toyProgram.outputs.map(o => ({ ...o, shape: [1, 2] })) }] }))
  const step = await ready({ device: 'eager' }, reshaped.build)
  assert.match(await refusal(() => step.run()), /state\.w: compiled as f32\[1, 2\], the source returns f32\[2\]/)
})

test('feeding copies all arrays at once, also where a target lies on a later source', () => {
  const slot = (path: string, offset: number) => ({ path, shape: [2], dtype: 'f32' as const, offset })
  // The output a lies where input b is to go, and b where a is to go.
  const program: ProgramInfo = { ...toyProgram, inputs: [slot('s.a', 8), slot('s.b', 0)], outputs: [slot('s.a', 0), slot('s.b', 8)] }
  const buffer = new ArrayBuffer(16)
  new Float32Array(buffer).set([1, 2, 3, 4])
  const swap = executableOver(program, { buffer, arithmetic: '', threads: 1, run: () => undefined, steps: [] })
  swap.feed('s', 's')
  assert.equal([...new Float32Array(buffer)], [3, 4, 1, 2])
})

test('feeding needs the same arrays on both sides', async () => {
  const program: ProgramInfo = { ...toyProgram, inputs: [...toyProgram.inputs, { path: 'state.v', shape: [1], dtype: 'f32', offset: 56 }] }
  const step = executableOver(program, { buffer: new ArrayBuffer(64), arithmetic: '', threads: 1, run: () => undefined, steps: [] })
  assert.match(await refusal(() => step.feed('state', 'state')), /input state\.v has no output state\.v/)
})

test('parameters go from one program to another', async () => {
  const [a, b] = [await ready(), await ready()]
  a.setAll({ 'state.w': [1, 2], x: [3, 4] })
  a.run()
  await transfer(a, 'state', b, 'state')
  assert.equal(b.inputView('state.w'), Float32Array.of(4, 6))
  assert.match(await refusal(() => transfer(a, 'bits', b, 'x')), /input x is f32\[2\].*has bits as u32\[2\]/)
})

type Programs = {
  'toy/step': {
    inputs: { state: { w: Arr<[2]> }; x: Arr<[2]>; key: Arr<[2], 'u32'>; flags: Arr<[2], 'bool'> }
    outputs: { state: { w: Arr<[2]> }; bits: Arr<[2], 'u32'>; flags: Arr<[2], 'bool'> }
  }
}

test('typed calls take and return trees', async () => {
  const step = await load<Programs>({ build: toyBuild().build })('toy/step')
  const rest = { key: arr([2], [1, 2], 'u32'), flags: arr([2], [0, 1], 'bool') }
  const out = step({ state: { w: arr([2], [1, 2]) }, x: arr([2], Float32Array.of(3, 4)), ...rest })
  assert.equal(out.state.w.data, Float32Array.of(4, 6))
  assert.equal(out.flags.data, Uint8Array.of(0, 1))
  const again = step({ state: out.state, x: arr([2], [1, 1]), ...rest })
  assert.equal(again.state.w.data, Float32Array.of(5, 7))
  assert.equal(out.state.w.data, Float32Array.of(4, 6), 'results are copies')
  // @ts-expect-error an array of three elements is no Arr<[2]>
  assert.match(await refusal(() => step({ state: out.state, x: arr([3], [1, 2, 3]), ...rest })), /x: expected f32\[2\], got f32\[3\]/)
  // @ts-expect-error x is missing
  assert.match(await refusal(() => step({ state: out.state, ...rest })), /x: missing, expected f32\[2\]/)
  // @ts-expect-error x is f32
  assert.match(await refusal(() => step({ state: out.state, ...rest, x: rest.key })), /x: expected f32\[2\], got u32\[2\]/)
  // @ts-expect-error there is no such program
  assert.match(await refusal(() => load<Programs>({ build: toyBuild().build })('toy/other')), /no program 'toy\/other'/)
  assert.match(await refusal(() => arr([3], [1])), /shape \[3\] has 3 elements, the data has 1/)
})

test('typed calls on any device give promises, and need not wait for one another', async () => {
  const step = await loadOn<Programs>({ build: toyBuild().build, device: 'wasm' })('toy/step')
  const rest = { key: arr([2], [1, 2], 'u32'), flags: arr([2], [0, 1], 'bool') }
  const calls = [1, 2].map(w => step({ state: { w: arr([2], [w, w]) }, x: arr([2], [3, 4]), ...rest }))
  const [first, second] = await Promise.all(calls)
  assert.equal([first?.state.w.data, second?.state.w.data, second?.flags.data], [Float32Array.of(4, 5), Float32Array.of(5, 6), Uint8Array.of(0, 1)])
  // @ts-expect-error x is missing
  assert.match(await refusal(() => step({ state: { w: arr([2], [1, 2]) }, ...rest })), /x: missing, expected f32\[2\]/)
})

test('the public runtime can be bundled for a browser: no module of Node is imported before it is needed', () => {
  const seen = new Set<string>()
  const walk = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    const imports = [...readFileSync(path, 'utf8').matchAll(/^(?:import|export) (?!type\b)[^'\n]*from '([^']+)'/gm)].map(m => m[1] ?? '')
    assert.not(imports.some(from => from.startsWith('node:')), path)
    imports.filter(from => from.startsWith('.')).forEach(from => walk(join(path, '..', from)))
  }
  walk(resolve('runtime/index.ts'))
  assert.ok(seen.has(resolve('runtime/device/wasm.ts')))
})

test('the measured peak is a plausible number', () => {
  nodeHost('').prepare()
  const { gflops } = measurePeak(30)
  assert.ok(gflops > 0.5 && gflops < 1000, String(gflops))
})

test.run()
