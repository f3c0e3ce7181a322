/** One run of a program on seeded inputs, the same in Node and in a page: its results bit by bit. */
import { load, type Host, type LocalOptions } from '../../runtime/index.ts'

export type Outcome = {
  /** The module that was chosen. */
  readonly variant: string
  /** By path, the bits of each result as unsigned numbers. */
  readonly bits: Readonly<Record<string, readonly number[]>>
  /** By path, its values. */
  readonly values: Readonly<Record<string, readonly number[]>>
}

type Untyped = Readonly<Record<string, { readonly inputs: unknown; readonly outputs: unknown }>>

/** Seeded numbers in [0, 1). */
const random = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 4294967296
  }
}

/** Weights are small and of both signs; frames, second moments, schedules and temperatures lie in [0, 1). */
export const outcome = async (build: Host | string, id: string, options: LocalOptions): Promise<Outcome> => {
  const { executable } = await load<Untyped>({ build, ...options })(id)
  const next = random(11)
  for (const { path, shape, dtype } of executable.program.inputs) {
    const positive = path === 'x' || path.startsWith('schedule') || path === 'temperature' || path.startsWith('state.optimizer')
    const one = (): number => (dtype === 'f32' ? (positive ? next() : 0.4 * next() - 0.2) : Math.floor(next() * 1000))
    executable.set(path, Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, one))
  }
  executable.run()
  const results = executable.program.outputs.map(({ path }) => [path, executable.view(path)] as const)
  return {
    variant: executable.variant,
    bits: Object.fromEntries(results.map(([path, view]) => [path, [...new Uint32Array(view.buffer, view.byteOffset, view.length)]])),
    values: Object.fromEntries(results.map(([path, view]) => [path, [...view]])),
  }
}
