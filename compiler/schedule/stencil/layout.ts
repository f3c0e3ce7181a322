/**
 * How a window's image lies in a thread's own memory: the positions that a block of rows reads, row by row, with their
 * edges filled in. Where outputs step over columns, a row is parted into their residues, so that what one tap reads for
 * four neighbouring outputs is one vector.
 */
import { type Builder, multiplied } from '../nest/builder.ts'
import { type Cut, cuts, within } from './edges.ts'
import { type Env, lower } from '../nest/expression.ts'
import { operations, unrolledOperations } from '../nest/interior.ts'
import type { Expr } from '../kernel/kernel.ts'
import { type Scope, envOf } from '../nest/loops.ts'
import { type Value, i32 } from '../nest/nest.ts'
import type { Axis, Window } from './window.ts'

/** `rows` rows of `pitch` elements; in a row, residue r of the column begins at r * run. */
export type Layout = { readonly rows: number; readonly pitch: number; readonly run: number }
/** Where an image is laid out. */
export type Plot = { readonly layout: Layout; readonly space: number; readonly at: Value }

const roundUp = (n: number, by: number): number => Math.ceil(n / by) * by
/** Outputs of an axis, in groups of its residues. */
export const units = (axis: Axis): number => Math.ceil(axis.out.size / axis.residues)
/** The layout of what so many groups of rows read. */
export const layoutOf = ({ rows, columns }: Window, block: number): Layout => {
  const run = roundUp(roundUp(units(columns), 4) + Math.floor(columns.reach / columns.step), 4)
  return { rows: rows.step * (block - 1) + rows.reach + 1, pitch: run * columns.step, run }
}

/** Four lanes out of any of `from`, counted through all of them. */
export const picked = (b: Builder, from: readonly Value[], lanes: readonly number[]): Value => {
  const sources = [...new Set(lanes.map(l => l >> 2))]
  const [s, t] = [sources[0]!, sources[1] ?? sources[0]!]
  if (sources.length === 1 && lanes.every((l, i) => l === 4 * s + i)) return from[s]!
  const shuffle = (a: Value, c: Value, of: (lane: number, i: number) => number): Value => {
    const [l0, l1, l2, l3] = lanes.map(of)
    return b.let({ kind: 'shuffle', type: 'f32x4', a, b: c, lanes: [l0!, l1!, l2!, l3!] })
  }
  const both = shuffle(from[s]!, from[t]!, l => (l >> 2 === t ? 4 : 0) + (l & 3))
  return sources.slice(2).reduce((sum, u) => shuffle(sum, from[u]!, (l, i) => (l >> 2 === u ? 4 + (l & 3) : i)), both)
}

const either = (pick: (...xs: number[]) => number, fn: 'min' | 'max') => (b: Builder, x: Value, y: Value): Value =>
  x.kind === 'const' && y.kind === 'const' ? i32(pick(x.value, y.value)) : b.call(fn, 'i32', x, y)
/** The smaller, known at once where both are. */
export const least = either(Math.min, 'min')
/** The greater. */
export const greatest = either(Math.max, 'max')

/** Environments in which one variable has several values are told apart by a number. */
let copies = 0
export const fresh = (): number => (copies += 1)

const zero = (e: Expr): boolean => e.kind === 'const' && e.value === 0

/**
 * Lays out the positions that the groups of rows first .. last-1 of outputs read. Memory is zero at first: what is zero
 * beyond an edge is written only where the plot was used for other rows before (`again`), which may have left something.
 */
export const layOut = (scope: Scope, window: Window, { layout: { pitch, run }, space, at: origin }: Plot, again: boolean, first: Value, last: Value): void => {
  const { b, vars, dialect: { unit } } = scope
  const { rows, columns, image, row, column } = window
  const low = multiplied(b, first, rows.step)
  const high = b.call('add', 'i32', multiplied(b, b.call('sub', 'i32', last, i32(1)), rows.step), i32(rows.reach + 1))
  const bands = cuts(image, row).map(band => {
    const here = within(image, row, band)
    return { band, all: cuts(here, column).map(cut => ({ cut, expr: within(here, column, cut) })) }
  })
  const filled = bands.flatMap(({ all }) => all.filter(p => !zero(p.expr)).map(p => p.cut))
  const stale = (cut: Cut): boolean => again && filled.some(f => f.from < cut.to && cut.from < f.to)
  for (const { band, all } of bands) {
    const pieces = all.filter(({ cut, expr }) => !zero(expr) || stale(cut))
    if (pieces.length === 0) continue
    b.loop('row', greatest(b, i32(band.from), low), least(b, i32(band.to), high), 1, q => {
      const line = b.call('add', 'i32', origin, b.call('mul', 'i32', b.call('sub', 'i32', q, low), i32(pitch * unit)))
      const put = (k: Value, residue: number, value: Value): void =>
        k.kind === 'const'
          ? b.store(space, line, residue * run + k.value, value)
          : b.store(space, b.call('add', 'i32', line, multiplied(b, k, unit)), residue * run, value)
      for (const { cut, expr } of pieces) {
        const at = (position: Value): Env => ({ ...envOf(scope, new Map([...vars, [row.id, q], [column.id, position]]), null), copy: fresh() })
        const alone = (position: number): void => put(i32(Math.floor(position / columns.step)), position % columns.step, lower(at(i32(position)), expr))
        const together = (k: Value): void => {
          const four = { ...at(multiplied(b, k, columns.step)), along: { id: column.id, aligned: false } }
          const side = Array.from({ length: columns.step }, (_, t) => b.splat(lower({ ...four, skip: 4 * t }, expr)))
          side.forEach((x, r) => put(k, r, zero(expr) ? x : picked(b, side, [0, 1, 2, 3].map(l => columns.step * l + r))))
        }
        fill(b, cut, columns.step, Math.floor(unrolledOperations / (columns.step * (operations(expr) + 2))), alone, together)
      }
    })
  }
}

/**
 * Visits the positions of a cut: four of every residue together, the last of them again where they do not come out even,
 * and what is left at the ends alone.
 */
const fill = (b: Builder, { from, to }: Cut, step: number, unrolled: number, alone: (position: number) => void, together: (k: Value) => void): void => {
  const single = (lo: number, hi: number): void => {
    for (let p = lo; p < hi; p += 1) alone(p)
  }
  const [start, end] = [Math.ceil(from / step), Math.floor(to / step)]
  if (end - start < 4) return single(from, to)
  const whole = end - ((end - start) % 4)
  if (whole - start > 4 * unrolled) b.loop('k', i32(start), i32(whole), 4, together)
  else for (let k = start; k < whole; k += 4) together(i32(k))
  if (whole < end) together(i32(end - 4))
  single(from, step * start)
  single(step * end, to)
}
