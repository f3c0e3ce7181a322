/**
 * Symbolic evaluation of expressions. Static values (numbers, strings, records, arrays, functions) are computed as
 * JavaScript would; tensors are values of the IR function under construction and pass through. What is outside the pure
 * subset is refused at its place, with the way out.
 */
import { ts } from 'ts-morph'
import { call } from './calls.ts'
import { constructed, unsupported } from './refusals.ts'
import { inLanguage, named, reject, type Machine } from './machine.ts'
import { member } from './members.ts'
import { binary, prefix } from './operators.ts'
import { lookup } from './scope.ts'
import { closureOf } from './statements.ts'
import { describe, isCallable, isList, isRec, isTensor, type Env, type Rec, type Value } from './values.ts'

/** What an optional chain that stopped early stands for until the chain's end. */
const stopped: unique symbol = Symbol('stopped')

/** The value of an expression. */
export const evaluate = (m: Machine, n: ts.Expression, env: Env): Value => {
  const v = chain(m, n, env)
  return v === stopped ? undefined : v
}

type Result = Value | typeof stopped
type Rule = (m: Machine, n: ts.Expression, env: Env) => Result

const chain: Rule = (m, n, env) => {
  const rule = rules.get(n.kind)
  return rule === undefined ? unsupported(m, n) : rule(m, n, env)
}

/** A rule for nodes of the given kinds. The kind of a node determines its type: the one cast of the table. */
const on = <N extends ts.Expression>(kinds: readonly ts.SyntaxKind[], rule: (m: Machine, n: N, env: Env) => Result): readonly (readonly [ts.SyntaxKind, Rule])[] =>
  kinds.map(k => [k, rule as unknown as Rule] as const)

const K = ts.SyntaxKind

/** One rule per kind of expression; what has none is outside the subset. (Functions below, hence the thunks.) */
const rules: ReadonlyMap<ts.SyntaxKind, Rule> = new Map([
  ...on<ts.Identifier>([K.Identifier], (m, n, env) => (n.text === 'undefined' ? undefined : lookup(m, env, n.text, n))),
  ...on<ts.CallExpression>([K.CallExpression], (m, n, env) => calling(m, n, env)),
  ...on<ts.PropertyAccessExpression | ts.ElementAccessExpression>([K.PropertyAccessExpression, K.ElementAccessExpression], (m, n, env) => reading(m, n, env)),
  ...on<ts.NumericLiteral>([K.NumericLiteral], (_, n) => Number(n.text.replaceAll('_', ''))),
  ...on<ts.StringLiteralLike>([K.StringLiteral, K.NoSubstitutionTemplateLiteral], (_, n) => n.text),
  ...on<ts.ArrowFunction | ts.FunctionExpression>([K.ArrowFunction, K.FunctionExpression], (m, n, env) => closureOf(m, n, env)),
  ...on<ts.NonNullExpression>([K.NonNullExpression], (m, n, env) => present(m, n, chain(m, n.expression, env))),
  ...on<ts.ParenthesizedExpression>(
    [K.ParenthesizedExpression, K.AsExpression, K.SatisfiesExpression, K.TypeAssertionExpression, K.ExpressionWithTypeArguments],
    (m, n, env) => evaluate(m, n.expression, env),
  ),
  ...on<ts.ObjectLiteralExpression>([K.ObjectLiteralExpression], (m, n, env) => record(m, n, env)),
  ...on<ts.ArrayLiteralExpression>([K.ArrayLiteralExpression], (m, n, env) => elements(m, n.elements, env)),
  ...on<ts.TemplateExpression>([K.TemplateExpression], (m, n, env) => template(m, n, env)),
  ...on<ts.ConditionalExpression>([K.ConditionalExpression], (m, n, env) => evaluate(m, condition(m, n.condition, env) ? n.whenTrue : n.whenFalse, env)),
  ...on<ts.BinaryExpression>([K.BinaryExpression], (m, n, env) => binary(m, n, env)),
  ...on<ts.PrefixUnaryExpression>([K.PrefixUnaryExpression], (m, n, env) => prefix(m, n, env)),
  ...on<ts.TypeOfExpression>([K.TypeOfExpression], (m, n, env) => typeName(evaluate(m, n.expression, env))),
  ...on<ts.NewExpression>([K.NewExpression], (m, n) => constructed(m, n)),
  ...on<ts.ThisExpression>([K.ThisKeyword], (m, n) => reject(m, n, 'this is outside the subset', 'pass what the function needs as an argument')),
  ...on([K.TrueKeyword], () => true),
  ...on([K.FalseKeyword], () => false),
  ...on([K.NullKeyword], () => null),
])

const typeName = (v: Value): string => (isCallable(v) ? 'function' : v === null || isTensor(v) || isList(v) || isRec(v) ? 'object' : typeof v)

