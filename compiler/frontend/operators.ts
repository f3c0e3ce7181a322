/** Operators on static values. Tensors have functions instead of operators; the refusal names the one that is meant. */
import { ts } from 'ts-morph'
import { evaluate, fixed } from './evaluate.ts'
import { reject, type Machine } from './machine.ts'
import { describe, isTensor, type Env, type Value } from './values.ts'

const K = ts.SyntaxKind

/** What to write instead, where an operand is a tensor. */
export const functions: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [K.PlusToken, 'add(a, b)'], [K.MinusToken, 'sub(a, b)'], [K.AsteriskToken, 'mul(a, b)'], [K.SlashToken, 'div(a, b)'], [K.AsteriskAsteriskToken, 'pow(x, c)'],
  [K.LessThanToken, 'lt(a, b)'], [K.LessThanEqualsToken, 'le(a, b)'], [K.GreaterThanToken, 'gt(a, b)'], [K.GreaterThanEqualsToken, 'ge(a, b)'],
  [K.EqualsEqualsEqualsToken, 'eq(a, b)'], [K.ExclamationEqualsEqualsToken, 'ne(a, b)'], [K.AmpersandToken, 'and(a, b)'], [K.BarToken, 'or(a, b)'],
])

type Arithmetic = (a: number, b: number) => number
const arithmetic: ReadonlyMap<ts.SyntaxKind, Arithmetic> = new Map<ts.SyntaxKind, Arithmetic>([
  [K.MinusToken, (a, b) => a - b], [K.AsteriskToken, (a, b) => a * b], [K.SlashToken, (a, b) => a / b], [K.PercentToken, (a, b) => a % b],
  [K.AsteriskAsteriskToken, (a, b) => a ** b], [K.AmpersandToken, (a, b) => a & b], [K.BarToken, (a, b) => a | b], [K.CaretToken, (a, b) => a ^ b],
  [K.LessThanLessThanToken, (a, b) => a << b], [K.GreaterThanGreaterThanToken, (a, b) => a >> b], [K.GreaterThanGreaterThanGreaterThanToken, (a, b) => a >>> b],
])

type Order = (a: number | string, b: number | string) => boolean
const orders: ReadonlyMap<ts.SyntaxKind, Order> = new Map<ts.SyntaxKind, Order>([
  [K.LessThanToken, (a, b) => a < b], [K.LessThanEqualsToken, (a, b) => a <= b], [K.GreaterThanToken, (a, b) => a > b], [K.GreaterThanEqualsToken, (a, b) => a >= b],
])

const isAssignment = (operator: ts.SyntaxKind): boolean => operator >= K.FirstAssignment && operator <= K.LastAssignment

const nothing = (v: Value): boolean => v === undefined || v === null

export const binary = (m: Machine, n: ts.BinaryExpression, env: Env): Value => {
  const operator = n.operatorToken.kind
  if (isAssignment(operator)) return reject(m, n, 'assignment is outside the subset', 'values do not change: bind a new const, build a new record with {...old, name: value}, or use reduce')
  switch (operator) {
    case K.AmpersandAmpersandToken: {
      const left = fixed(m, evaluate(m, n.left, env), n.left, 'a condition')
      return left ? evaluate(m, n.right, env) : left
    }
    case K.BarBarToken: {
      const left = fixed(m, evaluate(m, n.left, env), n.left, 'a condition')
      return left ? left : evaluate(m, n.right, env)
    }
    case K.QuestionQuestionToken:
      return evaluate(m, n.left, env) ?? evaluate(m, n.right, env)
    case K.InKeyword: {
      const key = fixed(m, evaluate(m, n.left, env), n.left, 'a property name')
      const of = evaluate(m, n.right, env)
      return typeof of === 'object' && of !== null && !isTensor(of) ? Object.hasOwn(of, String(key)) : reject(m, n, `in asks for a record, not ${describe(of)}`)
    }
  }
  if (operator === K.CommaToken) return reject(m, n.operatorToken, 'the comma operator is outside the subset: a pure expression has one value', 'bind the first with const')
  const a = evaluate(m, n.left, env)
  const b = evaluate(m, n.right, env)
  switch (operator) {
    case K.EqualsEqualsEqualsToken:
      return nothing(a) || nothing(b) ? a === b : statics(m, n, a, b)[0] === b
    case K.ExclamationEqualsEqualsToken:
      return nothing(a) || nothing(b) ? a !== b : statics(m, n, a, b)[0] !== b
    case K.EqualsEqualsToken:
    case K.ExclamationEqualsToken:
      if (nothing(a) || nothing(b)) return (operator === K.EqualsEqualsToken) === (nothing(a) && nothing(b))
      return reject(m, n, '== and != are outside the subset', 'use === and !==')
  }
  const [left, right] = statics(m, n, a, b)
  const sign = n.operatorToken.getText()
  if (operator === K.PlusToken) {
    if (typeof left === 'number' && typeof right === 'number') return left + right
    if (typeof left === 'string' || typeof right === 'string') return `${plain(m, n, left)}${plain(m, n, right)}`
  }
  const order = orders.get(operator)
  if (order !== undefined && ((typeof left === 'number' && typeof right === 'number') || (typeof left === 'string' && typeof right === 'string'))) return order(left, right)
  const f = arithmetic.get(operator)
  if (f !== undefined && typeof left === 'number' && typeof right === 'number') return f(left, right)
  if (f === undefined && order === undefined && operator !== K.PlusToken) return reject(m, n.operatorToken, `the operator ${sign} is outside the subset`)
  return reject(m, n, `${sign} takes static numbers, here ${describe(left)} and ${describe(right)}`)
}

const plain = (m: Machine, n: ts.Node, v: Value): string =>
  typeof v === 'object' && v !== null ? reject(m, n, `${describe(v)} has no text`) : String(v)

/** Both operands, refused where one is a tensor. */
const statics = (m: Machine, n: ts.BinaryExpression, a: Value, b: Value): readonly [Value, Value] => {
  if (!isTensor(a) && !isTensor(b)) return [a, b]
  const instead = functions.get(n.operatorToken.kind)
  return reject(m, n, `the operator ${n.operatorToken.getText()} takes static numbers, here ${describe(a)} and ${describe(b)}`, instead === undefined ? undefined : `use ${instead}`)
}

export const prefix = (m: Machine, n: ts.PrefixUnaryExpression, env: Env): Value => {
  if (n.operator === K.PlusPlusToken || n.operator === K.MinusMinusToken) return reject(m, n, `${n.getText()} changes a variable, which is outside the subset`, 'values do not change: bind a new const')
  if (n.operator === K.ExclamationToken) {
    const v = evaluate(m, n.operand, env)
    return isTensor(v) ? reject(m, n, `a condition depends on ${describe(v)}; it must be known at compile time`, 'use not(x) and select(condition, a, b)') : !v
  }
  const v = evaluate(m, n.operand, env)
  if (isTensor(v)) return reject(m, n, `the operator ${n.getText().charAt(0)} takes a static number, here ${describe(v)}`, n.operator === K.MinusToken ? 'use neg(x)' : undefined)
  if (typeof v !== 'number') return reject(m, n, `the operator ${n.getText().charAt(0)} takes a static number, here ${describe(v)}`)
  switch (n.operator) {
    case K.MinusToken:
      return -v
    case K.PlusToken:
      return v
    case K.TildeToken:
      return ~v
  }
}
