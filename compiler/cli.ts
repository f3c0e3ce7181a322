/** `vdsm compile`: options, the files they name, and what is said about the result. */
import { existsSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, relative, resolve, sep } from 'node:path'
import { Command, CommanderError } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, print } from '../dsl/errors.ts'
import { compile } from './compile.ts'
import { type Built, type Target, targets as allTargets } from './emit/build.ts'
import { explain, webglOf, wgslOf } from './emit/explain.ts'
import { sourcesBelow } from './emit/cache.ts'

type Options = {
  readonly out: string
  readonly explain?: true | string
  readonly wgsl?: true
  readonly webgl?: true
  readonly force?: true
  readonly quiet?: true
  readonly targets: string
}

/** The files that the arguments name, and the folder to which program ids are relative. What a folder holds of `out` is no source. */
const sourcesOf = (args: readonly string[], out: string): E.Either<Failure, { files: readonly string[]; root: string }> => {
  const named = args.length === 0 ? ['models'] : args
  const missing = named.find(path => !existsSync(path))
  if (missing !== undefined) {
    const remedy = args.length === 0 ? 'Name the files or folders to compile: vdsm compile model.ts' : 'Check the path; it is relative to the current folder.'
    return E.left({ kind: 'file', path: missing, message: 'no such file or folder', remedy })
  }
  const isFolder = (path: string): boolean => statSync(path).isDirectory()
  const wrong = named.find(path => !isFolder(path) && (!path.endsWith('.ts') || path.endsWith('.d.ts')))
  if (wrong !== undefined) return E.left({ kind: 'file', path: wrong, message: 'not a TypeScript source file', remedy: 'Models are written in .ts files.' })
  const filesIn = (path: string): readonly string[] =>
    isFolder(path) ? sourcesBelow(resolve(path)).filter(file => !file.startsWith(out + sep)) : [resolve(path)]
  const files = [...new Set(named.flatMap(filesIn))]
  const only = named.length === 1 ? named[0]! : '.'
  // Part of the models has the names that it has when all of them are compiled.
  const models = resolve('models')
  const root = files.every(file => file.startsWith(models + sep)) ? models : resolve(isFolder(only) ? only : dirname(only))
  return files.length === 0 ? E.left({ kind: 'file', path: named.join(' '), message: 'holds no .ts files' }) : E.right({ files, root })
}

/** Each thread reads the whole compiler, and holds what it makes in memory. On two cores one is as fast: the collector has the other. */
const threadsOn = (cores: number): number => (cores < 4 ? 1 : 4)

/** The targets of `--targets wasm,webgpu`. */
const targetsOf = (text: string): E.Either<Failure, readonly Target[]> => {
  const named = text.split(',').map(name => name.trim())
  const found = allTargets.filter(target => named.includes(target))
  const remedy = `There are ${allTargets.join(', ')}; WebAssembly is what every program runs on: --targets wasm or --targets wasm,webgpu.`
  return named.length === found.length && found.includes('wasm') ? E.right(found) : E.left({ kind: 'usage', message: `cannot compile for '${text}'`, remedy })
}

/** `12.3 MiB` of memory, in a unit in which something is left of it. */
const sizeText = (bytes: number): string => (bytes < 2 ** 20 ? `${(bytes / 2 ** 10).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`)

const run = async (args: readonly string[], options: Options): Promise<number> => {
  const started = performance.now()
  const fail = (failure: Failure): number => {
    process.stderr.write(`${print(failure)}\n`)
    return 1
  }
  const out = resolve(options.out)
  const sources = sourcesOf(args, out)
  if (E.isLeft(sources)) return fail(sources.left)
  const targets = targetsOf(options.targets)
  if (E.isLeft(targets)) return fail(targets.left)
  const wanted = (id: string): boolean => options.explain === true || options.explain === id
  const explained = (built: Built): void => {
    if (!wanted(built.info.id)) return
    process.stdout.write(`${explain(built)}\n${options.wgsl === true ? wgslOf(built) : ''}${options.webgl === true ? webglOf(built) : ''}`)
  }
  const result = await compile({
    ...sources.right,
    out,
    targets: targets.right,
    force: options.force === true || options.explain !== undefined,
    ...(typeof options.explain === 'string' ? { named: options.explain } : {}),
    threads: threadsOn(availableParallelism()),
    ...(options.explain === undefined ? {} : { look: explained }),
    onBuilt: ({ info: { id, stats }, obstacles }) => {
      if (!wanted(id) && options.quiet !== true) {
        const kernels = `${String(stats.kernelsBefore).padStart(5)} -> ${String(stats.kernelsAfter).padStart(4)} kernels`
        process.stdout.write(`  ${id.padEnd(32)} ${kernels}  ${sizeText(stats.peakBytes).padStart(10)}\n`)
      }
      obstacles.forEach(obstacle => process.stdout.write(`  ${id}: ${obstacle}\n`))
    },
  })
  if (E.isLeft(result)) return fail(result.left)
  const { programs, compiled, others } = result.right
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const where = relative(process.cwd(), out) || '.'
  const count = `${programs.length} ${programs.length === 1 ? 'program' : 'programs'}`
  const besides = others === 0 ? '' : `; ${others} of other sources stay`
  process.stdout.write(`${count} in ${where}/: ${compiled.length} compiled, ${programs.length - compiled.length} unchanged${besides} (${seconds} s)\n`)
  return 0
}

export const command = (): Command =>
  new Command('vdsm compile')
    .description('Compile the programs that TypeScript files export with program(fn, config) into WebAssembly, WebGPU and WebGL kernels.')
    .argument('[paths...]', 'files or folders (default: models)')
    .option('-o, --out <dir>', 'folder for the manifest, kernels and typed bindings; programs of other sources in it stay', 'build')
    .option('--targets <list>', 'what to compile for', allTargets.join(','))
    .option('--explain [program]', 'print the fused kernels with their source lines, FLOPs, bytes, buffers, peak memory and dispatches')
    .option('--wgsl', 'with --explain: the shaders for WebGPU as well')
    .option('--webgl', 'with --explain: the kernels for WebGL as well')
    .option('--force', 'compile even what has not changed')
    .option('-q, --quiet', 'no line per program')

/** Exit code 0 when everything compiled, 1 on any error. */
export const main = async (argv: readonly string[]): Promise<number> => {
  let code = 0
  const cli = command()
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .action(async (paths: string[], options: Options) => {
      code = await run(paths, options)
    })
  try {
    await cli.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    const [message = '', hint] = error.message.replace(/^error: /, '').split('\n')
    const words = hint === undefined ? '' : `${hint.replace(/^\((.*)\)$/, '$1')} `
    process.stderr.write(`${print({ kind: 'usage', message, remedy: `${words}See: vdsm compile --help` })}\n`)
    return 1
  }
}
