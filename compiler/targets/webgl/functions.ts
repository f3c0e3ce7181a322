/** Functions of f32 in gpu.js's language, printed from the rules that all targets share, so that all have the same polynomials and error bounds. */
import type { GlFunction } from '../../../runtime/gl-program.ts'
import { builder } from '../../schedule/nest/builder.ts'
import { maths } from '../../schedule/nest/maths.ts'
import type { Named } from '../../schedule/nest/nest.ts'
import { functionName } from '../text/names.ts'
import { naming } from './names.ts'
import { printBody } from './body.ts'

/** Functions that are known, by name: they are the same in every program. */
const known = new Map<string, GlFunction>()

/** The function of that name. None calls another, but for natives. */
export const functionOf = (named: Named): GlFunction => {
  const name = functionName(named)
  const before = known.get(name)
  if (before !== undefined) return before
  const b = builder(name)
  const x = b.param('f32', 'x')
  const result = typeof named === 'string' ? maths.call(b, named, x) : maths.pow(b, x, named.pow)
  const { body, params } = b.finish(0)
  const fresh = naming()
  const none = (): never => {
    throw new RangeError('a function of numbers reads no arrays and calls no functions')
  }
  const lines = printBody(body, params, { array: none, name: fresh, known: new Map([[x.id, fresh('x')]]), need: none, given: [] }, result)
  const made: GlFunction = { name, parameters: 1, code: [`function ${name}(x) {`, ...lines, '}'].join('\n'), calls: [] }
  known.set(name, made)
  return made
}
