/** Reading members: of records, arrays, strings, numbers and namespaces, with the methods that are pure. */
import { ts } from 'ts-morph'
import { call } from './calls.ts'
import { fixed } from './evaluate.ts'
import { inLanguage, reject, type Machine } from './machine.ts'
import { nearest } from './places.ts'
import { missing } from './statements.ts'
import { describe, isCallable, isList, isNamespace, isRec, isTensor, kind, native, type Callable, type List, type Native, type Value } from './values.ts'

/** The value of `of[key]`. */
export const member = (m: Machine, of: Value, key: string | number, at: ts.Node): Value => {
  if (isTensor(of)) return tensorMember(m, of, key, at)
  if (of === undefined || of === null) return reject(m, at, `reading ${key} of ${String(of)}`)
  if (isNamespace(of)) return of.member(m, String(key), at)
  if (isList(of)) return listMember(m, of, key, at)
  if (typeof of === 'string') return stringMember(m, of, key, at)
  if (typeof of === 'number') return numberMember(m, of, key, at)
  if (isCallable(of) && of[kind] === 'native' && of.member !== undefined) return of.member(m, String(key), at)
  if (isRec(of)) return Object.hasOwn(of, key) ? of[key] : absent(m, of, String(key), at)
  return reject(m, at, `${describe(of)} has no property ${key}`)
}

/** A property that a record lacks: undefined where its type allows that, else the user's mistake. */
const absent = (m: Machine, of: { readonly [name: string]: Value }, key: string, at: ts.Node): Value => {
  if (inLanguage(m, at)) return undefined
  const asserted = ts.isNonNullExpression(at.parent)
  const type = m.checker.getTypeAtLocation(at)
  const may = type.isUnion() ? type.types.some(t => (t.flags & ts.TypeFlags.Undefined) !== 0) : (type.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.TypeParameter)) !== 0
  return may && !asserted ? undefined : missing(m, at, key, of)
}

const functionFor: ReadonlyMap<string, string> = new Map([
  ['shape', 'shapes are types: write the dims down, or take them from the config'], ['length', 'shapes are types: write the dims down, or take them from the config'],
  ['map', 'use vmap(xs, f)'], ['reduce', 'use sum(x), or scan(init, xs, f)'], ['slice', 'use slice(x, axis, start, end)'], ['at', 'use at(x, i)'],
  ['dtype', 'element types are types: use cast(x, dtype)'], ['toArray', 'values exist only when the program runs; return the tensor'],
])

const tensorMember = (m: Machine, of: Value, key: string | number, at: ts.Node): never =>
  typeof key === 'number'
    ? reject(m, at, `${describe(of)} cannot be indexed`, `use at(x, ${key})`)
    : reject(m, at, `${describe(of)} has no property ${key}`, functionFor.get(key) ?? 'use the functions of the language: add, matmul, sum, ...')

/** A callback as JavaScript sees it. */
const callback = (m: Machine, f: Callable, at: ts.Node) => (...args: readonly Value[]): Value => call(m, f, args, at)

const truth = (m: Machine, f: (...args: readonly Value[]) => Value, at: ts.Node) => (x: Value, i: number, list: List): boolean =>
  Boolean(fixed(m, f(x, i, list), at, 'a condition'))

type Method = (m: Machine, of: List, f: (...args: readonly Value[]) => Value, args: readonly Value[], at: ts.Node) => Value

/** Methods that take a function first. */
const higher: Readonly<Record<string, Method>> = {
  map: (_, of, f) => of.map((x, i) => f(x, i, of)),
  flatMap: (_, of, f) => of.flatMap((x, i) => f(x, i, of)),
  filter: (m, of, f, _, at) => of.filter(truth(m, f, at)),
  some: (m, of, f, _, at) => of.some(truth(m, f, at)),
  every: (m, of, f, _, at) => of.every(truth(m, f, at)),
  find: (m, of, f, _, at) => of.find(truth(m, f, at)),
  findIndex: (m, of, f, _, at) => of.findIndex(truth(m, f, at)),
  findLast: (m, of, f, _, at) => of.findLast(truth(m, f, at)),
  findLastIndex: (m, of, f, _, at) => of.findLastIndex(truth(m, f, at)),
  reduce: (m, of, f, args, at) =>
    of.length === 0 && args.length < 2 ? reject(m, at, 'reduce of an empty array without an initial value') : args.length < 2 ? of.slice(1).reduce((a, x, i) => f(a, x, i + 1, of), of[0]) : of.reduce((a, x, i) => f(a, x, i, of), args[1]),
  reduceRight: (m, of, f, args, at) =>
    of.length === 0 && args.length < 2 ? reject(m, at, 'reduceRight of an empty array without an initial value') : args.length < 2 ? of.slice(0, -1).reduceRight((a, x, i) => f(a, x, i, of), of.at(-1)) : of.reduceRight((a, x, i) => f(a, x, i, of), args[1]),
}

type Plain = (m: Machine, of: List, args: readonly Value[], at: ts.Node) => Value
const integer = (m: Machine, v: Value, at: ts.Node): number => (typeof v === 'number' ? v : reject(m, at, `an index is a number, not ${describe(v)}`))
const optional = (m: Machine, v: Value, at: ts.Node): number | undefined => (v === undefined ? undefined : integer(m, v, at))
const comparable = (m: Machine, of: List, at: ts.Node): List => (of.some(isTensor) ? reject(m, at, 'tensors cannot be compared while the model is read', 'use eq(a, b)') : of)

