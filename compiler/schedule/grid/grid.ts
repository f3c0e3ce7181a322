/**
 * The grid that an operand of a product reads: where a column and a step of the sum occur only in one sum of multiples of
 * the two (x * stride + k * dilation), many pairs read one position, and the operand is a function of positions. Kept as
 * a grid of positions instead of one element per column and step, an image takes no more room than the image. Positions
 * that count only where divisible (strides going backwards) are kept alone; columns then fall into residue classes.
 */
import { mapIndices } from '../kernel/collapse.ts'
import { varsOf } from '../kernel/dependence.ts'
import { add, indexing, scale, shift, substitute, variable } from '../kernel/indexing.ts'
import type { Expr, Guard, Index, Var } from '../kernel/kernel.ts'
import { simplified } from '../kernel/phases.ts'
import { indicesOf } from '../kernel/walk.ts'

/** One axis: position = ((column * m + step * e) - rest) / by - low, for the columns and steps where that is whole. */
export type Axis = {
  readonly column: Var | null
  readonly step: Var | null
  /** 0 without a column, else more than 0 unless the axis is flipped. */
  readonly m: number
  /** 0 without a step. */
  readonly e: number
  readonly by: number
  readonly rest: number
  readonly low: number
  /** The position, as a variable of the grid's expression; its size is the number of positions. */
  readonly position: Var
}

export type Grid = { readonly expr: Expr; readonly axes: readonly Axis[] }

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b))
const residue = (a: number, by: number): number => ((a % by) + by) % by
export const coefOf = (i: Index, v: Var): number => i.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0

/** Every index and guard of an expression. */
const indicesIn = (expr: Expr): readonly Index[] => {
  const all: Index[] = []
  indicesOf(i => all.push(i))(expr)
  return all
}
const guardsIn = (expr: Expr): readonly Guard[] => {
  const all: Guard[] = []
  const seen = new Set<Expr>()
  const visit = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    if (e.kind === 'op') e.args.forEach(visit)
    if (e.kind !== 'when') return
    all.push(...e.guards)
    visit(e.then)
    visit(e.otherwise)
  }
  visit(expr)
  return all
}

/** The multiples (m, e) of a column and a step, m > 0, if the two occur in one sum only. */
const linked = (indices: readonly Index[], column: Var, step: Var): { readonly m: number; readonly e: number } | null => {
  let found: { readonly m: number; readonly e: number } | null = null
  for (const i of indices) {
    const [x, k] = [coefOf(i, column), coefOf(i, step)]
    if (x === 0 && k === 0) continue
    if (x === 0 || k === 0) return null
    const g = gcd(x, k) * Math.sign(x)
    if (found === null) found = { m: x / g, e: k / g }
    else if (found.m !== x / g || found.e !== k / g) return null
  }
  return found
}

/** How many residue classes of the column there are, each with its own steps. */
export const columnsOf = ({ column, by }: Axis): number => Math.ceil((column?.size ?? 1) / by)
/** From a column (of one class) to the next, in positions. */
export const slope = ({ m, by }: Axis): number => (by > 1 ? 1 : m)

/** The steps of an axis that meet the columns of class `r`: by * i + first, of which there are `size`. */
export const stepsOf = ({ step, e, by, rest }: Axis, r: number): { readonly first: number; readonly size: number } => {
  if (step === null) return { first: 0, size: 1 }
  if (by === 1) return { first: 0, size: step.size }
  const first = Array.from({ length: by }, (_, i) => i).find(i => residue(r + e * i - rest, by) === 0) ?? 0
  return { first, size: Math.max(0, Math.ceil((step.size - first) / by)) }
}

const bounds = (axis: Omit<Axis, 'position' | 'low'>): { readonly low: number; readonly high: number } => {
  const { column, step, m, e, by, rest } = axis
  const [columns, steps] = [(column?.size ?? 1) - 1, (step?.size ?? 1) - 1]
  if (by === 1) return { low: Math.min(0, m * columns) + Math.min(0, e * steps), high: Math.max(0, m * columns) + Math.max(0, e * steps) }
  const all = Array.from({ length: by }, (_, r) => r).flatMap(r => {
    const { first, size } = stepsOf({ ...axis, low: 0, position: { id: -1, size: 1, name: '' } }, r)
    return size === 0 ? [] : [first, first + by * (size - 1)].map(step => (r + e * step - rest) / by)
  })
  return all.length === 0 ? { low: 0, high: 0 } : { low: Math.min(...all), high: Math.max(...all) + Math.ceil((columns + 1) / by) - 1 }
}

