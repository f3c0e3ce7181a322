/**
 * `vdsm run PROGRAM`: any compiled program on arrays from files. Everything that can be checked is checked before it
 * runs: the program, the place of the output, the files, and every array's name, shape and type.
 */
import { sequenceS } from 'fp-ts/lib/Apply.js'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as T from 'fp-ts/lib/Task.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { extname } from 'node:path'
import type { Failure } from '../../dsl/errors.ts'
import { fitArrays } from '../arrays.ts'
import { attempt, openBuild } from '../build.ts'
import { nodeHost } from '../device/node.ts'
import type { Executable } from '../executor.ts'
import { checkFresh } from '../fresh.ts'
import type { FileArray, Values } from '../io/element.ts'
import { checkWritable, readBytes, writeAtomic } from '../io/files.ts'
import type { Outgoing } from '../io/npy.ts'
import { parseNpz, printNpz, type FileArrays } from '../io/npz.ts'
import { parseSafetensors, printSafetensors } from '../io/safetensors.ts'
import { findProgram, type ProgramInfo } from '../manifest.ts'
import { say, seedOption, withBuild, withThreads, type Register } from './command.ts'
import { chooseDevice, withDevice, type DeviceOptions } from './device.ts'
import { chooseParameters } from './parameters.ts'

type Options = DeviceOptions & {
  readonly build: string
  readonly inputs?: string
  readonly params?: string
  readonly out: string
  readonly seed?: number
}

const formatOf = (option: string, path: string): E.Either<Failure, 'npz' | 'safetensors'> => {
  const extension = extname(path).toLowerCase()
  if (extension === '.npz') return E.right('npz')
  if (extension === '.safetensors') return E.right('safetensors')
  return E.left({ kind: 'usage', message: `option ${option}: ${path} is neither an .npz nor a .safetensors file` })
}

const readArrays = (option: string, path: string | undefined): TE.TaskEither<Failure, FileArrays> =>
  path === undefined ? TE.right(new Map()) : pipe(
    TE.fromEither(formatOf(option, path)),
    TE.chain(format => pipe(
      readBytes(path, `Check the path that ${option} names; it is relative to the current folder.`),
      TE.chainEitherK(bytes => (format === 'npz' ? parseNpz(bytes, path) : pipe(parseSafetensors(bytes, path), E.map(file => file.arrays)))),
    )),
  )

/** A key from a seed, as `key(seed)` of the language makes it. */
const keyFromSeed = (seed: number): Uint32Array => Uint32Array.of(Math.floor(seed / 2 ** 32), seed % 2 ** 32)

const isKey = (slot: ProgramInfo['inputs'][number]): boolean => slot.path === 'key' && slot.dtype === 'u32' && slot.shape.length === 1 && slot.shape[0] === 2

/** The key of `--seed`, where the program takes one; a seed that nothing would use is a mistake. */
const keyOf = (program: ProgramInfo, given: FileArrays, seed: number | undefined): E.Either<Failure, ReadonlyMap<string, Values>> => {
  if (seed === undefined) return E.right(new Map())
  if (!program.inputs.some(isKey)) return E.left({ kind: 'usage', message: `option --seed: ${program.id} takes no key` })
  if (given.has('key')) return E.left({ kind: 'usage', message: 'option --seed: the files hold a key already', remedy: 'Give one of the two.' })
  return E.right(new Map([['key', keyFromSeed(seed)]]))
}

