/**
 * Makes a nest simpler for a text: integers that are known are computed, as are comparisons and remainders that the ranges of their
 * operands decide; what is equal then has one name.
 */
import { type Fn, type Local, type Nest, type Stmt, type Value, apply, constOf, i32, valueKey } from '../../schedule/nest/nest.ts'
import type { Block } from '../text/scope.ts'
import { type Range, anything, decided, highest, lowest, rangeOf } from './ranges.ts'

type Apply = Extract<Value, { kind: 'apply' }>
type Known = {
  readonly ranges: Map<number, Range>
  /** Locals that are set once, to constants and other such locals, which stand in their place. */
  readonly instead: Map<number, Value>
  /** Locals that are set once, to sums and differences of such and constants. */
  readonly sums: Map<number, Value>
  readonly sets: ReadonlyMap<number, number>
}

const numberOf = (v: Value): number | undefined => (v.kind === 'const' ? v.value : undefined)
const bool = (holds: boolean): Value => constOf('bool', holds ? 1 : 0)

/** An operation on two known i32. */
const computed = (fn: Fn, x: number, y: number): number | undefined => {
  switch (fn) {
    case 'add':
      return (x + y) | 0
    case 'sub':
      return (x - y) | 0
    case 'mul':
      return Math.imul(x, y)
    case 'div':
      return y === 0 ? undefined : (x / y) | 0
    case 'rem':
      return y === 0 ? undefined : (x % y) | 0
    case 'and':
      return x & y
    case 'or':
      return x | y
    case 'xor':
      return x ^ y
    case 'shl':
      return x << y
    case 'shr':
      return x >> y
    case 'min':
      return Math.min(x, y)
    case 'max':
      return Math.max(x, y)
    default:
      return undefined
  }
}

const integer = (v: Apply, known: Known): Value => {
  const [x, y] = v.args
  if (x === undefined || y === undefined || x.type !== 'i32' || y.type !== 'i32') return v
  const [a, b] = [numberOf(x), numberOf(y)]
  const value = a === undefined || b === undefined ? undefined : computed(v.fn, a, b)
  if (value !== undefined) return i32(value)
  const [low, high] = rangeOf(x, known.ranges)
  switch (v.fn) {
    case 'add':
      return a === 0 ? y : b === 0 ? x : v
    case 'sub':
    case 'shl':
      return b === 0 ? x : v
    case 'mul':
      return a === 0 || b === 0 ? i32(0) : a === 1 ? y : b === 1 ? x : v
    case 'div':
      return b === undefined || b <= 0 ? v : b === 1 ? x : low > -b && high < b ? i32(0) : v
    case 'rem':
      return b !== undefined && low >= 0 && high < b ? x : v
    case 'and':
      return b !== undefined && (b & (b + 1)) === 0 && low >= 0 && high <= b ? x : v
    case 'shr':
      return b === undefined ? v : b === 0 ? x : low >= 0 && high < 2 ** b ? i32(0) : v
    default:
      return v
  }
}

/** x + a < b as x < b - a, where x + a is in range, and x - y = 0 as x = y. */
const shifted = (v: Apply, { ranges, sums }: Known): Apply | undefined => {
  const [left, y] = v.args
  const x = left?.kind === 'local' ? sums.get(left.id) : left
  if (x?.kind !== 'apply' || y?.kind !== 'const' || (x.fn !== 'add' && x.fn !== 'sub')) return undefined
  const [of, by] = x.args
  if (x.fn === 'sub' && (v.fn === 'eq' || v.fn === 'ne') && y.value === 0 && by?.kind !== 'const') return { ...v, args: x.args }
  const least = by?.kind === 'const' && rangeOf(x, ranges) !== anything ? y.value + (x.fn === 'add' ? -by.value : by.value) : lowest - 1
  return of === undefined || least < lowest || least > highest ? undefined : { ...v, args: [of, i32(least)] }
}

const truth = (v: Apply, known: Known): Value => {
  const [x, y] = v.args
  if (x === undefined) return v
  if (v.fn === 'not' && x.kind === 'const') return bool(x.value === 0)
  if (y === undefined) return v
  if (x.type === 'bool' && (v.fn === 'and' || v.fn === 'or')) {
    // what decides alone, and what leaves the other to decide
    const strong = v.fn === 'and' ? 0 : 1
    for (const [one, other] of [[x, y], [y, x]] as const) if (one.kind === 'const') return one.value === strong ? one : other
    return v
  }
  if (x.type === 'i32') {
    const moved = shifted(v, known)
    if (moved !== undefined) return truth(moved, known)
    const holds = decided(v.fn, rangeOf(x, known.ranges), rangeOf(y, known.ranges))
    return holds === undefined ? v : bool(holds)
  }
  const place = x.kind === 'apply' && x.fn === 'bits' ? x.args[0] : undefined
  if (v.fn !== 'lt' || place?.type !== 'i32' || y.kind !== 'const' || y.value < 0 || y.value > highest) return v
  // 0 <= place < y, as one comparison of a u32
  const [low, high] = rangeOf(place, known.ranges)
  if (high < 0 || low >= y.value) return bool(false)
  if (low >= 0) return high < y.value ? bool(true) : apply('lt', 'bool', place, i32(y.value))
  return high < y.value ? apply('ge', 'bool', place, i32(0)) : v
}

