/**
 * Packing: copies one operand of a product into panels, so that the inner loop of the product reads memory from front to
 * back. The operand is any expression (a window of an image, a mask, an activation), evaluated once per packed element.
 * A panel holds `width` rows (or columns) side by side for every step of the reduction: position (k * width + lane).
 */
import { kernelIndices } from '../kernel/collapse.ts'
import { bare, holdThroughout, interval, operations, splittable, unrolledOperations } from '../nest/interior.ts'
import { type Composite, decode, sizeOf } from '../nest/composite.ts'
import { type Scope, badStrides, unitStrides } from '../nest/loops.ts'
import { type Along, varsOf } from '../kernel/dependence.ts'
import { divided, multiplied } from '../nest/builder.ts'
import { type Env, lower } from '../nest/expression.ts'
import type { Expr, Var } from '../kernel/kernel.ts'
import { type Local, type Value, i32, lanesOf } from '../nest/nest.ts'
import { turned } from '../elementwise/transpose.ts'

/** A block of the reduction: the first of `vars` from `from` to `to`, the others whole; `outer` variables are fixed around it. */
export type Depth = { readonly vars: Composite; readonly from: Value; readonly to: Value }

export type Panels = {
  readonly expr: Expr
  /** The rows or columns. */
  readonly vars: Composite
  readonly space: number
  readonly width: 4 | 8
  /** Whether many groups are packed by one call. */
  readonly many: boolean
}

/** The index of a step within its block: a value and a constant. */
type Index = { readonly value: Value; readonly plus: number }
type Step = (expr: Expr, scope: ReadonlyMap<number, Value>, step: Index, wide: boolean) => void

/** How many of the last variables to unroll: the taps of a window. */
const unrolledVars = (depth: Depth, expr: Expr): number => {
  let n = 0
  let taps = 1
  while (n < depth.vars.length) {
    const v = depth.vars[depth.vars.length - 1 - n]!
    const whole = v !== depth.vars[0] || (depth.from.kind === 'const' && depth.to.kind === 'const')
    if (!whole || v.size > 5 || taps * v.size * operations(expr) > unrolledOperations) break
    taps *= v.size
    n += 1
  }
  return n
}

/**
 * Loops over a block of the reduction, its last variable by fours where `fours`; the step counts from the block's start.
 * `envs` are the rows or columns being packed: where they lie well inside of all bounds, the bare expression runs.
 */
const overDepth = (depth: Depth, scope: ReadonlyMap<number, Value>, fours: boolean, expr: Expr, envs: readonly Env[], body: Step): void => {
  const { b } = envs[0]!
  const last = depth.vars[depth.vars.length - 1]
  if (last === undefined) return body(expr, scope, { value: i32(0), plus: 0 }, false)
  const inside = bare(expr)
  const unrolled = unrolledVars(depth, inside.expr)
  const place = (index: Index, v: Var, i: Value, below: Composite): Index => {
    const each = sizeOf(below)
    const start = v === depth.vars[0] && depth.from.kind === 'const' ? depth.from.value : 0
    if (i.kind === 'const') return { value: index.value, plus: index.plus + (i.value - start) * each }
    const from = v === depth.vars[0] ? b.call('sub', 'i32', i, depth.from) : i
    return { value: b.call('add', 'i32', index.value, multiplied(b, from, each)), plus: index.plus }
  }
  const innermost = (from: Value, to: Value, vs: ReadonlyMap<number, Value>, index: Index, by4: boolean, e: Expr, unroll: boolean): void => {
    const run = (start: Value, end: Value, step: 1 | 4): void => {
      const each = (i: Value): void => body(e, new Map([...vs, [last.id, i]]), place(index, last, i, []), step === 4)
      if (unroll && start.kind === 'const' && end.kind === 'const') for (let i = start.value; i < end.value; i += step) each(i32(i))
      else b.loop(last.name, start, end, step, each)
    }
    if (!by4) return run(from, to, 1)
    const even = last.size % 4 === 0 && from.kind === 'const' && to.kind === 'const'
    const whole = even ? to : b.call('sub', 'i32', to, b.call('and', 'i32', b.call('sub', 'i32', to, from), i32(3)))
    run(from, whole, 4)
    if (!even) run(whole, to, 1)
  }
  const split = last.size >= 16 && splittable(inside.guards, last)
  const run = (e: Expr, parted: boolean): void => {
    const go = (vars: Composite, vs: ReadonlyMap<number, Value>, index: Index): void => {
      const [v, ...below] = vars
      if (v === undefined) return
      const [from, to] = v === depth.vars[0] ? [depth.from, depth.to] : [i32(0), i32(v.size)]
      const unroll = e === inside.expr && vars.length <= unrolled
      if (v !== last) {
        const each = (i: Value): void => go(below, new Map([...vs, [v.id, i]]), place(index, v, i, below))
        if (unroll && from.kind === 'const' && to.kind === 'const') for (let i = from.value; i < to.value; i += 1) each(i32(i))
        else b.loop(v.name, from, to, 1, each)
        return
      }
      if (!parted) return innermost(from, to, vs, index, fours, e, unroll)
      const { low, high } = interval(envs.map(env => ({ ...env, vars: new Map([...env.vars, ...vs]) })), inside.guards, last, from, to)
      innermost(from, low, vs, index, false, e, false)
      // a branch, so that no load of the bare expression leaves the part where it may be done
      b.branch(b.call('lt', 'bool', low, high), () => innermost(low, high, vs, index, fours, inside.expr, false))
      innermost(high, to, vs, index, false, e, false)
    }
    go(depth.vars, scope, { value: i32(0), plus: 0 })
  }
  if (inside.guards.length === 0 || split) return run(inside.guards.length === 0 ? inside.expr : expr, split)
  b.branch(holdThroughout(envs, inside.guards, depth.vars), () => run(inside.expr, false), () => run(expr, false))
}

