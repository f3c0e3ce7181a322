/**
 * The gradient of a window's weights: for every tap, the sum over an image, and over many images, of what the tap reads
 * times a second operand (a cotangent; the image, where the window strides backwards) that does not depend on the tap. What
 * is read in windows is laid out as for the window itself; each tap's sum is kept in a vector. A second stage adds what the
 * parts found and performs the stores.
 */
import { collapse, kernelIndices } from '../kernel/collapse.ts'
import { decode, sizeOf } from '../nest/composite.ts'
import { varsOf } from '../kernel/dependence.ts'
import { divided, multiplied } from '../nest/builder.ts'
import { type Dialect, lower, perform } from '../nest/expression.ts'
import { variable } from '../kernel/indexing.ts'
import type { Expr, Kernel, Reduction, Var } from '../kernel/kernel.ts'
import { type Plot, fresh, layOut, layoutOf, units } from './layout.ts'
import { envOf, loops, open, unitStrides } from '../nest/loops.ts'
import { type Local, type Nest, type Scheduled, type Value, constOf, f32, i32 } from '../nest/nest.ts'
import { unfolded } from '../grid/unfold.ts'
import { type Axis, type Tap, type Window, few, windowIn } from './window.ts'

/** Elements of an image that is laid out whole, at most; sums that are carried side by side; parts that are enough. */
const wholeElements = 32768
const sumsAtOnce = 12
const enoughParts = 32

/** A sum for every tap: `images` are summed over, `outer` are not; `split` of the images is cut into `pieces` of `piece`. */
type Sums = {
  readonly window: Window
  readonly other: Expr
  readonly outer: readonly Var[]
  readonly images: readonly Var[]
  readonly split: Var
  readonly piece: number
  readonly pieces: number
}

/** The kernel with its taps under the sum and its positions outside: a window, whose image is one of the operands. */
const turned = (kernel: Kernel, summed: readonly Var[], image: Expr, other: Expr, counters: readonly Var[]): Sums | null => {
  const taps = kernel.vars.filter(v => varsOf(image).has(v.id) && !varsOf(other).has(v.id))
  const outer = kernel.vars.filter(v => !taps.includes(v))
  if (taps.length === 0 || taps.length > 2 || !few(taps)) return null
  const reads = kernelIndices({ reduction: { kind: 'reduce', op: 'sum', vars: summed, value: other, dtype: 'f32' }, stores: [] })
  const x = summed.filter(v => v.size >= 4).sort((v, w) => unitStrides(reads, w) - unitStrides(reads, v))[0]
  if (x === undefined) return null
  const reduction = { kind: 'reduce', op: 'sum', vars: taps, value: image, dtype: 'f32' } as const
  const window = windowIn({ ...kernel, vars: [...summed, ...outer], reduction, stores: [{ buffer: -1, at: variable(x), value: f32Zero }] }, counters)
  if (window === null || !even(window.rows) || !even(window.columns) || outer.includes(window.rows.out)) return null
  const layout = layoutOf(window, units(window.rows))
  if (layout.rows * layout.pitch > wholeElements) return null
  const images = window.outer.filter(v => summed.includes(v))
  const [split = { id: -4, size: 1, name: 'image' }, ...rest] = [...images].sort((v, w) => w.size - v.size)
  const piece = Math.ceil(split.size / Math.min(split.size, Math.ceil(enoughParts / sizeOf(outer))))
  return { window, other, outer, images: rest, split, piece, pieces: Math.ceil(split.size / piece) }
}
/** Whether all positions of an axis see all taps. */
const even = ({ residues, taps, tap }: Axis): boolean => residues === 1 && taps[0]?.length === (tap?.size ?? 1)
const f32Zero: Expr = { kind: 'const', value: 0, dtype: 'f32' }

/** Whether one operand has variables like taps to itself, and the other next to nothing. */
const likely = ({ vars }: Kernel, { a, b }: Extract<Reduction, { kind: 'product' }>): boolean => {
  const only = (x: Expr, y: Expr): readonly Var[] => vars.filter(v => v.size > 1 && varsOf(x).has(v.id) && !varsOf(y).has(v.id))
  const taps = (x: readonly Var[], y: readonly Var[]): boolean => x.length > 0 && x.length < 3 && few(x) && sizeOf(y) <= 3
  return taps(only(a, b), only(b, a)) || taps(only(b, a), only(a, b))
}

/** Schedules the sums, or null where the kernel is none of these. Scratch spaces are numbered from `space` on, fresh variables by `names`. */
export const tapSums = (given: Kernel, counters: readonly Var[], dialect: Dialect, space: number, names: () => number): Scheduled | null => {
  if (given.reduction?.kind !== 'product' || !likely(given, given.reduction)) return null
  const kernel = collapse(unfolded(collapse(given), names, id => counters.find(c => c.id === id)?.size ?? 1))
  const { reduction } = kernel
  if (reduction?.kind !== 'product') return null
  const { vars, a, b } = reduction
  const sums = turned(kernel, vars, a, b, counters) ?? turned(kernel, vars, b, a, counters)
  if (sums === null) return null
  const { window, outer, pieces } = sums
  const layout = layoutOf(window, units(window.rows))
  const count = sizeOf([window.rows.tap, window.columns.tap].filter(v => v !== null))
  const scratch = [
    { space, bytes: 4 * layout.rows * layout.pitch, each: 'thread' },
    { space: space + 1, bytes: 16 * count * pieces * sizeOf(outer), each: 'kernel' },
  ] as const
  return { nests: [partial(kernel.name, sums, counters, dialect, space), total(kernel, sums, counters, dialect, space + 1)], scratch }
}

