/** What compiled programs (model.ts, and share-model.ts of WebGPU's tests) have to do on the device webgl: in Node and in pages alike, so without uvu. */
import type { LoadOptions, Build } from '../../../../runtime/build.ts'
import type { AnyArray, Executable, View } from '../../../../runtime/executor.ts'
import { sizeOfShape } from '../../../../runtime/manifest.ts'
import { orThrow } from './calls.ts'

type Pair = readonly [wasm: Executable, webgl: Executable]

/** Seeded numbers for all inputs that are wanted: of both signs, but for second moments. */
const fill = (programs: readonly Executable[], wanted: (path: string) => boolean = () => true): void => {
  let seed = 7
  const next = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32
  for (const { path, shape, dtype } of programs[0]?.program.inputs.filter(slot => wanted(slot.path)) ?? []) {
    const one = (): number => (dtype !== 'f32' ? Math.floor(20 * next()) - 6 : path.includes('optimizer') ? next() / 100 : next() - 0.5)
    const data = Float64Array.from({ length: sizeOfShape(shape) }, one)
    for (const program of programs) program.set(path, data)
  }
}

/** The largest difference of two arrays, in parts of the largest number of the second. */
export const distance = (a: AnyArray | View | undefined, b: AnyArray | View | undefined): number => {
  if (a === undefined || b === undefined || a.length !== b.length) return Infinity
  const scale = Array.from(b).reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30)
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? NaN)) / scale), 0)
}

const near = async (what: string, [wasm, webgl]: Pair, most: number): Promise<void> => {
  for (const { path } of wasm.program.outputs) {
    const [[expected], [found]] = [await wasm.read([path]), await webgl.read([path])]
    const apart = distance(found, expected)
    if (!(apart <= most)) throw new Error(`${what}, ${path}: ${apart} apart (${found?.slice(0, 8).join(', ')}, not ${expected?.slice(0, 8).join(', ')})`)
  }
}

/** Below test/runtime: to be compiled with that as their root. */
export const sources = ['webgl/support/model.ts', 'webgpu/support/share-model.ts']
const models = { encode: 'webgl/support/model/encode', share: (name: string) => `webgpu/support/share-model/${name}` }

/** Throws where the two devices disagree: about one call by more than float32 sums allow, about training by more than its steps make of that. */
export const checkCompiled = async (build: Build, options: Omit<LoadOptions, 'device'>): Promise<void> => {
  const load = async (id: string): Promise<Pair> =>
    [await orThrow(build.load(id, { threads: 1 })), await orThrow(build.loadOn(id, { ...options, device: 'webgl' }))]
  for (const [id, most] of [[models.encode, 1e-6], [models.share('choose'), 0]] as const) {
    const programs = await load(id)
    fill(programs)
    programs.forEach(program => program.run())
    await near(id, programs, most)
    programs[1].dispose()
  }
  const [train, predict, start] = [await load(models.share('trainStep')), await load(models.share('predict')), await load(models.share('start'))]
  fill(start)
  start[1].run()
  // The state begins as another program returns it, goes from step to step in place, and its parameters are a third one's.
  for (const { path } of start[1].program.outputs) {
    const [values] = await start[1].read([path])
    for (const program of train) program.set(`state.${path}`, values ?? [])
  }
  fill(train, path => !path.startsWith('state'))
  fill(predict, path => path === 'x')
  const shared = predict[0].program.inputs.flatMap(({ path }) => (path.startsWith('params') ? [[`state.${path}`, path] as const] : []))
  if (!predict[1].share(train[1], shared)) throw new Error('parameters are not shared')
  for (let step = 0; step < 10; step++) {
    for (const program of train) {
      program.run()
      program.feed('state', 'state')
    }
    predict[1].run()
  }
  await near('10 steps', train, 2e-5)
  const [trained] = train
  for (const [from, to] of shared) predict[0].set(to, (await trained.read([from]))[0] ?? [])
  predict[0].run()
  await near('predictions by shared parameters', predict, 2e-5)
  for (const pair of [train, predict, start]) pair[1].dispose()
}