const simpler = (v: Value, known: Known, bits: ReadonlyMap<number, Value>): Value => {
  switch (v.kind) {
    case 'const':
      return v
    case 'local': {
      const given = known.instead.get(v.id) ?? v
      return given.kind === 'local' ? bits.get(given.id) ?? given : given
    }
    case 'load':
      return { ...v, at: simpler(v.at, known, bits) }
    case 'named':
      return { ...v, args: v.args.map(arg => simpler(arg, known, bits)) }
    case 'apply': {
      const args = v.args.map(arg => simpler(arg, known, bits))
      const made = { ...v, args }
      if (v.fn === 'select' && args[0]!.kind === 'const') return args[0]!.value === 0 ? args[2]! : args[1]!
      return v.type === 'i32' ? integer(made, known) : v.type === 'bool' ? truth(made, known) : made
    }
    case 'lane':
    case 'shuffle':
      return v
  }
}

/** How often every local is set. */
const setsOf = (body: Block, all: Map<number, number> = new Map()): Map<number, number> => {
  const count = (local: Local): void => void all.set(local.id, (all.get(local.id) ?? 0) + 1)
  for (const s of body) {
    if (s.kind === 'set') count(s.local)
    if (s.kind === 'if') [s.then, s.otherwise].forEach(b => setsOf(b, all))
    if (s.kind === 'for') {
      count(s.counter)
      setsOf(s.body, all)
    }
  }
  return all
}

/** What stands already, by the keys of values: in a block, and in those around it. */
type Standing = { readonly own: Map<string, Local>; readonly around: Standing | null }
const standing = (at: Standing | null, key: string): Local | undefined => (at === null ? undefined : at.own.get(key) ?? standing(at.around, key))

/** Branches without another way, one after the other on one condition, as one; `stays`: whether a condition is the same after the first of them. */
const branched = (block: Block, stays: (condition: Value) => boolean): Block => {
  const all: Stmt[] = []
  for (const s of block) {
    const last = all[all.length - 1]
    const both = s.kind === 'if' && last?.kind === 'if' && s.otherwise.length + last.otherwise.length === 0
    if (both && stays(s.condition) && valueKey(s.condition) === valueKey(last.condition)) all[all.length - 1] = { ...s, then: [...last.then, ...s.then] }
    else all.push(s)
  }
  return all
}

const once = (body: Block, params: Nest['params'], extent: number): Block => {
  const known: Known = { ranges: new Map(), instead: new Map(), sums: new Map(), sets: setsOf(body) }
  const settled = (v: Value): boolean => v.kind === 'const' || (v.kind === 'local' && (known.sets.get(v.id) ?? 1) === 1)
  /** Whether a value stays what it is: no array that is read changes. */
  const steady = (v: Value): boolean => {
    switch (v.kind) {
      case 'const':
      case 'local':
        return settled(v)
      case 'load':
        return steady(v.at)
      case 'apply':
      case 'named':
        return v.args.every(steady)
      case 'lane':
      case 'shuffle':
        return false
    }
  }
  /** u32 that have the bits of an i32, for comparisons. */
  const bits = new Map<number, Value>()
  params.forEach((p, i) => known.ranges.set(p.id, [0, i === 0 ? extent - 1 : highest]))
  const block = (stmts: Block, around: Standing | null): Block => {
    const here: Standing = { own: new Map(), around }
    return branched(stmts.flatMap((s): readonly Stmt[] => {
      switch (s.kind) {
        case 'set': {
          const value = simpler(s.value, known, bits)
          if (known.sets.get(s.local.id) === 1) {
            const key = steady(value) ? valueKey(value) : null
            const same = settled(value) ? value : key === null ? undefined : standing(here, key)
            if (same?.type === s.local.type) {
              known.instead.set(s.local.id, same)
              return []
            }
            if (key !== null) here.own.set(key, s.local)
            if (s.local.type === 'i32') {
              known.ranges.set(s.local.id, rangeOf(value, known.ranges))
              if (value.kind === 'apply' && (value.fn === 'add' || value.fn === 'sub') && value.args.every(settled)) known.sums.set(s.local.id, value)
            }
            const given = value.kind === 'apply' && value.fn === 'bits' && s.local.type === 'u32' ? value.args[0] : undefined
            if (given?.kind === 'local' && (known.sets.get(given.id) ?? 1) === 1) bits.set(s.local.id, value)
          }
          return [{ ...s, value }]
        }
        case 'store':
          return [{ ...s, at: simpler(s.at, known, bits), value: simpler(s.value, known, bits) }]
        case 'if': {
          const condition = simpler(s.condition, known, bits)
          if (condition.kind === 'const') return block(condition.value === 0 ? s.otherwise : s.then, here)
          return [{ ...s, condition, then: block(s.then, here), otherwise: block(s.otherwise, here) }]
        }
        case 'for': {
          const [from, to] = [simpler(s.from, known, bits), simpler(s.to, known, bits)]
          if (known.sets.get(s.counter.id) === 1) {
            const [[low], [, high]] = [rangeOf(from, known.ranges), rangeOf(to, known.ranges)]
            known.ranges.set(s.counter.id, [low, Math.max(low, high - 1)])
          }
          return [{ ...s, from, to, body: block(s.body, here) }]
        }
        case 'barrier':
        case 'join':
        case 'matrix':
          return [s]
      }
    }), steady)
  }
  return block(body, null)
}

/** The simpler body of a nest whose first parameter counts its extent and whose others are counters. */
export const simplified = ({ body, params, extent }: Nest): Block => once(once(body, params, extent), params, extent)
