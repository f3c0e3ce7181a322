/**
 * Pieces of a kernel of gpu.js as text: literals, operators, where parentheses go, and what gpu.js takes a text for. It infers
 * types: a comparison with <=, >=, === or !== passes for a number or an int where a bool is stored or handed to a function.
 */
import type { Fn, Scalar } from '../../schedule/nest/nest.ts'

/**
 * Text, and how tightly it binds: 7 a name, call or literal, 6 a negation, 5 a product, 4 a sum, 3 an order, 2 an equality, 1 and, 0.5 or,
 * 0 a choice. `typed`: of a truth value that gpu.js does not take for one, another text that it does, or null where there is none.
 * `whole`: a choice between whole numbers, which gpu.js takes for ints at times.
 */
export type Text = { readonly text: string; readonly binds: number; readonly typed?: Text | null; readonly whole?: true }
export const atom = (text: string): Text => ({ text, binds: 7 })
export const within = (t: Text, least: number): string => (t.binds >= least ? t.text : `(${t.text})`)
export const called = (name: string, ...args: readonly Text[]): Text => atom(`${name}(${args.map(a => a.text).join(', ')})`)

const word = new DataView(new ArrayBuffer(4))
const bitsOf = (x: number): number => {
  word.setFloat32(0, x)
  return word.getInt32(0)
}

/** A number as a literal, the f32 nearest to it with as few digits as name it. What GLSL has no literals for is named by its bits. */
export const literal = (type: Scalar, value: number): Text => {
  switch (type) {
    case 'bool':
      return atom(value === 0 ? 'false' : 'true')
    case 'i32':
    case 'u32':
      return { text: `${value | 0}`, binds: (value | 0) < 0 ? 6 : 7 }
    case 'f32': {
      const x = Math.fround(value)
      if (Number.isNaN(x)) return atom('float_of_bits(2143289344)')
      if (!Number.isFinite(x) || Object.is(x, -0) || (x !== 0 && Math.abs(x) < 2 ** -126)) return atom(`float_of_bits(${bitsOf(x)})`)
      const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].find(n => Math.fround(Number(x.toPrecision(n))) === x) ?? 9
      return { text: String(Number(x.toPrecision(digits))).replace('e+', 'e'), binds: x < 0 ? 6 : 7 }
    }
  }
}
/** Whether gpu.js takes the literal of an f32 for a whole number, which may be an int or not. */
export const wholeLiteral = (value: number): boolean => Number.isInteger(Math.fround(value)) && !Object.is(value, -0)

/** What a variable is declared with, for gpu.js to infer its type from; an int is counted up besides. */
export const initial = (type: Scalar): string => (type === 'bool' ? 'false' : '0')

type Sign = readonly [text: string, binds: number, left: number, right: number]
export const signs = {
  add: ['+', 4, 4, 5], sub: ['-', 4, 4, 5], mul: ['*', 5, 5, 6], div: ['/', 5, 5, 6],
  lt: ['<', 3, 4, 4], gt: ['>', 3, 4, 4], le: ['<=', 3, 4, 4], ge: ['>=', 3, 4, 4], eq: ['===', 2, 3, 3], ne: ['!==', 2, 3, 3],
} as const satisfies { readonly [F in Fn]?: Sign }

/** Two operands with an operator between them. A negative literal on the right takes the sign of a sum. */
export const joined = (fn: keyof typeof signs, x: Text, y: Text): Text => {
  const [sign, binds, left, right] = signs[fn]
  if ((fn === 'add' || fn === 'sub') && /^-[0-9.]+(e-?[0-9]+)?$/.test(y.text))
    return { text: `${within(x, left)} ${fn === 'add' ? '-' : '+'} ${y.text.slice(1)}`, binds }
  return { text: `${within(x, left)} ${sign} ${within(y, right)}`, binds }
}
export const negated = (x: Text): Text => (x.text.startsWith('-') ? { text: `-(${x.text})`, binds: 6 } : { text: `-${within(x, 7)}`, binds: 6 })
/** The opposite of a truth value. */
export const not = ({ text, binds, typed }: Text): Text => ({
  text: binds === 6 && text.startsWith('!') ? text.slice(1) : `!${within({ text, binds }, 7)}`, binds: 6,
  ...(typed === undefined ? {} : { typed: typed && not(typed) }),
})