/** The grid of an operand over these columns and steps, or null where divisibility is not that of one axis. `sizes` knows all other variables. */
export const gridOf = (expr: Expr, columns: readonly Var[], steps: readonly Var[], fresh: () => number, sizes: (id: number) => number): Grid | null => {
  const indices = indicesIn(expr)
  const guards = guardsIn(expr).filter(g => g.by > 1)
  const named = varsOf(expr)
  const free = new Set(steps.filter(s => named.has(s.id)))
  const axes: Axis[] = []
  const close = (column: Var | null, step: Var | null, m: number, e: number): boolean => {
    let [by, rest] = [1, 0]
    for (const g of guards) {
      const [x, k] = [column === null ? 0 : coefOf(g.of, column), step === null ? 0 : coefOf(g.of, step)]
      if ((x === 0 && k === 0) || (x % g.by === 0 && k % g.by === 0)) continue
      // the guard has to speak of this axis alone
      const others = g.of.terms.some(t => t.coef % g.by !== 0 && !(t.atom.kind === 'var' && (t.atom.id === column?.id || t.atom.id === step?.id)))
      const sign = Math.sign(x)
      if (others || x !== sign || k !== sign * e || m !== 1 || gcd(e, g.by) !== 1 || column === null || column.size < g.by) return false
      const wanted = residue(-sign * g.of.offset, g.by)
      if (by > 1 && (by !== g.by || rest !== wanted)) return false
      by = g.by
      rest = wanted
    }
    const axis = { column, step, m, e, by, rest }
    const { low, high } = bounds(axis)
    axes.push({ ...axis, low, position: { id: fresh(), size: high - low + 1, name: column?.name ?? step?.name ?? 'p' } })
    return true
  }
  for (const column of columns) {
    const pairs = [...free].flatMap(step => {
      const link = linked(indices, column, step)
      if (link === null) return []
      const positions = link.m * (column.size - 1) + Math.abs(link.e) * (step.size - 1) + 1
      return [{ step, ...link, overlap: (column.size * step.size) / positions }]
    })
    const best = pairs.sort((x, y) => y.overlap - x.overlap).find(x => x.overlap > 1.1)
    if (best !== undefined) free.delete(best.step)
    if (!close(column, best?.step ?? null, best?.m ?? 1, best?.e ?? 0)) return null
  }
  for (const step of free) if (!close(null, step, 0, 1)) return null

  const known = new Map(axes.map(a => [a.position.id, a.position.size]))
  const algebra = indexing(id => known.get(id) ?? sizes(id))
  const gone = new Set(axes.flatMap(a => [a.column, a.step].flatMap(v => (v === null ? [] : [v.id]))))
  const replaced = (i: Index): Index => {
    const rest: Index = { offset: i.offset, terms: i.terms.filter(t => !(t.atom.kind === 'var' && gone.has(t.atom.id))) }
    const moved = axes.reduce((sum, { column, step, m, e, by, rest: first, low, position }) => {
      const c = column !== null ? coefOf(i, column) / m : step === null ? 0 : coefOf(i, step) / e
      return c === 0 ? sum : add(sum, scale(shift(scale(variable(position), by), by * low + first), c))
    }, rest)
    return substitute(algebra, moved, () => undefined)
  }
  return { expr: mapIndices(replaced, simplified)(expr), axes }
}

/** The same grid with the positions of an axis (none with residues) counted backwards. */
export const flipped = (grid: Grid, axis: Axis, fresh: () => number, sizes: (id: number) => number): Grid => {
  const { position, m, e, by, rest } = axis
  const turned = { column: axis.column, step: axis.step, m: -m, e: -e, by, rest }
  const next: Axis = { ...turned, low: bounds(turned).low, position: { ...position, id: fresh() } }
  const known = new Map(grid.axes.map(a => [a.position.id, a.position.size]))
  const algebra = indexing(id => (id === next.position.id ? position.size : known.get(id) ?? sizes(id)))
  const back = shift(scale(variable(next.position), -1), position.size - 1)
  const expr = mapIndices(i => substitute(algebra, i, id => (id === position.id ? back : undefined)))(grid.expr)
  return { expr, axes: grid.axes.map(a => (a === axis ? next : a)) }
}

/** How many columns and steps share a position, on average. */
export const overlapOf = ({ axes }: Grid): number =>
  axes.reduce((n, a) => n * (((a.column?.size ?? 1) * (a.step?.size ?? 1)) / a.by / a.position.size), 1)

/** step = by * to + first */
type Renamed = { readonly step: Var; readonly to: Var; readonly by: number; readonly first: number }

/** Replaces step variables by those of one class. */
export const inClass = (expr: Expr, axes: readonly Renamed[], sizes: (id: number) => number): Expr => {
  if (axes.length === 0) return expr
  const algebra = indexing(id => axes.find(a => a.to.id === id)?.to.size ?? sizes(id))
  const byId = new Map(axes.map(a => [a.step.id, shift(scale(variable(a.to), a.by), a.first)]))
  return mapIndices(i => substitute(algebra, i, id => byId.get(id)), simplified)(expr)
}
