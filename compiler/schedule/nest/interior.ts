/**
 * Windows reach beyond the edge of an image for few positions only. Here an expression is parted into the same expression
 * without its bounds checks, and the checks; a schedule runs the bare expression wherever it can show that all checks hold.
 */
import { divided } from './builder.ts'
import { mapChoices, relaxed } from '../kernel/choices.ts'
import { type Env, indexValue } from './expression.ts'
import type { Expr, Guard, Index, Var } from '../kernel/kernel.ts'
import { type Value, i32 } from './nest.ts'

export type Bare = { readonly expr: Expr; readonly guards: readonly Guard[] }

const affine = (i: Index): boolean => i.terms.every(t => t.atom.kind === 'var')

/** The expression without the checks that are plain bounds on sums of variables, and those checks. */
export const bare = (expr: Expr): Bare => {
  const guards: Guard[] = []
  const stripped = mapChoices(expr, (e, strip) => {
    if (!e.guards.every(g => g.by === 1 && affine(g.of))) return relaxed(e, e.guards, strip)
    guards.push(...e.guards)
    return strip(e.then)
  })
  return { expr: stripped, guards }
}

/** How many operations an unrolled loop body may have. */
export const unrolledOperations = 192

/** The operations of one evaluation. */
export const operations = (expr: Expr): number => {
  const seen = new Set<Expr>()
  const visit = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    if (e.kind === 'op') e.args.forEach(visit)
    else if (e.kind === 'when') [e.then, e.otherwise].forEach(visit)
  }
  visit(expr)
  return seen.size
}

const coefOf = (i: Index, v: Var): number => i.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0

/** The least and greatest value of an index over whole ranges of `over`, for any of `envs` (which need not know those variables). */
const extremes = (envs: readonly Env[], index: Index, over: readonly Var[]): { readonly low: Value; readonly high: Value } => {
  const { b } = envs[0]!
  const fixed: Index = { offset: index.offset, terms: index.terms.filter(t => !over.some(v => t.atom.kind === 'var' && t.atom.id === v.id)) }
  const ranges = over.map(v => coefOf(index, v) * (v.size - 1))
  const values = envs.map(env => indexValue(env, fixed))
  const bound = (fn: 'min' | 'max'): Value =>
    b.call('add', 'i32', values.reduce((x, y) => b.call(fn, 'i32', x, y)), i32(ranges.reduce((n, r) => n + Math[fn](0, r), 0)))
  return { low: bound('min'), high: bound('max') }
}

/** Whether all checks hold over whole ranges of `over`, for all of `envs`. */
export const holdThroughout = (envs: readonly Env[], guards: readonly Guard[], over: readonly Var[]): Value => {
  const { b } = envs[0]!
  return guards
    .map(g => {
      const { low, high } = extremes(envs, g.of, over)
      return b.call('and', 'bool', b.call('ge', 'bool', low, i32(0)), b.call('lt', 'bool', high, i32(g.below)))
    })
    .reduce((x, y) => b.call('and', 'bool', x, y))
}

/** Whether `interval` can handle these checks along `v`. */
export const splittable = (guards: readonly Guard[], v: Var): boolean => guards.length > 0 && guards.every(g => coefOf(g.of, v) >= -1)

/** The part of from .. to in which all checks hold for all of `envs`: from <= low <= high <= to. */
export const interval = (envs: readonly Env[], guards: readonly Guard[], v: Var, from: Value, to: Value): { readonly low: Value; readonly high: Value } => {
  const { b } = envs[0]!
  const least = (x: Value, y: Value): Value => b.call('min', 'i32', x, y)
  const most = (x: Value, y: Value): Value => b.call('max', 'i32', x, y)
  const minus = (x: Value, y: Value): Value => b.call('sub', 'i32', x, y)
  const one: Var = { ...v, size: 1 }
  let [low, high] = [from, to]
  for (const g of guards) {
    const coef = coefOf(g.of, v)
    const ends = extremes(envs, g.of, [one])
    if (coef > 0) {
      // the least and the greatest multiple of coef that is inside, rounded up
      const above = (x: Value): Value => (coef === 1 ? x : divided(b, b.call('add', 'i32', most(x, i32(0)), i32(coef - 1)), 'div', coef))
      low = most(low, above(minus(i32(0), ends.low)))
      high = least(high, above(minus(i32(g.below), ends.high)))
    } else if (coef === -1) {
      low = most(low, b.call('add', 'i32', minus(ends.high, i32(g.below)), i32(1)))
      high = least(high, b.call('add', 'i32', ends.low, i32(1)))
    } else {
      const holds = b.call('and', 'bool', b.call('ge', 'bool', ends.low, i32(0)), b.call('lt', 'bool', ends.high, i32(g.below)))
      high = b.call('select', 'i32', holds, high, from)
    }
  }
  const first = least(low, to)
  return { low: first, high: most(least(high, to), first) }
}
