/**
 * How long a call of each program that makes something of videos takes on a device, with parameters as training starts them: the
 * first call, with loading and compiling, and the median of those after it. A call is all of it: arrays in, the program, results back.
 */
import { sizeOfShape, type Executable, type LoadOptions, type Programs } from '../browser.ts'
import { median } from '../measure/times.ts'
import { heldOutFrames, openPictures } from './data.ts'
import { reasonOf } from './here.ts'
import { MEASURED, type MeasuredProgram } from './measured.ts'
import type { Timing } from './messages.ts'

/** Calls after the first: at least so many, then more for so many milliseconds. */
const CALLS = { least: 3, most: 20, for: 1500 } as const
/** A device on which one call takes longer than this is asked once more only. */
const LONG = 5000

const idOf = (config: string, stage: 'frames' | 'video', name: string): string => `vdsm/${config}/${stage}/${name}`

type Parameters = ReadonlyMap<string, ArrayLike<number>>

/** Parameters of the whole model by path, as both stages start them; stage 2 has the last word. */
const startParameters = async (build: Programs, config: string): Promise<Parameters> => {
  const ofStage = async (stage: 'frames' | 'video'): Promise<readonly (readonly [string, ArrayLike<number>])[]> => {
    const init = await build.load(idOf(config, stage, 'init'), { device: 'wasm', threads: 1 })
    init.set('key', [stage === 'frames' ? 1 : 2, 0])
    init.run()
    const paths = init.program.outputs.flatMap(({ path }) => (path.startsWith('params.') ? [path] : []))
    const arrays = await init.read(paths)
    init.dispose()
    return paths.map((path, i) => [path, arrays[i] ?? []] as const)
  }
  return new Map([...await ofStage('frames'), ...await ofStage('video')])
}

/** A held-out video of so many frames, the k-th. */
const videoOf = (shape: readonly number[], k: number): ArrayLike<number> =>
  heldOutFrames(openPictures(), shape[0] ?? 1, 0)[k] ?? new Float32Array(sizeOfShape(shape))

/** The inputs besides the parameters: videos, a key, a temperature in the middle of training, the model's own noise. */
const giveInputs = (program: Executable): void => {
  for (const { path, shape } of program.program.inputs) {
    switch (path) {
      case 'x':
      case 'identity': program.set(path, videoOf(shape, 0)); break
      case 'action': program.set(path, videoOf(shape, 1)); break
      case 'key': program.set(path, [0, 1]); break
      case 'temperature':
      case 'spread': program.set(path, [1])
    }
  }
}

/** Whether all numbers of the results are finite. */
const call = async (program: Executable, paths: readonly string[]): Promise<boolean> => {
  giveInputs(program)
  program.run()
  return (await program.read(paths)).every(array => array.every(Number.isFinite))
}

const measureOne = async (build: Programs, id: string, parameters: Parameters, options: LoadOptions): Promise<Timing> => {
  const start = performance.now()
  const program = await build.load(id, options)
  try {
    for (const { path } of program.program.inputs) {
      const array = parameters.get(path)
      if (array !== undefined) program.set(path, array)
    }
    const paths = program.program.outputs.map(({ path }) => path)
    let finite = await call(program, paths)
    const first = performance.now() - start
    const times: number[] = []
    const timed = async (): Promise<void> => {
      const from = performance.now()
      finite = (await call(program, paths)) && finite
      times.push(performance.now() - from)
    }
    await timed()
    const least = (times[0] ?? 0) > LONG ? 1 : CALLS.least
    for (const end = performance.now() + CALLS.for; times.length < least || (performance.now() < end && times.length < CALLS.most);) await timed()
    return { kind: 'measured', device: program.variant, first, median: median(times), calls: times.length, finite }
  } finally {
    program.dispose()
  }
}

/** Measures one program after the other; one that cannot be had, or fails, is reported as such. */
export const measure = async (
  build: Programs, config: string, options: LoadOptions, report: (program: MeasuredProgram, timing: Timing) => void,
): Promise<void> => {
  const refused = (error: unknown): Timing => ({ kind: 'refused', why: reasonOf(error) })
  const parameters = await startParameters(build, config).catch((error: unknown) => refused(error))
  for (const name of MEASURED) {
    report(name, 'kind' in parameters ? parameters : await measureOne(build, idOf(config, 'video', name), parameters, options).catch(refused))
  }
}