/** The number of a tap. */
const numbered = ({ columns }: Window, ty: Tap, tx: Tap): number => ty.tap * (columns.tap?.size ?? 1) + tx.tap

/** Every part sums over one piece of the images, for one assignment of `outer`: a vector for every tap. */
const partial = (name: string, sums: Sums, counters: readonly Var[], dialect: Dialect, space: number): Nest => {
  const { window, other, outer, images, split, piece, pieces } = sums
  const scope = open(name, counters, dialect)
  const { b, own, lo, hi } = scope
  const { unit } = dialect
  const { rows, columns } = window
  const plot: Plot = { layout: layoutOf(window, units(rows)), space, at: own }
  const { rows: lines, pitch, run } = plot.layout
  b.changes(space)
  b.loop('z', own, b.call('add', 'i32', own, i32(lines * pitch * unit)), 4 * unit, z => b.store(space, z, 0, constOf('f32x4', 0)))
  const [tys, txs] = [rows.taps[0]!, columns.taps[0]!]
  const [width, atOnce] = [columns.out.size, Math.max(1, Math.floor(sumsAtOnce / txs.length))]
  const whole = width - (width % 4)

  /** Adds what one image gives for some rows of taps. */
  const image = (here: ReadonlyMap<number, Value>, some: readonly Tap[], accs: ReadonlyMap<number, Local>): void =>
    b.loop('y', i32(0), i32(rows.out.size), 1, y => {
      const line = b.call('add', 'i32', own, multiplied(b, y, rows.step * pitch * unit))
      const four = (k: Value, lanes: number): void => {
        const at = new Map([...here, [rows.out.id, y], [columns.out.id, k]])
        const env = { ...envOf(scope, at, { id: columns.out.id, aligned: true }), copy: fresh() }
        const lane = (l: number): Value => (l < lanes ? lower({ ...env, lane: l }, other) : f32(0))
        const g = lanes === 4 ? b.splat(lower(env, other)) : b.call('lanes', 'f32x4', lane(0), lane(1), lane(2), lane(3))
        const from = b.call('add', 'i32', line, multiplied(b, k, unit))
        for (const ty of some)
          for (const tx of txs) {
            const acc = accs.get(numbered(window, ty, tx))!
            const pixels = b.load('f32x4', space, from, ty.at * pitch + (tx.at % columns.step) * run + Math.floor(tx.at / columns.step))
            b.set(acc, b.call('fma', 'f32x4', pixels, g, acc))
          }
      }
      b.loop('x', i32(0), i32(whole), 4, k => four(k, 4))
      if (whole < width) four(i32(whole), width - whole)
    })

  b.loop('part', lo, hi, 1, part => {
    const vars = new Map([...scope.vars, ...decode(b, outer, pieces === 1 ? part : divided(b, part, 'div', pieces))])
    const from = pieces === 1 ? i32(0) : b.call('mul', 'i32', divided(b, part, 'mod', pieces), i32(piece))
    const to = pieces === 1 ? i32(split.size) : b.call('min', 'i32', b.call('add', 'i32', from, i32(piece)), i32(split.size))
    const accs = new Map(tys.flatMap(ty => txs.map(tx => [numbered(window, ty, tx), b.variable('f32x4', 'acc')] as const)))
    for (const acc of accs.values()) b.set(acc, constOf('f32x4', 0))
    b.loop(split.name, from, to, 1, n =>
      loops(b, images, new Map([...vars, [split.id, n]]), here => {
        layOut({ ...scope, vars: here }, window, plot, false, i32(0), i32(units(rows)))
        for (let i = 0; i < tys.length; i += atOnce) image(here, tys.slice(i, i + atOnce), accs)
      }),
    )
    const place = multiplied(b, part, 4 * accs.size * unit)
    for (const [tap, acc] of accs) b.store(space + 1, place, 4 * tap, acc)
  })
  return b.finish(sizeOf(outer) * pieces)
}

/** Adds the pieces, and the lanes of each sum, and performs the stores. */
const total = (kernel: Kernel, { window, outer, pieces }: Sums, counters: readonly Var[], dialect: Dialect, space: number): Nest => {
  const scope = open(`${kernel.name}_total`, counters, dialect)
  const { b, lo, hi } = scope
  const taps = [window.rows.tap, window.columns.tap].filter(v => v !== null)
  const count = sizeOf(taps)
  b.loop('part', lo, hi, 1, part => {
    const first = multiplied(b, part, 4 * count * pieces * dialect.unit)
    loops(b, taps, new Map([...scope.vars, ...decode(b, outer, part)]), vars => {
      const tap = taps.reduce<Value>((n, v) => b.call('add', 'i32', b.call('mul', 'i32', n, i32(v.size)), vars.get(v.id)!), i32(0))
      const at = b.call('add', 'i32', first, multiplied(b, tap, 4 * dialect.unit))
      const sum = b.variable('f32x4', 'sum')
      b.set(sum, b.load('f32x4', space, at))
      b.loop('piece', i32(1), i32(pieces), 1, p => {
        const next = b.call('add', 'i32', at, multiplied(b, p, 4 * count * dialect.unit))
        b.set(sum, b.call('add', 'f32x4', sum, b.load('f32x4', space, next)))
      })
      b.settle(sum)
      const [l0, l1, l2, l3] = [0, 1, 2, 3].map(l => b.lane(sum, l))
      const acc = b.call('add', 'f32', b.call('add', 'f32', l0!, l2!), b.call('add', 'f32', l1!, l3!))
      perform({ ...envOf(scope, vars, null), acc }, kernel.stores)
    })
  })
  return b.finish(sizeOf(outer))
}