/** A value that must be known while the model is read. */
export const fixed = (m: Machine, v: Value, n: ts.Node, what: string): Exclude<Value, { readonly aval: unknown }> =>
  isTensor(v)
    ? reject(m, n, `${what} depends on ${describe(v)}; it must be known at compile time`, what === 'a condition' ? 'use select(condition, a, b)' : undefined)
    : v

/** The truth of a static condition. */
export const condition = (m: Machine, n: ts.Expression, env: Env): boolean => Boolean(fixed(m, evaluate(m, n, env), n, 'a condition'))

/** `x!`: what must be there is there. */
const present = (m: Machine, n: ts.NonNullExpression, v: Result): Result =>
  (v === undefined || v === null) && !inLanguage(m, n) ? reject(m, n, `${n.getText()} is ${String(v)} here`) : v

const calling = (m: Machine, n: ts.CallExpression, env: Env): Result => {
  if (n.expression.kind === ts.SyntaxKind.ImportKeyword) return reject(m, n, 'import() is outside the subset', 'import at the top of the file')
  const f = chain(m, n.expression, env)
  if (f === stopped) return stopped
  if ((f === undefined || f === null) && n.questionDotToken !== undefined) return stopped
  const args = elements(m, n.arguments, env)
  if (!isCallable(f)) return reject(m, n.expression, `${n.expression.getText()} is not a function of the subset; it is ${describe(f)}`)
  return call(m, f, args, n)
}

const reading = (m: Machine, n: ts.PropertyAccessExpression | ts.ElementAccessExpression, env: Env): Result => {
  const of = chain(m, n.expression, env)
  if (of === stopped) return stopped
  if ((of === undefined || of === null) && n.questionDotToken !== undefined) return stopped
  if (ts.isPropertyAccessExpression(n)) return member(m, of, n.name.text, n)
  const key = fixed(m, evaluate(m, n.argumentExpression, env), n.argumentExpression, 'an index')
  if (typeof key !== 'string' && typeof key !== 'number') return reject(m, n.argumentExpression, `an index is a number or a string, not ${describe(key)}`)
  return member(m, of, key, n)
}

/** The elements of an array literal or of an argument list, spreads opened. */
export const elements = (m: Machine, list: ts.NodeArray<ts.Expression>, env: Env): readonly Value[] =>
  list.flatMap(e => {
    if (!ts.isSpreadElement(e)) return [evaluate(m, e, env)]
    const v = evaluate(m, e.expression, env)
    if (isTensor(v)) return reject(m, e, `${describe(v)} cannot be spread`, 'take its entries with at(x, i), or map over them with vmap')
    if (typeof v === 'string') return [...v]
    return isList(v) ? v : reject(m, e, `${describe(v)} cannot be spread into an array`)
  })

/** The name of a property, computed ones included. */
export const propertyName = (m: Machine, n: ts.PropertyName, env: Env): string => {
  if (!ts.isComputedPropertyName(n)) return n.text
  const v = fixed(m, evaluate(m, n.expression, env), n, 'a property name')
  return typeof v === 'string' || typeof v === 'number' ? String(v) : reject(m, n, `a property name is a string or a number, not ${describe(v)}`)
}

const property = (m: Machine, p: ts.ObjectLiteralElementLike, env: Env): readonly (readonly [string, Value])[] => {
  if (ts.isPropertyAssignment(p)) {
    const name = propertyName(m, p.name, env)
    return [[name, named(m, name, p, () => evaluate(m, p.initializer, env))]]
  }
  if (ts.isShorthandPropertyAssignment(p)) return [[p.name.text, lookup(m, env, p.name.text, p)]]
  if (ts.isSpreadAssignment(p)) {
    const v = evaluate(m, p.expression, env)
    if (isTensor(v)) return reject(m, p, `${describe(v)} cannot be spread into a record`)
    return isRec(v) || isList(v) ? Object.entries(v) : v === undefined || v === null || v === false ? [] : reject(m, p, `${describe(v)} cannot be spread into a record`)
  }
  if (ts.isMethodDeclaration(p)) return [[propertyName(m, p.name, env), closureOf(m, p, env)]]
  return reject(m, p, 'getters and setters are outside the subset', 'use a property that holds a value or an arrow function')
}

const record = (m: Machine, n: ts.ObjectLiteralExpression, env: Env): Rec => Object.fromEntries(n.properties.flatMap(p => property(m, p, env)))

const template = (m: Machine, n: ts.TemplateExpression, env: Env): string =>
  n.head.text +
  n.templateSpans
    .map(span => {
      const v = fixed(m, evaluate(m, span.expression, env), span.expression, 'a template')
      return `${text(m, v, span.expression)}${span.literal.text}`
    })
    .join('')

/** A static value as text, as JavaScript would write it. */
export const text = (m: Machine, v: Value, n: ts.Node): string => {
  if (isList(v)) return v.map(x => (x === undefined || x === null ? '' : text(m, x, n))).join(',')
  if (typeof v === 'object' && v !== null) return reject(m, n, `${describe(v)} has no text`)
  return String(v)
}
