/**
 * The sums of a window, once its image is laid out: several rows of outputs at a time from the same loads, four outputs in
 * a vector. Outputs of several residues (a stride going backwards) are made side by side and interleaved. Nothing is
 * checked here, other than where rows and columns end.
 */
import { divided, multiplied } from '../nest/builder.ts'
import { type Env, lower, perform } from '../nest/expression.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { type Plot, fresh, greatest, least, picked } from './layout.ts'
import { type Scope, envOf } from '../nest/loops.ts'
import { type Value, constOf, i32 } from '../nest/nest.ts'
import { walk } from '../kernel/walk.ts'
import type { Window } from './window.ts'

/** Sums that are carried side by side, at least; multiply-adds of an unrolled turn, at most. */
const sumsAtOnce = 4
const unrolledTaps = 160

/** A turn: so many groups of rows from `u` on, of each of which the first `residues` are there. `line`: where what they read begins. */
type Turn = { readonly u: Value; readonly line: Value; readonly groups: number; readonly residues: number }
/** Sums of one row: one vector for each residue of the column. */
type Sums = { readonly group: number; readonly residue: number; readonly values: readonly Value[] }

/** The weights by tap, each in a vector; null where there are none. */
type Weights = (ty: number, tx: number) => Value | null
const weightsOf = (scope: Scope, { rows, columns, weight }: Window): Weights => {
  if (weight === null) return () => null
  const known = new Map<string, Value>()
  for (const ty of rows.taps.flat())
    for (const tx of columns.taps.flat()) {
      const taps = new Map(scope.vars)
      if (rows.tap !== null) taps.set(rows.tap.id, i32(ty.tap))
      if (columns.tap !== null) taps.set(columns.tap.id, i32(tx.tap))
      known.set(`${ty.tap},${tx.tap}`, scope.b.splat(lower({ ...envOf(scope, taps, null), copy: fresh() }, weight)))
    }
  return (ty, tx) => known.get(`${ty},${tx}`)!
}

/** The sums of a turn for four columns of every residue, from group `k` of columns on. Taps are added in the order of their positions. */
const sumsOf = ({ b, dialect }: Scope, window: Window, { layout, space }: Plot, weights: Weights, turn: Turn, k: Value): readonly Sums[] => {
  const { rows, columns, combine } = window
  const at = b.call('add', 'i32', turn.line, multiplied(b, k, dialect.unit))
  const side = Array.from({ length: turn.groups * turn.residues }, (_, i) => ({
    group: Math.floor(i / turn.residues), residue: i % turn.residues, values: columns.taps.map((): Value | null => null),
  }))
  const added = (before: Value | null, x: Value, w: Value | null): Value => {
    if (w === null) return before === null ? x : b.call(combine === 'sum' ? 'add' : combine, 'f32x4', before, x)
    return before === null ? b.call('mul', 'f32x4', x, w) : b.call('fma', 'f32x4', x, w, before)
  }
  for (let row = 0; row <= rows.step * (turn.groups - 1) + rows.reach; row += 1) {
    const down = side.flatMap(s => rows.taps[s.residue]!.filter(t => t.at + rows.step * s.group === row).map(t => ({ s, ty: t.tap })))
    for (let column = 0; column <= columns.reach; column += 1) {
      const across = columns.taps.flatMap((taps, r) => taps.filter(t => t.at === column).map(t => ({ r, tx: t.tap })))
      if (down.length === 0 || across.length === 0) continue
      const x = b.load('f32x4', space, at, row * layout.pitch + (column % columns.step) * layout.run + Math.floor(column / columns.step))
      for (const { s, ty } of down) for (const { r, tx } of across) s.values[r] = added(s.values[r]!, x, weights(ty, tx))
    }
  }
  return side.map(s => ({ ...s, values: s.values.map(v => v ?? constOf('f32x4', 0)) }))
}

