/**
 * Fills a grid of positions (grid.ts) in scratch memory: evaluates an operand of a product once for every position that a
 * block of columns and steps reads. The last axis is the one along which vectors are loaded; where its columns lie `m`
 * positions apart, it is kept in `m` runs (the even positions, then the odd ones), so that columns are neighbours.
 */
import { type Builder, divided, multiplied } from '../nest/builder.ts'
import type { Scope } from '../nest/loops.ts'
import { type Axis, inClass, slope, stepsOf } from './grid.ts'
import { type Env, lower } from '../nest/expression.ts'
import { bare, interval, splittable } from '../nest/interior.ts'
import type { Expr, Var } from '../kernel/kernel.ts'
import { type Value, i32 } from '../nest/nest.ts'

/** An axis as it lies in memory: at most `count` positions, `here` of them now, from position `base` on. */
export type Placed = {
  readonly axis: Axis
  readonly count: number
  /** Elements from one position to the next (of one run). */
  readonly stride: number
  readonly runs: number
  /** Elements of a run. */
  readonly run: number
  readonly base: Value
  readonly here: Value
}

/** Distances of a multiple of this many elements share few lines of the cache. */
const conflicting = 512
const spread = (n: number): number => (n % conflicting === 0 ? n + 16 : n)

/** Which positions of an axis a block needs: of `columns` columns (of a class) and `steps` steps from given ones on. */
export const countOf = (axis: Axis, columns: number, steps: number): number => {
  const [all, allSteps] = [Math.ceil((axis.column?.size ?? 1) / axis.by), axis.step?.size ?? 1]
  const fewer = Math.abs(slope(axis)) * (all - columns) + Math.abs(axis.e) * (allSteps - steps)
  return axis.position.size - fewer
}

/** Lays axes out in memory, the last fastest; returns the elements that they take, too. */
export const placed = (axes: readonly Pick<Placed, 'axis' | 'count' | 'base' | 'here'>[]): { readonly axes: readonly Placed[]; readonly elements: number } => {
  const out: Placed[] = []
  let stride = 1
  for (let i = axes.length - 1; i >= 0; i -= 1) {
    const a = axes[i]!
    const runs = i === axes.length - 1 && a.axis.by === 1 ? Math.max(1, a.axis.m) : 1
    const run = Math.ceil(a.count / runs)
    out.unshift({ ...a, stride, runs, run })
    stride = spread(stride * run * runs)
  }
  // the last group of columns may reach beyond its row
  return { axes: out, elements: stride + 16 }
}

const isZero = (v: Value): boolean => v.kind === 'const' && v.value === 0

/** Where a column (of its class) lies, relative to the first, in elements. */
export const columnStride = ({ axis, stride, runs }: Placed): number => (axis.column === null ? 0 : runs > 1 ? stride : stride * slope(axis))

/** Evaluates `expr` at all positions of the axes that are here, into `space` from `at` on. */
export const fill = (
  { b, dialect }: Pick<Scope, 'b' | 'dialect'>, scope: ReadonlyMap<number, Value>, expr: Expr, axes: readonly Placed[], space: number, at: Value,
  fresh: () => number, sizes: (id: number) => number,
): void => {
  const { unit } = dialect
  const lane = axes[axes.length - 1]!
  const outer = axes.slice(0, -1)
  const { position } = lane.axis
  const runs = Array.from({ length: lane.runs }, (_, r) => {
    if (lane.runs === 1) return { along: position, e: expr, r }
    const along: Var = { id: fresh(), size: Math.ceil((position.size - r) / lane.runs), name: position.name }
    return { along, e: inClass(expr, [{ step: position, to: along, by: lane.runs, first: r }], id => (id === position.id ? position.size : sizes(id))), r }
  })
  const row = (vars: ReadonlyMap<number, Value>, start: Value): void =>
    runs.forEach(({ along, e, r }) => {
      const inside = bare(e)
      const [from, to] = lane.runs === 1 ? [lane.base, b.call('add', 'i32', lane.base, lane.here)] : [i32(0), i32(along.size)]
      const put = (i: Value, value: Value, wide: boolean): void => {
        const place = lane.runs > 1 || isZero(from) ? i : b.call('sub', 'i32', i, from)
        b.store(space, b.call('add', 'i32', start, multiplied(b, place, unit)), r * lane.run, wide ? b.splat(value) : value)
      }
      const env = (i: Value, wide: boolean): Env => {
        const lanes = wide ? { id: along.id, aligned: false } : null
        return { b, dialect, vars: new Map([...vars, [along.id, i]]), along: lanes, lane: null, acc: null, copy: r, skip: 0 }
      }
      const singly = (x: Expr, low: Value, high: Value): void => b.loop(along.name, low, high, 1, i => put(i, lower(env(i, false), x), false))
      const byFours = (x: Expr, low: Value, high: Value): void => {
        const whole = b.call('sub', 'i32', high, b.call('and', 'i32', b.call('sub', 'i32', high, low), i32(3)))
        b.loop(along.name, low, whole, 4, i => put(i, lower(env(i, true), x), true))
        singly(x, whole, high)
      }
      if (inside.guards.length === 0 || !splittable(inside.guards, along)) return byFours(inside.guards.length === 0 ? inside.expr : e, from, to)
      const { low, high } = interval([{ ...env(i32(0), false), vars }], inside.guards, along, from, to)
      singly(e, from, low)
      b.branch(b.call('lt', 'bool', low, high), () => byFours(inside.expr, low, high))
      byFours(e, high, to)
    })
  const go = (rest: readonly Placed[], vars: ReadonlyMap<number, Value>, start: Value): void => {
    const [first, ...more] = rest
    if (first === undefined) return row(vars, start)
    const { axis, base, here, stride } = first
    b.loop(axis.position.name, i32(0), here, 1, i =>
      go(more, new Map([...vars, [axis.position.id, b.call('add', 'i32', base, i)]]), b.call('add', 'i32', start, multiplied(b, i, stride * unit))))
  }
  go(outer, scope, at)
}

/** Where a step lies in its axis, from the first position of a block of `steps` steps on, in elements; `step` counts within the block and its class `r`. */
export const stepOffset = (b: Builder, { axis, stride, runs, run }: Placed, steps: number, r: number, step: Value): Value => {
  const { e, by, rest, low } = axis
  if (by > 1) {
    const constant = (r + e * stepsOf(axis, r).first - rest) / by - low
    return multiplied(b, b.call('add', 'i32', multiplied(b, step, e), i32(constant)), stride)
  }
  const moved = b.call('add', 'i32', multiplied(b, step, e), i32(Math.max(0, -e * (steps - 1))))
  if (runs === 1) return multiplied(b, moved, stride)
  return b.call('add', 'i32', multiplied(b, divided(b, moved, 'mod', runs), run), divided(b, moved, 'div', runs))
}
