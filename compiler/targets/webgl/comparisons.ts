/**
 * Prints comparisons in gpu.js's language, which takes those with <=, >=, === and !== for what their left side is: an int or a number. For
 * places where that is told apart from a truth value they have another text. NaN fails each of them but `ne`, which is the opposite of `eq`.
 */
import type { NativeName } from '../../../runtime/device/webgl/natives.ts'
import { type Scalar, type Value, scalarOf } from '../../schedule/nest/nest.ts'
import { type Text, joined, literal, not } from './text.ts'

export type Native = (fn: NativeName, ...args: readonly Text[]) => Text
type Comparing = 'lt' | 'gt' | 'le' | 'ge' | 'eq' | 'ne'
type Comparison = (fn: Comparing, x: Value, y: Value) => Text

/** How operands are printed. */
type Operands = {
  readonly value: (v: Value) => Text
  readonly operand: (v: Value) => Text
  /** Text that gpu.js takes for a truth value. */
  readonly typed: (t: Text) => Text
  /** The text itself if it is a name or a literal, else a name for it. */
  readonly name: (type: Scalar, label: string, t: Text) => Text
  readonly native: Native
  readonly instead: (id: number) => Value | undefined
}

/** Literals of integers next to which there are others. */
const whole = /^\d{1,9}$/

export const comparisonsIn = ({ value, operand, typed, name, native, instead }: Operands): Comparison => {
  /** A comparison of integers of which gpu.js knows that it is a truth value, but for === and the like. */
  const compared = (fn: Comparing, x: Text, y: Text): Text => {
    const text = joined(fn, x, y)
    switch (fn) {
      case 'lt':
      case 'gt':
        return text
      case 'le':
        return { ...text, typed: whole.test(y.text) ? joined('lt', x, literal('i32', Number(y.text) + 1)) : not(joined('gt', x, y)) }
      case 'ge':
        return { ...text, typed: whole.test(y.text) ? joined('gt', x, literal('i32', Number(y.text) - 1)) : not(joined('lt', x, y)) }
      case 'eq':
        return { ...text, typed: native('int_equal', x, y) }
      case 'ne':
        return { ...text, typed: not(native('int_equal', x, y)) }
    }
  }
  const comparison: Comparison = (fn, x, y) => {
    switch (scalarOf(x.type)) {
      case 'f32': {
        if (fn === 'ne') return not(comparison('eq', x, y))
        const text = joined(fn, operand(x), operand(y))
        return fn === 'lt' || fn === 'gt' ? text : { ...text, typed: null }
      }
      case 'i32':
        return compared(fn, value(x), value(y))
      case 'bool':
        if (fn !== 'eq' && fn !== 'ne') throw new RangeError('bools have no order')
        return joined(fn, typed(value(x)), typed(value(y)))
      case 'u32': {
        if (fn === 'eq' || fn === 'ne') return compared(fn, value(x), value(y))
        const [less, more] = fn === 'lt' || fn === 'le' ? [x, y] : [y, x]
        const place = fn === 'lt' && y.kind === 'const' && y.value >= 0 && y.value < 2 ** 31 ? signed(x) : undefined
        if (place === undefined) return native(fn === 'lt' || fn === 'gt' ? 'uint_less' : 'uint_at_most', value(less), value(more))
        const n = name('i32', 'n', value(place))
        return { text: `${joined('ge', n, literal('i32', 0)).text} && ${joined('lt', n, value(y)).text}`, binds: 1 }
      }
    }
  }
  /** The i32 whose bits a u32 is. */
  const signed = (v: Value): Value | undefined => {
    const given = v.kind === 'local' ? instead(v.id) : v
    return given?.kind === 'apply' && given.fn === 'bits' && given.args[0]!.type === 'i32' ? given.args[0] : undefined
  }
  return comparison
}