/** Whether a result is also read: what is done twice would then be done to what was written. */
const inPlace = ({ stores }: Kernel): boolean => {
  let found = false
  walk(stores.map(s => s.value), e => {
    if (e.kind === 'load' && stores.some(s => s.buffer === e.buffer)) found = true
  })
  return found
}

const foursFrom = (from: number, to: number): readonly number[] => Array.from({ length: Math.max(0, Math.floor((to - from) / 4)) }, (_, i) => from + 4 * i)

/** Makes the groups of rows first .. last-1 of outputs; the plot begins with what `first` reads. */
export const addUp = (scope: Scope, window: Window, plot: Plot, first: Value, last: Value): void => {
  const { b, vars, dialect: { unit } } = scope
  const { kernel, rows, columns } = window
  const [width, per] = [columns.out.size, columns.residues]
  const weights = weightsOf(scope, window)

  /** Makes and stores outputs of a turn: of those that the groups of columns from `k` on give, four from each of `starts`, and each of `rest` alone. */
  const write = (turn: Turn, k: Value, starts: readonly number[], rest: readonly number[] = []): void => {
    const x = multiplied(b, k, per)
    for (const { group, residue, values } of sumsOf(scope, window, plot, weights, turn, k)) {
      const y = b.call('add', 'i32', multiplied(b, b.call('add', 'i32', turn.u, i32(group)), rows.residues), i32(residue))
      const env = (start: number): Env => {
        const aligned = (x.kind === 'const' ? x.value + start : start) % 4 === 0
        const acc = picked(b, values, [0, 1, 2, 3].map(l => 4 * ((start + l) % per) + Math.floor((start + l) / per)))
        return { ...envOf(scope, new Map([...vars, [rows.out.id, y], [columns.out.id, x]]), { id: columns.out.id, aligned }, start), acc, copy: fresh() }
      }
      for (const start of starts) perform(env(start), kernel.stores)
      for (const start of rest) perform({ ...env(start & ~3), lane: start & 3 }, kernel.stores)
    }
  }

  /** All columns of a turn; the last four may overlap those before. */
  const across = (turn: Turn): void => {
    const rest = width % (4 * per)
    const whole = (width - rest) / per
    if (whole === 4) write(turn, i32(0), foursFrom(0, 4 * per))
    else b.loop('k', i32(0), i32(whole), 4, k => write(turn, k, foursFrom(0, 4 * per)))
    const ending = rest % 4
    const starts = foursFrom(0, rest)
    const before = Math.floor((width - 4) / per)
    if (rest === 0) return
    if (ending === 0) write(turn, i32(whole), starts)
    else if (inPlace(kernel)) write(turn, i32(whole), starts, Array.from({ length: ending }, (_, i) => rest - ending + i))
    else if (rest >= 4) write(turn, i32(whole), [...starts, rest - 4])
    else write(turn, i32(before), [width - 4 - before * per])
  }

  /** Turns of `groups` groups from u = from on, while u < to. */
  const down = (from: Value, to: Value, groups: number, residues: number): void =>
    b.loop('u', from, to, groups, u => {
      const line = b.call('add', 'i32', plot.at, multiplied(b, b.call('sub', 'i32', u, first), rows.step * plot.layout.pitch * unit))
      across({ u, line, groups, residues })
    })

  const taps = rows.taps.flat().length * columns.taps.flat().length
  const groups = Math.max(1, Math.min(Math.ceil(sumsAtOnce / (rows.residues * per)), Math.floor(unrolledTaps / taps)))
  const complete = Math.floor(rows.out.size / rows.residues)
  const end = least(b, last, i32(complete))
  const count = b.call('sub', 'i32', end, first)
  const whole = count.kind === 'const' ? i32(count.value - (count.value % groups)) : b.call('mul', 'i32', divided(b, count, 'div', groups), i32(groups))
  const middle = b.call('add', 'i32', first, whole)
  down(first, middle, groups, rows.residues)
  if (groups > 1) down(middle, end, 1, rows.residues)
  if (complete * rows.residues < rows.out.size) down(greatest(b, first, i32(complete)), last, 1, rows.out.size - complete * rows.residues)
}
