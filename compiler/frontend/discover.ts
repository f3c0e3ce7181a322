/**
 * Finds the programs of a file: what it exports under a name and makes with `program(fn, config)` - in place, or in a
 * function of the model's that returns programs.
 */
import { relative, sep } from 'node:path'
import { ts } from 'ts-morph'
import { Refusal, type Failure } from '../../dsl/errors.ts'
import { reject, type Machine } from './machine.ts'
import { recordOf } from './types.ts'

/** A program in a source. */
export type Found = {
  /** Its name: the file's path below the root without extension, and the export's name. */
  readonly name: string
  readonly export: string
  readonly file: ts.SourceFile
  readonly declaration: ts.VariableDeclaration | ts.BindingElement
  /** The call of `program`, where it stands in place. */
  readonly call: ts.CallExpression | undefined
}

const unwrapped = (n: ts.Expression): ts.Expression =>
  ts.isParenthesizedExpression(n) || ts.isAsExpression(n) || ts.isSatisfiesExpression(n) || ts.isNonNullExpression(n) ? unwrapped(n.expression) : n

/** Whether an expression names the language's `program`. */
const isProgram = (m: Machine, n: ts.Expression): boolean => {
  const symbol = m.checker.getSymbolAtLocation(ts.isPropertyAccessExpression(n) ? n.name : n)
  const target = symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias ? m.checker.getAliasedSymbol(symbol) : symbol
  return (target?.declarations ?? []).some(d => m.language(d.getSourceFile().fileName) === 'program.ts') && target?.name === 'program'
}

/** Whether a type is the language's `Program`. */
const isProgramType = (m: Machine, t: ts.Type): boolean =>
  t.aliasSymbol?.name === 'Program' && (t.aliasSymbol.declarations ?? []).some(d => m.language(d.getSourceFile().fileName) === 'program.ts')

type Part = { readonly key: string | number; readonly type: ts.Type }

/** The elements of an array type, the properties of a record type. */
const partsOf = (m: Machine, t: ts.Type): readonly Part[] => {
  if (m.checker.isArrayType(t) || m.checker.isTupleType(t)) return m.checker.getTypeArguments(t as ts.TypeReference).map((type, key) => ({ key, type })) // both are references
  return (recordOf(m, t) ?? []).map(p => ({ key: p.name, type: p.type }))
}

/** `models/vdsm/tiny.ts` below `models` is `vdsm/tiny`; a file elsewhere goes by its own name. */
export const moduleName = (file: string, root: string): string => {
  const path = relative(root, file).split(sep).join('/').replace(/\.[mc]?tsx?$/, '')
  return path.startsWith('..') ? (path.split('/').at(-1) ?? path) : path
}

/** The program that an export is, if it is one; refused where it holds programs without names of their own. */
const programAt = (m: Machine, file: ts.SourceFile, root: string, exported: ts.Symbol): Found | undefined => {
  const target = exported.flags & ts.SymbolFlags.Alias ? m.checker.getAliasedSymbol(exported) : exported
  const declaration = target.valueDeclaration ?? target.declarations?.[0]
  if (declaration !== undefined && ts.isExportAssignment(declaration) && isProgramType(m, m.checker.getTypeAtLocation(declaration.expression))) {
    return reject(m, declaration, 'a program needs a name', 'write export const step = program(...)')
  }
  if (declaration === undefined || (!ts.isVariableDeclaration(declaration) && !ts.isBindingElement(declaration))) return undefined
  if (declaration.getSourceFile() !== file) return undefined // re-exported: it is a program of its own file
  const found = { name: `${moduleName(file.fileName, root)}/${exported.name}`, export: exported.name, file, declaration }
  const value = declaration.initializer === undefined || ts.isBindingElement(declaration) ? undefined : unwrapped(declaration.initializer)
  if (value !== undefined && ts.isCallExpression(value) && isProgram(m, value.expression)) return { ...found, call: value }
  const type = m.checker.getTypeOfSymbol(target)
  if (isProgramType(m, type)) return { ...found, call: undefined }
  const held = partsOf(m, type).find(part => isProgramType(m, part.type))
  if (held === undefined) return undefined
  const remedy = `name each: export const ${typeof held.key === 'number' ? '[a, b]' : `{ ${held.key} }`} = ..., and do not export what holds them`
  return reject(m, declaration.name, `${exported.name} holds programs, which have no names of their own`, remedy)
}

/** The programs that a file exports, in the order of the file, and what is wrong with other exports. */
export const programsOf = (m: Machine, file: ts.SourceFile, root: string): { readonly found: readonly Found[]; readonly failures: readonly Failure[] } => {
  const symbol = m.checker.getSymbolAtLocation(file)
  const exports = symbol === undefined ? [] : m.checker.getExportsOfModule(symbol)
  const all = exports.map(exported => {
    try {
      return programAt(m, file, root, exported)
    } catch (error) {
      if (error instanceof Refusal) return error
      throw error
    }
  })
  return { found: all.flatMap(x => (x === undefined || x instanceof Refusal ? [] : [x])), failures: all.flatMap(x => (x instanceof Refusal ? [x.failure] : [])) }
}
