/**
 * Prints values of a loop nest in gpu.js's language. i32 and u32 are ints that hold 32 bits: places in arrays are computed with
 * plain operators, all other integers with natives, which wrap in every mode of gpu.js. GLSL promises little of NaN: comparisons are
 * those that it fails, and least, greatest and conversions are natives.
 */
import { type Fn, type Local, type Named, type Scalar, type Value, constOf, scalarOf } from '../../schedule/nest/nest.ts'
import { type NativeName, natives } from '../../../runtime/device/webgl/natives.ts'
import type { DType } from '../../../dsl/core/prim.ts'
import { constant } from '../text/scope.ts'
import { type Native, comparisonsIn } from './comparisons.ts'
import { type Text, atom, called, joined, literal, negated, not, wholeLiteral, within } from './text.ts'

export type Scope = {
  readonly nameOf: (local: Local) => string
  /** The value that stands where a local is read. */
  readonly instead: (id: number) => Value | undefined
  /** Whether a local of integers may be large: nothing that places are computed from alone. */
  readonly data: (id: number) => boolean
  readonly array: (space: number) => { readonly name: string; readonly dtype: DType }
  /** The name of a function that the text calls. */
  readonly need: (named: Named) => string
  /** Names text that stands before the statement at hand. */
  readonly named: (type: Scalar, label: string, text: Text) => Text
}

type Apply = Extract<Value, { kind: 'apply' }>

/** Where a number as large as this is added, the other one is rounded to a whole one: drivers that reorder sums would not, nor does JavaScript. */
const rounding = 2 ** 23

/** Whether an i32 comes from elsewhere than from numbers of elements and counters. */
export const isData = (v: Value, data: (id: number) => boolean): boolean => {
  switch (v.kind) {
    case 'const':
      return false
    case 'local':
      return data(v.id)
    case 'apply':
      if (v.type !== 'i32' || v.fn === 'convert' || v.fn === 'bits') return true
      return (v.fn === 'select' ? v.args.slice(1) : v.args).some(arg => isData(arg, data))
    case 'load':
    case 'named':
    case 'lane':
    case 'shuffle':
      return true
  }
}

const scalars = { int: 'i32', float: 'f32', bool: 'bool' } as const
const isWhole = (v: Value): boolean => v.kind === 'const' && wholeLiteral(v.value)

export type Values = {
  /** At the root of a statement. */
  readonly value: (v: Value) => Text
  /** An integer or a number where a loop, a position or a native takes it. */
  readonly operand: (v: Value) => Text
}

