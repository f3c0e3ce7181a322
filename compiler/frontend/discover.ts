/** Finds the programs of a file: what it exports under a name and makes with `program(fn, config)`. */
import { relative, sep } from 'node:path'
import { ts } from 'ts-morph'
import type { Machine } from './machine.ts'

/** A program in a source. */
export type Found = {
  /** Its name: the file's path below the root without extension, and the export's name. */
  readonly name: string
  readonly file: ts.SourceFile
  readonly declaration: ts.VariableDeclaration
  readonly call: ts.CallExpression
}

const unwrapped = (n: ts.Expression): ts.Expression =>
  ts.isParenthesizedExpression(n) || ts.isAsExpression(n) || ts.isSatisfiesExpression(n) || ts.isNonNullExpression(n) ? unwrapped(n.expression) : n

/** Whether an expression names the language's `program`. */
const isProgram = (m: Machine, n: ts.Expression): boolean => {
  const symbol = m.checker.getSymbolAtLocation(ts.isPropertyAccessExpression(n) ? n.name : n)
  const target = symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias ? m.checker.getAliasedSymbol(symbol) : symbol
  return (target?.declarations ?? []).some(d => m.language(d.getSourceFile().fileName) === 'program.ts') && target?.name === 'program'
}

/** `models/vdsm/tiny.ts` below `models` is `vdsm/tiny`; a file elsewhere goes by its own name. */
export const moduleName = (file: string, root: string): string => {
  const path = relative(root, file).split(sep).join('/').replace(/\.[mc]?tsx?$/, '')
  return path.startsWith('..') ? (path.split('/').at(-1) ?? path) : path
}

/** The programs that a file exports, in the order of the file. */
export const programsOf = (m: Machine, file: ts.SourceFile, root: string): readonly Found[] => {
  const symbol = m.checker.getSymbolAtLocation(file)
  if (symbol === undefined) return []
  return m.checker.getExportsOfModule(symbol).flatMap(exported => {
    const target = exported.flags & ts.SymbolFlags.Alias ? m.checker.getAliasedSymbol(exported) : exported
    const declaration = target.valueDeclaration
    if (declaration === undefined || !ts.isVariableDeclaration(declaration) || declaration.initializer === undefined) return []
    if (declaration.getSourceFile() !== file) return [] // re-exported: it is a program of its own file
    const call = unwrapped(declaration.initializer)
    if (!ts.isCallExpression(call) || !isProgram(m, call.expression)) return []
    return [{ name: `${moduleName(file.fileName, root)}/${exported.name}`, file, declaration, call }]
  })
}