/** Groups of four neighbours that are read together: 128 bytes. */
const stretch = 8

/** Unrolled steps differ in constants only: each is an environment of its own. */
const copyOf = (step: Index): number => 5 * step.plus

/** Packs the groups of four rows from..to-1 of an operand; group `from` lands at position `own`. `steps` is the depth of the block. */
export const pack = (
  { b, dialect, own }: Pick<Scope, 'b' | 'dialect'> & { readonly own: Value },
  scope: ReadonlyMap<number, Value>, panels: Panels, depth: Depth, steps: Value, from: Value, to: Value,
): void => {
  const { expr, vars, space, width, many } = panels
  const { unit } = dialect
  const total = sizeOf(vars)
  const lane0 = vars[vars.length - 1]
  const deep = depth.vars[depth.vars.length - 1]
  const indices = kernelIndices({ reduction: { kind: 'reduce', op: 'sum', vars: [], value: expr, dtype: 'f32' }, stores: [] })
  const score = (v: Var | undefined): number => (v === undefined || v.size < 4 ? -100 : 2 * unitStrides(indices, v) - 3 * badStrides(indices, v))
  const env = (vs: ReadonlyMap<number, Value>, along: Along | null, copy: number): Env =>
    ({ b, dialect, vars: vs, along, lane: null, acc: null, copy, skip: 0 })
  const wide = (value: Value): Value => (lanesOf(value.type) === 4 ? value : b.splat(value))
  const wholeGroups = lane0 !== undefined && lane0.size >= 4 && (score(lane0) >= 0 || score(deep) <= score(lane0))
  // a panel of eight at once where none crosses the end of the last variable; a stretch of memory, as many panels as it
  // has, where there is one variable only: rows far apart are read a line at a time
  const pairs = wholeGroups && width === 8 && lane0.size % 8 === 0
  const several = many && wholeGroups && vars.length === 1 && bare(expr).guards.length === 0
  const groups = (low: Value, high: Value, side: number): void => b.loop('group', low, high, side, (g: Local) => {
    const relative = b.call('sub', 'i32', g, from)
    const ofGroup = (group: Value): Value => {
      const panel = width === 4 ? multiplied(b, group, 4) : multiplied(b, divided(b, group, 'div', 2), 8)
      const half = width === 4 || side > 1 ? i32(0) : multiplied(b, divided(b, group, 'mod', 2), 4 * unit)
      return b.call('add', 'i32', own, b.call('add', 'i32', multiplied(b, b.call('mul', 'i32', panel, steps), unit), half))
    }
    const panelCount = side === 1 ? 1 : (4 * side) / width
    const bases = Array.from({ length: panelCount }, (_, i) => ofGroup(b.call('add', 'i32', relative, i32((i * width) / 4))))
    const store = (step: Index, plus: number, value: Value, skip = 0): void => {
      const base = bases[Math.floor(skip / width)]!
      b.store(space, b.call('add', 'i32', base, multiplied(b, step.value, width * unit)), (step.plus + plus) * width + (skip % width), value)
    }
    const first = multiplied(b, g, 4)
    const across = (along: Along): void => {
      const columns = decode(b, vars, side === 1 && total % 4 === 0 ? b.call('min', 'i32', first, i32(total - 4)) : first)
      const ends = [0, 4 * side - 1].map(lane => ({ ...env(new Map([...scope, ...columns]), along, 0), lane }))
      overDepth(depth, new Map([...scope, ...columns]), false, expr, ends, (e, vs, step) => {
        for (let skip = 0; skip < 4 * side; skip += 4) store(step, 0, wide(lower({ ...env(vs, along, 0), copy: copyOf(step), skip }, e)), skip)
      })
    }
    const byLane = (): void => {
      const each = [0, 1, 2, 3].map(i => decode(b, vars, b.call('min', 'i32', b.call('add', 'i32', first, i32(i)), i32(total - 1))))
      const fours = deep !== undefined && deep.size >= 4 && score(deep) >= 0 && varsOf(expr).has(deep.id)
      const ends = each.map((columns, i) => env(new Map([...scope, ...columns]), null, i + 1))
      overDepth(depth, scope, fours, expr, ends, (e, vs, step, by4) => {
        const lane = (along: Along | null) => each.map((columns, i) => lower(env(new Map([...scope, ...columns, ...vs]), along, copyOf(step) + i + 1), e))
        if (!by4) return store(step, 0, b.call('lanes', 'f32x4', ...lane(null)))
        const columns = turned(b, lane({ id: deep!.id, aligned: false }).map(wide))
        columns.forEach((column, i) => store(step, i, column))
      })
    }
    if (!wholeGroups) return byLane()
    if (lane0.size % 4 === 0) return across({ id: lane0.id, aligned: true })
    const place0 = vars.length === 1 ? first : divided(b, first, 'mod', lane0.size)
    // a group that is padding alone begins behind the last row
    const within = b.call('le', 'bool', place0, i32(lane0.size - 4))
    const there = vars.length === 1 ? within : b.call('and', 'bool', within, b.call('lt', 'bool', first, i32(total)))
    b.branch(there, () => across({ id: lane0.id, aligned: false }), byLane)
  })
  if (!several) return groups(from, to, pairs ? 2 : 1)
  const full = b.call('sub', 'i32', b.call('min', 'i32', to, i32(Math.floor(total / 4))), from)
  const far = b.call('add', 'i32', from, b.call('and', 'i32', full, i32(-stretch)))
  groups(from, far, stretch)
  groups(far, to, pairs ? 2 : 1)
}
