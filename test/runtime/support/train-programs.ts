/**
 * Programs written by hand over the executor's own memory, to test training without a compiler: the "model" is one mean
 * picture with momentum, whose gradient also depends on the key, so that every input of a step matters to the state.
 */
import type { DType } from '../../../dsl/core/prim.ts'
import { executableOver, type Executable } from '../../../runtime/executor.ts'
import { sizeOfShape, type ProgramInfo, type Slot } from '../../../runtime/manifest.ts'
import type { Programs } from '../../../runtime/train/programs.ts'

type Spec = readonly (readonly [path: string, shape: readonly number[], dtype?: DType])[]
type At = (path: string) => Float32Array

const make = (id: string, inputs: Spec, outputs: Spec, run: (input: At, output: At) => void): Executable => {
  let end = 0
  const slot = ([path, shape, dtype = 'f32']: Spec[number]): Slot => {
    const offset = end
    end += 4 * sizeOfShape(shape)
    return { path, shape, dtype, offset }
  }
  const program: ProgramInfo = {
    id, file: 'test.ts', line: 1, config: {}, signature: '', parameters: [], inputs: inputs.map(slot), outputs: outputs.map(slot),
    modules: { simd: '', fma: '' }, memoryBytes: end, threadBytes: 0, sync: 0, threads: 1, hash: 'h', kernels: [],
    stats: { kernelsBefore: 0, kernelsAfter: 0, flops: 0, bytes: 0, peakBytes: end, buffers: 0 },
  }
  const buffer = new ArrayBuffer(end)
  const at = (slots: readonly Slot[]): At => {
    const views = new Map(slots.map(s => [s.path, new Float32Array(buffer, s.offset, sizeOfShape(s.shape))]))
    return path => views.get(path) as Float32Array
  }
  const [input, output] = [at(program.inputs), at(program.outputs)]
  return executableOver(program, { buffer, arithmetic: 'test', threads: 1, run: () => run(input, output), steps: [] })
}

const PIXELS = 3 * 64 * 64
const state = (prefix: string): Spec => [[`${prefix}params.mean`, [3, 64, 64]], [`${prefix}optimizer.velocity`, [3, 64, 64]], [`${prefix}optimizer.count`, [], 'i32']]
const intOf = (view: Float32Array): Int32Array => new Int32Array(view.buffer, view.byteOffset, view.length)

/** `spoil`: makes the loss NaN from that count on; `poison`: makes the parameters infinite from it on, the loss stays finite. */
export const fakePrograms = (options: { readonly spoil?: number; readonly poison?: number; readonly groups?: number; readonly frames?: number } = {}): Programs => {
  const { spoil = Infinity, poison = Infinity, groups = 4, frames = 4 } = options
  const x: Spec[number] = ['x', [groups, frames, 3, 64, 64]]
  const init = make('test/init', [['key', [2], 'u32']], state(''), (input, output) => {
    const seed = new Uint32Array(input('key').buffer, input('key').byteOffset, 2)
    output('params.mean').fill(0.25 + (seed[0]! % 100) / 1000)
    output('optimizer.velocity').fill(0)
    intOf(output('optimizer.count'))[0] = 0
  })
  const schedule: Spec = ['learningRate', 'temperature', 'lambdaS', 'lambdaZ'].map(name => [`schedule.${name}`, []] as const)
  const metrics: Spec = [['metrics.loss', []], ['metrics.klS', []], ['metrics.byGroup', [groups]]]
  const trainStep = make('test/trainStep', [...state('state.'), x, ['key', [2], 'u32'], ...schedule], [...state('state.'), ...metrics], (input, output) => {
    const [mean, velocity, frame] = [input('state.params.mean'), input('state.optimizer.velocity'), input('x')]
    const key = new Uint32Array(input('key').buffer, input('key').byteOffset, 2)
    const count = intOf(input('state.optimizer.count'))[0]! + 1
    let loss = 0
    for (let i = 0; i < PIXELS; i++) {
      let gradient = 1e-3 * ((key[i % 2]! >>> 8) / 2 ** 24)
      for (let n = 0; n < groups * frames; n++) {
        const difference = mean[i]! - frame[n * PIXELS + i]!
        gradient += difference / (groups * frames)
        loss += (difference * difference) / (groups * frames * PIXELS)
      }
      const v = 0.5 * velocity[i]! + gradient
      output('state.optimizer.velocity')[i] = v
      output('state.params.mean')[i] = count >= poison ? Infinity : mean[i]! - input('schedule.learningRate')[0]! * v
    }
    intOf(output('state.optimizer.count'))[0] = count
    output('metrics.loss')[0] = count >= spoil ? NaN : count >= poison ? 0 : loss
    output('metrics.klS')[0] = input('schedule.lambdaS')[0]!
  })
  const encode = make('test/encode', [['params.mean', [3, 64, 64]], x], [['s.loc', [groups, 3]], ['z.loc', [groups, frames, 1]]], (input, output) => {
    // s: the group's mean colour; z: the brightness of each frame.
    const frame = input('x')
    output('s.loc').fill(0)
    for (let n = 0; n < groups * frames; n++) {
      let all = 0
      for (let i = 0; i < PIXELS; i++) {
        const at = Math.floor(n / frames) * 3 + Math.floor(i / 4096)
        output('s.loc')[at] = output('s.loc')[at]! + frame[n * PIXELS + i]! / (4096 * frames)
        all += frame[n * PIXELS + i]! / PIXELS
      }
      output('z.loc')[n] = all
    }
  })
  const decode = make('test/decode', [['params.mean', [3, 64, 64]], ['s', [groups, 3]], ['z', [groups, frames, 1]], ['temperature', []]], [['means', [groups, frames, 3, 64, 64]]], (input, output) => {
    output('means').forEach((_, at) => {
      const n = Math.floor(at / PIXELS)
      output('means')[at] = Math.min(1, input('s')[Math.floor(n / frames) * 3 + Math.floor((at % PIXELS) / 4096)]! * input('z')[n]! * 50)
    })
  })
  const evaluate = make('test/evaluate', [['params.mean', [3, 64, 64]], x, ['eps.s', [groups, 3]], ['temperature', []]], [['error', []], ['noise', []]], (input, output) => {
    output('error')[0] = input('x').reduce((sum, v, i) => sum + (v - input('params.mean')[i % PIXELS]!) ** 2, 0) / input('x').length
    output('noise')[0] = input('eps.s').reduce((sum, v) => sum + v * v, 0) / input('eps.s').length
  })
  const given = (program: Executable) => async (): Promise<Executable> => program
  return { trainStep, init: given(init), encode: given(encode), decode: given(decode), evaluate: given(evaluate) }
}
