/** The programs by which a trained model is used, from a build, with the parameters of a checkpoint in them. */
import * as E from 'fp-ts/lib/Either.js'
import { refuse, type Failure } from '../../dsl/errors.ts'
import { misfit } from '../arrays.ts'
import { openBuild, type LoadOptions } from '../build.ts'
import type { Host } from '../device/host.ts'
import { nodeHost } from '../device/node.ts'
import { typeText, type Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import { findProgram, type ProgramInfo } from '../manifest.ts'
import { restOf } from '../paths.ts'
import type { Checkpoint } from '../train/checkpoint.ts'
import { once, type Load } from '../train/programs.ts'
import { orThrow, right } from '../train/task.ts'

/** Where each program that makes videos is, below the model's configuration. Poses are decoded by the program of stage 1. */
export const PLACES =
  { encode: 'video/encode', encodeImage: 'video/encodeImage', decode: 'frames/decode', generate: 'video/generate', continuation: 'video/continuation' } as const
export type Name = keyof typeof PLACES

export type Programs<N extends string = Name> = {
  /** Loaded, and given the parameters, when they are first asked for: each holds memory of its own. */
  readonly load: Readonly<Record<N, Load>>
  readonly info: Readonly<Record<N, ProgramInfo>>
  /** Gives back what they hold on a GPU; they cannot be used afterwards. */
  readonly release: () => void
}

/** Where a build lacks the model's programs, it was made of other sources. */
export const toCompile = (failure: Failure): Failure =>
  failure.kind === 'usage' ? { ...failure, remedy: 'Compile VDSM first: npm run compile (or: npx vdsm compile node_modules/vdsm/models).' } : failure

/** Where programs run: what is said, or what is chosen when it is known which programs they are. */
export type Where = LoadOptions | ((host: Host, programs: readonly ProgramInfo[]) => Promise<LoadOptions>)

const parametersOf = (program: ProgramInfo) => program.inputs.filter(({ path }) => restOf(path, 'params') !== null)

/** Refuses a checkpoint that lacks parameters of a program, or has others of their names. */
const checkParameters = ({ file, path, metadata }: Checkpoint, program: ProgramInfo): void => {
  const problems = parametersOf(program).flatMap(slot => {
    const array = file.arrays.get(slot.path)
    const problem = array === undefined ? `not in the checkpoint, expected ${typeText(slot)}` : misfit(slot, array)
    return problem === null ? [] : [`${slot.path}: ${problem}`]
  })
  if (problems.length === 0) return
  refuse({ kind: 'arrays', program: program.id, problems: problems.slice(0, 8),
    remedy: `The model has changed since ${path} was written: check out that revision (${metadata.revision}) and compile, or train anew.` })
}

/**
 * Opens the programs at `places` of a build for a checkpoint. Everything is checked now: the programs, their sources, and the
 * parameters that they take. Throws a `Refusal`.
 */
export const openPrograms = async <N extends string>(
  folder: string, checkpoint: Checkpoint, places: Readonly<Record<N, string>>, where: Where = {},
): Promise<Programs<N>> => {
  const host = nodeHost(folder)
  const build = await orThrow(openBuild(host))
  const { config } = checkpoint.metadata
  const names = Object.keys(places) as readonly string[] as readonly N[] // keys of a closed record
  const idOf = (name: N): string => `vdsm/${config}/${places[name]}`
  const byName = <A>(make: (name: N) => A): Readonly<Record<N, A>> =>
    Object.fromEntries(names.map(name => [name, make(name)])) as Record<N, A> // all names are there
  const info = byName(name => right(E.mapLeft(toCompile)(findProgram(build.manifest, idOf(name)))))
  const programs: readonly ProgramInfo[] = names.map(name => info[name])
  const options = typeof where === 'function' ? await where(host, programs) : where
  for (const program of programs) {
    if (options.device !== 'eager') right(checkFresh(folder, program))
    checkParameters(checkpoint, program)
  }
  /** On a GPU: those that have parameters already, which others share. */
  const loaded: Executable[] = []
  const load = byName(name => once(async (): Promise<Executable> => {
    const program = await orThrow(build.loadOn(idOf(name), options))
    const missing = new Set(parametersOf(info[name]).map(({ path }) => path))
    for (const other of loaded) {
      const theirs = parametersOf(other.program).filter(({ path }) => missing.has(path)).map(({ path }) => [path, path] as const)
      if (theirs.length > 0 && program.share(other, theirs)) theirs.forEach(([path]) => missing.delete(path))
    }
    for (const path of missing) program.set(path, checkpoint.file.arrays.get(path)?.data ?? [])
    if (options.device === 'webgpu') loaded.push(program)
    return program
  }))
  return { info, load, release: () => loaded.forEach(program => program.dispose()) }
}
