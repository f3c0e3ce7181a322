/**
 * Functions that a module of WGSL defines for itself, where it calls them: those of f32 that the language promises more
 * of than WGSL does, and the transcendental ones, printed from the rules that the WebAssembly target computes in place,
 * so that both have the same polynomials and error bounds.
 */
import type { Dialect } from '../../schedule/nest/expression.ts'
import { builder } from '../../schedule/nest/builder.ts'
import { maths } from '../../schedule/nest/maths.ts'
import type { Named } from '../../schedule/nest/nest.ts'
import { byName } from '../text/dialect.ts'
import { functionName } from '../text/names.ts'
import { naming } from './names.ts'
import { printBody } from './body.ts'

type Lanes = 1 | 4
/**
 * `extreme`: the lesser or greater of two f32, NaN where one of them is; `bound`: the same where the second is known to be
 * a number. `convert`: f32 to integers, toward zero, to the
 * nearest there is beyond their range, 0 for NaN. `infinity` and `nan`, which WGSL has no constants for.
 */
export type Helper =
  | 'infinity' | 'nan'
  | { readonly extreme: 'min' | 'max'; readonly lanes: Lanes }
  | { readonly bound: 'min' | 'max'; readonly lanes: Lanes }
  | { readonly convert: 'i32' | 'u32'; readonly lanes: Lanes }
  | { readonly named: Named; readonly lanes: Lanes }

const four = (lanes: Lanes): string => (lanes === 4 ? 'x4' : '')

/** What a helper is called. */
export const callee = (helper: Helper): string => {
  if (typeof helper === 'string') return helper
  if ('extreme' in helper) return `${helper.extreme}_f32${four(helper.lanes)}`
  if ('bound' in helper) return `${helper.bound === 'min' ? 'at_most' : 'at_least'}_f32${four(helper.lanes)}`
  if ('convert' in helper) return `${helper.convert}_of_f32${four(helper.lanes)}`
  return `${functionName(helper.named)}${four(helper.lanes)}`
}

/** Texts that are known, with what they ask for, by name: they are the same in every module. */
const known = new Map<string, { readonly text: readonly string[]; readonly needs: readonly Helper[] }>()

/** The text of a helper; those that it calls itself are asked for. */
export const definition = (helper: Helper, need: (helper: Helper) => string): readonly string[] => {
  const name = callee(helper)
  const before = known.get(name)
  if (before !== undefined) {
    before.needs.forEach(need)
    return before.text
  }
  const needs: Helper[] = []
  const text = written(helper, asked => {
    needs.push(asked)
    return need(asked)
  })
  known.set(name, { text, needs })
  return text
}

const written = (helper: Helper, need: (helper: Helper) => string): readonly string[] => {
  const name = callee(helper)
  if (typeof helper === 'string') {
    const bits = helper === 'nan' ? '0x7fc00000u' : '0x7f800000u'
    return [`fn ${name}() -> f32 {`, `  let bits = ${bits};`, '  return bitcast<f32>(bits);', '}']
  }
  const of = (type: string): string => (helper.lanes === 4 ? `vec4<${type}>` : type)
  const all = (type: string, text: string): string => (helper.lanes === 4 ? `vec4<${type}>(${text})` : text)
  const [float, word] = [of('f32'), of('u32')]
  const magnitude = (x: string): string => `bitcast<${word}>(${x}) & ${all('u32', '0x7fffffffu')}`
  const isNan = (x: string): string => `(${magnitude(x)}) > ${all('u32', '0x7f800000u')}`
  if ('extreme' in helper)
    return [
      `fn ${name}(x: ${float}, y: ${float}) -> ${float} {`,
      `  let magnitude = max(${magnitude('x')}, ${magnitude('y')});`,
      `  return select(${helper.extreme}(x, y), x + y, magnitude > ${all('u32', '0x7f800000u')});`,
      '}',
    ]
  if ('bound' in helper)
    return [
      `fn ${name}(x: ${float}, bound: ${float}) -> ${float} {`,
      `  return select(${helper.bound}(x, bound), x, ${isNan('x')});`,
      '}',
    ]
  if ('convert' in helper) {
    const to = of(helper.convert)
    const [low, high, most] = helper.convert === 'i32' ? ['-2147483648.0', '2147483648.0', '2147483647'] : ['0.0', '4294967296.0', '4294967295u']
    const inside = helper.convert === 'i32' ? '2147483520.0' : '4294967040.0'
    return [
      `fn ${name}(x: ${float}) -> ${to} {`,
      `  let near = ${to}(clamp(x, ${all('f32', low)}, ${all('f32', inside)}));`,
      `  let known = select(near, ${all(helper.convert, most)}, x >= ${all('f32', high)});`,
      `  return select(known, ${all(helper.convert, helper.convert === 'i32' ? '0' : '0u')}, ${isNan('x')});`,
      '}',
    ]
  }
  const b = builder(name)
  const x = b.param(helper.lanes === 4 ? 'f32x4' : 'f32', 'x')
  const { named } = helper
  const result = typeof named === 'string' ? maths.call(b, named, x) : maths.pow(b, x, named.pow)
  const nest = b.finish(0)
  const fresh = naming()
  const memory = (): never => {
    throw new RangeError('a function of numbers touches no memory')
  }
  const lines = printBody(nest.body, nest.params, { memory, name: fresh, known: new Map([[x.id, fresh('x')]]), need, barrier: [] }, result)
  return [`fn ${name}(x: ${float}) -> ${float} {`, ...lines, '}']
}

/** Positions count elements; transcendental functions are called by name. */
export const wgsl: Dialect = byName