export const valuesIn = (scope: Scope): Values => {
  const { named } = scope
  const typed = (t: Text): Text => (t.typed === undefined ? t : t.typed ?? named('bool', 'c', t))
  const name = (type: Scalar, label: string, t: Text): Text => (t.binds === 7 && /^[\w.]+$/.test(t.text) ? t : named(type, label, t))
  const operand = (v: Value): Text => {
    const t = value(v)
    return t.whole === undefined ? t : named('f32', 't', t)
  }
  /** A number within what computes an int: gpu.js would take literals in it for ints, too. */
  const alone = (v: Value): Text => name('f32', 't', value(v))
  /** A call. gpu.js would keep the result of a call to the same function within it in a number. */
  const apart = (fn: string, args: readonly Text[], type: (i: number) => Scalar): Text =>
    called(fn, ...args.map((arg, i) => (new RegExp(`\\b${fn}\\(`).test(arg.text) ? named(type(i), 't', arg) : arg)))
  const native: Native = (fn, ...args) => apart(fn, args, i => scalars[natives[fn].parameters[i]![0]])
  const zero = (type: Scalar): Text => literal(type, 0)

  const comparison = comparisonsIn({ value: v => value(v), operand, typed, name, native, instead: scope.instead })

  const converted = (type: Scalar, x: Value): Text => {
    const from = scalarOf(x.type)
    if (type === from) return value(x)
    if (x.kind === 'const' && type !== 'bool' && (from === 'i32' || from === 'u32')) return literal(type, x.value)
    switch (type) {
      case 'bool':
        return from === 'f32' ? not(comparison('eq', x, constOf(x.type, 0))) : comparison('ne', x, constOf(x.type, 0))
      case 'f32':
        if (from === 'bool') return { text: `${within(value(x), 0.5)} ? 1 : 0`, binds: 0, whole: true }
        return native(from === 'i32' ? 'float_of_int' : 'float_of_uint', value(x))
      case 'i32':
      case 'u32':
        if (from === 'bool') return native('choose_int', typed(value(x)), literal(type, 1), zero(type))
        return from === 'f32' ? native(type === 'i32' ? 'int_of' : 'uint_of', alone(x)) : value(x)
    }
  }
  const bits = (type: Scalar, x: Value): Text => {
    const from = scalarOf(x.type)
    if (type === from || type === 'bool' || from === 'bool') return converted(type, x)
    if (type === 'f32') return native('float_of_bits', value(x))
    return from === 'f32' ? native('bits_of', alone(x)) : value(x)
  }

  const select = (type: Scalar, c: Value, x: Value, y: Value): Text => {
    const condition = value(c)
    switch (type) {
      case 'f32': {
        const [a, b] = [value(x), value(y)]
        const choice = (text: Text, then: Text, otherwise: Text): Text =>
          ({ text: `${within(text, 0.5)} ? ${within(then, 0.5)} : ${within(otherwise, 0.5)}`, binds: 0 })
        if (!isWhole(x) && a.whole === undefined) return choice(condition, a, b)
        return isWhole(y) || b.whole !== undefined ? { ...choice(condition, a, b), whole: true } : choice(not(condition), b, a)
      }
      case 'i32':
      case 'u32':
        return native('choose_int', typed(condition), value(x), value(y))
      case 'bool':
        return { text: `${within(condition, 0.5)} ? ${within(typed(value(x)), 0.5)} : ${within(typed(value(y)), 0.5)}`, binds: 0 }
    }
  }
  const extreme = (fn: 'min' | 'max', type: Scalar, x: Value, y: Value): Text => {
    if (type === 'f32') return native(fn === 'min' ? 'least' : 'greatest', operand(x), operand(y))
    const [a, b] = [name(type, 'a', value(x)), name(type, 'b', value(y))]
    const less = type === 'i32' ? joined('lt', a, b) : native('uint_less', a, b)
    return fn === 'min' ? native('choose_int', less, a, b) : native('choose_int', less, b, a)
  }
  const sum = (fn: 'add' | 'sub', x: Text, y: Value): Text =>
    joined(fn, fn === 'add' && y.kind === 'const' && y.value >= rounding ? native('nearest', x) : x, operand(y))

  /** A word turned to the left, as random numbers do. */
  const turned = ({ type, fn, args: [x, y] }: Apply): Text | undefined => {
    if (fn !== 'or' || type !== 'u32' || x?.kind !== 'apply' || y?.kind !== 'apply' || x.fn !== 'shl' || y.fn !== 'shr') return undefined
    const [[of, left], [same, right]] = [x.args, y.args]
    if (of?.kind !== 'local' || same?.kind !== 'local' || of.id !== same.id || left?.kind !== 'const' || right?.kind !== 'const') return undefined
    return left.value + right.value === 32 ? native('word_rotate', value(of), value(left)) : undefined
  }
  const integers = (v: Apply, [x, y]: readonly [Value, Value]): Text => {
    const own = v.type === 'i32' ? 'int' : 'uint'
    const plain = v.type === 'i32' && !isData(v, scope.data)
    const word = (fn: NativeName): Text => native(fn, value(x), value(y))
    switch (v.fn) {
      case 'add':
      case 'sub':
      case 'mul':
        return plain ? joined(v.fn, value(x), value(y)) : word(`word_${v.fn}`)
      case 'div':
      case 'rem':
        return word(`${own}_${v.fn}`)
      case 'and':
      case 'or':
      case 'xor':
        return turned(v) ?? word(`word_${v.fn}`)
      case 'shl':
        return plain && y.kind === 'const' && y.value < 31 ? joined('mul', value(x), literal('i32', 2 ** y.value)) : word('shift_left')
      case 'shr':
        return word(`${own}_shift_right`)
      case 'neg':
        return native('word_sub', zero('i32'), value(x))
      case 'abs': {
        if (v.type === 'u32') return value(x)
        const n = name('i32', 'n', value(x))
        return native('choose_int', joined('lt', n, zero('i32')), native('word_sub', zero('i32'), n), n)
      }
      case 'fma':
        return native('word_add', native('word_mul', value(x), value(y)), value(v.args[2]!))
      default:
        throw new RangeError(`${v.fn} of integers`)
    }
  }
  const truths = (fn: Fn, [x, y]: readonly [Value, Value]): Text => {
    switch (fn) {
      case 'and':
        return { text: `${within(value(x), 1)} && ${within(value(y), 1)}`, binds: 1 }
      case 'or':
        return { text: `${within(value(x), 0.5)} || ${within(value(y), 0.5)}`, binds: 0.5 }
      case 'xor':
        return comparison('ne', x, y)
      case 'not':
        return not(value(x))
      default:
        throw new RangeError(`${fn} of bools`)
    }
  }
  const numbers = (v: Apply, [x, y, z]: readonly [Value, Value, Value]): Text => {
    switch (v.fn) {
      case 'add':
      case 'sub':
        return sum(v.fn, operand(x), y)
      case 'mul':
      case 'div':
        return joined(v.fn, operand(x), operand(y))
      case 'fma': {
        if (x.kind === 'const' && y.kind === 'const') return sum('add', literal('f32', x.value * y.value), z)
        return sum('add', joined('mul', operand(x), operand(y)), z)
      }
      case 'neg':
        return negated(operand(x))
      case 'abs':
      case 'sqrt':
      case 'floor':
        return called(`Math.${v.fn}`, operand(x))
      case 'nearest':
        return native('nearest', operand(x))
      default:
        throw new RangeError(`${v.fn} of numbers`)
    }
  }

  const call = (v: Apply): Text => {
    const args = v.args as readonly [Value, Value, Value]
    const [x, y, z] = args
    const type = scalarOf(v.type)
    switch (v.fn) {
      case 'eq': case 'ne': case 'lt': case 'le': case 'gt': case 'ge':
        return comparison(v.fn, x, y)
      case 'convert':
        return converted(type, x)
      case 'bits':
        return bits(type, x)
      case 'select':
        return select(type, x, y, z)
      case 'splat': case 'lanes':
        throw new RangeError('gpu.js has no vectors here')
      case 'min': case 'max':
        return extreme(v.fn, type, x, y)
      case 'add': case 'sub': case 'mul': case 'div': case 'rem': case 'neg': case 'abs': case 'sqrt': case 'floor': case 'nearest':
      case 'and': case 'or': case 'xor': case 'not': case 'shl': case 'shr': case 'fma':
        return type === 'bool' ? truths(v.fn, [x, y]) : type === 'f32' ? numbers(v, args) : integers(v, [x, y])
    }
  }

  const load = ({ space, at, offset }: Extract<Value, { kind: 'load' }>): Text => {
    const { name: array, dtype } = scope.array(space)
    const place = value(at)
    // gpu.js keeps what it reads an index from in a number, which has 24 bits
    const index = place.text.includes('[') ? named('i32', 'at', place) : place
    const plus = (text: Text, n: number): string => {
      if (at.kind === 'const') return `${Number(text.text) + n}`
      return n === 0 ? text.text : joined('add', text, literal('i32', n)).text
    }
    if (dtype === 'f32') return atom(`${array}[${plus(index, offset)}]`)
    if (dtype === 'bool') return { text: `${array}[${plus(index, offset)}] !== 0`, binds: 2, typed: null }
    const one = at.kind === 'const' ? literal('i32', 2 * at.value) : joined('mul', literal('i32', 2), name('i32', 'at', index))
    return native('word', atom(`${array}[${plus(one, 2 * offset)}]`), atom(`${array}[${plus(one, 2 * offset + 1)}]`))
  }

  const value = (v: Value): Text => {
    switch (v.kind) {
      case 'const':
        return literal(scalarOf(v.type), v.value)
      case 'local': {
        const instead = scope.instead(v.id)
        return instead === undefined ? atom(scope.nameOf(v)) : value(instead)
      }
      case 'load':
        return load(v)
      case 'apply': {
        const [x, ...rest] = v.args
        if (x === undefined || !constant(v) || (x.kind === 'const' && v.fn === 'convert')) return call(v)
        // gpu.js takes operations on literals for what it likes
        const known: Local = { kind: 'local', id: -1, type: x.type, name: 'c' }
        const text = named(scalarOf(x.type), 'c', value(x))
        const nameOf = (local: Local): string => (local === known ? text.text : scope.nameOf(local))
        return valuesIn({ ...scope, nameOf, instead: id => (id === -1 ? undefined : scope.instead(id)) }).value({ ...v, args: [known, ...rest] })
      }
      case 'named':
        return apart(scope.need(v.name), v.args.map(operand), () => 'f32')
      case 'lane':
      case 'shuffle':
        throw new RangeError('gpu.js has no vectors here')
    }
  }
  return { value, operand }
}
