/**
 * Typed calls: `build/bindings.ts` says which arrays each program takes and returns, and `load` makes a function of a
 * program whose arguments are checked by shape before anything runs.
 */
import { Refusal, refuse } from '../dsl/errors.ts'
import type { DType } from '../dsl/core/prim.ts'
import { openBuild, type Build, type LoadOptions, type LocalOptions } from './build.ts'
import type { Host } from './device/host.ts'
import { sameShape, typeText, type ArrayOf, type Executable, type LocalExecutable } from './executor.ts'
import { sizeOfShape } from './manifest.ts'
import { fromPaths, toPaths } from './paths.ts'

/** An array of known shape: row-major data with its dimensions. `Arr<[3, 64, 64]>`, `Arr<[2], 'u32'>`, `Arr<[]>`. */
export interface Arr<S extends readonly number[] = readonly number[], D extends DType = 'f32'> {
  readonly shape: S
  readonly dtype: D
  readonly data: ArrayOf[D]
}

type Loose<S extends readonly number[]> = { -readonly [K in keyof S]: S[K] }

const storage: { readonly [D in DType]: (from: ArrayLike<number>) => ArrayOf[D] } = {
  f32: from => (from instanceof Float32Array ? from : Float32Array.from(from)),
  i32: from => (from instanceof Int32Array ? from : Int32Array.from(from)),
  u32: from => (from instanceof Uint32Array ? from : Uint32Array.from(from)),
  bool: from => (from instanceof Uint8Array ? from : Uint8Array.from(from)),
}

/** An array of that shape over `data` (used in place where it is of the right kind): `arr([3, 64, 64], pixels)`, `arr([2], key, 'u32')`. */
export const arr = <const S extends readonly number[], D extends DType = 'f32'>(shape: S, data: ArrayLike<number>, dtype?: D): Arr<Loose<S>, D> => {
  // The default of D is f32, so an absent dtype is 'f32' in the type too.
  const kind = (dtype ?? 'f32') as D
  if (data.length !== sizeOfShape(shape)) {
    return refuse({ kind: 'shape', operation: 'arr', message: `shape [${shape.join(', ')}] has ${sizeOfShape(shape)} elements, the data has ${data.length}` })
  }
  return { shape: [...shape] as unknown as Loose<S>, dtype: kind, data: storage[kind](data) }
}

/** What `build/bindings.ts` exports as `Programs`: by program id, the trees of its inputs and outputs. */
export type ProgramTypes = { readonly [id: string]: { readonly inputs: unknown; readonly outputs: unknown } }

/** An input tree as a caller may write it: a scalar may be a plain number. */
export type Given<T> = T extends Arr<infer S, infer D> ? (S extends readonly [] ? T | number : Arr<S, D>) : T extends object
  ? { readonly [K in keyof T]: Given<T[K]> } : T

/** A program as a function from its input tree to its output tree; `executable` is underneath, for states that stay where they are. */
export type Bound<P extends ProgramTypes[string]> = ((inputs: Given<P['inputs']>) => P['outputs']) & { readonly executable: LocalExecutable }

/** The same on any device: what it returns comes when the device has done it. Calls need not wait for one another. */
export type BoundOn<P extends ProgramTypes[string]> = ((inputs: Given<P['inputs']>) => Promise<P['outputs']>) & { readonly executable: Executable }

const isArr = (u: unknown): u is Arr<readonly number[], DType> => typeof u === 'object' && u !== null && 'shape' in u && 'data' in u && 'dtype' in u
  && ArrayBuffer.isView(u.data)

/** Sets all inputs from a tree; refuses what is missing, unknown or of another type (callers may be untyped). */
const setTree = (executable: Executable, tree: unknown): void => {
  const given = new Map(toPaths(tree, (u): u is Arr<readonly number[], DType> | number => isArr(u) || typeof u === 'number'))
  const problems = executable.program.inputs.flatMap(slot => {
    const value = given.get(slot.path)
    if (value === undefined) return [`${slot.path}: missing, expected ${typeText(slot)}`]
    if (typeof value === 'number') return slot.shape.length === 0 ? [] : [`${slot.path}: expected ${typeText(slot)}, got a number`]
    return value.dtype === slot.dtype && sameShape(value.shape, slot.shape) ? [] : [`${slot.path}: expected ${typeText(slot)}, got ${typeText(value)}`]
  })
  const known = new Set(executable.program.inputs.map(slot => slot.path))
  const unknown = [...given.keys()].filter(path => !known.has(path)).map(path => `${path}: no such input`)
  if (problems.length + unknown.length > 0) refuse({ kind: 'arrays', program: executable.program.id, problems: [...problems, ...unknown] })
  for (const [path, value] of given) executable.set(path, typeof value === 'number' ? [value] : value.data)
}

const bind = <P extends ProgramTypes[string]>(executable: LocalExecutable): Bound<P> => {
  const call = (inputs: Given<P['inputs']>): P['outputs'] => {
    setTree(executable, inputs)
    executable.run()
    return fromPaths(executable.program.outputs.map(slot => [slot.path, { shape: slot.shape, dtype: slot.dtype, data: executable.get(slot.path) }] as const))
  }
  return Object.assign(call, { executable })
}

const bindOn = <P extends ProgramTypes[string]>(executable: Executable): BoundOn<P> => {
  const { outputs } = executable.program
  const call = async (inputs: Given<P['inputs']>): Promise<P['outputs']> => {
    setTree(executable, inputs)
    executable.run()
    const results = await executable.read(outputs.map(({ path }) => path))
    return fromPaths(outputs.map(({ path, shape, dtype }, i) => [path, { shape, dtype, data: results[i] }] as const))
  }
  return Object.assign(call, { executable })
}

/** `build`: a folder in Node, an address in a bundle for browsers (default `build`, beside the page), or a host. */
export type BindOptions = LocalOptions & { readonly build?: string | Host }

// The package's own import `#host` is Node's side or, under the condition `browser` that bundlers set, the browser's.
const hostOf = async (build: string | Host): Promise<Host> => (typeof build === 'string' ? (await import('#host')).hostAt(build) : build)

const opened = async (build: string | Host = 'build'): Promise<Build> => {
  const found = await openBuild(await hostOf(build))()
  if (found._tag === 'Left') throw new Refusal(found.left)
  return found.right
}

/**
 * `const f = await load<Programs>()('my/step')`: the program as a typed function. Rejects with a `Refusal` where the
 * build or the program cannot be had; the call itself throws one where untyped arrays do not fit.
 */
export const load = <P extends { readonly [K in keyof P]: ProgramTypes[string] }>(options: BindOptions = {}) =>
  async <K extends keyof P & string>(id: K): Promise<Bound<P[K]>> => {
    const { build, ...rest } = options
    const executable = await (await opened(build)).load(id, rest)()
    if (executable._tag === 'Left') throw new Refusal(executable.left)
    return bind<P[K]>(executable.right)
  }

/** `const f = await loadOn<Programs>({ device: 'webgpu' })('my/step')`: on any device, as a typed function that gives a promise. */
export const loadOn = <P extends { readonly [K in keyof P]: ProgramTypes[string] }>(options: LoadOptions & Pick<BindOptions, 'build'>) =>
  async <K extends keyof P & string>(id: K): Promise<BoundOn<P[K]>> => {
    const { build, ...rest } = options
    const executable = await (await opened(build)).loadOn(id, rest)()
    if (executable._tag === 'Left') throw new Refusal(executable.left)
    return bindOn<P[K]>(executable.right)
  }
