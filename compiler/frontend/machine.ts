/**
 * The state of one evaluation: where we are in the source, what the value is being bound to, which IR function is under
 * construction. A marked border: this is the only mutable record of the front end besides the builders of the IR.
 */
import { ts } from 'ts-morph'
import { print, Refusal, type Failure, type Place } from '../../dsl/errors.ts'
import type { Origin } from '../ir/ir.ts'
import { frameAt, placeOf } from './places.ts'
import type { Cell, Env, Value } from './values.ts'
import type { Region } from './regions.ts'

export type Config = Readonly<Record<string, number>>

export type Machine = {
  readonly checker: ts.TypeChecker
  readonly cwd: string
  /** A file's path within the language's own folder, if it lies there. */
  readonly language: (file: string) => string | undefined
  /** Module environments, shared by all programs. */
  readonly modules: Map<ts.SourceFile, Env>
  /** Calls in progress, outermost first. */
  readonly stack: ts.Node[]
  /** Names that values are being bound to, outermost first. */
  readonly names: string[]
  /** The innermost call outside the language's own folder. */
  site: ts.Node | undefined
  /** The function under construction, and the outermost one. */
  region: Region | undefined
  root: Region | undefined
  /** What symbolic dims stand for. */
  config: Config
  /** Values of module constants that depend on the program (tensors, dims). */
  cells: Map<Cell, Value>
  /** Counts what ties a value to the program: instructions, dims read from the config. */
  touched: number
}

export const machine = (checker: ts.TypeChecker, cwd: string, language: Machine['language']): Machine => ({
  checker, cwd, language, modules: new Map(), stack: [], names: [], site: undefined, region: undefined, root: undefined, config: {}, cells: new Map(), touched: 0,
})

/** Runs `f` on a machine as it is before a program: only the module environments are kept. */
export const fresh = (m: Machine): Machine => ({ ...machine(m.checker, m.cwd, m.language), modules: m.modules })

export const inLanguage = (m: Machine, node: ts.Node): boolean => m.language(node.getSourceFile().fileName) !== undefined

const maxTrace = 8

/** The user's calls around a place, innermost first. */
const traceOf = (m: Machine, at: ts.Node): readonly Place[] => {
  const calls = m.stack.filter(node => node !== at && !inLanguage(m, node)).reverse()
  const places = calls.map(node => placeOf(node, m.cwd))
  const own = placeOf(at, m.cwd)
  const distinct = places.filter((p, i) => {
    const inner = i === 0 ? own : (places[i - 1] ?? own)
    return p.file !== inner.file || p.line !== inner.line
  })
  return distinct.slice(0, maxTrace)
}

/** Stops with the user's mistake at a place. A place within the language itself is reported at the user's call that led to it. */
export const reject = (m: Machine, node: ts.Node, message: string, remedy?: string): never => {
  const inside = inLanguage(m, node)
  const at = inside ? (m.site ?? node) : node
  const origin = inside ? placeOf(node, m.cwd) : undefined
  const trace = traceOf(m, at)
  throw new Refusal({
    kind: 'source',
    at: placeOf(at, m.cwd),
    message: origin === undefined ? message : `${message} (in ${origin.file}:${origin.line}:${origin.column})`,
    frame: frameAt(at),
    ...(trace.length === 0 ? {} : { trace }),
    ...(remedy === undefined ? {} : { remedy }),
  })
}

const wordsOf = (failure: Failure): string | undefined => {
  switch (failure.kind) {
    case 'shape':
      return `${failure.operation}: ${failure.message}`
    case 'limit':
      return `${failure.what}: ${failure.message}`
    case 'config':
    case 'usage':
    case 'data':
    case 'file':
    case 'write':
    case 'device':
      return failure.message
    case 'arrays':
    case 'nonfinite':
      return print(failure)
    case 'source':
    case 'sources':
    case 'bug':
      return undefined
  }
}

/** Stops with a failure of the language, at the user's call that led to it. */
export const rejectFailure = (m: Machine, node: ts.Node, failure: Failure): never => {
  const message = wordsOf(failure)
  if (message === undefined) throw new Refusal(failure)
  return reject(m, m.site ?? node, message, 'remedy' in failure ? failure.remedy : undefined)
}

/** Runs a rule of the language; what it refuses is reported at the user's place. */
export const guarded = <A>(m: Machine, node: ts.Node, f: () => A): A => {
  try {
    return f()
  } catch (error) {
    if (error instanceof Refusal) return rejectFailure(m, node, error.failure)
    throw error
  }
}

/** The origin of an instruction made now. */
export const originOf = (m: Machine, node: ts.Node): Origin => ({ ...placeOf(m.site ?? node, m.cwd), name: m.names.at(-1) ?? '' })

/** Evaluates under a name; names within the language do not count. */
export const named = <A>(m: Machine, name: string, node: ts.Node, f: () => A): A => {
  if (inLanguage(m, node)) return f()
  m.names.push(name)
  try {
    return f()
  } finally {
    m.names.pop()
  }
}
