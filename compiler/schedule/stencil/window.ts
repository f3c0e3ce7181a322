/**
 * Recognises sums over small windows of an image: acc[.., y, x] = sum over taps i, j of weight[.., i, j] * image at
 * (s y + d i + .., s' x + d' j + ..), where the image may be any expression of that position, zero between the pixels of
 * a stride going backwards, and guarded at its edges. The result says which positions each residue of y and x reads, and
 * gives the image as an expression of the position alone. Independent of any target.
 */
import { collapse, mapIndices } from '../kernel/collapse.ts'
import { sizeOf } from '../nest/composite.ts'
import { strideAlong, varsOf } from '../kernel/dependence.ts'
import { indexing, scale, shift, substitute, variable } from '../kernel/indexing.ts'
import type { Expr, Guard, Index, Kernel, Reduction, Var } from '../kernel/kernel.ts'
import { simplified, zeroOutside } from '../kernel/phases.ts'
import { indicesOf, walk } from '../kernel/walk.ts'

/** A step of the window: the value of the tap variable, and the position that it reads, counted from that of residue 0. */
export type Tap = { readonly tap: number; readonly at: number }

/**
 * One axis. An output is `residues * u + r`; for it the taps of residue r read the positions `step * u + at`, of which
 * there are `size` in all.
 */
export type Axis = {
  readonly out: Var
  readonly tap: Var | null
  readonly residues: number
  readonly step: number
  readonly size: number
  readonly taps: readonly (readonly Tap[])[]
  /** The greatest `at`. */
  readonly reach: number
  /** What stands for `out` and for `tap` in the image at a position, by their ids. */
  readonly position: (at: Index) => readonly (readonly [number, Index])[]
}

export type Window = {
  readonly kernel: Kernel
  readonly rows: Axis
  readonly columns: Axis
  /** Variables of the kernel other than those of rows and columns. */
  readonly outer: readonly Var[]
  readonly combine: 'sum' | 'max' | 'min'
  /** Of (outer, taps); null where every tap counts one. */
  readonly weight: Expr | null
  /** The image at position (row, column). */
  readonly image: Expr
  readonly row: Var
  readonly column: Var
}

/** The most taps along one axis and in all, and the longest steps, that are unrolled. */
const longest = 8
const most = 64
const farthest = 4

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b))
const coefOf = (i: Index, v: Var): number => i.terms.find(t => t.atom.kind === 'var' && t.atom.id === v.id)?.coef ?? 0
/** [p, q] with a p + b q = gcd(a, b), for a > 0. */
const bezout = (a: number, b: number): readonly [number, number] => {
  if (b === 0) return [1, 0]
  const [p, q] = bezout(Math.abs(b), a % b)
  return [q, Math.sign(b) * (p - Math.trunc(a / Math.abs(b)) * q)]
}

/** Positions s * out + d * tap. */
type Pair = { readonly out: Var; readonly tap: Var | null; readonly s: number; readonly d: number }

/** The variable beside which `tap` stands in all indices, always in the same proportion; of several the one with the smallest steps. */
const pairOf = (indices: readonly Index[], vars: readonly Var[], tap: Var): Pair | null => {
  const example = indices.find(i => coefOf(i, tap) !== 0)
  if (example === undefined) return null
  const pairs = vars.flatMap((out): readonly Pair[] => {
    const [a, c] = [coefOf(example, out), coefOf(example, tap)]
    if (a === 0) return []
    const by = Math.sign(a) * gcd(a, c)
    const [s, d] = [a / by, c / by]
    return s <= farthest && Math.abs(d) <= longest && indices.every(i => coefOf(i, out) * d === coefOf(i, tap) * s) ? [{ out, tap, s, d }] : []
  })
  return pairs.sort((x, y) => x.s + Math.abs(x.d) - y.s - Math.abs(y.d))[0] ?? null
}

/** Of the positions only those count that are `first` modulo `by`. */
type Class = { readonly by: number; readonly first: number }

/** Which positions along a pair count by a divisibility check; null where the check mixes in something else. */
const classOf = ({ out, tap, s }: Pair, guard: Guard): Class | null => {
  const odd = guard.of.terms.filter(t => t.coef % guard.by !== 0)
  if (!odd.every(({ atom }) => atom.kind === 'var' && (atom.id === out.id || atom.id === tap?.id))) return null
  const coef = coefOf(guard.of, out) / s
  const by = guard.by / gcd(coef, guard.by)
  const first = Array.from({ length: by }, (_, n) => n).find(n => (coef * n + guard.of.offset) % guard.by === 0)
  return first === undefined || by > farthest ? null : { by, first }
}

const axisOf = ({ out, tap, s, d }: Pair, { by, first }: Class): Axis | null => {
  const [residues, step] = [by / gcd(s, by), s / gcd(s, by)]
  const every = Array.from({ length: Math.min(residues, out.size) }, (_, r) =>
    Array.from({ length: tap?.size ?? 1 }, (_, t): Tap => ({ tap: t, at: (s * r + d * t - first) / by })).filter(t => Number.isInteger(t.at)),
  )
  const ats = every.flat().map(t => t.at)
  if (ats.length === 0) return null
  const least = Math.min(...ats)
  const reach = Math.max(...ats) - least
  const [p, q] = bezout(s, d)
  return {
    out, tap, residues, step, reach,
    size: step * (Math.ceil(out.size / residues) - 1) + reach + 1,
    taps: every.map(taps => taps.map(t => ({ ...t, at: t.at - least })).sort((x, y) => x.at - y.at)),
    position: at => {
      const whole = shift(scale(at, by), first + by * least)
      return [[out.id, scale(whole, p)], ...(tap === null ? [] : [[tap.id, scale(whole, q)] as const])]
    },
  }
}