/** Below these arguments lie what a checkpoint holds. */
const LEARNT = /^(params|state|frozen)[.[]/

/** The failure with the options that would have given what is missing: a key, parameters. */
const withOptions = (failure: Failure, program: ProgramInfo, given: FileArrays, { seed, params }: Options): Failure => {
  if (failure.kind !== 'arrays') return failure
  const missing = program.inputs.filter(slot => !given.has(slot.path))
  const keyless = seed === undefined && missing.some(isKey)
  const untrained = params === undefined && missing.some(({ path }) => LEARNT.test(path))
  return {
    ...failure,
    problems: keyless ? failure.problems.map(line => (line.startsWith('key: missing') ? `${line}; or give --seed N` : line)) : failure.problems,
    remedy: [...(untrained ? ['Give the parameters by --params CHECKPOINT, e.g. a file in the folder checkpoints/ of a run.'] : []), failure.remedy]
      .filter(Boolean).join('\n  '),
  }
}

/** All inputs by path, from the inputs, the parameters and the seed. */
const gather = (program: ProgramInfo, inputs: FileArrays, params: FileArrays, options: Options): E.Either<Failure, ReadonlyMap<string, Values>> => {
  const chosen = chooseParameters(program, params)
  const twice = [...chosen.keys()].filter(name => inputs.has(name))
  if (twice.length > 0) {
    return E.left({ kind: 'arrays', program: program.id,
      problems: twice.slice(0, 8).map(name => `${name}: both in ${options.inputs ?? '--inputs'} and in ${options.params ?? '--params'}`),
      remedy: 'Leave them out of one of the two files.' })
  }
  const given = new Map<string, FileArray>([...chosen, ...inputs])
  return pipe(keyOf(program, given, options.seed), E.chain(made => fitArrays(program, given, made)),
    E.mapLeft(failure => withOptions(failure, program, given, options)))
}

/** Runs it once; its memory is given back. */
const execute = (executable: Executable, values: ReadonlyMap<string, Values>): TE.TaskEither<Failure, ReadonlyMap<string, Outgoing>> =>
  attempt(`running ${executable.program.id}`, async () => {
    const { outputs } = executable.program
    values.forEach((data, path) => executable.set(path, data))
    executable.run()
    const results = await executable.read(outputs.map(({ path }) => path)).finally(executable.dispose)
    return new Map(outputs.map(({ path, shape, dtype }, i) => [path === '' ? 'output' : path, { shape, dtype, data: results[i] ?? [] }]))
  })

/** A line for every array that holds a NaN or an infinity: legal, and seldom meant. */
const nonFinite = (role: 'input' | 'output', arrays: Iterable<readonly [string, ArrayLike<number>]>): readonly string[] =>
  [...arrays].flatMap(([name, data]) => {
    const at = Array.prototype.findIndex.call(data, (x: number) => !Number.isFinite(x))
    return at < 0 ? [] : [`note: ${role} ${name} holds ${data[at] ?? NaN} (element ${at} of ${data.length})`]
  })

const warn = (lines: readonly string[]): T.Task<void> => async () => {
  const shown = lines.length <= 6 ? lines : [...lines.slice(0, 5), `note: ... and ${lines.length - 5} arrays more`]
  if (shown.length > 0) process.stderr.write(`${shown.join('\n')}\n`)
}

const runProgram = (id: string, options: Options): TE.TaskEither<Failure, void> =>
  pipe(
    TE.Do,
    TE.bind('format', () => TE.fromEither(formatOf('--out', options.out))),
    TE.bind('build', () => openBuild(nodeHost(options.build))),
    TE.bind('program', ({ build }) => TE.fromEither(findProgram(build.manifest, id))),
    // The eager device runs the source as it is now; a compiled program must still be what the source says.
    TE.chainFirstEitherK(({ program }) => (options.device === 'eager' ? E.right(program) : checkFresh(options.build, program))),
    TE.chainFirst(() => checkWritable(options.out)),
    TE.bind('files', () => sequenceS(TE.ApplySeq)({ inputs: readArrays('--inputs', options.inputs), params: readArrays('--params', options.params) })),
    TE.bind('values', ({ program, files }) => TE.fromEither(gather(program, files.inputs, files.params, options))),
    TE.bind('chosen', ({ build, program }) => attempt('choosing a device', () => chooseDevice(options, build.host, [program]))),
    TE.bind('executable', ({ build, chosen }) => build.loadOn(id, chosen.options)),
    TE.bind('results', ({ executable, values }) => execute(executable, values)),
    TE.chainFirstTaskK(({ values, results }) =>
      warn([...nonFinite('input', values), ...nonFinite('output', [...results].map(([name, { data }]) => [name, data]))])),
    TE.chainFirst(({ format, results }) => writeAtomic(options.out, format === 'npz' ? printNpz(results) : printSafetensors(results))),
    TE.chainTaskK(({ executable, results }) =>
      say(`${options.out}: ${results.size === 1 ? '1 array' : `${results.size} arrays`} from ${id} (${executable.variant})`)),
  )

export const register: Register = (cli, settle) => {
  withDevice(withThreads(withBuild(cli.command('run'))))
    .description('run a compiled program on arrays from files')
    .argument('<program>', 'its id, as `vdsm list` shows it')
    .option('--inputs <file>', 'the arrays that it takes (.npz or .safetensors), named by argument path')
    .option('--params <file>', 'parameters to go with them, e.g. a checkpoint (.safetensors or .npz)')
    .requiredOption('--out <file>', 'where the results are written (.npz or .safetensors)')
    .option('--seed <n>', 'makes the input `key`, as key(n) of the language does; refused where a file holds one', seedOption)
    .action((id: string, options: Options) => settle(runProgram(id, options)))
}
