/** What goes wrong on WebGPU, and is told: devices that are lost, shaders, calls, limits, what the adapter lacks. */
import * as assert from 'uvu/assert'
import { print, type Failure } from '../../../../dsl/errors.ts'
import { lease, load, n, ramp, refusal, refused, sums } from './common.ts'
import { choosingOf } from './marked.ts'
import { kernel, place, reads, shader, write, writes, type Written } from './programs.ts'

/** One array, written by one kernel. */
export const single = {
  slots: [512], inputs: {}, outputs: { out: { place: place(0), shape: [n] } }, steps: [kernel('softplus_bias', 0, 2, [writes(0, 512)])],
} as const
const broken = (body: string): Written => write({ ...single, shaders: [shader('softplus_bias', { to: 'w f32' }, body)] })

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

/** A device that was opened without experiments has none; the shader for them is not run unless they are asked for. */
const tensorCores = async (): Promise<void> => {
  assert.match(await refusal(() => load(choosingOf(true), { precision: 'tensor-cores' })),
    /^precision tensor-cores: .* cannot multiply as it takes: it needs .*, which the adapter does not have\n {2}Use the precision (f16-tiles or )?f32\.$/)
  for (const tune of [false, true]) {
    const program = await load(choosingOf(true), { tune })
    program.run()
    assert.is((await program.read(['out']))[0]?.[0], 1)
    program.dispose()
  }
}

export const failingCases = {
  'a shader that does not compile is named': shaderErrors,
  'a call that WebGPU refuses is a failure, never a wrong number': validation,
  'what the adapter is too small for is refused': limits,
  'half precision where the adapter has it': halves,
  'tensor cores only where they are asked for, and only of an adapter that has them': tensorCores,
  'a lost device: the same failure for all, a fresh device after it': loss,
}
