/**
 * Finds the programs of a file: what it exports under a name and makes with `program(fn, config)` - in place, or in a
 * function of the model's that returns programs.
 */
import { relative, sep } from 'node:path'
import { ts } from 'ts-morph'
import { reject, type Machine } from './machine.ts'

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

/** `models/vdsm/tiny.ts` below `models` is `vdsm/tiny`; a file elsewhere goes by its own name. */
export const moduleName = (file: string, root: string): string => {
  const path = relative(root, file).split(sep).join('/').replace(/\.[mc]?tsx?$/, '')
  return path.startsWith('..') ? (path.split('/').at(-1) ?? path) : path
}

/** The programs that a file exports, in the order of the file. */
export const programsOf = (m: Machine, file: ts.SourceFile, root: string): readonly Found[] => {
  const symbol = m.checker.getSymbolAtLocation(file)
  if (symbol === undefined) return []
  return m.checker.getExportsOfModule(symbol).flatMap((exported): readonly Found[] => {
    const target = exported.flags & ts.SymbolFlags.Alias ? m.checker.getAliasedSymbol(exported) : exported
    const declaration = target.valueDeclaration ?? target.declarations?.[0]
    if (declaration !== undefined && ts.isExportAssignment(declaration) && isProgramType(m, m.checker.getTypeAtLocation(declaration.expression))) {
      return reject(m, declaration, 'a program needs a name', 'write export const step = program(...)')
    }
    if (declaration === undefined || (!ts.isVariableDeclaration(declaration) && !ts.isBindingElement(declaration))) return []
    if (declaration.getSourceFile() !== file) return [] // re-exported: it is a program of its own file
    const found = { name: `${moduleName(file.fileName, root)}/${exported.name}`, export: exported.name, file, declaration }
    const value = declaration.initializer === undefined || ts.isBindingElement(declaration) ? undefined : unwrapped(declaration.initializer)
    if (value !== undefined && ts.isCallExpression(value) && isProgram(m, value.expression)) return [{ ...found, call: value }]
    return isProgramType(m, m.checker.getTypeOfSymbol(target)) ? [{ ...found, call: undefined }] : []
  })
}