/** The two operands of a sum: what depends on the position, and what does not. */
const operands = (reduction: Reduction, out: Var): { readonly image: Expr; readonly weight: Expr | null } | null => {
  if (reduction.kind === 'reduce') return { image: reduction.value, weight: null }
  const fixed = (e: Expr): boolean => !varsOf(e).has(out.id)
  if (fixed(reduction.a)) return { image: reduction.b, weight: reduction.a }
  return fixed(reduction.b) ? { image: reduction.a, weight: reduction.b } : null
}

const strideIn = (kernel: Kernel, v: Var): number => Math.abs(coefOf(kernel.stores[0]!.at, v))

/** The pairs of rows and of columns, and the variables that are neither. */
type Pairs = { readonly down: Pair; readonly across: Pair; readonly outer: readonly Var[] }

/** Pairs every tap with the rows or the columns; rows without a window of their own are taken one by one. */
const pairsOf = (kernel: Kernel, taps: readonly Var[], image: Expr, weight: Expr | null, x: Var): Pairs | null => {
  const indices: Index[] = []
  indicesOf(i => indices.push(i))(image)
  const pairs = taps.map(tap => pairOf(indices, kernel.vars, tap)).filter(p => p !== null)
  const across = pairs.find(p => p.out === x)
  const down = pairs.find(p => p.out !== x)
  if (pairs.length < taps.length || pairs.length > Number(across !== undefined) + Number(down !== undefined)) return null
  const inWeight = (v: Var): boolean => weight !== null && varsOf(weight).has(v.id)
  const inImage = (v: Var): boolean => varsOf(image).has(v.id)
  const idle = kernel.vars.filter(v => v !== x && inImage(v) && !inWeight(v)).sort((v, w) => strideIn(kernel, v) - strideIn(kernel, w))[0]
  const y = down?.out ?? idle ?? { id: -1, size: 1, name: 'y' }
  const outer = kernel.vars.filter(v => v !== x && v !== y)
  // an operand that many outputs share calls for a matrix product
  if (!inImage(x) || inWeight(y) || sizeOf(outer.filter(v => !inImage(v))) > 3) return null
  const alone = (out: Var): Pair => ({ out, tap: null, s: 1, d: 0 })
  return { down: down ?? alone(y), across: across ?? alone(x), outer }
}

const guardsBy = (image: Expr): readonly Guard[] => {
  const found: Guard[] = []
  walk([image], e => {
    if (e.kind === 'when') found.push(...e.guards.filter(g => g.by > 1))
  })
  return found
}

/** The axes of two pairs; null where the windows share no position: those are rows of a matrix, if not tiles of an image. */
const axesOf = ({ down, across }: Pairs, strided: readonly Guard[]): readonly [Axis, Axis] | null => {
  const made = [down, across].map(pair => {
    const guard = strided.find(g => [pair.out, pair.tap].some(v => v !== null && coefOf(g.of, v) % g.by !== 0))
    const positions = guard === undefined ? { by: 1, first: 0 } : classOf(pair, guard)
    const axis = positions === null ? null : axisOf(pair, positions)
    if (positions === null || axis === null) return null
    const shared = positions.by > 1 || axis.size < pair.out.size * (pair.tap?.size ?? 1)
    return shared || Math.abs(pair.d) <= 1 ? { axis, shared } : null
  })
  const [rows, columns] = made
  if (rows == null || columns == null) return null
  const tiles = down.tap !== null && across.tap !== null
  return tiles || rows.shared || columns.shared ? [rows.axis, columns.axis] : null
}

/** Whether these may be the taps of a window. */
export const few = (taps: readonly Var[]): boolean => sizeOf(taps) <= most && taps.every(v => v.size <= longest)

/** A kernel as a window, with its variables collapsed; null where it is none, or where another schedule does it better. */
export const windowOf = (kernel: Kernel, counters: readonly Var[]): Window | null =>
  kernel.reduction?.dtype === 'f32' && few(kernel.reduction.vars) ? windowIn(collapse(kernel), counters) : null

/** The same of a kernel whose variables are collapsed. */
export const windowIn = (kernel: Kernel, counters: readonly Var[]): Window | null => {
  const { reduction } = kernel
  if (reduction === null || reduction.vars.length === 0 || reduction.vars.length > 2) return null
  const x = kernel.vars.find(v => v.size >= 4 && kernel.stores.every(s => strideAlong(s.at, { id: v.id, aligned: false }) === 1))
  const parted = x === undefined ? null : operands(reduction, x)
  if (x === undefined || parted === null || parted.image.dtype !== 'f32') return null
  const { image, weight } = parted
  const pairs = pairsOf(kernel, reduction.vars, image, weight, x)
  if (pairs === null) return null
  const combine = reduction.kind === 'product' ? 'sum' : reduction.op
  const strided = guardsBy(image)
  const zero = combine === 'sum' ? zeroOutside(image) : []
  const axes = strided.every(g => zero.includes(g)) ? axesOf(pairs, strided) : null
  if (axes === null) return null
  const [rows, columns] = axes
  const row: Var = { id: -2, size: rows.size, name: 'row' }
  const column: Var = { id: -3, size: columns.size, name: 'column' }
  const algebra = indexing(id => [row, column, ...kernel.vars, ...reduction.vars, ...counters].find(v => v.id === id)?.size ?? 1)
  const placed = new Map([[rows, row] as const, [columns, column] as const].flatMap(([axis, at]) => axis.position(variable(at))))
  const plain = mapIndices(i => substitute(algebra, i, id => placed.get(id)), simplified)(image)
  // every check for divisibility must be gone, and with it every quotient
  return guardsBy(plain).length === 0 ? { kernel, rows, columns, outer: pairs.outer, combine, weight, image: plain, row, column } : null
}
