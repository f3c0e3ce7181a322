/**
 * The sum or extreme that one element of a gather computes for itself, in loops whose innermost turns are unrolled, with several partial
 * results side by side. The variables that bounds are checked of come last: unrolled, their checks do not depend on any loop, and are made
 * once. There is no second version without checks for the interior of an image: neighbours run in step, and near an edge, where in
 * an image of usual size most groups of neighbours have one, they would run both.
 */
import { type Reduce, accumulator, joined } from '../elementwise/reduce.ts'
import { varsOfIndex } from '../kernel/dependence.ts'
import type { Expr, Guard, Var } from '../kernel/kernel.ts'
import { zeroOutside } from '../kernel/phases.ts'
import { loadsOf, walk } from '../kernel/walk.ts'
import { multiplied } from '../nest/builder.ts'
import { type Env, allHold } from '../nest/expression.ts'
import { operations } from '../nest/interior.ts'
import { type Vars, byStride, loops, taps } from '../nest/loops.ts'
import { type Value, i32 } from '../nest/nest.ts'
import { sizeOf } from './fresh.ts'

/** The most operations, and terms, of an unrolled loop body: each is a line of text that a browser has to compile. */
const mostOperations = 112
const mostTaps = 25
/** Partial results side by side, and how many turns of a long loop are unrolled. */
const chains = 4

/** The variables that bounds are checked of. */
const checkedIn = (value: Expr): ReadonlySet<number> => {
  const found = new Set<number>()
  walk([value], e => {
    if (e.kind === 'when') e.guards.forEach(g => varsOfIndex(g.of).forEach(id => found.add(id)))
  })
  return found
}

/** A term without the bounds outside of which it is zero, and those bounds: it is added only within them. */
const bare = (e: Expr): { readonly value: Expr; readonly guards: readonly Guard[] } => {
  const strip = (x: Expr): Expr =>
    x.kind === 'when' && x.otherwise.kind === 'const' && x.otherwise.value === 0 ? strip(x.then)
    : x.kind === 'op' && (x.prim === 'mul' || x.prim === 'neg' || x.prim === 'stopGradient') ? { ...x, args: x.args.map(strip) }
    : x
  return { value: strip(e), guards: zeroOutside(e) }
}

/** The variables of a sum: those of loops, the outermost first, and those that are unrolled. */
const layoutOf = ({ vars, value }: Reduce): { readonly looped: readonly Var[]; readonly unrolled: readonly Var[] } => {
  const checked = checkedIn(value)
  const strided = byStride(vars, loadsOf([value])[0]?.at)
  const order = [...strided.filter(v => !checked.has(v.id)), ...strided.filter(v => checked.has(v.id))]
  const each = operations(value)
  let first = order.length
  while (first > 0) {
    const terms = sizeOf(order.slice(first - 1))
    if (terms * each > mostOperations || (terms > mostTaps && first > 1)) break
    first -= 1
  }
  return { looped: order.slice(0, first), unrolled: order.slice(first) }
}

/** The reduced value at one place. */
export const total = (env: Env, r: Reduce): Value => {
  const { b } = env
  const { looped, unrolled } = layoutOf(r)
  const [last, terms] = [looped.at(-1), sizeOf(unrolled)]
  // turns of the innermost loop that are taken at once, where there is little in it
  const turns = last !== undefined && terms < chains && last.size >= 2 * chains && chains * operations(r.value) <= mostOperations ? chains : 1
  const wide = Math.max(1, Math.min(chains, turns * terms, Math.floor(sizeOf(r.vars) / 2)))
  const accs = Array.from({ length: wide }, () => accumulator(b, r, false))
  const { value, guards } = r.op === 'sum' ? bare(r.value) : { value: r.value, guards: [] }
  const take = (here: Env, n: number): void => {
    if (guards.length === 0) accs[n]!.take(here, value)
    else b.branch(allHold(here, guards), () => accs[n]!.take(here, value))
  }
  let step = 0
  const body = (vars: Vars, more: Partial<Env>): void =>
    taps(b, unrolled, vars, here => {
      step += 1
      take({ ...env, ...more, vars: here, copy: env.copy + step }, step % wide)
    })
  if (last === undefined || turns === 1) loops(b, looped, env.vars, vars => body(vars, {}))
  else
    loops(b, looped.slice(0, -1), env.vars, vars => {
      const whole = Math.floor(last.size / turns)
      const turn = (value: Value, lane: number): void =>
        body(new Map([...vars, [last.id, value]]), { along: { id: last.id, aligned: false }, lane })
      b.loop(last.name, i32(0), i32(whole), 1, i => {
        const start = multiplied(b, i, turns)
        for (let lane = 0; lane < turns; lane += 1) turn(start, lane)
      })
      for (let lane = 0; lane < last.size % turns; lane += 1) turn(i32(turns * whole), lane)
    })
  return accs.map(acc => acc.read()).reduce((x, y) => b.let(joined(r.op, x, y)))
}
