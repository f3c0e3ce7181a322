/** One program of a compile, from lowered IR to what is written about it: what each thread of a compile does. */
import { type Failure, Refusal, refuse } from '../dsl/errors.ts'
import type { ProgramInfo } from '../runtime/manifest.ts'
import { type Built, type Shared, type Target, build } from './emit/build.ts'
import { sha } from './emit/cache.ts'
import type { Func, Program } from './ir/ir.ts'
import { optimise } from './transform/passes.ts'

export type Job = {
  readonly program: Program
  readonly targets: readonly Target[]
  /** Changes with the compiler, the language and the targets. */
  readonly compiler: string
  /** The hash that an earlier compile left of the program: where it is still the same, nothing is built. */
  readonly known: string | null
}

/** What is written of a program that was built, and said about it. */
export type Made = {
  readonly info: ProgramInfo
  /** Names in the build folder, with contents. */
  readonly files: readonly (readonly [name: string, content: Uint8Array])[]
  /** Targets that it could not be built for, and why. */
  readonly obstacles: readonly string[]
}

/** `same`: the program is as it was known. */
export type Outcome = { readonly kind: 'made'; readonly made: Made } | { readonly kind: 'same' } | { readonly kind: 'failed'; readonly failure: Failure }

/** A function as text that tells any two apart: every element of a literal, -0 from 0, NaN from infinity. */
const exact = (func: Func): string =>
  JSON.stringify(func, (_, x: unknown) => (typeof x === 'number' && (!Number.isFinite(x) || Object.is(x, -0)) ? (x === 0 ? '-0' : String(x)) : x))

/** A program that no WebAssembly memory can hold is refused before a module is written that no engine would take. */
const checkMemory = ({ info }: Built): void => {
  if (info.memoryBytes <= 2 ** 32) return
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`
  refuse({
    kind: 'limit', what: info.id, message: `the program needs ${gib(info.memoryBytes)} of memory; WebAssembly has ${gib(2 ** 32)} at most`,
    remedy: 'Bind it to smaller sizes, a smaller batch above all.',
  })
}

const madeOf = ({ info, files, gpu, gl }: Built): Made => ({
  info, files,
  obstacles: [...(typeof gpu === 'string' ? [`not for WebGPU: ${gpu}`] : []), ...(typeof gl === 'string' ? [`not for WebGL: ${gl}`] : [])],
})

/** Builds a program. `make` is what the programs of one thread share; `look` sees all that was made of it. */
export const perform = ({ program: source, targets, compiler, known }: Job, make: Shared, look: (built: Built) => void = () => undefined): Outcome => {
  try {
    const program = { ...source, func: optimise(source.func) }
    const rest = JSON.stringify([source.config, source.outputs, source.updates, source.line, source.file])
    const hash = sha([compiler, source.name, exact(program.func), rest].join('\n'))
    if (hash === known) return { kind: 'same' }
    const built = build(source.name, program, hash, targets, make)
    checkMemory(built)
    look(built)
    return { kind: 'made', made: madeOf(built) }
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'failed', failure: error.failure }
    throw error
  }
}
