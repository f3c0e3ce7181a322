/**
 * The schedule of sums over small windows (blurs, depthwise convolutions, pooling, and their gradients). A part takes a
 * block of rows of one image: it first lays the image out in the thread's own memory with its edges filled in, where a
 * strided image is parted into its even and odd columns (or those of any residue), so that every tap of four neighbouring
 * outputs is one load. Then it goes over the outputs, several rows at a time from the same loads; outputs of several
 * residues (a stride going backwards) are made side by side and interleaved. Nothing is checked where sums are made.
 */
import type { Builder } from './builder.ts'
import { type Cut, cuts, within } from './edges.ts'
import { type Dialect, type Env, divided, lower, multiplied, perform } from './expression.ts'
import { variable } from './indexing.ts'
import { operations, unrolledOperations } from './interior.ts'
import type { Expr, Kernel, Var } from './kernel.ts'
import { type Scope, envOf, open } from './loops.ts'
import { type Scheduled, type Value, constOf, i32 } from './nest.ts'
import { walk } from './walk.ts'
import { type Axis, type Window, windowOf } from './window.ts'

/** Sums that are carried side by side, at least; multiply-adds of an unrolled turn, at most. */
const sumsAtOnce = 4
const unrolledTaps = 160
/** Elements of an image that are laid out at once: they are to stay in the first cache, or at most in the second. */
const [fewElements, manyElements] = [6144, 32768]
/** Outputs of one part, at least; and how many parts are enough. */
const partOutputs = 1024
const enoughParts = 64

const roundUp = (n: number, by: number): number => Math.ceil(n / by) * by
const clamp = (x: number, lo: number, hi: number): number => Math.max(lo, Math.min(hi, x))

/** How an image is laid out: `rows` rows of `pitch` elements; in a row, residue r of the column begins at r * run. */
type Layout = { readonly rows: number; readonly pitch: number; readonly run: number }
/** Rows of outputs (groups of residues) in a block, blocks of an image, and blocks that make a part. */
type Cutting = { readonly block: number; readonly blocks: number; readonly together: number; readonly total: number }

const units = (axis: Axis): number => Math.ceil(axis.out.size / axis.residues)
const layoutOf = ({ rows, columns }: Window, block: number): Layout => {
  const run = roundUp(roundUp(units(columns), 4) + Math.floor(columns.reach / columns.step), 4)
  return { rows: rows.step * (block - 1) + rows.reach + 1, pitch: run * columns.step, run }
}
const cuttingOf = (window: Window): Cutting | null => {
  const { rows, columns, outer } = window
  const images = outer.reduce((n, v) => n * v.size, 1)
  const height = units(rows)
  const { pitch } = layoutOf(window, 1)
  const within = (elements: number): number => Math.floor((elements / pitch - rows.reach - 1) / rows.step) + 1
  // rows that two blocks share are laid out twice: not more than one in five
  const fitting = Math.max(within(fewElements), Math.min(within(manyElements), Math.ceil((4 * (rows.reach + 1)) / rows.step)))
  if (fitting < 1) return null
  const least = clamp(Math.ceil(partOutputs / (columns.out.size * rows.residues)), 1, height)
  const wanted = Math.max(least, Math.ceil(height / Math.ceil(enoughParts / images)))
  const block = Math.ceil(height / Math.ceil(height / Math.min(wanted, fitting)))
  const blocks = Math.ceil(height / block)
  const total = images * blocks
  const small = Math.floor(partOutputs / (block * rows.residues * columns.out.size))
  return { block, blocks, total, together: clamp(small, 1, Math.max(1, Math.floor(total / enoughParts))) }
}

