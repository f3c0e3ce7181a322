/**
 * The front end's door: files in, programs in IR out, or every mistake that was found. Each file is type-checked once; a
 * program whose sources have type errors is not lowered, the others are.
 */
import { resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import { either as E } from 'fp-ts'
import { ts } from 'ts-morph'
import type { Aval } from '../../dsl/core/prim.ts'
import { Refusal, type Failure } from '../../dsl/errors.ts'
import type { Func, Id, Program } from '../ir/ir.ts'
import { sameAval, showAval } from '../ir/view.ts'
import { call } from './calls.ts'
import { disagreements } from './crosscheck.ts'
import { errorsOf } from './diagnostics.ts'
import { programsOf, type Found } from './discover.ts'
import { evaluate } from './evaluate.ts'
import { inputsOf } from './inputs.ts'
import { configOf, programOf } from './intrinsics.ts'
import { fresh, guarded, machine, reject, type Machine } from './machine.ts'
import { exported, moduleOf } from './modules.ts'
import { languageFiles, placeOf, real } from './places.ts'
import { closureOf, loadFiles, unreadable, type Loaded } from './project.ts'
import { region, use } from './regions.ts'
import { describe, isCallable, isRec, isTensor, leavesOf, type Sym, type Value } from './values.ts'

/** A program with the files it was read from (absolute, sorted): unchanged files mean an unchanged program. */
export type Lowered = Program & { readonly sources: readonly string[] }

/** How long the parts took, in milliseconds. */
export type Timing = { readonly load: number; readonly check: number; readonly lower: number }

type Result = { readonly path: string; readonly tensor: Sym }

/** The tensors of a result. Text and choices are known already and left out; a number would be lost, so it is refused. */
const resultsOf = (m: Machine, value: Value, at: ts.Node): readonly Result[] =>
  leavesOf(value).flatMap(({ path, value: leaf }) => {
    const name = path === '' ? 'the result' : `the result's ${path}`
    if (isTensor(leaf)) return [{ path, tensor: leaf }]
    if (typeof leaf === 'number') return reject(m, at, `program: ${name} is the plain number ${leaf}`, `make it a tensor: full([], ${leaf})`)
    if (isCallable(leaf)) return reject(m, at, `program: ${name} is a function`, 'a program returns tensors, and records and arrays of them')
    return []
  })

/** The first name that occurs twice. */
const twice = (names: readonly string[]): string | undefined => {
  const seen = new Set<string>()
  return names.find(name => seen.size === seen.add(name).size)
}

/** The parts of a program: where it is, the places of its function and its options, the function's static type, and how to evaluate the arguments. */
type Parts = {
  readonly node: ts.Node; readonly at: ts.Node; readonly optionsAt: ts.Node; readonly type: ts.Type
  readonly config: () => Value; readonly options: () => Value; readonly fn: () => Value
}

const partsOf = (m: Machine, { file, call: node, declaration, export: name }: Found): Parts => {
  if (node !== undefined) {
    const env = moduleOf(m, file)
    const [fn, config, options] = node.arguments
    const read = (n: ts.Expression | undefined): Value => (n === undefined ? {} : evaluate(m, n, env))
    if (fn === undefined) return reject(m, node, 'program takes a function')
    const type = m.checker.getTypeAtLocation(fn)
    return { node, at: fn, optionsAt: options ?? fn, type, config: () => read(config), options: () => read(options), fn: () => evaluate(m, fn, env) }
  }
  // made elsewhere: its value has the parts, its type has the function's type
  const at = declaration.name
  const read = () => programOf(exported(m, file, name, at)) ?? reject(m, at, `${name} is no program, though its type says so`)
  const fn = m.checker.getTypeAtLocation(at).getProperty('fn')
  if (fn === undefined) return reject(m, at, `the type of ${name} is no program's`)
  return { node: at, at, optionsAt: at, type: m.checker.getTypeOfSymbol(fn), config: () => read().config, options: () => read().options, fn: () => read().fn }
}

/** Which results take the place of which parameters: those below the path that the program's options name. */
const updatesOf = (m: Machine, options: Value, func: Func, outputs: readonly { readonly path: string; readonly aval: Aval }[], at: ts.Node): Program['updates'] => {
  const path = isRec(options) ? options['updates'] : undefined
  if (path === undefined) return []
  if (typeof path !== 'string') return reject(m, at, `program: updates is ${describe(path)}, not a path`)
  const below = outputs.flatMap((output, i) => (output.path === path || output.path.startsWith(`${path}.`) || output.path.startsWith(`${path}[`) ? [i] : []))
  if (below.length === 0) {
    const names = [...new Set(outputs.map(output => /^[^.[]*/.exec(output.path)?.[0] ?? ''))].filter(name => name !== '')
    return reject(m, at, `program: updates names '${path}', and no result lies there`, names.length === 0 ? undefined : `the results are ${names.join(', ')}`)
  }
  return below.map(i => {
    const output = outputs[i]!
    const input = func.params.findIndex(p => p.path === output.path)
    const param = func.params[input]
    if (param !== undefined && sameAval(param.aval, output.aval)) return [i, input]
    const other = param === undefined ? 'there is no argument of that path' : `the argument is ${showAval(param.aval)}`
    return reject(m, at, `program: updates '${path}' cannot replace ${output.path}, ${showAval(output.aval)}: ${other}`)
  })
}

const lowerOne = (base: Machine, found: Found): Program => {
  const m = fresh(base)
  const { node, at: fn, optionsAt, type, ...parts } = partsOf(m, found)
  const root = region(undefined)
  m.region = root
  m.root = root
  m.config = configOf(m, parts.config(), fn)
  const signature = type.getCallSignatures()[0]
  if (signature === undefined) return reject(m, fn, 'program takes a function')
  const args = inputsOf(m, signature, root, fn)
  const same = twice(root.own.map(p => p.path))
  if (same !== undefined) return reject(m, fn, `program: two inputs are named ${same}`, 'rename one: arrays are named by their path, and a dot in a name reads like a step')
  const f = parts.fn()
  if (!isCallable(f)) return reject(m, fn, `program takes a function, not ${describe(f)}`)
  m.names.length = 0
  const value = call(m, f, args, node)
  const results = resultsOf(m, value, fn)
  if (results.length === 0) return reject(m, fn, `program: the function returns no tensor, but ${describe(value)}`)
  const clash = twice(results.map(r => r.path))
  if (clash !== undefined) return reject(m, fn, `program: two results are named ${clash}`, 'rename one: arrays are named by their path, and a dot in a name reads like a step')
  const outputs = results.map(r => ({ path: r.path, aval: r.tensor.aval }))
  const [problem, ...more] = disagreements(m, m.checker.getReturnTypeOfSignature(signature), outputs)
  if (problem !== undefined) {
    const rest = more.length === 0 ? '' : ` (and ${more.length} more)`
    return reject(m, fn, `program: ${problem}${rest}`, 'a cast (as) on the way says what is not so')
  }
  const ids: readonly Id[] = guarded(m, fn, () => results.map(r => use(root, r.tensor).id))
  const func: Func = root.build.finish(ids)
  const { line, file: shownFile } = placeOf(found.declaration, m.cwd)
  const updates = updatesOf(m, parts.options(), func, outputs, optionsAt)
  return { name: found.name, file: shownFile, line, config: m.config, func, outputs: results.map(r => r.path), updates }
}

const failureOf = (error: unknown, m: Machine, found: Found): Failure => {
  if (error instanceof Refusal) return error.failure
  if (error instanceof RangeError && error.message.includes('call stack')) {
    return { kind: 'source', at: placeOf(found.declaration, m.cwd), message: `${found.name}: the model nests too deeply to be read`, remedy: 'use scan to repeat a step, vmap over stacked parameters' }
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { kind: 'bug', where: `the front end, reading ${found.name}`, message: text }
}

type Outcome = { readonly programs: readonly Lowered[]; readonly failures: readonly Failure[]; readonly found: number; readonly check: number; readonly lower: number }

const lowerGroup = (loaded: Loaded, root: string, cwd: string, language: Machine['language']): Outcome => {
  const m = machine(loaded.checker, cwd, language)
  const closures = new Map(loaded.files.map(file => [file, closureOf(loaded, file)]))
  const start = performance.now()
  const errors = new Map<ts.SourceFile, readonly Failure[]>()
  const all = new Set([...closures.values()].flat())
  for (const file of all) if (language(file.fileName) === undefined && !file.fileName.includes('/node_modules/')) errors.set(file, errorsOf(loaded, file, cwd))
  const checked = performance.now()
  const programs: Lowered[] = []
  const failures: Failure[] = [...errors.values()].flat()
  const found = loaded.files.flatMap(file => {
    const here = programsOf(m, file, root)
    failures.push(...here.failures)
    return here.found
  })
  for (const one of found) {
    const closure = closures.get(one.file) ?? []
    if (closure.some(file => (errors.get(file) ?? []).length > 0)) continue
    try {
      programs.push({ ...lowerOne(m, one), sources: [...closure.map(file => file.fileName), ...(loaded.options === undefined ? [] : [loaded.options])].sort() })
    } catch (error) {
      failures.push(failureOf(error, m, one))
    }
  }
  return { programs, failures, found: found.length, check: checked - start, lower: performance.now() - checked }
}

/** Two programs of one name would overwrite each other. */
const duplicates = (programs: readonly Lowered[]): readonly Failure[] =>
  programs.flatMap((p, i) => {
    const other = programs.findIndex(q => q.name === p.name)
    const first = programs[other]
    if (other === i || first === undefined) return []
    return [{ kind: 'source', at: { file: p.file, line: p.line, column: 1 }, message: `two programs are named ${p.name}; the other is at ${first.file}:${first.line}`, remedy: 'rename one, or its file' }]
  })

/** One mistake in a part that several programs share is told once. */
const distinct = (failures: readonly Failure[]): readonly Failure[] => {
  const same = (f: Failure, g: Failure): boolean =>
    f.kind === 'source' && g.kind === 'source' && f.message === g.message && f.at.file === g.at.file && f.at.line === g.at.line && f.at.column === g.at.column
  return failures.filter((f, i) => failures.findIndex(g => g === f || same(f, g)) === i)
}

/**
 * Lowers every program that the files export. `root` is the folder that program names are relative to; places in messages
 * are relative to `cwd`. Left: every mistake found, together. Right: the programs, in the order of the files, with how
 * long it took.
 */
export const lowerFilesTimed = (paths: readonly string[], root: string, cwd: string = process.cwd()): E.Either<Failure, { readonly programs: readonly Lowered[]; readonly timing: Timing }> => {
  const bad = unreadable(paths)
  if (bad !== undefined) return E.left(bad)
  const start = performance.now()
  const groups = E.tryCatch(() => loadFiles(paths), error => {
    if (error instanceof Refusal) return error.failure
    throw error
  })
  return E.isLeft(groups) ? groups : lowerGroups(groups.right, paths, real(resolve(root)), cwd, performance.now() - start)
}

const lowerGroups = (groups: readonly Loaded[], paths: readonly string[], root: string, cwd: string, load: number): E.Either<Failure, { readonly programs: readonly Lowered[]; readonly timing: Timing }> => {
  const language = languageFiles()
  const outcomes = groups.map(loaded => lowerGroup(loaded, root, cwd, language))
  const programs = outcomes.flatMap(o => o.programs)
  const failures = distinct([...outcomes.flatMap(o => o.failures), ...duplicates(programs)])
  const [first] = failures
  if (first !== undefined) return E.left(failures.length === 1 ? first : { kind: 'sources', all: failures })
  if (programs.length === 0) {
    const where = paths.length === 1 ? (paths[0] ?? '') : `${paths.length} files`
    return E.left({ kind: 'usage', message: `no programs in ${where}`, remedy: "export one: export const step = program((x: Vec<3>) => relu(x), {})" })
  }
  const sum = (of: (o: Outcome) => number): number => outcomes.reduce((n, o) => n + of(o), 0)
  return E.right({ programs, timing: { load, check: sum(o => o.check), lower: sum(o => o.lower) } })
}

/** As `lowerFilesTimed`, without the times. */
export const lowerFiles = (paths: readonly string[], root: string, cwd: string = process.cwd()): E.Either<Failure, readonly Lowered[]> =>
  E.either.map(lowerFilesTimed(paths, root, cwd), ({ programs }) => programs)
