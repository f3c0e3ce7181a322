/** What the schedules build loops with: opening a nest, visiting assignments of variables, and which variable to vectorise along. */
import { builder, type Builder } from './builder.ts'
import { type Along, strideAlong } from '../kernel/dependence.ts'
import type { Dialect, Env } from './expression.ts'
import type { Index, Var } from '../kernel/kernel.ts'
import { type Local, type Value, i32 } from './nest.ts'

export type Vars = ReadonlyMap<number, Value>
export type Scope = { readonly b: Builder; readonly dialect: Dialect; readonly lo: Local; readonly hi: Local; readonly own: Local; readonly vars: Vars }

/** Opens a nest: its range, the thread's own memory, and one parameter per counter of the enclosing loops. */
export const open = (name: string, counters: readonly Var[], dialect: Dialect): Scope => {
  const b = builder(name)
  const lo = b.param('i32', 'lo')
  const hi = b.param('i32', 'hi')
  const own = b.param('i32', 'own')
  return { b, dialect, lo, hi, own, vars: new Map(counters.map(c => [c.id, b.param('i32', c.name)])) }
}

export const envOf = ({ b, dialect }: Pick<Scope, 'b' | 'dialect'>, vars: Vars, along: Along | null, skip = 0): Env =>
  ({ b, dialect, vars, along, lane: null, acc: null, copy: 0, skip })

/** Visits every assignment of `vars`, the first slowest. */
type Loops = (b: Builder, vars: readonly Var[], scope: Vars, body: (scope: Vars, step: number) => void) => void
/** As loops; the step is always 0. */
export const loops: Loops = (b, vars, scope, body) => {
  const [first, ...rest] = vars
  if (first === undefined) return body(scope, 0)
  b.loop(first.name, i32(0), i32(first.size), 1, i => loops(b, rest, new Map([...scope, [first.id, i]]), body))
}

/** The same, unrolled: every step has a number of its own. */
export const taps: Loops = (b, vars, scope, body) => {
  let step = 0
  const go = ([first, ...rest]: readonly Var[], inner: Vars): void => {
    if (first === undefined) body(inner, ++step)
    else for (let i = 0; i < first.size; i += 1) go(rest, new Map([...inner, [first.id, i32(i)]]))
  }
  go(vars, scope)
}

/** Values of a variable: from <= v < to. */
export type Span = { readonly from: Value; readonly to: Value }
export const wholeOf = (v: Var): Span => ({ from: i32(0), to: i32(v.size) })

export const roundDown = (b: Builder, to: Value, by: number): Value => (to.kind === 'const' ? i32(to.value - (to.value % by)) : b.call('and', 'i32', to, i32(-by)))

/**
 * A span of one variable that begins at a multiple of 4 * wide: `wide` groups of four at a time, then groups of four, then
 * one by one. `body` gets how many groups it is to do beside each other, 0 for a single element.
 */
export const grouped = (b: Builder, v: Var, { from, to }: Span, wide: number, body: (i: Local, groups: number) => void): void => {
  const steps = [...(wide > 1 && v.size >= 4 * wide ? [wide] : []), 1, 0]
  let start = from
  for (const groups of steps) {
    const step = Math.max(1, 4 * groups)
    const end = step === 1 ? to : roundDown(b, to, step)
    b.loop(v.name, start, end, step, i => body(i, groups))
    if (v.size % step === 0) return
    start = end
  }
}

export const unitStrides = (indices: readonly Index[], v: Var): number => indices.filter(i => strideAlong(i, { id: v.id, aligned: true }) === 1).length
/** Indices that force work lane by lane. */
export const badStrides = (indices: readonly Index[], v: Var): number =>
  indices.filter(i => ![0, 1].includes(strideAlong(i, { id: v.id, aligned: true }) ?? 2)).length

/** Which variable to vectorise along: unit stride in the stores first, then in the loads; null if none is long enough. */
export const innermost = (vars: readonly Var[], stores: readonly Index[], loads: readonly Index[]): Var | null => {
  const scored = vars
    .filter(v => v.size >= 4)
    .map(v => ({ v, score: 8 * unitStrides(stores, v) - 4 * badStrides(stores, v) + 2 * unitStrides(loads, v) - badStrides(loads, v) }))
    .sort((x, y) => y.score - x.score)
  return scored[0]?.v ?? null
}

/** Loops in the order of the strides of the first store, largest first. */
export const byStride = (vars: readonly Var[], at: Index | undefined): readonly Var[] => {
  const coef = (v: Var): number => Math.abs(at?.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0)
  return [...vars].sort((x, y) => coef(y) - coef(x))
}
