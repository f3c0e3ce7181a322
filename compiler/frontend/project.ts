/**
 * Loads sources with ts-morph: the given files under the nearest tsconfig.json, or under sound defaults, and whatever they
 * import. The package `vdsm` resolves as TypeScript resolves it - from node_modules in a project of the user's own.
 */
import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Project, ts, type CompilerOptions } from 'ts-morph'
import { Refusal, type Failure } from '../../dsl/errors.ts'
import { real } from './places.ts'

/** Sources under one set of options, with the checker that has read them all. */
export type Loaded = {
  readonly checker: ts.TypeChecker
  readonly program: ts.Program
  readonly files: readonly ts.SourceFile[]
  /** The options' file, if there is one: a source like the others, as far as "unchanged" goes. */
  readonly options: string | undefined
}

/** The nearest tsconfig.json at or above a folder. */
const nearestOptions = (folder: string): string | undefined => {
  const file = join(folder, 'tsconfig.json')
  if (existsSync(file)) return file
  const up = dirname(folder)
  return up === folder ? undefined : nearestOptions(up)
}

const defaults: CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
}

/** What the front end needs whatever the project says: strict types, the library of its own sources, no output, no ambient packages, messages in full. */
const required: CompilerOptions = {
  strict: true,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts'],
  noEmit: true,
  composite: false,
  incremental: false,
  declaration: false,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  noErrorTruncation: true,
  types: [],
}

/** The first problem with the paths themselves. */
export const unreadable = (paths: readonly string[]): Failure | undefined => {
  const bad = paths.find(path => !existsSync(path) || !statSync(path).isFile())
  if (bad !== undefined) return { kind: 'file', path: bad, message: existsSync(bad) ? 'not a file' : 'there is no such file', remedy: 'name TypeScript files that export programs' }
  const other = paths.find(path => !/\.[mc]?tsx?$/.test(path) || path.endsWith('.d.ts'))
  return other === undefined ? undefined : { kind: 'file', path: other, message: 'not a TypeScript source', remedy: 'name .ts files that export programs' }
}

/** Resolutions that read a package's `exports`, where the parts of this one are named. */
const modern: readonly (ts.ModuleResolutionKind | undefined)[] = [ts.ModuleResolutionKind.Node16, ts.ModuleResolutionKind.NodeNext, ts.ModuleResolutionKind.Bundler]

const open = (options: string | undefined): Project => {
  const common = { skipAddingFilesFromTsConfig: true, skipFileDependencyResolution: true }
  if (options === undefined) return new Project({ ...common, compilerOptions: { ...defaults, ...required } })
  try {
    const project = new Project({ ...common, tsConfigFilePath: options, compilerOptions: required })
    const { module, moduleResolution } = project.compilerOptions.get()
    const resolves = modern.includes(moduleResolution) || (moduleResolution === undefined && module !== undefined && module >= ts.ModuleKind.Node16)
    if (!resolves) project.compilerOptions.set({ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext })
    return project
  } catch (error) {
    // ts-morph throws what TypeScript has to say about the file
    throw new Refusal({ kind: 'file', path: options, message: error instanceof Error ? error.message : String(error), remedy: 'correct the options, or remove the file to use the defaults' })
  }
}

const load = (paths: readonly string[], options: string | undefined): Loaded => {
  const project = open(options)
  paths.forEach(path => project.addSourceFileAtPath(path))
  const program = project.getProgram().compilerObject
  const checker = program.getTypeChecker()
  const files = paths.flatMap(path => {
    const file = program.getSourceFile(path)
    return file === undefined ? [] : [file]
  })
  return { checker, program, files, options }
}

/** Loads files, together where they share their options. */
export const loadFiles = (paths: readonly string[]): readonly Loaded[] => {
  const absolute = [...new Set(paths.map(path => real(resolve(path))))]
  const groups = new Map<string | undefined, string[]>()
  for (const path of absolute) {
    const options = nearestOptions(dirname(path))
    groups.set(options, [...(groups.get(options) ?? []), path])
  }
  return [...groups].map(([options, files]) => load(files, options))
}

/** The files that a file is read from: itself and what it imports, directly or not, declarations of packages excluded. Sorted. */
export const closureOf = (loaded: Loaded, file: ts.SourceFile): readonly ts.SourceFile[] => {
  const seen = new Map<string, ts.SourceFile>()
  const visit = (f: ts.SourceFile): void => {
    if (seen.has(f.fileName)) return
    seen.set(f.fileName, f)
    for (const s of f.statements) {
      if (!ts.isImportDeclaration(s) && !ts.isExportDeclaration(s)) continue
      const declaration = s.moduleSpecifier === undefined ? undefined : loaded.checker.getSymbolAtLocation(s.moduleSpecifier)?.valueDeclaration
      if (declaration !== undefined && ts.isSourceFile(declaration) && !declaration.isDeclarationFile) visit(declaration)
    }
  }
  visit(file)
  return [...seen.values()].sort((a, b) => (a.fileName < b.fileName ? -1 : 1))
}
