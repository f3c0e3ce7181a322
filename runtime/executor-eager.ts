/**
 * The eager device: runs a program's own TypeScript source in float64, behind the same interface as a compiled program.
 * Slow and exact: what compiled programs are compared with, and where a debugger's breakpoint works.
 */
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { refuse, type Failure } from '../dsl/errors.ts'
import { isTensor, toDense, type Opaque } from '../dsl/core/apply.ts'
import { dense, type Dense } from '../dsl/core/dense.ts'
import type { Host } from './device/host.ts'
import { checkLength, feedPairs, finder, localParts, sameShape, typeText, type AnyArray, type LocalExecutable, type View } from './executor.ts'
import { sizeOfShape, type ProgramInfo } from './manifest.ts'
import { fromPaths, restOf, toPaths } from './paths.ts'

export type EagerExecutable = LocalExecutable & {
  /** The exact value of an output (or input): float64 for f32. */
  readonly exact: (path: string) => Dense
}

type Callable = { readonly call: (...args: readonly unknown[]) => unknown }

const isProgram = (u: unknown): u is Callable => (typeof u === 'object' || typeof u === 'function') && u !== null && Object.hasOwn(u, 'call') && 'call' in u
  && typeof u.call === 'function'

const atBorder = (x: Dense): AnyArray => {
  switch (x.dtype) {
    case 'f32': return Float32Array.from(x.data)
    case 'i32': return Int32Array.from(x.data)
    case 'u32': return Uint32Array.from(x.data)
    case 'bool': return Uint8Array.from(x.data)
  }
}

const asView = (x: Dense): View => {
  const array = atBorder(x)
  return array instanceof Uint8Array ? Uint32Array.from(array) : array
}

/** The results by path, checked against what the compiler found out about them. */
const resultsOf = (program: ProgramInfo, tree: unknown): ReadonlyMap<string, Dense> => {
  const leaves = new Map(toPaths(tree, (u): u is Opaque => isTensor(u)).map(([path, x]) => [path, toDense(x)]))
  const problems = program.outputs.flatMap(slot => {
    const found = leaves.get(slot.path)
    return found !== undefined && found.dtype === slot.dtype && sameShape(found.shape, slot.shape)
      ? []
      : [`${slot.path === '' ? 'the result' : slot.path}: compiled as ${typeText(slot)}, `
        + `the source returns ${found === undefined ? 'nothing there' : typeText(found)}`]
  })
  if (problems.length > 0) refuse({ kind: 'arrays', program: program.id, problems, remedy: 'The source has changed since: compile again (npm run compile).' })
  return leaves
}

const executable = (program: ProgramInfo, source: Callable): EagerExecutable => {
  const find = finder(program)
  const values = new Map(program.inputs.map(slot => [slot.path, dense(slot.shape, new Float64Array(sizeOfShape(slot.shape)), slot.dtype)]))
  let results: ReadonlyMap<string, Dense> = new Map()
  const exact = (path: string): Dense => {
    const slot = find.result(path)
    return results.get(slot.path) ?? values.get(slot.path) ?? dense(slot.shape, new Float64Array(sizeOfShape(slot.shape)), slot.dtype)
  }
  const set: LocalExecutable['set'] = (path, data) => {
    const slot = find.input(path)
    checkLength(program, slot, data)
    values.set(path, dense(slot.shape, slot.dtype === 'bool' ? Uint8Array.from(data, x => (x === 0 ? 0 : 1)) : data, slot.dtype))
  }
  const run = (): void => {
    const args = program.parameters.map(name => fromPaths([...values].flatMap(([path, value]) => {
      const rest = restOf(path, name)
      return rest === null ? [] : [[rest, value] as const]
    })))
    results = resultsOf(program, source.call(...args))
  }
  const given = (path: string): Dense => {
    const { path: known, shape, dtype } = find.input(path)
    return values.get(known) ?? dense(shape, new Float64Array(sizeOfShape(shape)), dtype)
  }
  const get: EagerExecutable['get'] = path => atBorder(exact(path))
  return {
    ...localParts(get, path => atBorder(given(path))),
    program,
    device: 'eager',
    variant: 'eager, float64',
    arithmetic: 'eager, float64',
    threads: 1,
    memoryBytes: 0,
    steps: 1,
    set,
    setAll: arrays => Object.entries(arrays).forEach(([path, data]) => set(path, data)),
    fill: (path, write) => {
      const { dtype, shape } = find.input(path)
      const size = sizeOfShape(shape)
      const view = dtype === 'f32' ? new Float32Array(size) : dtype === 'i32' ? new Int32Array(size) : new Uint32Array(size)
      write(view)
      set(path, view)
    },
    get,
    view: path => asView(exact(path)),
    input: path => asView(given(path)),
    inputView: path => refuse({ kind: 'usage', message: `the eager device has no memory in which ${path} could be written`, remedy: 'Use set.' }),
    run,
    runStep: run,
    feed: (output, input) => {
      const pairs = feedPairs(program, output, input).map(([from, to]) => [to.path, results.get(from.path) ?? exact(from.path)] as const)
      pairs.forEach(([path, value]) => values.set(path, value))
    },
    exact,
  }
}

/** Loads a program from its source: the export that the manifest names, which must be a `program(...)`. */
export const loadEager = (host: Host, root: string, program: ProgramInfo): TE.TaskEither<Failure, EagerExecutable> =>
  pipe(
    host.source(root, program.file),
    TE.chain(module => {
      const name = program.id.split('/').pop() ?? program.id
      const value = module[name]
      return isProgram(value)
        ? TE.right(executable(program, value))
        : TE.left<Failure>({ kind: 'file', path: program.file, message: `it no longer exports a program called ${name}`,
          remedy: 'Compile again: npm run compile (or: npx vdsm compile).' })
    }),
  )
