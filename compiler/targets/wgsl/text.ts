/** Pieces of WGSL as text: types, literals, operators, and where parentheses go. */
import { type Fn, type Type, lanesOf, scalarOf } from '../../schedule/nest/nest.ts'

/** Text and how tightly it binds: 3 a name, call or literal, 2 a product or a negation, 1 a sum, 0 all else. */
export type Text = { readonly text: string; readonly binds: number }
export const atom = (text: string): Text => ({ text, binds: 3 })
export const within = (t: Text, least: number): string => (t.binds >= least ? t.text : `(${t.text})`)

export const wgslType = (type: Type): string => (lanesOf(type) === 4 ? `vec4<${scalarOf(type)}>` : type)

const word = new DataView(new ArrayBuffer(4))
/** A number as a literal of a scalar type, the f32 nearest to it with as few digits as name it. */
export const literal = (type: Type, value: number, need: (helper: 'infinity' | 'nan') => string): string => {
  switch (scalarOf(type)) {
    case 'bool':
      return value === 0 ? 'false' : 'true'
    case 'i32':
      return `${value | 0}`
    case 'u32':
      return `${value >>> 0}u`
    case 'f32': {
      const x = Math.fround(value)
      if (Number.isNaN(x)) return `${need('nan')}()`
      if (!Number.isFinite(x)) return `${x < 0 ? '-' : ''}${need('infinity')}()`
      word.setFloat32(0, x)
      if (Object.is(x, -0) || (x !== 0 && Math.abs(x) < 2 ** -126)) return `bitcast<f32>(0x${word.getUint32(0).toString(16)}u)`
      const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].find(n => Math.fround(Number(x.toPrecision(n))) === x) ?? 9
      const text = String(Number(x.toPrecision(digits))).replace('e+', 'e')
      return /[.e]/.test(text) ? text : `${text}.0`
    }
  }
}

export const signs: { readonly [F in Fn]?: readonly [text: string, binds: number, left: number, right: number] } = {
  add: ['+', 1, 1, 2], sub: ['-', 1, 1, 2], mul: ['*', 2, 2, 3], div: ['/', 2, 2, 3], rem: ['%', 2, 2, 3],
  and: ['&', 0, 3, 3], or: ['|', 0, 3, 3], xor: ['^', 0, 3, 3],
  eq: ['==', 0, 1, 1], ne: ['!=', 0, 1, 1], lt: ['<', 0, 1, 1], le: ['<=', 0, 1, 1], gt: ['>', 0, 1, 1], ge: ['>=', 0, 1, 1],
}
/** Where a vector takes a scalar on one side. */
export const mixing: ReadonlySet<Fn> = new Set<Fn>(['add', 'sub', 'mul', 'div'])
export const letters = 'xyzw'
