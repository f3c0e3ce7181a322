/** What texts have in common: positions count elements, and transcendental functions are called by name. */
import type { Dialect } from '../../schedule/nest/expression.ts'
import { maths } from '../../schedule/nest/maths.ts'
import type { Named, Value } from '../../schedule/nest/nest.ts'

const called = (name: Named, x: Value): Value => ({ kind: 'named', name, type: x.type, args: [x] })

/** Powers of a few multiplications are computed where they stand. */
const short = (exponent: number): boolean => Number.isInteger(exponent * 2) && Math.abs(exponent) <= 4

export const byName: Dialect = {
  unit: 1,
  maths: {
    call: (b, fn, x) => b.let(called(fn, x), fn),
    pow: (b, x, exponent) => (short(exponent) ? maths.pow(b, x, exponent) : b.let(called({ pow: exponent }, x), 'power')),
  },
}
