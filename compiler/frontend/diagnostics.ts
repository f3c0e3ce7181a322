/**
 * The type checker's errors in this project's format. The language words its shape errors as string types; TypeScript wraps
 * them ("Argument of type ... is not assignable to parameter of type '"matmul: left is ..."'"), and here they are unwrapped.
 */
import { ts } from 'ts-morph'
import type { Failure } from '../../dsl/errors.ts'
import { impure } from './refusals.ts'
import { frameOf, positionOf, shown } from './places.ts'
import type { Loaded } from './project.ts'

/** Every line of a diagnostic's message, in depth. */
const linesOf = (message: string | ts.DiagnosticMessageChain): string => ts.flattenDiagnosticMessageText(message, '\n')

/** A message of the language's own within the text of an error: a string type that starts with the name of an operation. */
const own = (text: string): string | undefined => {
  const found = [...text.matchAll(/(["`])([A-Za-z_][\w.]*: (?:(?!\1)[^\\]|\\.)+)\1/g)].map(match => (match[2] ?? '').replace(/\\(.)/g, '$1'))
  const distinct = [...new Set(found)]
  return distinct.length === 0 ? undefined : distinct.slice(0, 2).join('; ')
}

const unknownName = new Set([2304, 2503, 2552, 2580, 2584, 2591])

type Words = { readonly message: string; readonly remedy?: string }

const wordsOf = (d: ts.Diagnostic): Words => {
  const text = linesOf(d.messageText)
  const ours = own(text)
  if (ours !== undefined) return { message: ours }
  const first = text.split('\n')[0] ?? ''
  const name = unknownName.has(d.code) ? /'([^']+)'/.exec(first)?.[1] : undefined
  const remedy = name === undefined ? undefined : impure.get(name)
  if (name !== undefined && remedy !== undefined) return { message: `${name} is outside the subset of pure functions`, remedy }
  return { message: `${first} (TS${d.code})` }
}

const failureOf = (d: ts.Diagnostic, cwd: string): Failure => {
  const words = wordsOf(d)
  const { file, start, length } = d
  if (file === undefined || start === undefined) return { kind: 'source', at: { file: 'tsconfig.json', line: 1, column: 1 }, ...words }
  return { kind: 'source', at: { file: shown(file.fileName, cwd), ...positionOf(file, start) }, ...words, frame: frameOf(file, start, length ?? 1) }
}

/** The errors of one file. Each file is checked once; the checker remembers. */
export const errorsOf = (loaded: Loaded, file: ts.SourceFile, cwd: string): readonly Failure[] => {
  const all = [...loaded.program.getSyntacticDiagnostics(file), ...loaded.program.getSemanticDiagnostics(file)].filter(d => d.category === ts.DiagnosticCategory.Error)
  const failures = all.map(d => failureOf(d, cwd))
  // one mistake may be reported on several overloads at one place
  return failures.filter((f, i) => failures.findIndex(g => same(f, g)) === i)
}

const same = (a: Failure, b: Failure): boolean =>
  a.kind === 'source' && b.kind === 'source' && a.message === b.message && a.at.file === b.at.file && a.at.line === b.at.line && a.at.column === b.at.column
