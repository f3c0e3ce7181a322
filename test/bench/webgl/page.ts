/** The page of the benchmark of WebGL: times a compiled program, its kernels one by one, and kernels written by hand. */
import { GPU } from 'gpu.js'
import { open, sizeOfShape, type Executable } from '../../../runtime/browser.ts'
import { kernelsByHand, type Conv } from './by-hand.ts'

/** Milliseconds. */
export type Times = { readonly median: number; readonly least: number }
export type Measured = { readonly variant: string; readonly memoryBytes: number; readonly first: number; readonly call: Times; readonly steps: readonly Times[] }
export type ByHand = { readonly name: string; readonly times: Times; readonly sum: number }

const timesOf = (values: readonly number[]): Times =>
  ({ median: [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN, least: Math.min(...values) })

const timed = async (rounds: number, f: () => Promise<void>): Promise<Times> => {
  await f()
  const found: number[] = []
  for (let i = 0; i < rounds; i++) {
    const start = performance.now()
    await f()
    found.push(performance.now() - start)
  }
  return timesOf(found)
}

/** Numbers that look random and are the same every time. */
const noise = (n: number, scale: number): Float32Array => Float32Array.from({ length: n }, (_, i) => scale * Math.sin(12.9898 * i + 78.233))

const fill = (program: Executable): void => program.program.inputs.forEach(({ path, shape }) => program.set(path, noise(sizeOfShape(shape), 0.1)))

/** As gpu.js gives results: in one dimension, or rows in planes. */
type Nested = number | Iterable<Nested>
const sumOf = (of: Nested): number => (typeof of === 'number' ? of : [...of].reduce((sum: number, part) => sum + sumOf(part), 0))

/** Runs often enough that the wait for the last result does not count. */
const inOneRound = 8

const page = {
  program: async (id: string, device: 'webgl' | 'wasm', rounds: number): Promise<Measured> => {
    const start = performance.now()
    const program = await (await open('/build/')).load(id, { device })
    fill(program)
    const output = program.program.outputs.at(-1)?.path ?? ''
    const call = async (): Promise<void> => {
      program.run()
      await program.read([output])
    }
    await call()
    const first = performance.now() - start
    const whole = await timed(rounds, call)
    const steps: Times[] = []
    for (let step = 0; device === 'webgl' && step < program.steps; step++) {
      const each = await timed(Math.ceil(rounds / 2), async () => {
        for (let i = 0; i < inOneRound; i++) program.runStep(step)
        await program.done()
      })
      steps.push({ median: each.median / inOneRound, least: each.least / inOneRound })
    }
    return { variant: program.variant, memoryBytes: program.memoryBytes, first, call: whole, steps }
  },
  byHand: async (conv: Conv, rounds: number): Promise<readonly ByHand[]> => {
    const gpu = new GPU({ mode: 'webgl2' })
    const { frames, channels, outputs, size, window } = conv
    const kernels = kernelsByHand(gpu, conv, noise(frames * channels * size * size, 1), noise(outputs * channels * window * window, 0.1), noise(outputs, 0.1))
    const found: ByHand[] = []
    for (const { name, run } of kernels) {
      const times = await timed(rounds, async () => {
        for (let i = 1; i < inOneRound; i++) run().delete()
        const result = run()
        result.toArray()
        result.delete()
      })
      const result = run()
      const sum = sumOf(result.toArray() as Nested)
      result.delete()
      found.push({ name, times: { median: times.median / inOneRound, least: times.least / inOneRound }, sum })
    }
    return found
  },
}
export type BenchPage = typeof page

Object.assign(globalThis, { page })