/** Four lanes out of any of `from`, counted through all of them. */
const picked = (b: Builder, from: readonly Value[], lanes: readonly number[]): Value => {
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

/** Schedules a windowed sum, or null where the kernel is none. The scratch space is numbered `space`. */
export const stencil = (given: Kernel, counters: readonly Var[], dialect: Dialect, space: number): Scheduled | null => {
  const window = windowOf(given, counters)
  const cutting = window === null ? null : cuttingOf(window)
  if (window === null || cutting === null) return null
  const { kernel, rows, columns, outer } = window
  const { block, blocks, together, total } = cutting
  const layout = layoutOf(window, block)
  const scope = open(kernel.name, counters, dialect)
  const { b, own } = scope
  const { unit } = dialect
  b.changes(space)
  const cells = roundUp(layout.rows * layout.pitch, 4)
  b.loop('z', own, b.call('add', 'i32', own, i32(cells * unit)), 4 * unit, z => b.store(space, z, 0, constOf('f32x4', 0)))
  const all = b.call('min', 'i32', b.call('mul', 'i32', scope.hi, i32(together)), i32(total))
  b.loop('part', b.call('mul', 'i32', scope.lo, i32(together)), all, 1, part => {
    const image = blocks === 1 ? part : divided(b, part, 'div', blocks)
    const vars = new Map(scope.vars)
    outer.reduceRight((rest: Value, v, i) => {
      vars.set(v.id, i === 0 ? rest : divided(b, rest, 'mod', v.size))
      return i === 0 ? rest : divided(b, rest, 'div', v.size)
    }, image)
    const first = blocks === 1 ? i32(0) : b.call('mul', 'i32', divided(b, part, 'mod', blocks), i32(block))
    const last = blocks === 1 ? i32(units(rows)) : least(b, b.call('add', 'i32', first, i32(block)), i32(units(rows)))
    stage({ ...scope, vars }, window, layout, space, blocks > 1, first, last)
    outputs({ ...scope, vars }, kernel, window, layout, space, first, last)
  })
  return { nests: [b.finish(Math.ceil(total / together))], scratch: [{ space, bytes: cells * 4, each: 'thread' }] }
}

const either = (pick: (...xs: number[]) => number, fn: 'min' | 'max') => (b: Builder, x: Value, y: Value): Value =>
  x.kind === 'const' && y.kind === 'const' ? i32(pick(x.value, y.value)) : b.call(fn, 'i32', x, y)
const least = either(Math.min, 'min')
const greatest = either(Math.max, 'max')

/** Environments in which one variable has several values are told apart by a number. */
let copies = 0
const fresh = (): number => (copies += 1)

const zero = (e: Expr): boolean => e.kind === 'const' && e.value === 0

/** Lays out the positions that the rows first .. last-1 of outputs read. What is zero at an edge was so before. */
const stage = (scope: Scope, window: Window, { pitch, run }: Layout, space: number, again: boolean, first: Value, last: Value): void => {
  const { b, own, vars, dialect: { unit } } = scope
  const { rows, columns } = window
  const row: Var = { id: -11, size: rows.size, name: 'row' }
  const column: Var = { id: -12, size: columns.size, name: 'column' }
  const image = window.image(variable(row), variable(column), [row, column])
  const low = multiplied(b, first, rows.step)
  const high = b.call('add', 'i32', multiplied(b, b.call('sub', 'i32', last, i32(1)), rows.step), i32(rows.reach + 1))
  for (const band of cuts(image, row)) {
    const here = within(image, row, band)
    const pieces = cuts(here, column).map(cut => ({ cut, expr: within(here, column, cut) })).filter(p => !zero(p.expr))
    if (pieces.length === 0 && !again) continue
    b.loop('row', greatest(b, i32(band.from), low), least(b, i32(band.to), high), 1, q => {
      const line = b.call('add', 'i32', own, b.call('mul', 'i32', b.call('sub', 'i32', q, low), i32(pitch * unit)))
      if (pieces.length === 0) b.loop('z', i32(0), i32(pitch * unit), 4 * unit, z => b.store(space, b.call('add', 'i32', line, z), 0, constOf('f32x4', 0)))
      const put = (k: Value, residue: number, value: Value): void =>
        k.kind === 'const' ? b.store(space, line, residue * run + k.value, value) : b.store(space, b.call('add', 'i32', line, multiplied(b, k, unit)), residue * run, value)
      for (const { cut, expr } of pieces) {
        const at = (position: Value): Env => ({ ...envOf(scope, new Map([...vars, [row.id, q], [column.id, position]]), null), copy: fresh() })
        const alone = (position: number): void => put(i32(Math.floor(position / columns.step)), position % columns.step, lower(at(i32(position)), expr))
        const together = (k: Value): void => {
          const four = { ...at(multiplied(b, k, columns.step)), along: { id: column.id, aligned: false } }
          const side = Array.from({ length: columns.step }, (_, t) => b.splat(lower({ ...four, skip: 4 * t }, expr)))
          side.forEach((_, r) => put(k, r, picked(b, side, [0, 1, 2, 3].map(l => columns.step * l + r))))
        }
        fill(b, cut, columns.step, Math.floor(unrolledOperations / (columns.step * (operations(expr) + 2))), alone, together)
      }
    })
  }
}

/** Visits the positions of a cut: four of every residue together, the last of them again where they do not come out even, and what is left at its ends alone. */
const fill = (b: Builder, { from, to }: Cut, step: number, unrolled: number, alone: (position: number) => void, together: (k: Value) => void): void => {
  const [start, end] = [Math.ceil(from / step), Math.floor(to / step)]
  const few = end - start < 4
  const single = (lo: number, hi: number): void => {
    for (let p = lo; p < hi; p += 1) alone(p)
  }
  if (few) return single(from, to)
  const whole = end - ((end - start) % 4)
  if (whole - start > 4 * unrolled) b.loop('k', i32(start), i32(whole), 4, together)
  else for (let k = start; k < whole; k += 4) together(i32(k))
  if (whole < end) together(i32(end - 4))
  single(from, step * start)
  single(step * end, to)
}

/** Where sums for four neighbours begin: among the rows, and along a row. */
type Place = { readonly u: Value; readonly k: Value; readonly line: Value }
/** The sums of one row, one vector per residue of the column. */
type Sums = { readonly row: number; readonly residue: number; readonly values: readonly Value[] }

const outputs = (scope: Scope, kernel: Kernel, window: Window, layout: Layout, space: number, first: Value, last: Value): void => {
  const { b, own, vars, dialect: { unit } } = scope
  const { rows, columns, weight, combine } = window
  const weights = new Map<string, Value>()
  const weightOf = (ty: number, tx: number): Value | null => {
    if (weight === null) return null
    const key = `${ty},${tx}`
    const known = weights.get(key)
    if (known !== undefined) return known
    const taps = new Map(vars)
    if (rows.tap !== null) taps.set(rows.tap.id, i32(ty))
    if (columns.tap !== null) taps.set(columns.tap.id, i32(tx))
    const value = b.splat(lower({ ...envOf(scope, taps, null), copy: fresh() }, weight))
    weights.set(key, value)
    return value
  }
  rows.taps.flat().forEach(ty => columns.taps.flat().forEach(tx => weightOf(ty.tap, tx.tap)))

  const sums = ({ k, line }: Place, count: number, residues: number): readonly Sums[] => {
    const at = b.call('add', 'i32', line, multiplied(b, k, unit))
    const lines = Array.from({ length: count }, (_, row) => Array.from({ length: residues }, (__, residue) => ({ row, residue, values: columns.taps.map((): Value | null => null) }))).flat()
    for (let q = 0; q < rows.step * (count - 1) + rows.reach + 1; q += 1) {
      const uses = lines.flatMap(l => rows.taps[l.residue]!.filter(t => t.at + rows.step * l.row === q).map(t => ({ l, ty: t.tap })))
      if (uses.length === 0) continue
      for (let c = 0; c <= columns.reach; c += 1) {
        const across = columns.taps.flatMap((taps, r) => taps.filter(t => t.at === c).map(t => ({ r, tx: t.tap })))
        if (across.length === 0) continue
        const x = b.load('f32x4', space, at, q * layout.pitch + (c % columns.step) * layout.run + Math.floor(c / columns.step))
        for (const { l, ty } of uses)
          for (const { r, tx } of across) {
            const [w, before] = [weightOf(ty, tx), l.values[r]!]
            if (w !== null) l.values[r] = before === null ? b.call('mul', 'f32x4', x, w) : b.call('fma', 'f32x4', x, w, before)
            else l.values[r] = before === null ? x : b.call(combine === 'sum' ? 'add' : combine, 'f32x4', before, x)
          }
      }
    }
    return lines.map(l => ({ ...l, values: l.values.map(v => v ?? constOf('f32x4', 0)) }))
  }

  const width = columns.out.size
  const per = columns.residues
  const group = 4 * per
  const inPlace = ((): boolean => {
    let found = false
    walk(kernel.stores.map(s => s.value), e => {
      if (e.kind === 'load' && kernel.stores.some(s => s.buffer === e.buffer)) found = true
    })
    return found
  })()

  /** Makes and stores the outputs `starts` (four each), and `rest` one by one, counted from the first of the place. */
  const write = (place: Place, count: number, residues: number, starts: readonly number[], rest: readonly number[]): void => {
    const x = multiplied(b, place.k, per)
    for (const { row, residue, values } of sums(place, count, residues)) {
      const y = b.call('add', 'i32', multiplied(b, b.call('add', 'i32', place.u, i32(row)), rows.residues), i32(residue))
      const here = new Map([...vars, [rows.out.id, y], [columns.out.id, x]])
      const acc = (start: number): Value => picked(b, values, [0, 1, 2, 3].map(l => 4 * ((start + l) % per) + Math.floor((start + l) / per)))
      const env = (skip: number, aligned: boolean): Env => ({ ...envOf(scope, here, { id: columns.out.id, aligned }, skip), copy: fresh() })
      for (const start of starts) {
        const aligned = (x.kind === 'const' ? x.value + start : start) % 4 === 0
        perform({ ...env(start, aligned), acc: acc(start) }, kernel.stores)
      }
      for (const start of rest) perform({ ...env(start & ~3, true), lane: start & 3, acc: acc(start & ~3) }, kernel.stores)
    }
  }

  /** One turn of rows: `count` groups of residues, of which the first `residues` are there. */
  const turn = (u: Value, count: number, residues: number): void => {
    const line = b.call('add', 'i32', own, multiplied(b, b.call('sub', 'i32', u, first), rows.step * layout.pitch * unit))
    const fours = (from: number, to: number): readonly number[] => Array.from({ length: Math.max(0, Math.floor((to - from) / 4)) }, (_, i) => from + 4 * i)
    const whole = width - (width % group)
    const full = (k: Value): void => write({ u, k, line }, count, residues, fours(0, group), [])
    if (whole === group) full(i32(0))
    else b.loop('k', i32(0), i32(whole / per), 4, full)
    const rest = width - whole
    if (rest === 0) return
    const ending = rest % 4
    const starts = fours(0, rest)
    const at = (k: number): Place => ({ u, k: i32(k), line })
    if (ending === 0) return write(at(whole / per), count, residues, starts, [])
    if (inPlace) return write(at(whole / per), count, residues, starts, Array.from({ length: ending }, (_, i) => rest - ending + i))
    if (rest >= 4) return write(at(whole / per), count, residues, [...starts, rest - 4], [])
    const before = Math.floor((width - 4) / per)
    write(at(before), count, residues, [width - 4 - before * per], [])
  }

  const cost = rows.taps.flat().length * columns.taps.flat().length
  const several = clamp(Math.ceil(sumsAtOnce / (rows.residues * per)), 1, Math.max(1, Math.floor(unrolledTaps / cost)))
  const complete = Math.floor(rows.out.size / rows.residues)
  const end = least(b, last, i32(complete))
  const many = b.call('add', 'i32', first, b.call('mul', 'i32', divided(b, b.call('sub', 'i32', end, first), 'div', several), i32(several)))
  if (several > 1) b.loop('u', first, many, several, u => turn(u, several, rows.residues))
  b.loop('u', several > 1 ? many : first, end, 1, u => turn(u, 1, rows.residues))
  const odd = rows.out.size - complete * rows.residues
  if (odd > 0) b.loop('u', greatest(b, first, i32(complete)), last, 1, u => turn(u, 1, odd))
}
