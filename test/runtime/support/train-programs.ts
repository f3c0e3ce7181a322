/**
 * Programs written by hand over the executor's own memory, to test training without a compiler. The "model" is one mean
 * picture with momentum, whose gradient also depends on the key, so that every input of a step matters to the state, and a
 * tint, which stage 1 draws and stage 2 finds frozen; stage 2 trains the mean further, and a drift of its own.
 */
import type { DType } from '../../../dsl/core/prim.ts'
import { executableOver, type LocalExecutable } from '../../../runtime/executor.ts'
import { sizeOfShape, type ProgramInfo, type Slot } from '../../../runtime/manifest.ts'
import type { StageNumber } from '../../../runtime/train/config.ts'
import type { Programs } from '../../../runtime/train/programs.ts'
import type { Schedule, Stage } from '../../../runtime/train/stages.ts'

type Spec = readonly (readonly [path: string, shape: readonly number[], dtype?: DType])[]
type At = (path: string) => Float32Array

const make = (id: string, inputs: Spec, outputs: Spec, run: (input: At, output: At) => void): LocalExecutable => {
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
const picture = (path: string): Spec[number] => [path, [3, 64, 64]]
const intOf = (view: Float32Array): Int32Array => new Int32Array(view.buffer, view.byteOffset, view.length)
const wordsOf = (view: Float32Array): Uint32Array => new Uint32Array(view.buffer, view.byteOffset, view.length)
const KEY: Spec[number] = ['key', [2], 'u32']

/** What each stage trains. */
const TRAINED = { 1: [picture('mean'), ['tint', [3]]], 2: [picture('mean'), picture('drift')] } as const satisfies Readonly<Record<StageNumber, Spec>>
const stateOf = (stage: StageNumber, prefix: string): Spec => [
  ...TRAINED[stage].map(([path, shape]) => [`${prefix}params.${path}`, shape] as const),
  picture(`${prefix}optimizer.velocity`), [`${prefix}optimizer.count`, [], 'i32'],
]

export type FakeOptions = {
  /** Makes the loss NaN from that count on. */
  readonly spoil?: number
  /** Makes the parameters infinite from that count on; the loss stays finite. */
  readonly poison?: number
  /** Whether there are programs of which pictures are made; default: there are. */
  readonly pictures?: boolean
  readonly groups?: number
  readonly parts?: number
  readonly frames?: number
}

/** Frames of one video, wherever one is encoded or made. */
const T = 3

const initOf = (stage: StageNumber): LocalExecutable =>
  make(`test/${stage}/init`, [KEY], stateOf(stage, ''), (input, output) => {
    const [word = 0] = wordsOf(input('key'))
    output('params.mean').fill(0.25 + (word % 100) / 1000)
    if (stage === 1) output('params.tint').fill((word % 7) / 100)
    else output('params.drift').fill((word % 11) / 1000)
    output('optimizer.velocity').fill(0)
    intOf(output('optimizer.count'))[0] = 0
  })

const SCHEDULED = { 1: ['learningRate', 'temperature', 'lambdaS', 'lambdaZ'], 2: ['learningRate', 'temperature', 'lambdaS', 'lambdaD', 'lambdaZ'] } as const

const trainStepOf = (stage: StageNumber, { spoil = Infinity, poison = Infinity, groups = 2, parts = 2, frames = 4 }: FakeOptions): LocalExecutable => {
  const inputs: Spec = [
    ...stateOf(stage, 'state.'), ...(stage === 2 ? [['frozen.tint', [3]] as const] : []), ['x', [groups, parts, frames, 3, 64, 64]], KEY,
    ...SCHEDULED[stage].map(name => [`schedule.${name}`, []] as const),
  ]
  const outputs: Spec = [...stateOf(stage, 'state.'), ['metrics.loss', []], ['metrics.klS', []], ['metrics.byGroup', [groups]]]
  const own = stage === 1 ? 'tint' : 'drift'
  return make(`test/${stage}/trainStep`, inputs, outputs, (input, output) => {
    const [mean, velocity, frame] = [input('state.params.mean'), input('state.optimizer.velocity'), input('x')]
    const tint = input(stage === 1 ? 'state.params.tint' : 'frozen.tint')
    const drift = stage === 2 ? input('state.params.drift') : undefined
    const key = wordsOf(input('key'))
    const rate = input('schedule.learningRate')[0]!
    const count = intOf(input('state.optimizer.count'))[0]! + 1
    const videos = groups * parts * frames
    let loss = 0
    for (let i = 0; i < PIXELS; i++) {
      let gradient = 1e-3 * ((key[i % 2]! >>> 8) / 2 ** 24)
      for (let n = 0; n < videos; n++) {
        const difference = mean[i]! + (drift?.[i] ?? 0) + 0.01 * tint[Math.floor(i / 4096)]! - frame[n * PIXELS + i]!
        gradient += difference / videos
        loss += (difference * difference) / (videos * PIXELS)
      }
      const v = 0.5 * velocity[i]! + gradient
      output('state.optimizer.velocity')[i] = v
      output('state.params.mean')[i] = count >= poison ? Infinity : mean[i]! - rate * v
    }
    output(`state.params.${own}`).set(input(`state.params.${own}`).map((old, i) => old + 1e-3 * ((key[i % 2]! >>> 8) / 2 ** 24)))
    intOf(output('state.optimizer.count'))[0] = count
    output('metrics.loss')[0] = count >= spoil ? NaN : count >= poison ? 0 : loss
    output('metrics.klS')[0] = input('schedule.lambdaS')[0]!
  })
}

/** s: the mean colour of the video; z: the brightness of each frame; d, where there is one: how much brighter the last frame is than the first. */
const encodeOf = (stage: StageNumber): LocalExecutable =>
  make(`test/${stage}/encode`, [picture('params.mean'), ['params.tint', [3]], ['x', [T, 3, 64, 64]]],
    [['s.loc', [3]], ['z.loc', [T, 1]], ...(stage === 2 ? [['d.loc', [1]] as const] : [])], (input, output) => {
    const [frame, s, z] = [input('x'), output('s.loc').fill(0), output('z.loc').fill(0)]
    for (let i = 0; i < T * PIXELS; i++) {
      const [t, c] = [Math.floor(i / PIXELS), Math.floor((i % PIXELS) / 4096)]
      s[c]! += frame[i]! / (4096 * T)
      z[t]! += frame[i]! / PIXELS
    }
    if (stage === 2) output('d.loc')[0] = z[T - 1]! - z[0]!
  })

const paint = (s: Float32Array, z: Float32Array, tint: Float32Array, x: Float32Array): void => {
  for (let t = 0; t < T; t++) for (let c = 0; c < 3; c++) x.fill(Math.min(1, (s[c]! + tint[c]!) * z[t]! * 50), (t * 3 + c) * 4096, (t * 3 + c + 1) * 4096)
}

const decode = (): LocalExecutable =>
  make('test/decode', [['params.tint', [3]], ['s', [3]], ['z', [T, 1]], ['temperature', []]], [['', [T, 3, 64, 64]]], (input, output) =>
    paint(input('s'), input('z'), input('params.tint'), output('')))

const generate = (): LocalExecutable =>
  make('test/generate', [['params.tint', [3]], KEY, ['temperature', []], ['spread', []]], [['s', [3]], ['d', [1]], ['z', [T, 1]], ['x', [T, 3, 64, 64]]],
    (input, output) => {
    const draws = Array.from({ length: 4 }, (_, i) => (wordsOf(input('key'))[i % 2]! >>> (8 * i) & 255) / 2550)
    output('s').set(draws.slice(0, 3))
    output('d')[0] = draws[3]!
    output('z').forEach((_, t) => { output('z')[t] = 0.1 + draws[3]! * t * (1 + input('spread')[0]!) })
    paint(output('s'), output('z'), input('params.tint'), output('x'))
  })

const continuation = (): LocalExecutable =>
  make('test/continuation', [['params.tint', [3]], ['s', [3]], ['d', [1]], ['z', [1]], KEY, ['temperature', []], ['spread', []]],
    [['z', [T, 1]], ['x', [T, 3, 64, 64]]], (input, output) => {
    output('z').forEach((_, t) => { output('z')[t] = input('z')[0]! + (t + 1) * input('d')[0]! })
    paint(input('s'), output('z'), input('params.tint'), output('x'))
  })

/** Takes whole groups in stage 1 and single videos in stage 2. */
const evaluateOf = (stage: StageNumber): LocalExecutable => {
  const x: Spec[number] = ['x', stage === 1 ? [2, 2, 4, 3, 64, 64] : [4, 1, T, 3, 64, 64]]
  return make(`test/${stage}/evaluate`, [picture('params.mean'), x, ['eps.s', [4, 3]], ['temperature', []]], [['error', []], ['noise', []]],
    (input, output) => {
    const mean = input('params.mean')
    output('error')[0] = input('x').reduce((sum, v, i) => sum + (v - mean[i % PIXELS]!) ** 2, 0) / input('x').length
    output('noise')[0] = input('eps.s').reduce((sum, v) => sum + v * v, 0) / input('eps.s').length
  })
}

const given = (program: LocalExecutable) => async (): Promise<LocalExecutable> => program

export const fakePrograms = (stage: StageNumber, options: FakeOptions = {}): Programs => ({
  trainStep: trainStepOf(stage, options), init: given(initOf(stage)), evaluate: given(evaluateOf(stage)),
  ...(options.pictures === false ? {} : { encode: given(encodeOf(stage)), decode: given(decode()) }),
  ...(options.pictures === false || stage === 1 ? {} : { generate: given(generate()), continuation: given(continuation()) }),
})

/** What both stages are annealed by, unless a test says otherwise. */
export const fakeSchedule = (stage: StageNumber): Schedule => progress => {
  const values: Readonly<Record<(typeof SCHEDULED)[2][number], number>> = { learningRate: 2e-3 * (1 - 0.8 * progress), temperature: 1 + progress,
    lambdaS: 0.1 + 0.9 * progress, lambdaD: 0.5, lambdaZ: 10 - 9 * progress }
  return Object.fromEntries(SCHEDULED[stage].map(name => [name, values[name]]))
}

export const fakeStage = (number: StageNumber, options: FakeOptions = {}, schedule: Schedule = fakeSchedule(number)): Stage =>
  ({ number, schedule, trainStep: trainStepOf(number, options).program, load: async () => fakePrograms(number, options) })