const plain: Readonly<Record<string, Plain>> = {
  slice: (m, of, [from, to], at) => of.slice(optional(m, from, at), optional(m, to, at)),
  concat: (_, of, args) => of.concat(...args.map(x => (isList(x) ? x : [x]))),
  at: (m, of, [i], at) => of.at(integer(m, i, at)),
  join: (m, of, [by], at) => of.map(x => (typeof x === 'object' && x !== null ? reject(m, at, `${describe(x)} has no text`) : x)).join(by === undefined ? ',' : String(by)),
  includes: (m, of, [x], at) => comparable(m, of, at).includes(x),
  indexOf: (m, of, [x], at) => comparable(m, of, at).indexOf(x),
  lastIndexOf: (m, of, [x], at) => comparable(m, of, at).lastIndexOf(x),
  toReversed: (_, of) => [...of].reverse(),
  with: (m, of, [i, x], at) => of.with(integer(m, i, at), x),
  toSpliced: (m, of, [from, n, ...items], at) => of.toSpliced(integer(m, from, at), integer(m, n ?? of.length, at), ...items),
  toSorted: (m, of, [f], at) =>
    of.toSorted(f === undefined ? undefined : (a, b) => {
      const order = isCallable(f) ? call(m, f, [a, b], at) : undefined
      return typeof order === 'number' ? order : reject(m, at, 'toSorted needs a comparison that returns a static number')
    }),
  keys: (_, of) => of.map((_x, i) => i),
  values: (_, of) => of,
  entries: (_, of) => of.map((x, i) => [i, x]),
  flat: (m, of, [depth], at) => flatten(of, optional(m, depth, at) ?? 1),
}

const flatten = (of: List, depth: number): List => of.flatMap(x => (isList(x) && depth > 0 ? (depth === 1 ? x : flatten(x, depth - 1)) : [x]))

const mutating: ReadonlyMap<string, string> = new Map([
  ['push', '[...xs, x]'], ['pop', 'xs.slice(0, -1)'], ['shift', 'xs.slice(1)'], ['unshift', '[x, ...xs]'], ['splice', 'xs.toSpliced(...)'],
  ['sort', 'xs.toSorted(...)'], ['reverse', 'xs.toReversed()'], ['fill', 'xs.map(() => x)'], ['copyWithin', 'xs.map((x, i) => ...)'],
])

const methodsOfLists = [...Object.keys(higher), ...Object.keys(plain)]

const listMember = (m: Machine, of: List, key: string | number, at: ts.Node): Value => {
  if (typeof key === 'number' || /^\d+$/.test(key)) {
    const x = of[Number(key)]
    return x === undefined && ts.isNonNullExpression(at.parent) && !inLanguage(m, at) ? reject(m, at, `the array has ${of.length} elements, none at ${key}`) : x
  }
  if (key === 'length') return of.length
  const withFunction = Object.hasOwn(higher, key) ? higher[key] : undefined
  if (withFunction !== undefined) {
    return native(key, (inner, args, place) => {
      const f = args[0]
      return isCallable(f) ? withFunction(inner, of, callback(inner, f, place), args, place) : reject(inner, place, `${key} takes a function, not ${describe(f)}`)
    })
  }
  const method = Object.hasOwn(plain, key) ? plain[key] : undefined
  if (method !== undefined) return native(key, (inner, args, place) => method(inner, of, args, place))
  const instead = mutating.get(key)
  if (instead !== undefined) return reject(m, at, `${key} changes an array in place, which is outside the subset`, `build a new array: ${instead}`)
  if (key === 'forEach') return reject(m, at, 'forEach has no result, so it is outside the subset', 'use map or reduce')
  const near = nearest(key, methodsOfLists)
  return reject(m, at, `the array method ${key} is outside the subset`, near === undefined ? `there are ${methodsOfLists.join(', ')}` : `did you mean ${near}?`)
}

/** Pure methods of strings; arguments and results are static. */
const ofStrings = ['split', 'slice', 'substring', 'indexOf', 'lastIndexOf', 'includes', 'startsWith', 'endsWith', 'charAt', 'charCodeAt', 'codePointAt', 'at', 'trim', 'trimStart', 'trimEnd',
  'repeat', 'padStart', 'padEnd', 'toUpperCase', 'toLowerCase', 'replace', 'replaceAll', 'concat'] as const

/** A method of JavaScript's own applied to static arguments. */
const builtin = (of: string | number, name: string): Native =>
  native(name, (m, args, at) => {
    const bad = args.find(x => typeof x === 'object' && x !== null)
    if (bad !== undefined) return reject(m, at, `${name} takes static numbers and strings, not ${describe(bad)}`)
    // the method exists on the value's prototype: the lists name pure methods only
    const method = (of as unknown as Readonly<Record<string, (...xs: readonly unknown[]) => Value>>)[name]
    return method === undefined ? reject(m, at, `there is no method ${name}`) : method.apply(of, [...args])
  })

const stringMember = (m: Machine, of: string, key: string | number, at: ts.Node): Value => {
  if (typeof key === 'number' || /^\d+$/.test(key)) return of[Number(key)]
  if (key === 'length') return of.length
  if (ofStrings.some(name => name === key)) return builtin(of, key)
  return reject(m, at, `the string method ${key} is outside the subset`, `there are ${ofStrings.join(', ')}`)
}

const ofNumbers = ['toString', 'toFixed', 'toPrecision', 'toExponential']
const numberMember = (m: Machine, of: number, key: string | number, at: ts.Node): Value =>
  ofNumbers.includes(String(key)) ? builtin(of, String(key)) : reject(m, at, `the number ${of} has no property ${key} within the subset`)
