/** What is outside the pure subset, by syntax, with the way out. */
import { ts } from 'ts-morph'
import { reject, type Machine } from './machine.ts'

/** Names of the world outside, which a pure function cannot read, with the way out. */
export const impure: ReadonlyMap<string, string> = new Map([
  ['Date', 'time is outside the subset; pass it as an argument'],
  ['performance', 'time is outside the subset; pass it as an argument'],
  ['console', 'a pure function prints nothing; return the value and look at it, or run the model eagerly in a debugger'],
  ['process', 'a pure function reads no environment; pass the value as an argument, or fix it in the config'],
  ['fetch', 'a pure function reads nothing from outside; pass the data as an argument'],
  ['require', 'use import at the top of the file'],
  ['globalThis', 'a pure function reads its arguments and constants only'],
  ['window', 'a pure function reads its arguments and constants only'],
  ['document', 'a pure function reads its arguments and constants only'],
  ['crypto', 'randomness comes from a key: pass a Key and use randomNormal(key, shape) or randomUniform(key, shape)'],
  ['setTimeout', 'a pure function has no time; scan runs over steps'],
  ['setInterval', 'a pure function has no time; scan runs over steps'],
  ['Promise', 'async is outside the subset; pass the data as an argument'],
  ['arguments', 'name the arguments: (...xs: readonly [V, V]) => ...'],
  ['eval', 'write the expression itself'],
  ['Symbol', 'use a string'],
  ['JSON', 'write the values as constants of the model'],
  ['Buffer', 'a pure function reads nothing from outside; pass the data as an argument'],
])

export const randomness = 'randomness comes from a key: pass a Key and use randomNormal(key, shape) or randomUniform(key, shape)'

/** The refusal of a name of the world outside. */
export const refuseImpure = (m: Machine, name: string, at: ts.Node): never => reject(m, at, `${name} is outside the subset of pure functions`, impure.get(name))

/** `new X(...)` */
export const constructed = (m: Machine, n: ts.NewExpression): never => {
  const name = n.expression.getText()
  if (impure.has(name)) return refuseImpure(m, name, n)
  return reject(m, n, `new ${name}(...) is outside the subset: it makes an object with state`, 'use records and arrays, which do not change')
}

/** An expression that no rule covers. */
export const unsupported = (m: Machine, n: ts.Node): never => {
  if (ts.isAwaitExpression(n)) return reject(m, n, 'await is outside the subset', 'a program computes at once from its arguments: pass the data as an argument')
  if (ts.isYieldExpression(n)) return reject(m, n, 'generators are outside the subset', 'use map over a static array, scan over time')
  if (ts.isPostfixUnaryExpression(n)) return reject(m, n, `${n.getText()} changes a variable, which is outside the subset`, 'values do not change: bind a new const')
  if (ts.isDeleteExpression(n)) return reject(m, n, 'delete is outside the subset', 'take the rest: const { name, ...rest } = record')
  if (ts.isClassExpression(n)) return reject(m, n, 'classes are outside the subset', 'use records and functions')
  if (ts.isTaggedTemplateExpression(n)) return reject(m, n, 'tagged templates are outside the subset', 'call the function')
  if (ts.isRegularExpressionLiteral(n)) return reject(m, n, 'regular expressions are outside the subset', 'use split, includes, indexOf or slice')
  if (ts.isBigIntLiteral(n)) return reject(m, n, 'bigints are outside the subset', 'use numbers')
  if (ts.isVoidExpression(n)) return reject(m, n, 'void is outside the subset', 'use undefined')
  if (ts.isOmittedExpression(n)) return reject(m, n, 'holes in arrays are outside the subset', 'write undefined')
  return reject(m, n, `${kindOf(n)} is outside the subset`)
}

/** The kind of a node in words: `labeled statement`. */
export const kindOf = (n: ts.Node): string =>
  n.kind === ts.SyntaxKind.DebuggerStatement ? 'debugger' : (ts.SyntaxKind[n.kind] ?? '').replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase()

/** A statement that no rule covers. */
export const unsupportedStatement = (m: Machine, s: ts.Statement): never => {
  if (ts.isIterationStatement(s, false)) return reject(m, s, 'a loop is outside the subset', 'use map or reduce over a static array, scan over time')
  if (ts.isTryStatement(s)) return reject(m, s, 'try is outside the subset: a program does not fail while it runs', 'test what can be known with if; choose between tensors with select')
  if (ts.isThrowStatement(s)) return reject(m, s, 'throw is outside the subset: a program does not fail while it runs', 'choose between tensors with select')
  if (ts.isClassDeclaration(s)) return reject(m, s, 'classes are outside the subset', 'use records and functions')
  if (ts.isExpressionStatement(s)) return reject(m, s, 'a statement without a result is outside the subset: a pure function has no effects', 'bind the value with const, or return it')
  return reject(m, s, `${kindOf(s)} is outside the subset`, 'a body holds const, function, if, switch and return')
}
