/**
 * The type checker's errors in this project's format. The language words its shape errors as string types; TypeScript wraps
 * them ("Argument of type ... is not assignable to parameter of type '"matmul: left is ..."'"), and here they are unwrapped.
 */
import { builtinModules } from 'node:module'
import { ts } from 'ts-morph'
import type { Failure } from '../../dsl/errors.ts'
import { functions } from './operators.ts'
import { impure } from './refusals.ts'
import { frameOf, positionOf, shown } from './places.ts'
import type { Loaded } from './project.ts'

/** Every line of a diagnostic's message, in depth. */
const linesOf = (message: string | ts.DiagnosticMessageChain): string => ts.flattenDiagnosticMessageText(message, '\n')

/** A message about type parameters holds TypeScript's unfinished computations: `[${Word<N>}]` is [N], and the rest is left out. */
const named = (text: string): string => text.replace(/\$\{(?:Word|Text|Show)<(\w+)>\}/g, '$1').replace(/:? *\$\{.*$/, '')

/** A message of the language's own within the text of an error: a string type that starts with the name of an operation. */
const own = (text: string): string | undefined => {
  const found = [...text.matchAll(/(["`])([A-Za-z_][\w.]*: (?:(?!\1)[^\\]|\\.)+)\1/g)].map(match => named((match[2] ?? '').replace(/\\(.)/g, '$1')))
  const distinct = [...new Set(found)]
  return distinct.length === 0 ? undefined : distinct.slice(0, 2).join('; ')
}

const unknownName = new Set([2304, 2503, 2552, 2580, 2584, 2591])

/** The innermost node that covers a range. */
const nodeAt = (node: ts.Node, file: ts.SourceFile, start: number, end: number): ts.Node =>
  ts.forEachChild(node, child => (child.getStart(file) <= start && end <= child.end ? nodeAt(child, file, start, end) : undefined)) ?? node

/** Codes of an operator whose operands are no numbers: of its left, of its right, of both. */
const operands = new Set([2362, 2363, 2365])

/** What to write in the place of an operator between tensors. */
const operatorOf = (d: ts.Diagnostic, checker: ts.TypeChecker): Words | undefined => {
  const { file, start, length } = d
  if (!operands.has(d.code) || file === undefined || start === undefined) return undefined
  const node = nodeAt(file, file, start, start + (length ?? 1))
  const binary = [node, node.parent, node.parent?.parent].find(n => n !== undefined && ts.isBinaryExpression(n))
  if (binary === undefined || !ts.isBinaryExpression(binary)) return undefined
  const tensor = [binary.left, binary.right].some(side => checker.getTypeAtLocation(side).symbol?.name === 'Tensor')
  const instead = functions.get(binary.operatorToken.kind)
  if (!tensor || instead === undefined) return undefined
  return { message: `the operator ${binary.operatorToken.getText(file)} takes numbers, not tensors`, remedy: `use ${instead}` }
}

const isOfNode = (specifier: string): boolean => specifier.startsWith('node:') || builtinModules.includes(specifier)

type Words = { readonly message: string; readonly remedy?: string }

const wordsOf = (d: ts.Diagnostic, checker: ts.TypeChecker): Words => {
  const text = linesOf(d.messageText)
  const ours = own(text)
  if (ours !== undefined) return { message: ours }
  const first = text.split('\n')[0] ?? ''
  const open = /^(?:Argument of type|Type) '(.+)' is not assignable to (?:parameter of )?type '(?:\(.*\) => )?Check</.exec(first)?.[1]
  if (open !== undefined) return { message: `${open} does not fit here for every choice of the type parameters`, remedy: 'type parameters are different dimensions: where two must agree, use one' }
  const name = unknownName.has(d.code) ? /'([^']+)'/.exec(first)?.[1] : undefined
  const remedy = name === undefined ? undefined : impure.get(name)
  if (name !== undefined && remedy !== undefined) return { message: `${name} is outside the subset of pure functions`, remedy }
  const module = d.code === 2307 || d.code === 2591 ? /'([^']+)'/.exec(first)?.[1] : undefined
  if (module !== undefined && isOfNode(module)) {
    return { message: `${module} is outside the subset of pure functions`, remedy: 'a pure function reads nothing from outside; pass the data as an argument' }
  }
  return operatorOf(d, checker) ?? { message: `${first} (TS${d.code})` }
}

const failureOf = (d: ts.Diagnostic, checker: ts.TypeChecker, cwd: string): Failure => {
  const words = wordsOf(d, checker)
  const { file, start, length } = d
  if (file === undefined || start === undefined) return { kind: 'source', at: { file: 'tsconfig.json', line: 1, column: 1 }, ...words }
  return { kind: 'source', at: { file: shown(file.fileName, cwd), ...positionOf(file, start) }, ...words, frame: frameOf(file, start, length ?? 1) }
}

/** The errors of one file. Each file is checked once; the checker remembers. */
export const errorsOf = (loaded: Loaded, file: ts.SourceFile, cwd: string): readonly Failure[] => {
  const all = [...loaded.program.getSyntacticDiagnostics(file), ...loaded.program.getSemanticDiagnostics(file)].filter(d => d.category === ts.DiagnosticCategory.Error)
  const failures = all.map(d => failureOf(d, loaded.checker, cwd))
  // one mistake may be reported on several overloads at one place
  return failures.filter((f, i) => failures.findIndex(g => same(f, g)) === i)
}

const same = (a: Failure, b: Failure): boolean =>
  a.kind === 'source' && b.kind === 'source' && a.message === b.message && a.at.file === b.at.file && a.at.line === b.at.line && a.at.column === b.at.column
