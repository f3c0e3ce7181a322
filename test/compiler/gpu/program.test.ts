/** Programs for WebGPU as they are written to the build folder: files that can be read, bindings within their slots, how many dispatches a call is. */
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { countsOf } from '../../../compiler/emit/counts.ts'
import { lowerFiles } from '../../../compiler/frontend/lower.ts'
import { kernels } from '../../../compiler/fuse/plan.ts'
import { planMemory } from '../../../compiler/schedule/memory.ts'
import { TooLarge, compileGpu } from '../../../compiler/targets/wgsl/program.ts'
import { optimise } from '../../../compiler/transform/passes.ts'
import { print } from '../../../dsl/errors.ts'
import { GpuProgram, type GpuStep, type KernelStep, type Place } from '../../../runtime/gpu-program.ts'

const models = fileURLToPath(new URL('../../../models', import.meta.url))
const lowered = lowerFiles(['frames', 'video'].map(name => `${models}/vdsm/tiny/${name}.ts`), models)
const programs = E.isRight(lowered) ? lowered.right : (assert.unreachable(print(lowered.left)) as never)
const all = programs.map(({ name, func: given, updates }) => {
  const func = optimise(given)
  const plan = kernels(func, updates)
  return { name, func, updates, plan, compiled: compileGpu(name, plan) }
})

type Dispatches = Extract<GpuStep, { kind: 'kernel' }>['choices'][number]
const dispatchesIn = (steps: readonly GpuStep[]): Dispatches =>
  steps.flatMap(s => (s.kind === 'loop' ? dispatchesIn(s.steps) : s.kind === 'kernel' ? s.choices.flat() : []))
const kernelsIn = (steps: readonly GpuStep[]): readonly KernelStep[] =>
  steps.flatMap(s => (s.kind === 'loop' ? kernelsIn(s.steps) : s.kind === 'kernel' ? [s] : []))
const copiesIn = (steps: readonly GpuStep[]): readonly Extract<GpuStep, { kind: 'copy' }>[] =>
  steps.flatMap(s => (s.kind === 'loop' ? copiesIn(s.steps) : s.kind === 'copy' ? [s] : []))

test('every program of the smallest model is read back as it was written', () => {
  for (const { name, compiled: { program } } of all) {
    const read = GpuProgram.decode(JSON.parse(JSON.stringify(GpuProgram.encode(program))))
    assert.equal(E.isRight(read) ? read.right : name, program)
  }
})

test('every binding lies within its slot, at a multiple of 256, no more than 8 at once; none is bound for reading and writing', () => {
  for (const { name, compiled: { program } } of all) {
    const inside = ({ slot, offset }: Place, bytes: number): boolean => offset % 256 === 0 && bytes % 4 === 0 && bytes > 0 && offset + bytes <= program.slots[slot]!
    for (const { shader, groups, bindings } of dispatchesIn(program.steps)) {
      const { code, threads } = program.shaders[shader]!
      assert.ok(bindings.length <= 8 && groups >= 1 && threads <= 256, name)
      assert.is(code.match(/@group\(0\)/g)?.length, bindings.length)
      bindings.forEach((b, i) => {
        assert.ok(inside(b, b.bytes), `${name}: ${JSON.stringify(b)} of ${program.slots[b.slot]}`)
        assert.match(code, new RegExp(`@group\\(0\\) @binding\\(${i}\\) var<storage, ${b.access === 'write' ? 'read_write' : 'read'}>`))
        for (const other of bindings.slice(i + 1)) {
          if (other.slot !== b.slot) continue
          assert.is(other.access, b.access, `${name}: one slot for reading and for writing`)
          assert.ok(b.access === 'read' || b.offset + b.bytes <= other.offset || other.offset + other.bytes <= b.offset, `${name}: written under two names`)
        }
      })
    }
    for (const { from, to, bytes } of copiesIn(program.steps)) assert.ok(inside(from, bytes) && inside(to, bytes) && from.slot !== to.slot, name)
    assert.is(new Set(program.shaders.map(s => s.code)).size, program.shaders.length)
  }
})

test('a device that has nothing but the least can run every kernel; where one with subgroups would take another shader, none is measured for that alone', () => {
  const steps = all.flatMap(({ compiled: { program } }) => kernelsIn(program.steps).map(step => ({ step, shaders: program.shaders })))
  const needy = steps.map(({ step: { choices }, shaders }) => choices.map(choice => choice.some(info => /^enable /m.test(shaders[info.shader]!.code))))
  assert.ok(needy.every(choices => choices.length === 0 || choices.includes(false)))
  assert.ok(needy.some(([first, second]) => first === true && second === false))
  // no kernel of the smallest model is large enough to measure its schedules
  needy.forEach((choices, i) => assert.is(steps[i]!.step.settled === true, choices.length > 1))
})

test('inputs and outputs are those of the program; a state that is replaced stays where it is', () => {
  for (const { func, updates, compiled: { program } } of all) {
    assert.equal([program.inputs.length, program.outputs.length], [func.params.length, func.results.length])
    for (const [result, param] of updates) assert.equal(program.outputs[result], program.inputs[param])
  }
})

test('separate buffers take little more than one memory would', () => {
  for (const { name, plan, compiled: { slots } } of all.filter(p => p.name.endsWith('trainStep'))) {
    const { bytes } = planMemory(plan)
    assert.ok(slots.bytes < 1.25 * bytes, `${name}: ${slots.bytes} for ${bytes}`)
  }
})

test('dispatches of a training step', () => {
  const step = (name: string) => countsOf(all.find(p => p.name === name)?.compiled ?? (assert.unreachable(name) as never))
  const [frames, video] = [step('vdsm/tiny/frames/trainStep'), step('vdsm/tiny/video/trainStep')]
  assert.ok(frames.dispatches <= 165, `${frames.dispatches}`)
  assert.ok(video.dispatches <= 570, `${video.dispatches}`)
})

test('numbers that JSON does not know are words', () => {
  const aval = { shape: [4], dtype: 'f32' } as const
  const made = compileGpu('words', {
    buffers: [
      { id: 0, aval, name: 'c', role: { kind: 'constant', data: [NaN, -0, Infinity, -Infinity] } },
      { id: 1, aval, name: 'y', role: { kind: 'output', index: 0 } },
    ],
    steps: [{ kind: 'copy', from: 0, to: 1 }],
  })
  assert.equal(made.program.constants[0]?.data, ['NaN', '-0', 'Infinity', '-Infinity'])
  assert.equal(made.program.constants[0]?.data.map(Number), [NaN, -0, Infinity, -Infinity])
})

test('an array that no device binds is named', () => {
  const aval = { shape: [2 ** 30], dtype: 'f32' } as const
  const plan = { buffers: [{ id: 0, aval, name: 'x', role: { kind: 'input', index: 0 } as const }], steps: [] }
  assert.throws(() => compileGpu('large', plan), (error: unknown) => error instanceof TooLarge && error.message === 'x takes 4294967296 bytes; WebGPU binds 4294967292 at most')
})

test.run()
