/** The pure globals of JavaScript, and pipe, flow and identity of fp-ts. */
import { ts } from 'ts-morph'
import { call } from './calls.ts'
import { reject, type Machine } from './machine.ts'
import { nearest } from './places.ts'
import { randomness } from './refusals.ts'
import { describe, isCallable, isList, isRec, isTensor, kind, native, type Callable, type List, type Namespace, type Native, type Value } from './values.ts'

const callable = (m: Machine, v: Value, at: ts.Node, of: string): Callable => (isCallable(v) ? v : reject(m, at, `${of} takes functions, not ${describe(v)}`))

const pipe: Native = native('pipe', (m, [x, ...fs], at) => fs.reduce<Value>((v, f) => call(m, callable(m, f, at, 'pipe'), [v], at), x))
const flow: Native = native('flow', (_, [first, ...rest]) =>
  native('flow', (m, args, at) => rest.reduce<Value>((v, f) => call(m, callable(m, f, at, 'flow'), [v], at), call(m, callable(m, first, at, 'flow'), args, at))),
)
const identity: Native = native('identity', (_, [x]) => x)

const fromFpTs: ReadonlyMap<string, Native> = new Map([['pipe', pipe], ['flow', flow], ['identity', identity]])

/** A function of fp-ts that the subset has, by the module and name it is imported with. */
export const fpTs = (specifier: string, name: string): Value => (/^fp-ts\/(lib\/|es6\/)?function(\.js)?$/.test(specifier) ? fromFpTs.get(name) : undefined)

const numbers = (m: Machine, args: readonly Value[], at: ts.Node, of: string): readonly number[] =>
  args.map(x => (typeof x === 'number' ? x : reject(m, at, `${of} takes static numbers, not ${describe(x)}`, isTensor(x) ? `use the function of the language on tensors: ${of.replace('Math.', '')}(x)` : undefined)))

const namespace = (name: string, members: Readonly<Record<string, Value>>, refused: Readonly<Record<string, string>> = {}): Namespace => ({
  [kind]: 'namespace',
  name,
  member: (m, key, at) => {
    if (Object.hasOwn(members, key)) return members[key]
    if (Object.hasOwn(refused, key)) return reject(m, at, `${name}.${key} is outside the subset of pure functions`, refused[key])
    const near = nearest(key, Object.keys(members))
    return reject(m, at, `${name}.${key} is outside the subset`, near === undefined ? `there are ${Object.keys(members).join(', ')}` : `did you mean ${name}.${near}?`)
  },
})

const mathFunctions = ['abs', 'acos', 'asin', 'atan', 'atan2', 'cbrt', 'ceil', 'cos', 'cosh', 'exp', 'expm1', 'floor', 'fround', 'hypot', 'imul', 'log', 'log10', 'log1p', 'log2', 'max', 'min', 'pow',
  'round', 'sign', 'sin', 'sinh', 'sqrt', 'tan', 'tanh', 'trunc', 'clz32'] as const
const mathConstants = ['E', 'LN10', 'LN2', 'LOG10E', 'LOG2E', 'PI', 'SQRT1_2', 'SQRT2'] as const

const math = namespace(
  'Math',
  {
    ...Object.fromEntries(mathFunctions.map(name => {
      const f: (...xs: number[]) => number = Math[name] as (...xs: number[]) => number // every one of these takes numbers
      return [name, native(name, (m, args, at) => f(...numbers(m, args, at, `Math.${name}`)))]
    })),
    ...Object.fromEntries(mathConstants.map(name => [name, Math[name]])),
  },
  { random: randomness },
)

const entriesOf = (m: Machine, v: Value, at: ts.Node, of: string): readonly (readonly [string, Value])[] =>
  isRec(v) || isList(v) ? Object.entries(v) : reject(m, at, `${of} takes a record, not ${describe(v)}`, isTensor(v) ? 'test isTensor first where a tree is walked' : undefined)

const listOf = (m: Machine, v: Value, at: ts.Node, of: string): List => (isList(v) ? v : typeof v === 'string' ? [...v] : reject(m, at, `${of} takes an array, not ${describe(v)}`))

