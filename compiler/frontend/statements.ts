/** Function bodies: const, function, if, switch and return; and binding by pattern. */
import { ts } from 'ts-morph'
import { condition, evaluate, fixed, propertyName } from './evaluate.ts'
import { unsupportedStatement } from './refusals.ts'
import { named, reject, type Machine } from './machine.ts'
import { nearest } from './places.ts'
import { describe, isList, isRec, isTensor, kind, scope, type Closure, type Env, type FunctionNode, type Rec, type Value } from './values.ts'

/** What a statement yields that does not return. */
const onward: unique symbol = Symbol('onward')
const broken: unique symbol = Symbol('break')
type Flow = Value | typeof onward | typeof broken

/** A function with the variables around it; async functions and generators are refused. */
export const closureOf = (m: Machine, node: FunctionNode, env: Env): Closure => {
  if (node.modifiers?.some(x => x.kind === ts.SyntaxKind.AsyncKeyword)) {
    return reject(m, node, 'async functions are outside the subset', 'a program computes at once from its arguments: drop async, pass the data as an argument')
  }
  if (node.asteriskToken !== undefined) return reject(m, node, 'generators are outside the subset', 'use map over a static array, scan over time')
  return { [kind]: 'closure', node, env }
}

/** Binds a name or a pattern. */
export const bind = (m: Machine, pattern: ts.BindingName, v: Value, env: Env): void => {
  if (ts.isIdentifier(pattern)) {
    env.vars.set(pattern.text, v)
    return
  }
  if (isTensor(v)) reject(m, pattern, `${describe(v)} cannot be destructured`, 'take its entries with at(x, i), or map over them with vmap')
  if (ts.isObjectBindingPattern(pattern)) bindRecord(m, pattern, v, env)
  else bindList(m, pattern, v, env)
}

const bindRecord = (m: Machine, pattern: ts.ObjectBindingPattern, v: Value, env: Env): void => {
  if (!isRec(v) && !isList(v)) reject(m, pattern, `${describe(v)} cannot be destructured into a record`)
  const of = v as Rec // checked above; arrays give their elements by index
  const seen = new Set<string>()
  for (const e of pattern.elements) {
    if (e.dotDotDotToken !== undefined) {
      bind(m, e.name, Object.fromEntries(Object.entries(of).filter(([name]) => !seen.has(name))), env)
      continue
    }
    const name = e.propertyName !== undefined ? propertyName(m, e.propertyName, env) : e.name.getText()
    seen.add(name)
    const found = Object.hasOwn(of, name) ? of[name] : undefined
    if (found === undefined && e.initializer === undefined && !ts.isIdentifier(e.name)) missing(m, e, name, of)
    bind(m, e.name, found === undefined && e.initializer !== undefined ? evaluate(m, e.initializer, env) : found, env)
  }
}

/** Stops: a record has no such property. */
export const missing = (m: Machine, at: ts.Node, name: string, of: Rec): never => {
  const names = Object.keys(of)
  const near = nearest(name, names)
  return reject(m, at, `the record has no property ${name}; it has ${names.length === 0 ? 'none' : names.join(', ')}`, near === undefined ? undefined : `did you mean ${near}?`)
}

const bindList = (m: Machine, pattern: ts.ArrayBindingPattern, v: Value, env: Env): void => {
  const of: readonly Value[] = typeof v === 'string' ? [...v] : isList(v) ? v : reject(m, pattern, `${describe(v)} cannot be destructured into an array`)
  pattern.elements.forEach((e, i) => {
    if (!ts.isBindingElement(e)) return
    const found = e.dotDotDotToken !== undefined ? of.slice(i) : of[i]
    bind(m, e.name, found === undefined && e.initializer !== undefined ? evaluate(m, e.initializer, env) : found, env)
  })
}

/** Runs the body of a function: the value that it returns. */
export const runBody = (m: Machine, body: ts.ConciseBody, env: Env): Value => {
  if (!ts.isBlock(body)) return evaluate(m, body, env)
  const flow = statements(m, body.statements, env)
  return flow === onward || flow === broken ? undefined : flow
}

const statements = (m: Machine, list: readonly ts.Statement[], env: Env): Flow => {
  for (const s of list) if (ts.isFunctionDeclaration(s) && s.name !== undefined) env.vars.set(s.name.text, closureOf(m, s, env))
  for (const s of list) {
    const flow = statement(m, s, env)
    if (flow !== onward) return flow
  }
  return onward
}

const branch = (m: Machine, s: ts.Statement, env: Env): Flow => (ts.isBlock(s) ? statements(m, s.statements, scope(env)) : statement(m, s, env))

const statement = (m: Machine, s: ts.Statement, env: Env): Flow => {
  if (ts.isReturnStatement(s)) return s.expression === undefined ? undefined : evaluate(m, s.expression, env)
  if (ts.isVariableStatement(s)) return declare(m, s, env)
  if (ts.isIfStatement(s)) {
    if (condition(m, s.expression, env)) return branch(m, s.thenStatement, env)
    return s.elseStatement === undefined ? onward : branch(m, s.elseStatement, env)
  }
  if (ts.isBlock(s)) return branch(m, s, env)
  if (ts.isSwitchStatement(s)) return switching(m, s, env)
  if (ts.isBreakStatement(s) && s.label === undefined) return broken
  if (ts.isExpressionStatement(s)) return effect(m, s, env)
  if (ts.isFunctionDeclaration(s) || ts.isTypeAliasDeclaration(s) || ts.isInterfaceDeclaration(s) || ts.isEmptyStatement(s)) return onward
  return unsupportedStatement(m, s)
}

/** An expression on its own: its refusal, if it has one of its own, or else that it does nothing. Within the language, `refuse(...)` stands so. */
const effect = (m: Machine, s: ts.ExpressionStatement, env: Env): Flow => {
  evaluate(m, s.expression, env)
  return m.language(s.getSourceFile().fileName) !== undefined ? onward : unsupportedStatement(m, s)
}

const declare = (m: Machine, s: ts.VariableStatement, env: Env): Flow => {
  if ((s.declarationList.flags & ts.NodeFlags.Const) === 0) reject(m, s, 'let and var are outside the subset: values do not change', 'use const; for a value built up step by step use reduce over a static array, scan over time')
  for (const d of s.declarationList.declarations) {
    const { initializer, name } = d
    if (initializer === undefined) continue
    const v = ts.isIdentifier(name) ? named(m, name.text, d, () => evaluate(m, initializer, env)) : evaluate(m, initializer, env)
    bind(m, name, v, env)
  }
  return onward
}

const switching = (m: Machine, s: ts.SwitchStatement, env: Env): Flow => {
  const on = fixed(m, evaluate(m, s.expression, env), s.expression, 'a condition')
  const inner = scope(env)
  const clauses = s.caseBlock.clauses
  const found = clauses.findIndex(c => ts.isCaseClause(c) && evaluate(m, c.expression, inner) === on)
  const from = found === -1 ? clauses.findIndex(ts.isDefaultClause) : found
  if (from === -1) return onward
  const flow = statements(m, clauses.slice(from).flatMap(c => [...c.statements]), inner)
  return flow === broken ? onward : flow
}