const object = namespace(
  'Object',
  {
    keys: native('keys', (m, [v], at) => entriesOf(m, v, at, 'Object.keys').map(([name]) => name)),
    values: native('values', (m, [v], at) => entriesOf(m, v, at, 'Object.values').map(([, x]) => x)),
    entries: native('entries', (m, [v], at) => entriesOf(m, v, at, 'Object.entries')),
    fromEntries: native('fromEntries', (m, [v], at) =>
      Object.fromEntries(listOf(m, v, at, 'Object.fromEntries').map(pair => {
        const [name, x] = listOf(m, pair, at, 'Object.fromEntries')
        return typeof name === 'string' || typeof name === 'number' ? [String(name), x] : reject(m, at, `a property name is a string, not ${describe(name)}`)
      })),
    ),
    hasOwn: native('hasOwn', (m, [v, name], at) => (isRec(v) || isList(v) ? Object.hasOwn(v, String(name)) : reject(m, at, `Object.hasOwn takes a record, not ${describe(v)}`))),
    freeze: native('freeze', (_, [v]) => v),
    is: native('is', (_, [a, b]) => Object.is(a, b)),
  },
  { assign: 'build a new record: {...a, ...b}', defineProperty: 'build a new record: {...a, name: value}' },
)

const array = namespace('Array', {
  from: native('from', (m, [v, f], at) => {
    const list: List = isRec(v) && typeof v['length'] === 'number' ? Array.from({ length: v['length'] }, () => undefined) : listOf(m, v, at, 'Array.from')
    return f === undefined ? list : list.map((x, i) => call(m, callable(m, f, at, 'Array.from'), [x, i], at))
  }),
  of: native('of', (_, args) => args),
  isArray: native('isArray', (_, [v]) => isList(v)),
})

const staticOf = (m: Machine, v: Value, at: ts.Node, of: string): Value => (typeof v === 'object' && v !== null ? reject(m, at, `${of} takes a static value, not ${describe(v)}`) : v)

const number = namespace('Number', {
  isInteger: native('isInteger', (_, [v]) => Number.isInteger(v)),
  isFinite: native('isFinite', (_, [v]) => Number.isFinite(v)),
  isNaN: native('isNaN', (_, [v]) => Number.isNaN(v)),
  isSafeInteger: native('isSafeInteger', (_, [v]) => Number.isSafeInteger(v)),
  parseFloat: native('parseFloat', (_, [v]) => Number.parseFloat(String(v))),
  parseInt: native('parseInt', (m, [v, base], at) => Number.parseInt(String(v), base === undefined ? undefined : numbers(m, [base], at, 'parseInt')[0])),
  EPSILON: Number.EPSILON, MAX_SAFE_INTEGER: Number.MAX_SAFE_INTEGER, MIN_SAFE_INTEGER: Number.MIN_SAFE_INTEGER, MAX_VALUE: Number.MAX_VALUE, MIN_VALUE: Number.MIN_VALUE,
  POSITIVE_INFINITY: Number.POSITIVE_INFINITY, NEGATIVE_INFINITY: Number.NEGATIVE_INFINITY, NaN: Number.NaN,
})

/** Every global that a pure function may name. */
export const globals: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['undefined', undefined], ['Infinity', Infinity], ['NaN', NaN],
  ['Math', math], ['Object', object],
  ['Array', { ...native('Array', (m, _, at) => reject(m, at, 'Array(...) is outside the subset: it makes an array with holes', 'use Array.from({ length: n }, (_, i) => ...)')), member: array.member }],
  ['Number', { ...native('Number', (m, [v], at) => Number(staticOf(m, v, at, 'Number'))), member: number.member }],
  ['String', native('String', (m, [v], at) => String(staticOf(m, v, at, 'String')))],
  ['Boolean', native('Boolean', (m, [v], at) => (isTensor(v) ? reject(m, at, `a condition depends on ${describe(v)}; it must be known at compile time`, 'use select(condition, a, b)') : Boolean(v)))],
  ['isNaN', native('isNaN', (_, [v]) => typeof v === 'number' && Number.isNaN(v))],
  ['isFinite', native('isFinite', (_, [v]) => typeof v === 'number' && Number.isFinite(v))],
  ['parseInt', native('parseInt', (m, [v, base], at) => Number.parseInt(String(v), base === undefined ? undefined : numbers(m, [base], at, 'parseInt')[0]))],
  ['parseFloat', native('parseFloat', (_, [v]) => Number.parseFloat(String(v)))],
])
